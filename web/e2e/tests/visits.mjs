import assert from 'node:assert/strict';
import { agent } from '../board-seed.mjs';
import { aws, makeMachine, rest, until, untilStatus } from '../harness.mjs';

const at = (arn, search = '') => `/executions/${encodeURIComponent(arn)}${search}`;

const flows = (activity) => ({
  StartAt: 'Set the rate',
  States: {
    'Set the rate': { Type: 'Pass', Assign: { rate: 2, 'who.$': '$.who' }, Next: 'Ask' },
    Ask: {
      Type: 'Task', Resource: activity, InputPath: '$.order', Parameters: { 'id.$': '$.id', 'rate.$': '$rate' },
      ResultSelector: { 'fine.$': '$.ok' }, ResultPath: '$.answer', Assign: { rate: 3, 'told.$': '$.ok' }, Next: 'Give up',
    },
    'Give up': { Type: 'Fail', Error: 'Given.Up', Cause: 'On purpose' },
  },
});

const agents = {
  StartAt: 'Write it',
  States: { 'Write it': { Type: 'Task', Resource: 'arn:aws:states:::agent:runTask.sync', Parameters: { Project: 'WEB', Title: 'Write the notes', Assignee: '@writer', MaxAttempts: 3 }, End: true } },
};

export default {
  async seed(url) {
    const { activityArn } = await aws(url, 'CreateActivity', { name: 'clerk' });
    const machine = await makeMachine(url, 'flows', flows(activityArn));
    const start = async (stateMachineArn, name, input) => (await aws(url, 'StartExecution', { stateMachineArn, name, input: JSON.stringify(input) })).executionArn;
    const failed = await start(machine, 'flow-1', { who: 'Ada', order: { id: 7 } });
    const { taskToken } = await aws(url, 'GetActivityTask', { activityArn });
    await aws(url, 'SendTaskSuccess', { taskToken, output: '{"ok":true,"more":"of it"}' });
    await untilStatus(url, failed, 'FAILED');

    await rest(url, 'POST', '/projects', { key: 'WEB', name: 'Web site' });
    const writer = await agent(url, 'writer');
    const live = await start(await makeMachine(url, 'notes', agents), 'notes-1', {});
    await until(async () => (await rest(url, 'GET', `/tasks?execution=${encodeURIComponent(live)}`)).tasks?.length === 1, 'the task is on the board');
    let lease = await writer.claim('WEB-1');
    await writer.call('POST', '/tasks/WEB-1/fail', { category: 'tool', message: 'The crawler ended with 137', retryable: true }, lease);
    lease = await writer.claim('WEB-1');
    await writer.call('POST', '/tasks/WEB-1/progress', { note: 'Reading 42 pull requests' }, lease);
    await rest(url, 'POST', '/usage', { events: [{ key: 'u1', provider: 'anthropic', model: 'claude-haiku-4-5', usage: { input: 52_000, output: 8_400 }, task: 'WEB-1' }] }, writer.headers);
    return { failed, live };
  },
  tests: [
    {
      name: 'each step of the data through a state, with what it changed',
      async run({ open, look, seeded }) {
        for (const theme of ['light', 'dark']) {
          const page = await open(at(seeded.failed, '?state=Ask'), { theme });
          const inspector = page.getByRole('complementary', { name: 'State' });
          await inspector.getByRole('heading', { name: 'Ask' }).waitFor();
          await page.keyboard.press('w');
          const steps = inspector.getByRole('tabpanel').or(inspector).getByRole('listitem');
          await inspector.getByText('After ResultSelector', { exact: true }).waitFor();
          const names = await steps.locator('strong').allTextContents();
          assert.deepEqual(names, ['Input', 'After InputPath', 'After Parameters', 'Result', 'After ResultSelector', 'After ResultPath', 'Output']);
          await inspector.getByText('worked out again').first().waitFor();
          await look(page, 'visit-flow');
        }
      },
    },
    {
      name: 'variables before and after a state',
      async run({ open, look, seeded }) {
        const page = await open(at(seeded.failed, '?state=Ask'));
        const inspector = page.getByRole('complementary', { name: 'State' });
        await inspector.getByRole('heading', { name: 'Ask' }).waitFor();
        await page.keyboard.press('v');
        await inspector.getByText('changed here').waitFor();
        assert.deepEqual(await inspector.locator('li code').allTextContents(), ['$rate', '$told', '$who']);
        await inspector.getByText('set by “Set the rate”').waitFor();
        await look(page, 'visit-variables');
      },
    },
    {
      name: 'events of a state, and the whole history',
      async run({ open, look, seeded }) {
        const page = await open(at(seeded.failed, '?state=Ask&tab=events'));
        const inspector = page.getByRole('complementary', { name: 'State' });
        await inspector.getByText('ActivitySucceeded').click();
        await inspector.getByText('"of it"').waitFor();
        assert.equal(await inspector.getByText('PassStateEntered').count(), 0);
        await look(page, 'visit-events');
        await inspector.getByRole('button', { name: 'Whole history' }).click();
        await page.getByRole('table', { name: 'Events' }).getByText('ExecutionFailed').waitFor();
      },
    },
    {
      name: 'the agent’s run: attempts with their notes and errors, and what it cost',
      async run({ open, look, seeded }) {
        for (const theme of ['light', 'dark']) {
          const page = await open(at(seeded.live, '?state=Write+it&tab=agent'), { theme });
          const inspector = page.getByRole('complementary', { name: 'State' });
          await inspector.getByText('The crawler ended with 137').waitFor();
          await inspector.getByText('Reading 42 pull requests').waitFor();
          await inspector.getByText('Attempts, 1 of 3 spent').waitFor();
          await inspector.getByRole('region', { name: 'WEB-1' }).getByText(/^\$0/).waitFor();
          await look(page, 'visit-agent');
        }
        const page = await open(at(seeded.live, '?state=Write+it&tab=agent'));
        await page.getByRole('region', { name: 'WEB-1' }).getByRole('link', { name: 'WEB-1' }).click();
        await page.getByRole('complementary', { name: 'Task WEB-1' }).waitFor();
      },
    },
    {
      name: 'narrow windows show all of it',
      async run({ open, look, seeded }) {
        for (const [width, theme] of [[1024, 'light'], [390, 'dark']]) {
          const page = await open(at(seeded.failed, '?state=Ask&tab=flow'), { width, theme });
          await page.getByText('After InputPath', { exact: true }).waitFor();
          await look(page, `visit-flow-${width}`);
          await page.getByRole('button', { name: 'Close' }).click();
          await page.getByRole('button', { name: /^Ask/ }).waitFor();
          await look(page, `execution-${width}`);
          for (const view of ['timeline', 'table', 'events']) {
            await page.goto(at(seeded.failed, `?view=${view}`));
            await page.getByRole('button', { name: /^Give up: / }).or(page.getByRole('cell', { name: /^Give up|ExecutionFailed/ })).first().waitFor();
            assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${view} is not wider than the window of ${width}`);
            await look(page, `execution-${view}-${width}`);
          }
        }
      },
    },
    {
      name: 'a redrive says where it goes on and what is kept; the history is a file; the list has costs',
      async run({ open, look, seeded }) {
        const page = await open(at(seeded.failed));
        await page.getByRole('button', { name: 'Redrive' }).click();
        const ask = page.getByRole('dialog', { name: 'Redrive this execution?' });
        await ask.getByText('2 visits that succeeded').waitFor();
        await ask.getByText('1 visit that failed').waitFor();
        await look(page, 'redrive');
        await ask.getByRole('button', { name: 'Cancel' }).click();
        await page.getByRole('button', { name: 'More' }).click();
        const coming = page.waitForEvent('download');
        await page.getByRole('menuitem', { name: 'Export history (JSON)' }).click();
        const file = await coming;
        assert.equal(file.suggestedFilename(), 'flow-1.json');
        const chunks = [];
        for await (const chunk of await file.createReadStream()) chunks.push(chunk);
        const all = JSON.parse(Buffer.concat(chunks).toString());
        assert.equal(all.complete, true);
        assert.equal(all.events.at(-1).type, 'ExecutionFailed');
        const list = await open('/executions');
        await list.getByRole('row', { name: /notes-1/ }).getByText(/^\$0/).waitFor();
      },
    },
  ],
};
