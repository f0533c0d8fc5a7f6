import type { QueryClient, QueryKey } from '@tanstack/react-query';
import { listen, type StreamEvent } from './client.ts';

/** Lists are read again at most this often, in milliseconds. */
const apart = 1000;

/**
 * Which queries an event makes stale, by the beginning of its type. The first part
 * of a query's key is the kind of thing it holds: ['tasks', …], ['task', id].
 */
export const staleBy: readonly (readonly [prefix: string, keys: readonly string[]])[] = [
  ['execution.', ['executions', 'execution', 'machines']],
  ['maprun.', ['mapruns', 'maprun']],
  ['task.', ['tasks', 'task', 'activity', 'reviews', 'agents', 'agent', 'notifications']],
  ['review.', ['reviews', 'review', 'tasks', 'task', 'activity', 'notifications']],
  ['deliverable.', ['task', 'review']],
  ['comment.', ['task', 'review', 'activity']],
  ['attempt.', ['task', 'agents', 'agent']],
  ['wakeup.', ['task', 'agent']],
  ['agent.', ['agents', 'agent', 'activity', 'notifications']],
  ['handoff.', ['task', 'tasks', 'activity']],
  ['project.', ['projects']],
  ['usage.', ['costs', 'agents']],
  ['budget.', ['budgets', 'costs', 'agents', 'notifications']],
  ['notification.', ['notifications']],
];

/** Keeps the cache in step with the stream: what an event concerns is read again, each kind at most once a second. */
export function keepFresh(client: QueryClient): () => void {
  const due = new Map<string, ReturnType<typeof setTimeout>>();
  const last = new Map<string, number>();
  // '' is everything: a server under load may ask for that again and again.
  const refresh = (kind: string) => {
    if (due.has(kind)) return;
    const wait = Math.max(0, (last.get(kind) ?? 0) + (kind === '' ? 3 * apart : apart) - Date.now());
    due.set(
      kind,
      setTimeout(() => {
        due.delete(kind);
        last.set(kind, Date.now());
        void client.invalidateQueries(kind === '' ? undefined : { queryKey: [kind] });
      }, wait),
    );
  };
  const stop = listen((event: StreamEvent) => {
    if (event.type === 'resync') {
      refresh('');
      return;
    }
    for (const [prefix, kinds] of staleBy) {
      if (event.type.startsWith(prefix)) kinds.forEach(refresh);
    }
  });
  return () => {
    stop();
    for (const timer of due.values()) clearTimeout(timer);
  };
}

/** Changes what the cache holds under a key, where it holds something. */
export function patch<T>(client: QueryClient, key: QueryKey, change: (old: T) => T): void {
  client.setQueryData<T>(key, (old) => (old === undefined ? undefined : change(old)));
}
