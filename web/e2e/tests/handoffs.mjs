import assert from 'node:assert/strict';
import { agent } from '../board-seed.mjs';
import { rest, until } from '../harness.mjs';

const drawer = (page, key) => page.getByRole('complementary', { name: `Task ${key}` });
const cardOf = (page, column, title) => page.getByRole('list', { name: column, exact: true }).getByRole('link', { name: title });
const handoffs = (url, key) => rest(url, 'GET', `/tasks/${key}/handoffs`).then((r) => r.handoffs);

export default {
  async seed(url) {
    await rest(url, 'POST', '/projects', { key: 'WEB', name: 'Web site' });
    await rest(url, 'POST', '/projects', { key: 'OPS', name: 'Operations', policies: { approve_handoffs: true } });
    await rest(url, 'POST', '/projects', { key: 'SOLO', name: 'One agent' });
    const writer = await agent(url, 'writer', { projects: ['WEB', 'OPS', 'SOLO'] });
    const coder = await agent(url, 'coder', { projects: ['WEB', 'OPS'], capabilities: ['go', 'css'] });
    const task = (project, title, more = {}) => rest(url, 'POST', '/tasks', { project, title, ...more });
    await task('WEB', 'Draft the page', { assignee: '@writer' });
    await task('WEB', 'Fix the menu', { assignee: '@coder' });
    await task('WEB', 'Choose the fonts');
    await task('OPS', 'Move the server', { assignee: '@writer' });
    await task('OPS', 'Rotate the keys', { assignee: '@writer' });
    await task('SOLO', 'Alone', { assignee: '@writer' });
    const lease = await writer.claim('WEB-1');
    await writer.call('POST', '/tasks/WEB-1/deliverables', { kind: 'text', title: 'page.md', content: '# Draft\n' }, lease);
    await writer.call('POST', '/tasks/WEB-1/deliverables', { kind: 'text', title: 'page.md', series: 'page.md', content: '# Draft 2\n' }, lease);
    return { writer, coder };
  },
  tests: [
    {
      name: 'a task in progress is handed to another agent, by keyboard alone; its page tells the thread',
      async run({ open, look, lookBoth, server, seeded }) {
        const page = await open('/board/WEB');
        await cardOf(page, 'In progress', 'Draft the page').focus();
        await page.keyboard.press('.');
        const item = page.getByRole('menuitem', { name: 'Hand off…' });
        await item.waitFor();
        await lookBoth(page, 'card-menu');
        // The arrows walk the menu.
        for (let i = 0; i < 12 && !(await item.evaluate((el) => el === document.activeElement)); i++) await page.keyboard.press('ArrowDown');
        await page.keyboard.press('Enter');
        const dialog = page.getByRole('dialog', { name: 'Hand off WEB-1' });
        await dialog.getByText('Writer loses it at once').waitFor();
        const field = dialog.getByRole('combobox', { name: 'Agent' });
        await until(() => field.evaluate((el) => el === document.activeElement), 'the field has the focus');
        // Who has it is not offered; skills are.
        await page.keyboard.press('ArrowDown');
        await page.getByRole('option').first().waitFor();
        assert.deepEqual(await page.getByRole('option').allTextContents(), ['Coder (@coder)', 'Any agent with css', 'Any agent with go']);
        await page.keyboard.type('cod');
        await page.keyboard.press('ArrowDown');
        await page.keyboard.press('Enter');
        await dialog.getByRole('textbox', { name: 'What the other agent needs to know' }).focus();
        await page.keyboard.type('The text is **done**; the layout is open.');
        await dialog.getByRole('checkbox', { name: 'page.md v2' }).waitFor();
        assert.equal(await dialog.getByRole('checkbox').count(), 1, 'the newest version alone');
        await lookBoth(page, 'handoff-form');
        await page.keyboard.press('Control+Enter');
        await dialog.waitFor({ state: 'detached' });
        await page.getByRole('status', { name: 'Board' }).getByText('WEB-1 is handed to Coder').waitFor();
        await cardOf(page, 'Assigned', 'Draft the page').waitFor();

        const { task, deliverables, lease } = await rest(server.url, 'GET', '/tasks/WEB-1');
        const [h] = await handoffs(server.url, 'WEB-1');
        assert.equal(task.state, 'assigned');
        assert.equal(task.assignee, h.to);
        assert.equal(lease, undefined, 'who had it holds it no more');
        assert.deepEqual([h.mode, h.state, h.deliverables], ['transfer', 'accepted', [deliverables.find((d) => d.number === 2).id]]);

        await page.goto('/board/WEB?task=WEB-1');
        const thread = drawer(page, 'WEB-1').getByRole('listitem').filter({ hasText: 'handed it to Coder' });
        await thread.getByText('done', { exact: true }).waitFor();
        await thread.getByText('Accepted').waitFor();
        await thread.getByText('page.md v2').waitFor();
        await lookBoth(page, 'handoff-thread');
        const phone = await open('/board/WEB?task=WEB-1', { width: 390, height: 844 });
        await phone.getByText('handed it to Coder').waitFor();
        await look(phone, 'handoff-thread-390');
      },
    },
    {
      name: 'a follow-up goes to any agent that can; a task of the inbox has that alone',
      async run({ open, look, server }) {
        const page = await open('/board/WEB?task=WEB-3');
        await drawer(page, 'WEB-3').getByRole('button', { name: 'Task actions' }).click();
        await page.getByRole('menuitem', { name: 'Hand off…' }).click();
        const dialog = page.getByRole('dialog', { name: 'Hand off WEB-3' });
        await dialog.getByText('Only a task that is assigned or in progress is passed on itself.').waitFor();
        await dialog.getByRole('textbox', { name: 'Title of the new task' }).fill('Use the fonts');
        await dialog.getByRole('combobox', { name: 'Agent' }).click();
        await page.getByRole('option', { name: 'Any agent with css' }).click();
        await dialog.getByRole('textbox', { name: 'What the other agent needs to know' }).fill('Two weights at most.');
        await look(page, 'handoff-follow-up');
        await dialog.getByRole('button', { name: 'Hand off' }).click();
        await dialog.waitFor({ state: 'detached' });
        await page.getByRole('status', { name: 'Board' }).getByText('A task after WEB-3 is made for Coder').waitFor();
        const [h] = await handoffs(server.url, 'WEB-3');
        assert.deepEqual([h.mode, h.state, h.capability], ['follow_up', 'accepted', 'css']);
        await drawer(page, 'WEB-3').getByText('asked Coder to go on after it').waitFor();
        await drawer(page, 'WEB-3').getByRole('link', { name: /Use the fonts/ }).first().click();
        await page.getByText('Two weights at most.').first().waitFor();
      },
    },
    {
      name: 'where hand-offs are approved: offered, declined with a reason, offered again, accepted',
      async run({ open, look, lookBoth, server }) {
        const page = await open('/board/OPS?task=OPS-1');
        const offer = async (why) => {
          await drawer(page, 'OPS-1').getByRole('button', { name: 'Task actions' }).click();
          await page.getByRole('menuitem', { name: 'Hand off…' }).click();
          const dialog = page.getByRole('dialog', { name: 'Hand off OPS-1' });
          await dialog.getByText('This project wants hand-offs accepted').waitFor();
          await dialog.getByRole('combobox', { name: 'Agent' }).click();
          await page.getByRole('option', { name: /Coder/ }).click();
          await dialog.getByRole('textbox', { name: 'What the other agent needs to know' }).fill(why);
          await dialog.getByRole('button', { name: 'Hand off' }).click();
          await dialog.waitFor({ state: 'detached' });
        };
        await offer('Somebody with the keys should do it.');
        const row = (text) => drawer(page, 'OPS-1').getByRole('listitem').filter({ hasText: text });
        await row('Somebody with the keys').getByText('Offered').waitFor();
        assert.equal((await rest(server.url, 'GET', '/tasks/OPS-1')).task.state, 'assigned');
        await lookBoth(page, 'handoff-offered');
        await row('Somebody with the keys').getByRole('button', { name: 'Decline' }).click();
        // Escape leaves the field, not the task.
        await page.keyboard.press('Escape');
        await row('Somebody with the keys').getByRole('button', { name: 'Decline' }).click();
        await page.keyboard.type('Coder has no keys either');
        await page.keyboard.press('Enter');
        await row('Somebody with the keys').getByText('Coder has no keys either').waitFor();
        await offer('Now it has.');
        await row('Now it has.').getByRole('button', { name: 'Accept' }).click();
        await row('Now it has.').getByText('Accepted').waitFor();
        assert.deepEqual((await handoffs(server.url, 'OPS-1')).map((h) => h.state), ['declined', 'accepted']);
        const { task } = await rest(server.url, 'GET', '/tasks/OPS-1');
        assert.equal(task.assignee, (await handoffs(server.url, 'OPS-1'))[1].to);
        await look(page, 'handoff-answered');
        for (const width of [1024, 390]) {
          const other = await open('/board/OPS?task=OPS-1', { width });
          await other.getByText('Coder has no keys either').waitFor();
          await look(other, `handoff-answered-${width}`);
        }
      },
    },
    {
      name: 'what is refused is said in the form, and an offer that is gone is said where it was',
      async run({ open, look, server, seeded }) {
        const page = await open('/board/WEB', { mayFailToo: [/\/handoffs(\/|$)/] });
        await cardOf(page, 'Assigned', 'Fix the menu').focus();
        await page.keyboard.press('h');
        const dialog = page.getByRole('dialog', { name: 'Hand off WEB-2' });
        await dialog.getByRole('combobox', { name: 'Agent' }).click();
        await page.getByRole('option', { name: /Writer/ }).click();
        await dialog.getByRole('textbox', { name: 'What the other agent needs to know' }).fill('Mind the gap.');
        // Meanwhile it is done: 409.
        await seeded.coder.finish('WEB-2', [], 'It is fixed.');
        await dialog.getByRole('button', { name: 'Hand off' }).click();
        await dialog.getByRole('alert').getByText('The task has moved on meanwhile').waitFor();
        await look(page, 'handoff-refused');
        assert.equal(await dialog.getByRole('textbox', { name: 'What the other agent needs to know' }).inputValue(), 'Mind the gap.', 'what was typed stays');
        // Or the right is gone: 403.
        await page.route('**/handoffs', (route) => route.fulfill({ status: 403, contentType: 'application/json', body: '{"error":{"code":"forbidden","message":"your role does not let you do this"}}' }), { times: 1 });
        await dialog.getByRole('button', { name: 'Hand off' }).click();
        await dialog.getByText('your role does not let you do this').waitFor();
        await page.keyboard.press('Escape');

        const h = await rest(server.url, 'POST', '/tasks/OPS-2/handoffs', { to: '@coder', mode: 'transfer', summary: 'Keys.' });
        await page.goto('/board/OPS?task=OPS-2');
        await drawer(page, 'OPS-2').getByRole('button', { name: 'Accept' }).waitFor();
        await page.route('**/accept', async (route) => {
          await rest(server.url, 'POST', `/handoffs/${h.id}/decline`, {});
          await route.continue();
        }, { times: 1 });
        await drawer(page, 'OPS-2').getByRole('button', { name: 'Accept' }).click();
        await drawer(page, 'OPS-2').getByText('Declined').waitFor();
      },
    },
    {
      name: 'with nobody else in the project it says so, and how to get somebody',
      async run({ open, look }) {
        const page = await open('/board/SOLO');
        await cardOf(page, 'Assigned', 'Alone').focus();
        await page.keyboard.press('h');
        const dialog = page.getByRole('dialog', { name: 'Hand off SOLO-1' });
        await dialog.getByText('There is nobody to hand it to').waitFor();
        await dialog.getByRole('link', { name: 'Connect an agent' }).waitFor();
        await look(page, 'handoff-nobody');
        await page.keyboard.press('Escape');
        await dialog.waitFor({ state: 'detached' });
        assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Alone', 'the focus is back on the card');
      },
    },
  ],
};
