import assert from 'node:assert/strict';

const places = ['/machines', '/executions', '/board', '/reviews', '/agents', '/costs', '/activity', '/ops', '/settings', '/kit', '/nothing/here'];

export default {
  tests: [
    {
      name: 'every page has one heading, and nothing that axe minds, in both themes',
      async run({ open, look }) {
        for (const theme of ['light', 'dark']) {
          const page = await open('/machines', { theme });
          for (const path of places) {
            await page.goto(path);
            await page.getByRole('heading', { level: 1 }).waitFor();
            if (path === '/kit') await page.getByRole('textbox', { name: 'Input as JSON' }).waitFor();
            assert.equal(await page.getByRole('heading', { level: 1 }).count(), 1, path);
            await look(page, `page${path.replaceAll('/', '-')}`);
          }
        }
      },
    },
    {
      name: 'keys lead everywhere, and are listed',
      async run({ open, look }) {
        const page = await open('/machines');
        await page.keyboard.press('g');
        await page.keyboard.press('e');
        await page.getByRole('heading', { level: 1, name: 'Executions' }).waitFor();
        await page.keyboard.press('?');
        const sheet = page.getByRole('dialog', { name: 'Keyboard shortcuts' });
        await sheet.getByText('Search and commands').waitFor();
        await look(page, 'shortcuts');
        await page.keyboard.press('Escape');
        await sheet.waitFor({ state: 'hidden' });
        await page.keyboard.press('Control+k');
        await page.getByPlaceholder('Search or go to').fill('setti');
        await page.keyboard.press('Enter');
        await page.getByRole('heading', { level: 1, name: 'Settings' }).waitFor();
        await page.keyboard.press('t');
        await page.locator('html[data-mantine-color-scheme=dark]').waitFor();
      },
    },
    {
      name: 'on a phone the navigation is a drawer',
      async run({ open, look }) {
        const page = await open('/executions', { width: 390, height: 844 });
        await page.getByRole('button', { name: 'Open menu' }).click();
        await page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name: 'Board' }).click();
        await page.getByRole('heading', { level: 1, name: 'Board' }).waitFor();
        assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true, 'the page scrolls sideways');
        await look(page, 'phone');
      },
    },
    {
      name: 'the stream is live',
      async run({ open, server }) {
        const page = await open('/machines');
        await page.getByRole('status').filter({ hasText: 'Live' }).waitFor();
        assert.ok(server.url);
      },
    },
    {
      name: 'what others wrote is shown, and does nothing',
      async run({ open }) {
        const page = await open('/kit');
        await page.getByText('<script>alert(1)</script>').waitFor();
        assert.equal(await page.locator('main script, main img').count(), 0);
        assert.match(await page.getByRole('link', { name: 'example' }).getAttribute('rel'), /noopener/);
      },
    },
  ],
};
