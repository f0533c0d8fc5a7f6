import { heading, seedSignedIn, signIn, tour } from '../signed-in.mjs';

export default {
  command: 'serve',
  tests: [
    {
      name: 'the pages of agents, costs and settings for somebody who has signed in, in both themes',
      async run({ open, lookBoth, server }) {
        const page = await signIn(open, server);
        await seedSignedIn(page, server);
        const settings = (section) => [`/settings/${section}`, `settings-${section}`, () => page.getByRole('navigation', { name: 'Sections of the settings' }).waitFor()];
        await tour(page, lookBoth, [
          ['/agents', 'agents', () => page.getByRole('link', { name: 'Writer' }).first().waitFor()],
          ['/agents/writer', 'agent', () => heading(page, 'Writer')],
          ['/agents/connect', 'connect', () => heading(page, /Connect/)],
          ['/costs', 'costs', () => heading(page, 'Costs')],
          ['/activity', 'activity', () => heading(page, 'Activity')],
          ['/ops?show=audit', 'audit', () => page.getByRole('row', { name: /key\.created/ }).first().waitFor()],
          settings('you'),
          settings('notifications'),
          settings('projects'),
        ]);
      },
    },
  ],
};
