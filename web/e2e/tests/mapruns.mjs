import assert from 'node:assert/strict';
import { aws, rest, until } from '../harness.mjs';
import { countsOf, seed } from '../mapruns-seed.mjs';

const at = (arn, search = '') => `/maprun/${encodeURIComponent(arn)}${search}`;

export default {
  seed,
  tests: [
    {
      name: 'a run that failed says what failed, and n goes through it',
      async run({ open, look, seeded }) {
        for (const theme of ['light', 'dark']) {
          const page = await open(at(seeded.failedRun), { theme });
          await page.getByRole('cell', { name: 'Page.Gone' }).waitFor();
          await page.getByRole('application', { name: /^Executions: 600 items/ }).waitFor();
          await page.getByRole('region', { name: 'Throughput' }).getByText(/items\/s/).waitFor();
          await look(page, 'maprun');
        }
        const page = await open(at(seeded.failedRun));
        await page.getByRole('application', { name: /^Executions/ }).waitFor();
        await page.keyboard.press('n');
        const inspector = page.getByRole('complementary', { name: 'Execution of the Map Run' });
        await inspector.getByRole('heading', { name: 'Execution 3' }).waitFor();
        await inspector.getByText('Page.Odd').waitFor();
        assert.equal(await page.evaluate(() => window.hacked), undefined, 'what a cause says is text');
        await page.keyboard.press('n');
        await inspector.getByRole('heading', { name: 'Execution 7' }).waitFor();
        await inspector.getByText('The server answered 410.').waitFor();
        assert.match(page.url(), /item=7/);
        await page.keyboard.press('p');
        await inspector.getByRole('heading', { name: 'Execution 3' }).waitFor();
        await look(page, 'maprun-item');
        await page.keyboard.press('Escape');
        await inspector.waitFor({ state: 'detached' });
      },
    },
    {
      name: 'pictures have tables, and the grid can be walked',
      async run({ open, seeded }) {
        const page = await open(at(seeded.failedRun));
        const grid = page.getByRole('application', { name: /^Executions: 600 items/ });
        await grid.focus();
        for (const key of ['ArrowRight', 'ArrowRight', 'ArrowRight', 'ArrowRight']) await page.keyboard.press(key);
        await page.getByText('3: Failed', { exact: true }).waitFor();
        await page.keyboard.press('Enter');
        await page.getByRole('heading', { name: 'Execution 3' }).waitFor();
        await page.getByRole('region', { name: 'Executions', exact: true }).getByRole('button', { name: 'Show as a table' }).click();
        await page.getByRole('table', { name: 'Executions', exact: true }).waitFor();
      },
    },
    {
      name: 'a run under way is live, and its limits can be changed',
      async run({ open, look, server, seeded }) {
        const page = await open(at(seeded.liveRun));
        await page.getByRole('status').filter({ hasText: 'Live' }).waitFor();
        const counts = page.getByRole('region', { name: 'Items by status' });
        await counts.getByText('24', { exact: true }).waitFor();
        await page.getByRole('img', { name: /^Concurrency\. Up to/ }).waitFor();
        await look(page, 'maprun-live');
        await page.getByRole('figure', { name: 'Concurrency' }).getByRole('button', { name: 'Show as a table' }).click();
        await page.getByRole('columnheader', { name: 'Of these failed' }).waitFor();
        await page.keyboard.press('e');
        const dialog = page.getByRole('dialog', { name: 'Change this Map Run' });
        await dialog.getByLabel('Concurrency limit').fill('30');
        await look(page, 'maprun-change');
        await dialog.getByRole('button', { name: 'Save' }).click();
        await dialog.waitFor({ state: 'detached' });
        await counts.getByText('30', { exact: true }).waitFor();
        assert.equal((await countsOf(server.url, seeded.liveRun)).max_concurrency, 30);
        await aws(server.url, 'StopExecution', { executionArn: seeded.live });
        await page.getByRole('heading', { level: 1 }).locator('..').getByText('Aborted').waitFor();
      },
    },
    {
      name: 'a redrive says what runs again, and does it',
      async run({ open, look, server, seeded }) {
        const page = await open(at(seeded.failedRun));
        await page.getByRole('button', { name: 'Redrive' }).waitFor();
        await page.keyboard.press('r');
        const dialog = page.getByRole('dialog', { name: 'Redrive this Map Run?' });
        await dialog.getByText('These run again:').waitFor();
        await look(page, 'maprun-redrive');
        await dialog.getByRole('button', { name: 'Redrive' }).click();
        await dialog.waitFor({ state: 'detached' });
        await page.getByText('Redriven once').waitFor();
        await until(async () => (await rest(server.url, 'GET', `/mapruns/${encodeURIComponent(seeded.failedRun)}/counts`)).redrives === 1, 'it was redriven');
      },
    },
    {
      name: 'narrow windows show all of it',
      async run({ open, look, seeded }) {
        for (const width of [1024, 390]) {
          const page = await open(at(seeded.failedRun), { width, theme: width === 390 ? 'dark' : 'light' });
          await page.getByRole('cell', { name: 'Page.Gone' }).first().waitFor();
          await look(page, `maprun-${width}`);
          assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'nothing is wider than the window');
        }
      },
    },
    {
      name: 'an address of nothing says so',
      async run({ open, seeded }) {
        const page = await open(at(`${seeded.failedRun}0`), { mayFailToo: [/mapruns/] });
        await page.getByText('There is no such Map Run').waitFor();
      },
    },
  ],
};
