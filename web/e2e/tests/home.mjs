import assert from 'node:assert/strict';
import { seedAgents } from '../agents-seed.mjs';
import { seed } from '../seed.mjs';

// A server that is older than the console has no templates.
const mayFailToo = [/api\/v1\/examples/];

/** Templates are there, or it is known that there are none. */
const examplesSettled = (page) => page.getByRole('region', { name: /^Start with a template|^Make a state machine of your own/ }).first().waitFor();

export default {
  tests: [
    {
      name: 'an empty server says what it is and how to begin',
      async run({ open, look }) {
        for (const [theme, width] of [['light', 1440], ['dark', 1440], ['light', 390]]) {
          const page = await open('/', { theme, width, mayFailToo });
          await examplesSettled(page);
          await page.getByText('Lockstep runs state machines as AWS Step Functions does').waitFor();
          await page.getByRole('link', { name: 'Connect an agent' }).waitFor();
          await look(page, width === 390 ? 'home-empty-390' : 'home-empty');
          assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'nothing is wider than the window');
        }
      },
    },
    {
      name: 'a template is made and run at once',
      async run({ open }) {
        const page = await open('/', { mayFailToo });
        const template = page.getByRole('article', { name: 'Content moderator' });
        await page.getByRole('link', { name: 'Connect an agent' }).waitFor();
        await examplesSettled(page);
        if ((await template.count()) === 0) return; // a server without templates
        await template.getByRole('img', { name: 'Graph of Content moderator' }).waitFor();
        await template.getByRole('button', { name: /Make and run it/ }).click();
        await page.waitForURL(/\/executions\//);
      },
    },
    {
      name: 'in use, it shows what waits and what runs',
      async run({ open, look, server }) {
        await seed(server.url);
        await seedAgents(server.url);
        for (const [theme, width] of [['light', 1440], ['dark', 1440], ['light', 1024], ['dark', 390]]) {
          const page = await open('/', { theme, width });
          const waits = page.getByRole('region', { name: 'Waits for you' });
          await waits.getByRole('link', { name: 'order-1002' }).waitFor();
          await waits.getByText('Which languages?').first().waitFor();
          await page.getByRole('region', { name: 'Running now' }).getByRole('link', { name: 'parcel-1' }).waitFor();
          await page.getByRole('region', { name: 'Agents' }).getByRole('link').first().waitFor();
          await page.getByRole('region', { name: 'Cost today' }).getByText(/tokens/).waitFor();
          assert.equal(await page.evaluate(() => window.hacked), undefined);
          await look(page, width === 1440 ? 'home' : `home-${width}`);
          assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'nothing is wider than the window');
        }
      },
    },
  ],
};
