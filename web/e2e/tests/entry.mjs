import assert from 'node:assert/strict';

export default {
  command: 'serve',
  tests: [
    {
      name: 'the first owner comes in by the link, signs out, and in again where they wanted to go',
      async run({ open, look, lookBoth, server }) {
        const link = await server.said(/https?:\/\/\S+\/welcome\?token=\S+/);
        for (const theme of ['dark', 'light']) {
          const page = await open(new URL(link).pathname + new URL(link).search, { theme, mayFailToo: [/\/session$/] });
          await page.getByRole('textbox', { name: 'User name' }).waitFor();
          await look(page, 'welcome');
        }
        const page = await open(new URL(link).pathname + new URL(link).search, { mayFailToo: [/\/session$/] });
        await page.getByRole('textbox', { name: 'User name' }).fill('ada');
        await page.getByRole('textbox', { name: 'Name that others see' }).fill('Ada Lovelace');
        await page.locator('input[name=password]').fill('a long and plain password');
        await page.getByRole('button', { name: 'Create owner' }).click();
        await page.getByRole('heading', { level: 1, name: 'Agents and workflows, in step' }).waitFor();
        await page.getByRole('status').filter({ hasText: 'Live' }).waitFor();
        await page.getByRole('button', { name: 'You: Ada Lovelace' }).click();
        await lookBoth(page, 'user-menu');
        await page.getByRole('button', { name: 'Sign out' }).click();
        await page.getByRole('heading', { level: 1, name: 'Sign in' }).waitFor();

        await page.goto('/executions?q=status:failed');
        await page.getByRole('heading', { level: 1, name: 'Sign in' }).waitFor();
        await lookBoth(page, 'sign-in');
        await page.getByRole('textbox', { name: 'User name' }).fill('ada');
        await page.locator('input[name=password]').fill('a long and plain password');
        await page.getByRole('button', { name: 'Sign in' }).click();
        await page.getByRole('heading', { level: 1, name: 'Executions' }).waitFor();
        assert.match(page.url(), /q=status:failed/);
      },
    },
  ],
};
