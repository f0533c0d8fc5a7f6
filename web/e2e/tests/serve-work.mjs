import { heading, seedSignedIn, signIn, tour } from '../signed-in.mjs';

export default {
  command: 'serve',
  tests: [
    {
      name: 'the pages of work for somebody who has signed in, in both themes',
      async run({ open, lookBoth, server }) {
        const page = await signIn(open, server);
        await lookBoth(page, 'serve-home-empty');
        const { executionArn } = await seedSignedIn(page, server, () => lookBoth(page, 'serve-token'));
        await tour(page, lookBoth, [
          ['/', 'home', () => heading(page, 'Overview')],
          ['/machines', 'machines', () => page.getByRole('row', { name: /orders/ }).getByRole('img', { name: 'Ada Lovelace' }).waitFor()],
          ['/machines/orders', 'machine', () => page.getByText('by Ada Lovelace').waitFor()],
          ['/machines/orders/edit', 'editor', () => page.getByText('by Ada Lovelace').waitFor()],
          ['/executions', 'executions', () => page.getByRole('link', { name: 'one' }).first().waitFor()],
          [`/executions/${encodeURIComponent(executionArn)}`, 'execution', () => page.getByText('Nothing is left.').first().waitFor()],
          ['/board/WEB', 'board', () => page.getByRole('list', { name: 'Done' }).waitFor()],
          ['/reviews', 'reviews', () => page.getByRole('heading', { level: 2 }).first().waitFor()],
        ]);
      },
    },
  ],
};
