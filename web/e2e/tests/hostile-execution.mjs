import assert from 'node:assert/strict';
import { aws, makeMachine, untilStatus } from '../harness.mjs';

const run = 'window.__hostile=(window.__hostile||0)+1';
const img = `<img src=x onerror="${run}">`;
const script = `<script>${run}</script>`;
const svg = `<svg onload="${run}"><script>${run}</script></svg>`;
// Names of states have at most 80 characters.
const name = '<img src=x onerror="window.__hostile=1">';
const inner = '<svg onload="window.__hostile=1"></svg>';

const definition = (activity) => ({
  Comment: img,
  StartAt: 'Each',
  States: {
    Each: { Type: 'Map', ItemsPath: '$.items', ResultPath: null, Next: name, ItemProcessor: { StartAt: inner, States: { [inner]: { Type: 'Pass', Assign: { told: script }, End: true } } } },
    [name]: { Type: 'Task', Resource: activity, Comment: script, Assign: { it: img }, Catch: [{ ErrorEquals: [`Bad${img}`], Next: 'Last', ResultPath: '$.error', Assign: { why: img } }], Next: 'Last' },
    Last: { Type: 'Fail', Error: `Bad ${img}`, Cause: JSON.stringify({ errorMessage: `${script}${img}`, trace: [svg], [img]: script }) },
  },
});

/** Waits until a page had time to do what it must not, and says that it did not. */
async function quiet(page, where) {
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 60))));
  assert.equal(await page.evaluate(() => window.__hostile), undefined, `a script ran: ${where}`);
  assert.equal(await page.locator('main script, main iframe, main img, main [onerror], main [onload], main a[href^="javascript:"], [role=dialog] [onerror]').count(), 0, where);
}

const at = (arn, search = '') => `/executions/${encodeURIComponent(arn)}${search}`;

export default {
  async seed(url) {
    const { activityArn } = await aws(url, 'CreateActivity', { name: 'hostile' });
    const machine = await makeMachine(url, 'hostile', definition(activityArn));
    const { executionArn } = await aws(url, 'StartExecution', {
      stateMachineArn: machine, name: 'hostile-1', input: JSON.stringify({ items: [img, script], [img]: script, link: `javascript:${run}`, html: `<a href="javascript:${run}">x</a>${svg}` }),
    });
    const { taskToken } = await aws(url, 'GetActivityTask', { activityArn, workerName: img });
    await aws(url, 'SendTaskFailure', { taskToken, error: `Bad${img}`, cause: `${script}${img}` });
    await untilStatus(url, executionArn, 'FAILED');
    return { executionArn };
  },
  tests: [
    {
      name: 'names, errors and causes in each view do nothing',
      async run({ open, seeded }) {
        const page = await open(at(seeded.executionArn));
        await page.getByRole('region', { name: 'Failed in “Last”' }).getByText(/<script>/).waitFor();
        await page.getByRole('button', { name: /^<img/ }).waitFor();
        await quiet(page, 'the graph and the error card');
        await page.getByRole('button', { name: 'Outline' }).click();
        await page.getByRole('navigation', { name: 'Outline' }).getByRole('button', { name: /^<img/ }).waitFor();
        await quiet(page, 'the outline');
        await page.keyboard.press('2');
        await page.getByRole('button', { name: /^<img.*: / }).first().hover();
        await quiet(page, 'the timeline and its hint');
        await page.keyboard.press('3');
        await page.getByRole('table', { name: 'Visits' }).getByText(/^<svg/).first().waitFor();
        await quiet(page, 'the table');
        await page.keyboard.press('4');
        await page.getByText('ActivityFailed').click();
        await page.getByRole('complementary', { name: 'Events' }).getByText(/<script>/).first().waitFor();
        await quiet(page, 'the events');
      },
    },
    {
      name: 'inputs, outputs, variables and attempts in the inspector do nothing',
      async run({ open, seeded }) {
        const page = await open(at(seeded.executionArn, `?state=${encodeURIComponent(name)}`));
        const inspector = page.getByRole('complementary', { name: 'State' });
        for (const [tab, text] of [['Input', /<script>/], ['Output', /<script>/], ['Data flow', 'Result'], ['Variables', '$why'], ['Attempts', 'Attempt 1'], ['Events', 'ActivityFailed'], ['Definition', /<script>/]]) {
          await inspector.getByRole('tab', { name: tab }).click();
          if (tab === 'Data flow') await inspector.getByText('worked out again').or(inspector.getByText('Output')).first().waitFor();
          else await inspector.getByText(text).first().waitFor();
          if (tab === 'Events') await inspector.getByText('ActivityFailed').click();
          await quiet(page, `the inspector, ${tab}`);
        }
        await inspector.getByRole('button', { name: 'New from here' }).click();
        await page.getByRole('dialog').getByText(/<script>/).first().waitFor();
        await quiet(page, 'the dialog of a fork');
      },
    },
    {
      name: 'lists and dialogs do nothing',
      async run({ open, seeded }) {
        const list = await open('/executions');
        await list.getByRole('table', { name: 'Executions' }).getByText(/Bad <img/).waitFor();
        await quiet(list, 'the list');
        const page = await open(at(seeded.executionArn));
        await page.getByRole('button', { name: 'Redrive' }).click();
        await page.getByRole('dialog').getByText('Goes on in', { exact: true }).waitFor();
        await quiet(page, 'the dialog of a redrive');
        await page.keyboard.press('Escape');
        await page.getByRole('button', { name: 'New from this input' }).click();
        await page.getByRole('dialog').getByText(/<script>/).first().waitFor();
        await quiet(page, 'the dialog of a start');
      },
    },
  ],
};
