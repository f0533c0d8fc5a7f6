// State machines: the list, and one machine.
import assert from 'node:assert/strict';
import { aws, makeMachine, untilStatus } from '../harness.mjs';

const hostile = '<img src=x onerror="window.hacked=1">';

/** A Choice that leads to a failure or to success, with a name that wants to be HTML. */
const orders = {
  Comment: 'Orders',
  StartAt: hostile,
  States: {
    [hostile]: { Type: 'Pass', Next: 'Paid?' },
    'Paid?': { Type: 'Choice', Choices: [{ Variable: '$.paid', BooleanEquals: true, Next: 'Ship' }], Default: 'Refuse' },
    Ship: { Type: 'Pass', End: true },
    Refuse: { Type: 'Fail', Error: 'NotPaid', Cause: hostile },
  },
};

const notHacked = async (page) => assert.equal(await page.evaluate(() => window.hacked), undefined);

export default {
  tests: [
    {
      name: 'without machines three templates are offered, and one click starts one',
      async run({ open, look }) {
        for (const theme of ['light', 'dark']) {
          const page = await open('/machines', { theme });
          await page.getByRole('img', { name: 'Graph of Review-gated agents' }).waitFor();
          assert.equal(await page.getByRole('region', { name: /pipeline|moderator|agents/ }).count(), 3);
          await look(page, 'machines-empty');
          if (theme === 'light') continue;
          await page.getByRole('button', { name: 'Make and start: Content moderator' }).click();
          await page.waitForURL(/\/executions\/arn/);
        }
      },
    },
    {
      name: 'the list says how machines do, is filtered, and starts and copies them',
      async run({ server, open, look }) {
        const arn = await makeMachine(server.url, 'orders', orders, { publish: true });
        for (let i = 0; i < 6; i++) {
          const x = await aws(server.url, 'StartExecution', { stateMachineArn: arn, input: JSON.stringify({ paid: i % 3 !== 0 }) });
          await untilStatus(server.url, x.executionArn, 'SUCCEEDED', 'FAILED');
        }
        for (const theme of ['light', 'dark']) {
          const page = await open('/machines', { theme });
          const row = page.getByRole('row', { name: /orders/ });
          await row.getByText('66.7%').waitFor();
          await row.getByRole('img', { name: /4 succeeded, 2 failed/ }).waitFor();
          await look(page, 'machines');
        }
        const page = await open('/machines');
        await page.getByRole('row', { name: /orders/ }).waitFor();
        await page.keyboard.press('/');
        await page.keyboard.type('nothing like it');
        await page.getByRole('heading', { name: 'Nothing matches these filters' }).waitFor();
        assert.match(page.url(), /q=nothing/);
        await page.getByRole('button', { name: 'Clear filters' }).click();
        await page.getByRole('button', { name: 'More for orders' }).click();
        await page.getByRole('menuitem', { name: 'Duplicate' }).click();
        await page.getByRole('link', { name: 'orders-copy' }).waitFor();
        await page.getByRole('button', { name: 'More for orders-copy' }).click();
        await page.getByRole('menuitem', { name: 'Delete' }).click();
        const dialog = page.getByRole('dialog');
        assert.ok(await dialog.getByRole('button', { name: 'Delete' }).isDisabled());
        await dialog.getByLabel('Type orders-copy to confirm').fill('orders-copy');
        await dialog.getByRole('button', { name: 'Delete' }).click();
        await page.getByRole('link', { name: 'orders-copy' }).waitFor({ state: 'detached' });
        await page.getByRole('button', { name: 'Start orders' }).click();
        await page.getByRole('dialog').getByRole('button', { name: 'Start' }).click();
        await page.waitForURL(/\/executions\/arn/);
        for (const width of [1024, 390]) {
          const small = await open('/machines', { width });
          await small.getByRole('row', { name: /orders/ }).waitFor();
          await look(small, `machines-${width}`);
        }
      },
    },
    {
      name: 'a machine shows its graph, executions, versions and definition',
      async run({ server, open, look }) {
        const arn = `arn:aws:states:us-east-1:123456789012:stateMachine:orders`;
        await aws(server.url, 'UpdateStateMachine', { stateMachineArn: arn, definition: JSON.stringify({ ...orders, Comment: 'Second' }, null, 2), publish: true });
        await aws(server.url, 'CreateStateMachineAlias', { name: 'live', routingConfiguration: [{ stateMachineVersionArn: `${arn}:1`, weight: 80 }, { stateMachineVersionArn: `${arn}:2`, weight: 20 }] });
        for (const theme of ['light', 'dark']) {
          const page = await open('/machines/orders', { theme });
          await page.getByRole('button', { name: /^Refuse/ }).waitFor();
          await page.getByText('100% failed').waitFor();
          await look(page, 'machine');
          await page.getByText('p95 duration').click();
          await page.getByText(/p95 \d/).first().waitFor();
          await page.keyboard.press('v');
          const compare = page.getByRole('region', { name: 'Compare versions' });
          await compare.getByText('"Comment": "Second"').first().waitFor();
          await page.getByText('80% to version 1, 20% to version 2').waitFor();
          await look(page, 'machine-versions');
          await page.getByRole('tab', { name: 'Executions' }).click();
          await page.getByRole('row', { name: /Failed/ }).first().waitFor();
          await page.getByRole('tab', { name: 'Triggers' }).click();
          await page.getByRole('heading', { name: /Nothing starts/ }).waitFor();
          await page.getByRole('tab', { name: 'Definition' }).click();
          await page.getByRole('textbox', { name: 'Definition' }).waitFor();
          await notHacked(page);
        }
        for (const width of [1024, 390]) {
          const page = await open('/machines/orders', { width });
          await page.getByRole('button', { name: /^Refuse/ }).waitFor();
          await look(page, `machine-${width}`);
        }
        const none = await open('/machines/nobody', { mayFailToo: [/machines\?name=nobody/] });
        await none.getByRole('heading', { name: 'There is no such state machine' }).waitFor();
      },
    },
  ],
};
