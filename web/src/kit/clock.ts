import { useSyncExternalStore } from 'react';
import { useStreamState } from '../api/stream/client.ts';

// One clock for all of the console: a thousand times on a page are one timer.
let now = Date.now();
const watchers = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | undefined;

function watch(then: () => void): () => void {
  watchers.add(then);
  if (timer === undefined) {
    now = Date.now();
    timer = setInterval(() => {
      now = Date.now();
      for (const w of watchers) w();
    }, 1000);
  }
  return () => {
    watchers.delete(then);
    if (watchers.size === 0) {
      clearInterval(timer);
      timer = undefined;
    }
  };
}

/** Now, by the second. While the server does not answer, time stands still at the moment it was last heard of. */
export function useNow(ticking = true): { now: number; stale: boolean } {
  const state = useStreamState();
  const stale = state.is === 'offline';
  const at = useSyncExternalStore(ticking && !stale ? watch : never, () => now);
  return { now: stale ? state.since : ticking ? at : Date.now(), stale };
}

const never = () => () => {};
