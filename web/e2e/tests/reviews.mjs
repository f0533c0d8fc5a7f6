import assert from 'node:assert/strict';
import { agent, seed } from '../board-seed.mjs';
import { aws, makeMachine, rest, until, untilStatus } from '../harness.mjs';

const state = async (url, key) => (await rest(url, 'GET', `/tasks/${key}`)).task.state;
const inbox = (page) => page.getByRole('navigation', { name: 'Reviews that wait for you' });

export default {
  async seed(url) {
    const seeded = await seed(url);
    const editor = await agent(url, 'editor');
    for (const [i, title] of ['Release notes', 'Changelog', 'Imprint', 'Terms', 'Privacy'].entries()) {
      const t = await rest(url, 'POST', '/tasks', { project: 'WEB', title, assignee: '@editor' });
      seeded[title] = await editor.finish(t.key, [{ kind: 'text', title: `${title}.md`, content: `# ${title}\n\nText ${i}.\n` }], `${title} as asked.`);
    }
    await rest(url, 'POST', '/reviews', { project: 'WEB', kind: 'question', title: 'Which colour?', choices: ['blue', 'green'] });
    return { ...seeded, editor };
  },
  tests: [
    {
      name: 'the inbox and a review, in both themes and at all widths',
      async run({ open, look, seeded }) {
        for (const theme of ['light', 'dark']) {
          const page = await open(`/reviews/${seeded.review.id}`, { theme });
          await page.getByRole('group', { name: 'Changes in landing.md' }).first().waitFor();
          await page.getByText('Every benefit has a number now.').waitFor();
          await page.getByRole('link', { name: 'WEB-2 Publish the landing page' }).waitFor();
          await look(page, 'review');
          await page.getByText('Preview', { exact: true }).click();
          await page.getByRole('heading', { name: 'Ship faster with one binary' }).waitFor();
          await page.getByRole('button', { name: 'meta.json' }).click();
          await page.getByRole('group', { name: 'Changes in meta.json' }).first().waitFor();
          await look(page, 'review-json');
        }
        for (const width of [1024, 390]) {
          const page = await open('/reviews', { width });
          await inbox(page).getByRole('link', { name: /Draft the landing page/ }).waitFor();
          await look(page, `reviews-${width}`);
        }
      },
    },
    {
      name: 'from the link of a notification to an approval on a phone: three taps',
      async run({ open, look, server, seeded }) {
        const id = seeded['Release notes'].id;
        // The first tap is the one on the link in the notification.
        const page = await open(`/reviews/${id}`, { width: 390, height: 844 });
        let taps = 1;
        await page.getByText('Text 0.').waitFor();
        await look(page, 'review-390');
        await page.getByText('Source', { exact: true }).click();
        taps++;
        await page.getByText('# Release notes').waitFor();
        await page.getByRole('button', { name: 'Approve', exact: true }).click();
        taps++;
        await until(async () => (await rest(server.url, 'GET', `/reviews/${id}`)).status === 'approved', 'it is approved');
        assert.ok(taps <= 3);
        assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), true, 'nothing is wider than the phone');
      },
    },
    {
      name: 'approve a review, by keyboard alone; the next one opens',
      async run({ open, server, seeded }) {
        const page = await open('/reviews');
        // The board's second task waits behind it: it comes first.
        await page.getByRole('heading', { level: 2, name: 'Draft the landing page' }).waitFor();
        await page.getByRole('group', { name: 'Changes in landing.md' }).first().waitFor();
        await page.keyboard.press('n');
        await page.keyboard.press(',');
        await page.getByText('Nothing', { exact: true }).first().waitFor({ state: 'attached' });
        await page.keyboard.press('a');
        await page.getByRole('heading', { level: 2, name: 'Draft the landing page' }).waitFor({ state: 'detached' });
        assert.equal(await state(server.url, 'WEB-1'), 'done');
        assert.equal((await rest(server.url, 'GET', '/tasks/WEB-2')).gate.open, true);
        await page.getByRole('status', { name: 'Reviews' }).getByText('The next review is open.').waitFor();
        assert.notEqual(new URL(page.url()).pathname, `/reviews/${seeded.review.id}`);
      },
    },
    {
      name: 'a comment on a line, changes requested, and a reject that asks once',
      async run({ open, look, server, seeded }) {
        const id = seeded.Changelog.id;
        const page = await open(`/reviews/${id}`);
        await page.getByText('Source', { exact: true }).click();
        await page.getByRole('button', { name: 'Comment on a line' }).click();
        await page.getByRole('textbox', { name: 'Line' }).fill('3');
        await page.getByRole('button', { name: 'Comment', exact: true }).click();
        await page.getByRole('textbox', { name: 'Comment on line 3' }).fill('Say which version.');
        await page.getByRole('button', { name: 'Add comment' }).click();
        await page.getByText('Say which version.').waitFor();
        // The text is on the page before the server has it.
        const { task_key: key } = await rest(server.url, 'GET', `/reviews/${id}`);
        const said = await until(async () => (await rest(server.url, 'GET', `/tasks/${key}`)).comments?.[0], 'the comment is kept');
        assert.equal(said.anchor.line, 3);
        await look(page, 'review-line');
        await page.getByRole('button', { name: 'Request changes' }).click();
        await page.getByText('Say why: whoever did the work reads it').waitFor();
        await page.getByRole('textbox', { name: 'Comment', exact: true }).fill('See line 3');
        await page.getByRole('button', { name: 'Request changes' }).click();
        await until(async () => (await rest(server.url, 'GET', `/reviews/${id}`)).status === 'changes_requested', 'changes are requested');

        await page.goto(`/reviews/${seeded.Imprint.id}`);
        await page.getByRole('textbox', { name: 'Comment', exact: true }).fill('Nobody needs it');
        await page.getByRole('button', { name: 'Reject' }).click();
        const dialog = page.getByRole('dialog', { name: 'Reject “Imprint”?' });
        await dialog.waitFor();
        await look(page, 'review-reject');
        await dialog.getByRole('button', { name: 'Reject' }).click();
        await until(async () => (await rest(server.url, 'GET', `/reviews/${seeded.Imprint.id}`)).status === 'rejected', 'it is rejected');
      },
    },
    {
      name: 'several approved together once each was opened; a question answered',
      async run({ open, server, seeded }) {
        const page = await open(`/reviews/${seeded.Terms.id}`);
        const box = (name) => inbox(page).getByRole('checkbox', { name });
        await box(/Select .*Terms/).waitFor();
        assert.equal(await box(/Select .*Privacy/).isDisabled(), true);
        await box(/Select .*Terms/).check();
        await inbox(page).getByRole('link', { name: /Privacy/ }).click();
        await page.getByRole('heading', { level: 2, name: 'Privacy' }).waitFor();
        await box(/Select .*Privacy/).check();
        await page.getByRole('button', { name: 'Approve 2 selected' }).click();
        await until(async () => (await rest(server.url, 'GET', `/reviews/${seeded.Privacy.id}`)).status === 'approved', 'both are approved');
        await inbox(page).getByRole('link', { name: /Which colour/ }).click();
        await page.getByRole('button', { name: 'green' }).click();
        await until(async () => (await rest(server.url, 'GET', '/reviews?status=answered')).reviews.length === 1, 'it is answered');
      },
    },
    {
      name: 'a callback answered with success, and one with failure',
      async run({ open, look, server }) {
        // An activity's task that no worker has taken can be answered by hand.
        const { activityArn } = await aws(server.url, 'CreateActivity', { name: 'warehouse' });
        const arn = await makeMachine(server.url, 'asks', { StartAt: 'Ask the warehouse', States: { 'Ask the warehouse': { Type: 'Task', Resource: activityArn, End: true } } });
        const start = (name) => aws(server.url, 'StartExecution', { stateMachineArn: arn, name, input: '{}' });
        const [a, b] = [await start('one'), await start('two')];
        const waits = async () => (await rest(server.url, 'GET', '/callbacks')).callbacks.length;
        await until(async () => (await waits()) === 2, 'two wait');
        const page = await open('/reviews?tab=callbacks');
        await page.getByRole('heading', { level: 2, name: 'Ask the warehouse' }).waitFor();
        await page.getByRole('textbox', { name: 'Output as JSON' }).waitFor();
        await look(page, 'callbacks');
        await page.getByRole('textbox', { name: 'Output as JSON' }).fill('{"stock": 3}');
        await page.getByRole('button', { name: 'Send success' }).click();
        await until(async () => (await waits()) === 1, 'one is answered');
        await page.getByText('Failure', { exact: true }).click();
        await page.getByRole('textbox', { name: 'Error name' }).fill('Stock.Gone');
        await page.getByRole('button', { name: 'Send failure' }).click();
        const ended = await Promise.all([untilStatus(server.url, a.executionArn, 'SUCCEEDED', 'FAILED'), untilStatus(server.url, b.executionArn, 'SUCCEEDED', 'FAILED')]);
        assert.deepEqual(ended.map((x) => x.status).sort(), ['FAILED', 'SUCCEEDED']);
      },
    },
  ],
};
