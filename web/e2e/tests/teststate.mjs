import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { aws, makeMachine, rest, untilStatus } from '../harness.mjs';

const definition = {
  StartAt: 'Charge',
  States: {
    Charge: {
      Type: 'Task',
      Resource: 'arn:aws:states:::lambda:invoke',
      Parameters: { FunctionName: 'charge', 'Payload.$': '$.order' },
      ResultSelector: { 'receipt.$': '$.Payload.receipt' },
      ResultPath: '$.payment',
      Retry: [{ ErrorEquals: ['Card.Busy'], MaxAttempts: 2, IntervalSeconds: 5 }],
      Catch: [{ ErrorEquals: ['States.ALL'], ResultPath: '$.error', Next: 'Apologise' }],
      Next: 'Done',
    },
    Apologise: { Type: 'Pass', Next: 'Done' },
    Done: { Type: 'Succeed' },
  },
};

const hostile = '<img src=x onerror="window.hacked=1">';

async function seed(url) {
  const machine = await makeMachine(url, 'payments', definition);
  const { executionArn } = await aws(url, 'StartExecution', { stateMachineArn: machine, name: 'pay-1', input: JSON.stringify({ order: { id: 7, note: hostile } }) });
  await untilStatus(url, executionArn, 'SUCCEEDED', 'FAILED');
  const { visits } = await rest(url, 'GET', `/executions/${encodeURIComponent(executionArn)}/visits?state=Charge`);
  return { executionArn, visit: visits[0].id };
}

const type = async (page, label, text) => {
  const editor = page.getByRole('textbox', { name: label, exact: true });
  await editor.click();
  await page.keyboard.press('ControlOrMeta+a');
  await page.keyboard.insertText(text);
};

/** Chooses in a segmented control, whose radio buttons are not seen. */
const choose = (page, group, option) => page.getByRole('radiogroup', { name: group, exact: true }).getByText(option, { exact: true }).click();

export default {
  seed,
  tests: [
    {
      name: 'a task is tested with a mock, and its data followed',
      async run({ open, look }) {
        for (const [theme, width] of [['light', 1440], ['dark', 1440], ['light', 1024], ['dark', 390]]) {
          const page = await open('/machines/payments/test/Charge', { theme, width });
          await choose(page, 'Mock', 'Result');
          await type(page, 'Input', '{"order":{"id":7},"keep":true}');
          await type(page, 'Mocked result', '{"Payload":{"receipt":"r-1"}}');
          await page.keyboard.press('Control+Enter');
          const outcome = page.getByRole('region', { name: 'Result', exact: true });
          await outcome.getByText('Succeeded').waitFor();
          await outcome.getByText('After ResultSelector').waitFor();
          await outcome.getByText('Done', { exact: true }).waitFor();
          await look(page, width === 1440 ? 'teststate' : `teststate-${width}`);
          assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'nothing is wider than the window');
        }
      },
    },
    {
      name: 'errors are retried or caught, as Retry and Catch say',
      async run({ open, look }) {
        const page = await open('/machines/payments/test/Charge');
        await type(page, 'Input', '{"order":{"id":7}}');
        await choose(page, 'Mock', 'Error');
        await page.getByRole('textbox', { name: 'Error' }).fill('Card.Busy');
        await page.getByRole('textbox', { name: 'Cause' }).fill(hostile);
        await page.keyboard.press('Control+Enter');
        const outcome = page.getByRole('region', { name: 'Result', exact: true });
        await outcome.getByText('Retry 1 applies after 5 s').waitFor();
        await page.getByRole('textbox', { name: 'Retries before' }).fill('2');
        await page.keyboard.press('Control+Enter');
        await outcome.getByText('Caught by Catch 1').waitFor();
        await outcome.getByText('Apologise').first().waitFor();
        assert.equal(await page.evaluate(() => window.hacked), undefined);
        await look(page, 'teststate-caught');
      },
    },
    {
      name: 'cases are kept, run together, and exported for lockstep test',
      async run({ open, look }) {
        const page = await open('/machines/payments/test/Charge');
        const save = async (name) => {
          await page.getByRole('button', { name: 'Save as case' }).click();
          const dialog = page.getByRole('dialog', { name: 'Save as case' });
          await dialog.getByRole('textbox', { name: 'Name' }).fill(name);
          await dialog.getByRole('button', { name: 'Save as case' }).click();
          await dialog.waitFor({ state: 'detached' });
        };
        const outcome = page.getByRole('region', { name: 'Result', exact: true });
        await choose(page, 'Mock', 'Result');
        await type(page, 'Input', '{"order":{"id":7}}');
        await type(page, 'Mocked result', '{"Payload":{"receipt":"r-1"}}');
        await page.keyboard.press('Control+Enter');
        await outcome.getByText('Succeeded').waitFor();
        await save('pays');
        await choose(page, 'Mock', 'Error');
        await page.getByRole('textbox', { name: 'Error' }).fill('Card.Stolen');
        await page.keyboard.press('Control+Enter');
        await outcome.getByText('Caught by Catch 1').waitFor();
        await save('a stolen card: sorry');
        await page.getByRole('button', { name: 'Run all' }).click();
        await page.getByText('2 of 2 passed').waitFor();
        await look(page, 'teststate-cases');

        const downloading = page.waitForEvent('download');
        await page.getByRole('button', { name: 'Export for lockstep test' }).click();
        const download = await downloading;
        const folder = mkdtempSync(join(tmpdir(), 'lockstep-cases-'));
        try {
          const file = join(folder, download.suggestedFilename());
          await download.saveAs(file);
          assert.match(file, /payments\.Charge\.test\.yaml$/);
          // The exported file is one that the command takes, and passes.
          execFileSync(process.env.LOCKSTEP_CLI ?? process.env.LOCKSTEP_BIN, ['test', file], { encoding: 'utf8' });
        } finally {
          rmSync(folder, { recursive: true, force: true });
        }
      },
    },
    {
      name: 'the data of a run fills it in',
      async run({ open, seeded }) {
        const page = await open(`/machines/payments/test/Charge?run=${encodeURIComponent(seeded.executionArn)}&visit=${seeded.visit}`);
        await page.getByRole('textbox', { name: 'Input', exact: true }).getByText('"id"').waitFor();
        assert.equal(await page.evaluate(() => window.hacked), undefined);
        const other = await open('/machines/payments/test/Done');
        await other.getByRole('button', { name: 'Use the data of a run' }).click();
        const dialog = other.getByRole('dialog', { name: 'Use the data of a run' });
        await dialog.getByRole('button', { name: 'Use it' }).click();
        await other.getByText('Filled from pay-1').waitFor();
        await other.getByRole('textbox', { name: 'Input', exact: true }).getByText('"order"').waitFor();
      },
    },
    {
      name: 'a state that is not there says so',
      async run({ open }) {
        const page = await open('/machines/payments/test/Nowhere');
        await page.getByText('There is no state “Nowhere” in this definition').waitFor();
      },
    },
  ],
};
