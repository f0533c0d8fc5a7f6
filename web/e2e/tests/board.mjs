import assert from 'node:assert/strict';
import { seed } from '../board-seed.mjs';
import { rest, until } from '../harness.mjs';

const column = (page, name) => page.getByRole('list', { name, exact: true });
const card = (page, name, title) => column(page, name).getByRole('link', { name: title });
const state = async (url, key) => (await rest(url, 'GET', `/tasks/${key}`)).task.state;

export default {
  seed,
  tests: [
    {
      name: 'the board, its groups and the picture of dependencies, in both themes',
      async run({ open, look }) {
        for (const theme of ['light', 'dark']) {
          const page = await open('/board/WEB', { theme });
          await card(page, 'Review', 'Draft the landing page').waitFor();
          await page.getByText('Waits for WEB-1').waitFor();
          await page.getByText('the rewrite rule drops the slash').waitFor();
          await look(page, 'board');
          await page.goto('/board/WEB?group=agent&ended=1');
          await page.getByRole('heading', { level: 3, name: /Writer/ }).waitFor();
          await look(page, 'board-groups');
          await page.goto('/board/WEB?view=graph');
          await page.getByText('The longest chain of open work is 3 tasks.').waitFor();
          await look(page, 'board-graph');
        }
        for (const width of [1024, 390]) {
          const page = await open('/board/WEB', { width });
          await card(page, 'Inbox', 'Publish the landing page').waitFor();
          await look(page, `board-${width}`);
        }
      },
    },
    {
      name: 'a task tells all of itself beside the board',
      async run({ open, look }) {
        for (const theme of ['light', 'dark']) {
          const page = await open('/board/WEB?task=WEB-1', { theme });
          const drawer = page.getByRole('complementary', { name: 'Task WEB-1' });
          await drawer.getByText('Each benefit names a number').waitFor();
          await drawer.getByText('Waits for a review by @local').waitFor();
          await drawer.getByRole('link', { name: /WEB-2/ }).waitFor();
          await drawer.getByRole('button', { name: 'landing.md' }).click();
          await drawer.getByRole('group', { name: 'Changes in landing.md' }).first().waitFor();
          await look(page, 'task');
          await drawer.getByRole('tab', { name: 'Work' }).click();
          await drawer.getByText('Attempt 2').waitFor();
          await look(page, 'task-work');
          await drawer.getByRole('tab', { name: /Comments/ }).click();
          await drawer.getByText('is a superlative').waitFor();
          await look(page, 'task-comments');
          await drawer.getByRole('tab', { name: 'History' }).click();
          await drawer.getByText(/changes requested/).first().waitFor();
        }
        const page = await open('/board/WEB?task=WEB-2');
        const drawer = page.getByRole('complementary', { name: 'Task WEB-2' });
        const why = drawer.getByRole('note', { name: 'Why it does not move' });
        await why.getByText('Waits for WEB-1').waitFor();
        await why.getByText('Nobody is assigned').waitFor();
        await drawer.getByRole('button', { name: 'Edit: Description' }).click();
        await drawer.getByRole('textbox', { name: 'Description' }).fill('Put it **online**.');
        await drawer.getByRole('button', { name: 'Save' }).click();
        await drawer.locator('strong', { hasText: 'online' }).waitFor();
        await drawer.getByRole('tab', { name: 'Comments' }).click();
        await drawer.getByRole('textbox', { name: 'Comment' }).fill('@wri');
        await page.getByRole('option', { name: /Writer/ }).waitFor();
        await page.keyboard.press('Enter');
        await page.keyboard.type('please look');
        await page.keyboard.press('Control+Enter');
        await drawer.getByText('please look').waitFor();
        const phone = await open('/board/WEB?task=WEB-1', { width: 390, height: 844 });
        await phone.getByRole('dialog').getByText('Each benefit names a number').waitFor();
        await look(phone, 'task-390');
      },
    },
    {
      name: 'move a card, by keyboard alone',
      async run({ open, server }) {
        const page = await open('/board/WEB');
        await card(page, 'Inbox', 'Collect customer quotes').waitFor();
        const said = page.getByRole('status', { name: 'Board' });
        await page.keyboard.press('j');
        await page.keyboard.press('j');
        assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Collect customer quotes');
        await page.keyboard.press('Shift+ArrowDown');
        await said.getByText('WEB-6 is moved').waitFor();
        await until(async () => (await rest(server.url, 'GET', '/tasks?project=WEB&status=inbox&sort=rank')).tasks.map((t) => t.key).join() === 'WEB-2,WEB-7,WEB-6', 'the order is kept');
        assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Collect customer quotes', 'the focus stays with the card');

        // To Assigned: it asks to whom.
        await page.keyboard.press('Shift+ArrowRight');
        const dialog = page.getByRole('dialog', { name: 'Assign WEB-6' });
        await dialog.waitFor();
        await page.keyboard.type('local');
        await page.keyboard.press('ArrowDown');
        await page.keyboard.press('Enter');
        await dialog.getByRole('button', { name: 'Assign', exact: true }).focus();
        await page.keyboard.press('Enter');
        await card(page, 'Assigned', 'Collect customer quotes').waitFor();
        await until(() => page.evaluate(() => document.activeElement.textContent === 'Collect customer quotes'), 'the focus follows the card');
        await page.keyboard.press('Shift+ArrowRight');
        await said.getByText('WEB-6 moved to In progress').waitFor();
        await card(page, 'In progress', 'Collect customer quotes').waitFor();
        assert.equal(await state(server.url, 'WEB-6'), 'in_progress');

        // And back by the toast.
        await page.getByRole('button', { name: 'Undo' }).last().focus();
        await page.keyboard.press('Enter');
        await card(page, 'Assigned', 'Collect customer quotes').waitFor();
        assert.equal(await state(server.url, 'WEB-6'), 'assigned');

        // What cannot be done says why.
        await card(page, 'Inbox', 'Publish the landing page').focus();
        await page.keyboard.press('Shift+ArrowRight');
        await page.getByRole('dialog').waitFor();
        await page.keyboard.press('Escape'); // the list of names
        await page.keyboard.press('Escape');
        await page.getByRole('dialog').waitFor({ state: 'detached' });
        await card(page, 'Assigned', 'Announce the launch').focus();
        await page.keyboard.press('Shift+ArrowRight');
        await said.getByText('WEB-3 stays: It is assigned to Writer, who has to begin it').waitFor();
      },
    },
    {
      name: 'drag a card: what cannot be says why before the drop',
      async run({ open, look, server }) {
        const page = await open('/board/WEB');
        const from = column(page, 'Inbox').getByRole('listitem').filter({ hasText: 'Publish the landing page' });
        await from.waitFor();
        const at = async (locator) => {
          const box = await locator.boundingBox();
          return [box.x + box.width / 2, box.y + Math.min(60, box.height / 2)];
        };
        await page.mouse.move(...(await at(from)));
        await page.mouse.down();
        const target = page.getByTestId('board').locator('[data-column="in_progress"]');
        await page.mouse.move(...(await at(target)), { steps: 8 });
        await target.getByText('It waits for WEB-1').waitFor();
        await look(page, 'board-refused');
        await page.mouse.up();
        assert.equal(await state(server.url, 'WEB-2'), 'inbox');

        const card7 = column(page, 'Inbox').getByRole('listitem').filter({ hasText: 'Choose the fonts' });
        await card7.dragTo(page.getByTestId('board').locator('[data-column="in_progress"]'));
        await card(page, 'In progress', 'Choose the fonts').waitFor();
        assert.equal(await state(server.url, 'WEB-7'), 'in_progress');
      },
    },
    {
      name: 'what somebody else moves shows within a second, and nothing jumps',
      async run({ open, server }) {
        const page = await open('/board/WEB');
        await page.getByText('Live', { exact: true }).waitFor();
        await rest(server.url, 'POST', '/tasks', { project: 'WEB', title: 'Move me' });
        await card(page, 'Inbox', 'Move me').waitFor();
        const still = card(page, 'Inbox', 'Publish the landing page');
        await still.focus();
        const before = await still.boundingBox();
        const { tasks } = await rest(server.url, 'GET', '/tasks?project=WEB&q=Move%20me');
        const began = Date.now();
        await rest(server.url, 'POST', `/tasks/${tasks[0].key}/claim`);
        await card(page, 'In progress', 'Move me').waitFor({ timeout: 5000 });
        const took = Date.now() - began;
        assert.deepEqual(await still.boundingBox(), before);
        assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Publish the landing page');
        console.log(`      a move elsewhere showed after ${took} ms`);
      },
    },
    {
      name: 'make a task, filter, and clear the filter',
      async run({ open, look }) {
        const page = await open('/board/WEB');
        await card(page, 'Inbox', 'Publish the landing page').waitFor();
        await page.keyboard.press('c');
        const dialog = page.getByRole('dialog', { name: 'New task' });
        await dialog.getByRole('textbox', { name: 'Title' }).fill('Count the visitors');
        await dialog.getByRole('button', { name: 'More fields' }).click();
        await dialog.getByRole('textbox', { name: /Acceptance criteria/ }).fill('Every day\nWithout cookies');
        await look(page, 'board-new-task');
        await dialog.getByRole('button', { name: 'Create task' }).click();
        const drawer = page.getByRole('complementary', { name: /^Task WEB-/ });
        await drawer.getByText('Without cookies').waitFor();
        await page.keyboard.press('Escape');
        await drawer.waitFor({ state: 'detached' });
        await card(page, 'Inbox', 'Count the visitors').waitFor();
        await page.keyboard.press('/');
        await page.keyboard.type('label:copy');
        await page.keyboard.press('Enter');
        await card(page, 'Inbox', 'Count the visitors').waitFor({ state: 'detached' });
        await card(page, 'Assigned', 'Announce the launch').waitFor();
        assert.match(page.url(), /filter=label:copy/);
        await page.goto('/board/WEB?filter=label:nothing');
        await page.getByRole('heading', { name: 'Nothing matches these filters' }).waitFor();
        await page.getByRole('button', { name: 'Clear filters' }).click();
        await card(page, 'Inbox', 'Count the visitors').waitFor();
      },
    },
  ],
};
