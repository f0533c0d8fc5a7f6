export default {
  tests: [
    {
      name: 'a server without projects leads to the first board',
      async run({ open, look }) {
        for (const theme of ['light', 'dark']) {
          const page = await open('/board', { theme });
          await page.getByRole('heading', { name: 'No projects yet' }).waitFor();
          await look(page, 'board-none');
        }
        const none = await open('/reviews');
        await none.getByRole('heading', { name: 'Nothing waits for you' }).waitFor();
        await look(none, 'reviews-none');
        const page = await open('/board');
        await page.getByRole('textbox', { name: 'Name' }).fill('Web site');
        await page.getByRole('textbox', { name: 'Key' }).fill('web');
        await page.getByRole('button', { name: 'Create project' }).click();
        await page.getByRole('heading', { level: 1, name: 'Web site' }).waitFor();
        await page.getByRole('heading', { name: 'This board has no tasks yet' }).waitFor();
        await look(page, 'board-empty');
      },
    },
  ],
};
