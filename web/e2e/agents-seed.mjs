// A team of agents with work behind it, in progress and waiting, with costs,
// budgets, failures and messages; all of it through the public API.
import { rest } from './harness.mjs';

/** A name that would do something if it were ever put into a page as it is. */
export const hostile = '<img src=x onerror="window.hacked=1">';

/** Makes it all, and answers with the keys of agents. */
export async function seedAgents(url, headers = {}) {
  const call = (method, path, body, more = {}) => rest(url, method, path, body, { ...headers, ...more });
  await call('POST', '/projects', { key: 'WEB', name: 'Web site' });
  await call('POST', '/projects', { key: 'OPS', name: `Operations ${hostile}` });
  const agent = (slug, more = {}) => call('POST', '/agents', { slug, projects: ['WEB'], capabilities: ['text'], ...more });
  await agent('writer', { name: 'Writer', runtime: 'claude_code', slots: 2, capabilities: ['text', 'research'] });
  await agent('editor', { name: 'Editor', role: 'lead', runtime: 'codex' });
  await agent('translator', { name: 'Translator', runtime: 'custom' });
  await agent('scout', { name: hostile, runtime: 'custom', capabilities: ['search'] });
  await agent('archivist', { name: 'Archivist', runtime: 'http', projects: ['OPS'] });

  // Each agent speaks for itself.
  const as = async (slug) => {
    const { key } = await call('POST', `/agents/${slug}/keys`);
    return (method, path, body, more = {}) => rest(url, method, path, body, { Authorization: `Bearer ${key}`, ...more });
  };
  const [writer, editor, translator, scout] = await Promise.all(['writer', 'editor', 'translator', 'scout'].map(as));

  const task = (title, assignee, more = {}) => call('POST', '/tasks', { project: 'WEB', title, assignee, ...more });
  const claim = async (who, key) => (await who('POST', `/tasks/${key}/claim`)).lease_token;
  const used = (who, list) => who('POST', '/usage', { events: list });
  const ofWriter = (n, input, output, cached = 0) => ({ key: `w${n}`, provider: 'anthropic', model: 'claude-haiku-4-5', usage: { input, output, cache_read: cached } });

  // Done and approved.
  const first = await task('Draft the landing page', '@writer', { labels: ['copy'] });
  let lease = await claim(writer, first.key);
  await writer('POST', `/tasks/${first.key}/progress`, { lease_token: lease, note: 'Outline ready', percent: 40 });
  await used(writer, [{ ...ofWriter(1, 52_000, 8_400, 300_000), task: first.key }]);
  await writer('POST', `/tasks/${first.key}/submit`, { lease_token: lease, summary: 'A draft of 600 words' });
  const inbox = await call('GET', '/reviews?mine=1');
  await call('POST', `/reviews/${(inbox.reviews[0].review ?? inbox.reviews[0]).id}/decision`, { verdict: 'approve' });

  // In progress, with what it does now.
  const second = await task('Write the release notes', '@writer', { priority: 'high', labels: ['release'] });
  lease = await claim(writer, second.key);
  await writer('POST', `/tasks/${second.key}/progress`, { lease_token: lease, note: 'Reading 42 merged pull requests', percent: 25 });
  await used(writer, [{ ...ofWriter(2, 210_000, 12_000, 1_400_000), task: second.key }]);
  await task('Shorten the tagline', '@writer');
  await task('Describe the new pricing page', '@writer');

  // Waiting for a review.
  const third = await task('Edit the release notes', '@editor');
  lease = await claim(editor, third.key);
  await used(editor, [{ key: 'e1', provider: 'openai', model: 'gpt-5', usage: { input: 90_000, output: 22_000 }, task: third.key }]);
  await editor('POST', `/tasks/${third.key}/submit`, { lease_token: lease, summary: 'Shorter by a third' });

  // Blocked by a question.
  const fourth = await task('Translate the release notes', '@translator');
  lease = await claim(translator, fourth.key);
  await used(translator, [{ key: 't1', provider: 'acme', model: 'polyglot-1', usage: { input: 5000, output: 900 }, task: fourth.key }]);
  await translator('POST', `/tasks/${fourth.key}/block`, { lease_token: lease, kind: 'question', reason: 'Which languages?', owner: 'role:owner', action: 'Name the languages', question: 'Which languages?' });

  // Failing again and again.
  const fifth = await task('Find broken links', '@scout', { max_attempts: 5 });
  for (let i = 0; i < 3; i++) {
    lease = await claim(scout, fifth.key);
    await used(scout, [{ key: `s${i}`, provider: 'anthropic', model: 'claude-haiku-4-5', usage: { input: 9000, output: 100 }, task: fifth.key }]);
    await scout('POST', `/tasks/${fifth.key}/fail`, { lease_token: lease, category: 'tool', message: `The crawler ended with 137 ${hostile}`, retryable: true, last_tool: 'crawl' });
  }
  await call('POST', '/agents/archivist/pause', { reason: 'manual' });
  await call('POST', '/agents/writer/messages', { body: 'Please keep sentences **short** from now on.' });

  await call('PUT', '/budgets/writer-daily', { scope: 'agent', name: 'writer', window: 'day', metric: 'billed_usd', soft: 400_000_000, hard: 600_000_000, on_hard: 'notify' });
  await call('PUT', '/budgets/web-monthly', { scope: 'project', name: 'WEB', window: 'month', metric: 'billed_usd', soft: 40_000_000_000, hard: 50_000_000_000 });
  await call('PUT', '/budgets/everything', { scope: 'workspace', window: 'week', metric: 'tokens', soft: 1_500_000, hard: 100_000_000 });
  return { first, second, third, fourth, fifth };
}
