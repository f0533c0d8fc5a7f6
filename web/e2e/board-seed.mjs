// A board with work in every column, for tests of the board and of reviews.
import { rest } from './harness.mjs';

const first = `# Ship faster

Lockstep runs your workflows.

- 3x fewer retries
- 5 minutes to set up
- The best support

Start today.
`;
const second = `# Ship faster with one binary

Lockstep runs your workflows and your agents.

- 3x fewer retries
- 5 minutes to set up
- 24 h answer time

Start free today.
`;

/** An agent with a key: calls go to the server in its name. */
export async function agent(url, slug, more = {}) {
  await rest(url, 'POST', '/agents', { slug, name: slug[0].toUpperCase() + slug.slice(1), projects: ['WEB'], slots: 5, ...more });
  const { key } = await rest(url, 'POST', `/agents/${slug}/keys`, {});
  const headers = { Authorization: `Bearer ${key}` };
  return {
    headers,
    call: (method, path, body, lease) => rest(url, method, path, body, { ...headers, ...(lease ? { 'X-Lockstep-Lease': lease } : {}) }),
    async claim(task) {
      return (await rest(url, 'POST', `/tasks/${task}/claim`, undefined, headers)).lease_token;
    },
    /** Begins a task, delivers and hands in; answers with the review. */
    async finish(task, deliverables, summary, output) {
      const lease = (await rest(url, 'POST', `/tasks/${task}/claim`, undefined, headers)).lease_token;
      const call = (path, body) => rest(url, 'POST', `/tasks/${task}/${path}`, body, { ...headers, 'X-Lockstep-Lease': lease });
      for (const d of deliverables) await call('deliverables', d);
      return (await call('submit', { summary, ...(output === undefined ? {} : { output }) })).review;
    },
  };
}

/** Makes the projects WEB and OPS, two agents, and ten tasks of which one waits for a review in its second round. */
export async function seed(url) {
  await rest(url, 'POST', '/projects', { key: 'WEB', name: 'Web site', policies: { wip: { in_progress: 5 } } });
  await rest(url, 'POST', '/projects', { key: 'OPS', name: 'Operations' });
  const writer = await agent(url, 'writer');
  const coder = await agent(url, 'coder');
  const task = (body) => rest(url, 'POST', '/tasks', { project: 'WEB', ...body });
  await task({ title: 'Draft the landing page', assignee: '@writer', priority: 'high', labels: ['copy'], description: 'Write the **landing page**.', acceptance_criteria: ['Each benefit names a number', 'No superlatives'], budget: 2_000_000_000 });
  await task({ title: 'Publish the landing page', depends_on: [{ task: 'WEB-1' }] });
  await task({ title: 'Announce the launch', depends_on: [{ task: 'WEB-2' }], assignee: '@writer', labels: ['copy'] });
  await task({ title: 'Fix the redirect', assignee: '@coder', priority: 'urgent' });
  await task({ title: 'Upgrade the image pipeline', assignee: '@coder' });
  await task({ title: 'Collect customer quotes' });
  await task({ title: 'Choose the fonts' });
  await task({ title: 'Remove unused fonts', assignee: '@coder', review_mode: 'none' });
  const round1 = await writer.finish('WEB-1', [{ kind: 'text', title: 'landing.md', media_type: 'text/markdown', content: first }, { kind: 'json', title: 'meta.json', content: '{"words":120}' }], 'First draft.', { words: 120 });
  await rest(url, 'POST', `/reviews/${round1.id}/decision`, { verdict: 'changes_requested', comment: '“The best support” is a superlative.' });
  const review = await writer.finish('WEB-1', [{ kind: 'text', title: 'landing.md', media_type: 'text/markdown', content: second }, { kind: 'json', title: 'meta.json', content: '{"words":131}' }], 'Every benefit has a number now.', { words: 131 });
  const lease = await coder.claim('WEB-4');
  await coder.call('POST', '/tasks/WEB-4/progress', { note: 'the rewrite rule drops the slash', percent: 60 }, lease);
  await coder.call('POST', '/reviews', { task: 'WEB-4', kind: 'action', title: 'Apply the change to production', payload: { command: 'apply' }, lease_token: lease }, lease);
  const other = await coder.claim('WEB-5');
  await coder.call('POST', '/tasks/WEB-5/block', { kind: 'access', reason: 'No access to the CDN', owner: '@local', action: 'Invite coder to the CDN' }, other);
  await coder.finish('WEB-8', [], 'Removed 14 files.');
  return { review, writer, coder };
}
