import assert from 'node:assert/strict';
import { hostile, seedAgents } from '../agents-seed.mjs';
import { rest } from '../harness.mjs';

const password = 'a long and plain password';

/** Uses a one-time link in the browser. */
async function welcome(open, link, fill) {
  const { pathname, search } = new URL(link);
  const page = await open(pathname + search, { mayFailToo: [/\/session$/] });
  await fill(page);
  await page.locator('input[name=password]').fill(password);
  await page.locator('button[type=submit]').click();
  await page.getByRole('heading', { level: 1, name: /^(Agents and workflows, in step|Overview)$/ }).waitFor();
  return page;
}

export default {
  command: 'serve',
  tests: [
    {
      name: 'an owner adds a reviewer, who sees what they may and no more',
      async run({ open, lookBoth, server }) {
        const owner = await welcome(open, await server.said(/https?:\/\/\S+\/welcome\?token=\S+/), async (page) => {
          await page.getByRole('textbox', { name: 'User name' }).fill('ada');
          await page.getByRole('textbox', { name: 'Name that others see' }).fill(hostile);
        });

        // A token for what is seeded: made in the console, shown once.
        await owner.goto('/settings/keys');
        await owner.getByRole('button', { name: 'New token' }).click();
        await owner.getByRole('dialog', { name: 'New token' }).getByRole('textbox', { name: 'What for' }).fill('seed');
        await owner.getByRole('dialog', { name: 'New token' }).getByRole('button', { name: 'Make it' }).click();
        const shown = owner.getByRole('group', { name: 'Key' }).filter({ hasText: 'lsu_' });
        const token = (await shown.innerText()).trim();
        await owner.keyboard.press('Escape');
        await seedAgents(server.url, { Authorization: `Bearer ${token}` });

        await owner.goto('/settings/users');
        await owner.getByRole('button', { name: 'Add a user' }).click();
        const form = owner.getByRole('dialog', { name: 'Add a user' });
        await form.getByRole('textbox', { name: 'Signs in as' }).fill('rita');
        await form.getByRole('textbox', { name: 'Name that others see' }).fill('Rita');
        await form.getByRole('combobox', { name: 'Role' }).click();
        await owner.getByRole('option', { name: 'Reviewer' }).click();
        await form.getByRole('button', { name: 'Add' }).click();
        const dialog = owner.getByRole('dialog', { name: 'A link for rita' });
        const link = (await dialog.getByRole('group', { name: 'Link' }).innerText()).trim();
        await lookBoth(owner, 'settings-link');
        await owner.keyboard.press('Escape');
        await lookBoth(owner, 'settings-users');
        for (const section of ['sessions', 'webhooks']) {
          await owner.goto(`/settings/${section}`);
          await owner.getByRole('heading', { level: 2 }).first().waitFor();
          await lookBoth(owner, `team-${section}`);
        }
        await owner.goto('/ops?show=audit');
        await owner.getByRole('row', { name: /key\.created/ }).first().waitFor();
        await owner.goto('/ops?show=functions');
        await owner.getByText('No functions yet.').waitFor();
        assert.equal(await owner.evaluate(() => window.hacked), undefined);

        const rita = await welcome(open, link, (page) => page.getByRole('textbox', { name: 'User name' }).waitFor());
        await rita.goto('/settings');
        await rita.getByText('Reviewer', { exact: true }).waitFor();
        const nav = rita.getByRole('navigation', { name: 'Sections of the settings' });
        await nav.getByRole('link', { name: 'Sessions' }).waitFor();
        assert.equal(await nav.getByRole('link', { name: 'Webhooks' }).count(), 0);
        await lookBoth(rita, 'reviewer-settings');
        await rita.goto('/settings/users');
        await rita.getByText('Owners of the workspace add and change users.').waitFor();
        assert.equal(await rita.getByRole('button', { name: 'Add a user' }).count(), 0);
        await rita.goto('/agents');
        await rita.getByRole('link', { name: 'Writer' }).waitFor();
        assert.equal(await rita.getByRole('link', { name: 'Connect an agent' }).count(), 0);
        await lookBoth(rita, 'reviewer-agents');
        await rita.goto('/agents/writer?tab=settings');
        await rita.getByText('Admins of its project change an agent.').waitFor();
        assert.equal(await rita.getByRole('button', { name: 'Pause' }).count(), 0);
        await rita.goto('/ops');
        await rita.getByRole('navigation', { name: 'Sections of operations' }).waitFor();
        assert.equal(await rita.getByRole('link', { name: 'Audit log' }).count(), 0);
        await rita.goto('/costs?tab=budgets');
        await rita.getByRole('meter', { name: 'writer-daily' }).waitFor();
        assert.equal(await rita.getByRole('button', { name: 'Set a budget' }).count(), 0);

        // Signing out ends the session for good.
        await rita.getByRole('button', { name: 'You: Rita' }).click();
        await rita.getByRole('menuitem', { name: 'Sign out' }).or(rita.getByRole('button', { name: 'Sign out' })).click();
        await rita.getByRole('heading', { level: 1, name: 'Sign in' }).waitFor();
        await assert.rejects(rest(server.url, 'GET', '/users'), /401/);
      },
    },
  ],
};
