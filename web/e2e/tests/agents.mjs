import assert from 'node:assert/strict';
import { hostile, seedAgents } from '../agents-seed.mjs';
import { rest, until } from '../harness.mjs';

const card = (page, name) => page.getByRole('list', { name: 'Agents' }).getByRole('listitem').filter({ has: page.getByRole('link', { name, exact: true }) });

export default {
  seed: seedAgents,
  tests: [
    {
      name: 'the wall of agents, who needs somebody first, live and in both themes',
      async run({ open, look, server }) {
        for (const theme of ['light', 'dark']) {
          const page = await open('/agents', { theme });
          await card(page, 'Writer').getByText('Reading 42 merged pull requests').waitFor();
          await card(page, 'Writer').getByText('$0.53 of $0.60').waitFor();
          await card(page, 'Writer').getByText('claude-haiku-4-5').waitFor();
          await card(page, 'Editor').getByText('1 waits for review').waitFor();
          await card(page, hostile).getByText('Failing').waitFor();
          const first = page.getByRole('list', { name: 'Agents' }).getByRole('listitem').first();
          await first.getByText('Failing').waitFor();
          await look(page, 'agents');
          await page.goto('/agents?view=lanes');
          await page.getByRole('list', { name: 'Writer, last 24 hours' }).waitFor();
          await look(page, 'agents-day');
        }
        for (const width of [1024, 390]) {
          const page = await open('/agents', { width });
          await card(page, 'Writer').waitFor();
          await look(page, `agents-${width}`);
        }
        const page = await open('/agents?q=status:paused');
        await card(page, 'Archivist').getByText('Paused by a person').waitFor();
        await rest(server.url, 'POST', '/agents/archivist/resume');
        await page.getByText('Nothing matches these filters').waitFor();
        await page.getByRole('button', { name: 'Clear filters' }).click();
        await card(page, 'Archivist').waitFor();
        await page.keyboard.press('j');
        await page.keyboard.press('Enter');
        await page.getByRole('heading', { level: 1, name: hostile }).waitFor();
        assert.equal(await page.evaluate(() => window.hacked), undefined);
      },
    },
    {
      name: 'one agent: its time, runs with errors, health, messages, settings and keys',
      async run({ open, look, server }) {
        for (const theme of ['light', 'dark']) {
          const page = await open('/agents/writer', { theme });
          await page.getByText('1,700,000').waitFor();
          await page.getByRole('link', { name: 'WEB-2' }).waitFor();
          await look(page, 'agent');
          await page.goto('/agents/scout?tab=runs');
          await page.getByRole('row', { name: /Try 3/ }).click();
          await page.getByRole('complementary', { name: 'Run' }).getByText('crawl', { exact: true }).waitFor();
          await look(page, 'agent-runs');
          await page.goto('/agents/writer?tab=health');
          await page.getByRole('row', { name: /Refused by its schema/ }).waitFor();
          await look(page, 'agent-health');
          await page.goto('/agents/writer?tab=settings');
          await page.getByRole('row', { name: /lsa_/ }).first().waitFor();
          await look(page, 'agent-settings');
        }
        const page = await open('/agents/writer?tab=messages');
        await page.getByRole('textbox', { name: 'Message' }).fill('Try **harder** <script>window.hacked = 1</script>');
        await page.getByRole('button', { name: 'Send', exact: true }).click();
        await page.getByText('harder', { exact: true }).waitFor();
        await page.getByRole('tab', { name: 'Settings' }).click();
        await page.getByRole('textbox', { name: 'Slots' }).fill('3');
        await page.getByRole('button', { name: 'Save' }).click();
        await page.getByText('The agent is changed.').waitFor();
        assert.equal((await rest(server.url, 'GET', '/agents/writer')).slots, 3);
        await page.getByRole('button', { name: 'New key' }).click();
        const dialog = page.getByRole('dialog', { name: 'The new key' });
        assert.match(await dialog.getByRole('group', { name: 'Key' }).innerText(), /^lsa_\w/);
        await page.keyboard.press('Escape');
        await page.getByRole('button', { name: 'Pause', exact: true }).click();
        await page.getByRole('dialog', { name: 'Pause Writer?' }).getByRole('button', { name: 'Pause' }).click();
        await page.getByRole('button', { name: 'Resume' }).click();
        await page.getByRole('button', { name: 'Pause', exact: true }).waitFor();
        await until(async () => (await rest(server.url, 'GET', '/agents/writer')).admin === 'active', 'the agent is active');
        assert.equal(await page.evaluate(() => window.hacked), undefined);
      },
    },
    {
      name: 'an agent is connected: its kit, a private address, its first call and first task',
      async run({ open, look, server }) {
        const page = await open('/agents/connect');
        await look(page, 'connect');
        await page.getByRole('radio', { name: 'HTTP' }).click();
        await page.getByRole('combobox', { name: 'Project' }).click();
        await page.getByRole('option', { name: /^WEB/ }).click();
        await page.getByRole('textbox', { name: 'Name to @mention' }).fill('clerk');
        await page.getByRole('textbox', { name: 'Address that is called' }).fill('http://127.0.0.1:19090/');
        page.problems.length = 0;
        await page.getByRole('button', { name: 'Make the agent and its key' }).click();
        const ask = page.getByRole('alertdialog', { name: '127.0.0.1:19090 is a private address' });
        await ask.waitFor();
        // The refusal that led to the question is no problem of the page.
        page.problems.splice(0, page.problems.length, ...page.problems.filter((p) => !/connect-kit|status of 400/.test(p)));
        await ask.getByRole('button', { name: 'Allow and go on' }).click();
        await page.getByText('Waiting for the first call of clerk').waitFor();
        const key = await page.getByRole('group', { name: 'Key' }).innerText();
        await look(page, 'connect-kit');
        await rest(server.url, 'POST', '/agent/heartbeat', undefined, { Authorization: `Bearer ${key.trim()}` });
        await page.getByText('clerk is connected').waitFor();
        await look(page, 'connected');
        await page.getByRole('button', { name: 'Give it this task' }).click();
        await page.getByText(/^WEB-\d+ is assigned\.$/).waitFor();
      },
    },
  ],
};
