import assert from 'node:assert/strict';
import { aws, untilStatus } from '../harness.mjs';
import { seed } from '../seed.mjs';

const at = (arn) => `/executions/${encodeURIComponent(arn)}`;

export default {
  seed,
  tests: [
    {
      name: 'the list can be filtered and leads to an execution',
      async run({ open, look }) {
        for (const theme of ['light', 'dark']) {
          const page = await open('/executions', { theme });
          await page.getByRole('link', { name: 'order-1001' }).waitFor();
          await look(page, 'executions');
        }
        const page = await open('/executions');
        await page.getByRole('link', { name: 'order-1001' }).waitFor();
        await page.keyboard.press('/');
        await page.keyboard.type('status:failed');
        await page.keyboard.press('Enter');
        await page.keyboard.type('machine:orders');
        await page.keyboard.press('Enter');
        await page.getByRole('link', { name: 'order-1001' }).waitFor({ state: 'detached' });
        await page.getByRole('link', { name: 'supplier-1' }).waitFor({ state: 'detached' });
        await page.getByRole('link', { name: 'order-1002' }).waitFor();
        assert.equal(await page.getByRole('table', { name: 'Executions' }).getByRole('row').count(), 3, 'two failed, and the head');
        assert.match(page.url(), /q=status:failed\+machine:orders/);
        await page.keyboard.press('Escape');
        await page.keyboard.press('j');
        await page.keyboard.press('j');
        await page.keyboard.press('Enter');
        await page.getByRole('heading', { level: 1, name: 'order-1002' }).waitFor();
      },
    },
    {
      name: 'a filter that fits nothing offers to clear it',
      async run({ open }) {
        const page = await open('/executions?q=name:nobody');
        await page.getByRole('heading', { name: 'Nothing matches these filters' }).waitFor();
        await page.getByRole('button', { name: 'Clear filters' }).click();
        await page.getByRole('link', { name: 'order-1001' }).waitFor();
      },
    },
    {
      name: 'all views of an execution, in both themes',
      async run({ open, look, seeded }) {
        for (const theme of ['light', 'dark']) {
          const page = await open(at(seeded.ok), { theme });
          await page.getByRole('button', { name: /^Read the order/ }).waitFor();
          await look(page, 'execution');
          for (const [key, name, ready] of [['2', 'timeline', page.getByRole('button', { name: /^Done: Succeeded/ })], ['3', 'visits', page.getByRole('table', { name: 'Visits' })], ['4', 'events', page.getByText('ExecutionSucceeded')]]) {
            await page.keyboard.press(key);
            await ready.waitFor();
            await look(page, `execution-${name}`);
          }
        }
      },
    },
    {
      name: 'a failure is explained, and its input one click away',
      async run({ open, look, seeded }) {
        for (const theme of ['light', 'dark']) {
          const page = await open(at(seeded.failed), { theme });
          const card = page.getByRole('region', { name: 'Failed in “Ask the supplier”' });
          await card.getByText('Nobody answers on Sundays').waitFor();
          await card.getByText('attempt 2 of 2').waitFor();
          await card.getByRole('button', { name: 'Show its input' }).click();
          const inspector = page.getByRole('complementary', { name: 'State' });
          await inspector.getByText('1002').waitFor();
          await inspector.getByRole('tab', { name: 'Attempts' }).click();
          await inspector.getByText('Attempt 2').waitFor();
          await look(page, 'execution-failed');
          await page.keyboard.press('Escape');
          await inspector.waitFor({ state: 'detached' });
        }
      },
    },
    {
      name: 'one iteration of a Map is shown alone',
      async run({ open, look, seeded }) {
        const page = await open(at(seeded.failedMap));
        await page.getByRole('combobox', { name: 'Iteration' }).click();
        await page.getByRole('option', { name: '#4 failed' }).click();
        await page.getByRole('button', { name: /^Reserve.*Pass$/ }).waitFor();
        await look(page, 'execution-iteration');
        assert.match(decodeURIComponent(page.url()), /at=Check\+each\+line#4|at=Check each line#4/);
      },
    },
    {
      name: 'the graph has an outline that does the same',
      async run({ open, look, seeded }) {
        const page = await open(at(seeded.ok));
        await page.getByRole('button', { name: 'Outline' }).click();
        const outline = page.getByRole('navigation', { name: 'Outline' });
        await outline.getByRole('button', { name: /^Ship/ }).click();
        await page.getByRole('complementary', { name: 'State' }).getByRole('heading', { name: 'Ship' }).waitFor();
        await look(page, 'execution-outline');
      },
    },
    {
      name: 'a live execution moves by itself',
      async run({ open, look, seeded, server }) {
        const page = await open(at(seeded.live));
        await page.getByText('waits for a worker').first().waitFor();
        await page.getByRole('status').filter({ hasText: 'Live' }).waitFor();
        await look(page, 'execution-live');
        const { taskToken } = await aws(server.url, 'GetActivityTask', { activityArn: seeded.activity });
        await aws(server.url, 'SendTaskSuccess', { taskToken, output: '{"signed":true}' });
        await page.locator('header').getByText('Succeeded').waitFor();
        await page.getByRole('button', { name: /^Hand over.*Succeeded/ }).waitFor();
      },
    },
    {
      name: 'a new execution from the same input, and new rows that wait for their turn',
      async run({ open, seeded, server }) {
        const list = await open('/executions');
        await list.getByRole('link', { name: 'order-1001' }).waitFor();
        const page = await open(at(seeded.ok));
        await page.getByRole('button', { name: 'New from this input' }).click();
        const dialog = page.getByRole('dialog', { name: 'Start orders' });
        await dialog.getByRole('textbox', { name: 'Name' }).fill('order-again');
        await dialog.getByText('"Ada"').waitFor();
        await dialog.getByRole('button', { name: 'Start', exact: true }).click();
        await page.getByRole('heading', { level: 1, name: 'order-again' }).waitFor();
        await untilStatus(server.url, seeded.ok.replace('order-1001', 'order-again'), 'SUCCEEDED');
        await list.getByRole('button', { name: '1 new' }).click();
        await list.getByRole('link', { name: 'order-again' }).waitFor();
      },
    },
    {
      name: 'stop and redrive from the keyboard',
      async run({ open, seeded, server }) {
        const page = await open(at(seeded.failed));
        await page.getByRole('button', { name: 'Redrive' }).waitFor();
        await page.keyboard.press('r');
        const ask = page.getByRole('dialog', { name: 'Redrive this execution?' });
        await ask.getByText('It goes on in “Ask the supplier”').waitFor();
        await ask.getByRole('button', { name: 'Redrive' }).click();
        await page.getByRole('button', { name: 'Stop' }).waitFor();
        await page.keyboard.press('.');
        await page.getByRole('dialog', { name: 'Stop this execution?' }).getByRole('button', { name: 'Stop' }).click();
        await untilStatus(server.url, seeded.failed, 'ABORTED');
        await page.locator('header').getByText('Aborted').first().waitFor();
      },
    },
  ],
};
