import assert from 'node:assert/strict';
import { seedAgents } from '../agents-seed.mjs';
import { rest, until } from '../harness.mjs';

/** A part of each section. */
const sections = { 'Look and keys': 'Keyboard', Notifications: 'Quiet hours', 'API keys': 'Service keys', Projects: 'Policies', Templates: 'Templates', 'Recurring tasks': 'Recurring tasks', Webhooks: 'Webhooks' };

export default {
  seed: seedAgents,
  tests: [
    {
      name: 'settings of a development server show what applies, and no more',
      async run({ open, look, server }) {
        for (const theme of ['light', 'dark']) {
          const page = await open('/settings', { theme });
          await page.getByText('Development server.').waitFor();
          assert.equal(await page.getByRole('link', { name: 'Users' }).count(), 0);
          await look(page, 'settings-profile');
          const nav = page.getByRole('navigation', { name: 'Sections of the settings' });
          for (const [section, part] of Object.entries(sections)) {
            await nav.getByRole('link', { name: section }).click();
            await page.getByRole('region', { name: part }).waitFor();
            await look(page, `settings-${section.toLowerCase().replaceAll(' ', '-')}`);
          }
        }
        const page = await open('/settings/keys');
        await page.getByRole('button', { name: 'New service key' }).click();
        const form = page.getByRole('dialog', { name: 'New service key' });
        await form.getByRole('textbox', { name: 'What for' }).fill('metrics');
        await form.getByRole('checkbox', { name: 'metrics' }).check();
        await form.getByRole('button', { name: 'Make it' }).click();
        await page.getByRole('group', { name: 'Key' }).filter({ hasText: 'lss_' }).waitFor();
        await page.keyboard.press('Escape');
        await page.getByRole('row', { name: /read, metrics|metrics, read/ }).waitFor();

        await page.goto('/settings/notifications');
        await page.getByRole('checkbox', { name: 'Task done: Here' }).click();
        await until(async () => (await rest(server.url, 'GET', '/notifications/preferences')).types.done?.length === 0, 'the choice is kept');

        await page.goto('/settings/recurring');
        await page.getByRole('button', { name: 'Add a recurring task' }).click();
        const task = page.getByRole('dialog', { name: 'Add a recurring task' });
        await task.getByRole('textbox', { name: 'Name', exact: true }).fill('standup');
        await task.getByRole('textbox', { name: 'Title of the task' }).fill('Write the standup of {date}');
        await task.getByRole('button', { name: 'Add' }).click();
        await page.getByRole('row', { name: /standup.*rate\(1 day\)/ }).waitFor();

        await page.goto('/settings/projects?project=WEB');
        await page.getByRole('switch', { name: 'Pause failing agents' }).click();
        await page.getByRole('button', { name: 'Save' }).click();
        await until(async () => (await rest(server.url, 'GET', '/projects/WEB')).policies.pause_failing, 'the policy is kept');

        await page.goto('/settings/appearance');
        await page.getByRole('switch', { name: 'Single-key shortcuts' }).click();
        await page.getByRole('heading', { level: 1 }).click();
        await page.keyboard.press('?');
        assert.equal(await page.getByRole('dialog').count(), 0);
      },
    },
  ],
};
