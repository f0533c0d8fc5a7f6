// Somebody who has signed in to `lockstep serve`, with work to look at.
import { seedAgents } from './agents-seed.mjs';
import { aws, untilStatusAs } from './harness.mjs';

const role = 'arn:aws:iam::123456789012:role/any';

/** What stands on a page when it is whole. */
export const heading = (page, name) => page.getByRole('heading', { level: 1, name }).waitFor();

/** The first owner's page, in the overview of a server that has nothing yet. */
export async function signIn(open, server) {
  const { pathname, search } = new URL(await server.said(/https?:\/\/\S+\/welcome\?token=\S+/));
  const page = await open(pathname + search, { mayFailToo: [/\/session$/] });
  await page.getByRole('textbox', { name: 'User name' }).fill('ada');
  await page.getByRole('textbox', { name: 'Name that others see' }).fill('Ada Lovelace');
  await page.locator('input[name=password]').fill('a long and plain password');
  await page.getByRole('button', { name: 'Create owner' }).click();
  await heading(page, 'Agents and workflows, in step');
  return page;
}

/** Makes agents and their work, a state machine and an execution that failed, by a token made in the console; look sees the token. */
export async function seedSignedIn(page, server, look = async () => {}) {
  await page.goto('/settings/keys');
  await page.getByRole('button', { name: 'New token' }).click();
  const dialog = page.getByRole('dialog', { name: 'New token' });
  await dialog.getByRole('textbox', { name: 'What for' }).fill('seed');
  await dialog.getByRole('button', { name: 'Make it' }).click();
  const token = (await page.getByRole('group', { name: 'Key' }).filter({ hasText: 'lsu_' }).innerText()).trim();
  await look();
  await page.keyboard.press('Escape');
  const headers = { Authorization: `Bearer ${token}` };
  await seedAgents(server.url, headers);
  const definition = { StartAt: 'Check', States: { Check: { Type: 'Pass', Next: 'Refuse' }, Refuse: { Type: 'Fail', Error: 'Orders.Refused', Cause: 'Nothing is left.' } } };
  const { stateMachineArn } = await aws(server.url, 'CreateStateMachine', { name: 'orders', roleArn: role, definition: JSON.stringify(definition) }, headers);
  const { executionArn } = await aws(server.url, 'StartExecution', { stateMachineArn, name: 'one', input: '{"order":1}' }, headers);
  await untilStatusAs(headers, server.url, executionArn, 'FAILED');
  return { executionArn };
}

/** Looks at addresses one after the other in both themes: path, name of the picture, and what the page has when it is whole. */
export async function tour(page, lookBoth, places) {
  for (const [path, name, whole] of places) {
    await page.goto(path);
    await whole();
    await lookBoth(page, `serve-${name}`);
  }
}
