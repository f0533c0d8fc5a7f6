import assert from 'node:assert/strict';
import { aws, makeMachine, rest, untilStatus } from '../harness.mjs';

const hostile = '<img src=x onerror="window.hacked=1">';

const definition = {
  StartAt: 'Read',
  States: {
    Read: { Type: 'Pass', Next: 'Large?' },
    'Large?': { Type: 'Choice', Choices: [{ Variable: '$.total', NumericGreaterThan: 1000, Next: 'Ask somebody' }], Default: 'Charge' },
    'Ask somebody': { Type: 'Fail', Error: 'Order.TooLarge', Cause: hostile },
    Charge: { Type: 'Pass', Result: { charged: true }, ResultPath: '$.payment', Next: 'Ship' },
    Ship: { Type: 'Succeed' },
  },
};

async function seed(url) {
  const machine = await makeMachine(url, 'shop', definition);
  const start = async (name, input) => (await aws(url, 'StartExecution', { stateMachineArn: machine, name, input: JSON.stringify(input) })).executionArn;
  const good = await start('shop-1', { total: 40, customer: 'Ada', note: hostile });
  const bad = await start('shop-2', { total: 4000, customer: 'Ada', note: hostile });
  await untilStatus(url, good, 'SUCCEEDED');
  await untilStatus(url, bad, 'FAILED');
  const { arn: forked } = await rest(url, 'POST', `/executions/${encodeURIComponent(good)}/fork`, { state: 'Charge', input: { total: 41, customer: 'Grace' }, name: 'shop-1b' });
  await untilStatus(url, forked, 'SUCCEEDED');
  return { good, bad, forked };
}

const at = (a, b, more = '') => `/executions/compare?a=${encodeURIComponent(a)}&b=${encodeURIComponent(b)}${more}`;

export default {
  seed,
  tests: [
    {
      name: 'two runs lie side by side, and n goes through what differs',
      async run({ open, look, seeded }) {
        for (const [theme, width] of [['light', 1440], ['dark', 1440], ['light', 1024], ['dark', 390]]) {
          const page = await open(at(seeded.good, seeded.bad), { theme, width });
          await page.getByText('5 of 5 visits differ').waitFor();
          await look(page, width === 1440 ? 'compare' : `compare-${width}`);
          assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'nothing is wider than the window');
        }
        const page = await open(at(seeded.good, seeded.bad));
        await page.getByText('5 of 5 visits differ').waitFor();
        await page.keyboard.press('n');
        const inspector = page.getByRole('complementary', { name: 'Visit of Read' });
        await inspector.getByRole('heading', { name: 'Read' }).waitFor();
        await inspector.getByRole('group', { name: 'Input' }).first().getByText('"total": 4000').waitFor();
        assert.match(page.url(), /at=Read/);
        await look(page, 'compare-pair');
        await page.keyboard.press('n');
        await page.getByRole('complementary', { name: 'Visit of Large?' }).waitFor();
        assert.equal(await page.evaluate(() => window.hacked), undefined);
      },
    },
    {
      name: 'a run is compared with its fork',
      async run({ open, seeded }) {
        const page = await open(at(seeded.good, seeded.forked, '&only=1'));
        const table = page.getByRole('table', { name: 'Compare executions' });
        await table.getByText('only in the first').first().waitFor();
        await page.getByRole('button', { name: 'Swap' }).click();
        await table.getByText('only in the second').first().waitFor();
      },
    },
    {
      name: 'two executions of the list are compared',
      async run({ open }) {
        const page = await open('/executions');
        for (const name of ['shop-1', 'shop-2']) await page.getByRole('checkbox', { name: `Select ${name}`, exact: true }).click();
        await page.getByRole('link', { name: 'Compare', exact: true }).click();
        await page.getByText('5 of 5 visits differ').waitFor();
      },
    },
    {
      name: 'a new execution begins where an old one was, and is tied to it',
      async run({ open, look, seeded }) {
        const page = await open(`/executions/${encodeURIComponent(seeded.good)}?state=Charge`);
        await page.getByRole('button', { name: 'New from here' }).click();
        const dialog = page.getByRole('dialog', { name: 'New execution of shop' });
        await dialog.getByText('What is not carried over').waitFor();
        const input = dialog.getByRole('textbox', { name: 'Input of the state' });
        await input.getByText('"customer"').waitFor();
        await dialog.getByRole('textbox', { name: 'Name' }).fill('shop-1c');
        await look(page, 'fork');
        await input.click();
        await page.keyboard.press('ControlOrMeta+a');
        await page.keyboard.insertText('{"total": 1, "customer": "Lin"}');
        await dialog.getByRole('button', { name: 'Start' }).click();
        await page.getByRole('heading', { level: 1, name: 'shop-1c' }).waitFor();
        await page.getByText('from “Charge”').waitFor();
        await look(page, 'fork-made');
        await page.getByRole('link', { name: 'Compare', exact: true }).click();
        await page.getByRole('heading', { level: 1, name: 'Compare executions' }).waitFor();
        const dark = await open(`/executions/${encodeURIComponent(seeded.good)}?state=Charge`, { theme: 'dark' });
        await dark.getByRole('button', { name: 'New from here' }).click();
        await dark.getByRole('dialog').getByRole('textbox', { name: 'Input of the state' }).getByText('"customer"').waitFor();
        await look(dark, 'fork');
      },
    },
    {
      name: 'without two, it offers to choose them',
      async run({ open, look }) {
        const page = await open('/executions/compare');
        await page.getByRole('heading', { name: 'Choose two executions' }).waitFor();
        await look(page, 'compare-empty');
        for (const [label, name] of [['First execution', /shop-1 ·/], ['Second execution', /shop-2 ·/]]) {
          await page.getByRole('combobox', { name: label }).or(page.getByRole('textbox', { name: label })).click();
          await page.getByRole('option', { name }).click();
        }
        await page.getByText('5 of 5 visits differ').waitFor();
      },
    },
  ],
};
