import assert from 'node:assert/strict';
import { hostile, seedAgents } from '../agents-seed.mjs';
import { rest } from '../harness.mjs';

/** What each part of operations shows of what was seeded. */
const sections = {
  Wakeups: 'Held back', 'Long-running': 'No execution runs for that long.', Deliveries: 'Everything was delivered.', Activities: 'No activities yet.', Schedules: 'No schedules yet.', Triggers: 'No triggers yet.',
  Connections: 'No connections yet.', Functions: 'lockstep fn ls', Tags: 'There is no state machine and no activity yet.', 'Audit log': 'agent.key_created',
};

export default {
  seed: seedAgents,
  tests: [
    {
      name: 'activity gathers what is new above the list; operations and the bell',
      async run({ open, look, server }) {
        for (const theme of ['light', 'dark']) {
          const page = await open('/activity', { theme });
          await page.getByRole('list', { name: /newest first/ }).getByText('Which languages?').first().waitFor();
          await look(page, 'activity');
          await page.getByRole('link', { name: 'Operations' }).click();
          await page.getByRole('row', { name: /Failing/ }).waitFor();
          await look(page, 'ops-alerts');
          const nav = page.getByRole('navigation', { name: 'Sections of operations' });
          for (const [section, seen] of Object.entries(sections)) {
            await nav.getByRole('link', { name: section }).click();
            await page.getByText(seen).first().waitFor();
            await look(page, `ops-${section.toLowerCase().replace(' ', '-')}`);
          }
        }
        const page = await open('/activity?q=project:WEB');
        await page.getByRole('list', { name: /newest first/ }).getByRole('listitem').first().waitFor();
        await rest(server.url, 'POST', '/tasks', { project: 'WEB', title: `New ${hostile}` });
        await page.getByRole('button', { name: '1 new event' }).click();
        await page.getByText(`New ${hostile}`).first().waitFor();
        assert.equal(await page.evaluate(() => window.hacked), undefined);

        const bell = page.getByRole('button', { name: /new notification/ });
        await bell.click();
        const list = page.getByRole('dialog', { name: 'Notifications' });
        await list.getByText('Please review: Which languages?').waitFor();
        await look(page, 'bell');
        await list.getByRole('button', { name: 'Mark all as read' }).click();
        await page.getByRole('button', { name: 'No new notifications' }).waitFor();
        await list.getByRole('link', { name: /WEB-6 Translate/ }).first().click();
        await page.waitForURL(/\/board\/WEB\?task=WEB-6/);
      },
    },
  ],
};
