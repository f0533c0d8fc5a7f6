import { useQuery, useQueryClient, type QueryClient } from '@tanstack/react-query';
import { useEffect, useRef } from 'react';
import { fetchVisits, type Visit } from '../../api/executions.ts';
import { useEvents, useStreamState } from '../../api/stream/client.ts';

/** So many visits are held in a page; of larger executions the graph shows sums, and the rest is asked for when it is looked at. */
export const mostVisits = 10_000;
/** The first page is small, so that something is there soon. */
const firstPage = 200;
const pageSize = 1000;

export interface Visits {
  /** In the order they were entered. */
  list: Visit[];
  last: number;
  /** There are more than are held. */
  more: boolean;
}

const keyOf = (arn: string, path: string) => ['visits', arn, path] as const;

async function load(client: QueryClient, arn: string, path: string, signal: AbortSignal): Promise<Visits> {
  const list: Visit[] = [];
  let last = 0;
  let cursor: string | undefined;
  do {
    const page = await fetchVisits(arn, { payloads: 'none', limit: cursor ? pageSize : firstPage, ...(path ? { path } : {}), ...(cursor ? { cursor } : {}) }, signal);
    // What changes while pages are read is read again with the first change after.
    last ||= page.last_event;
    list.push(...page.visits);
    const first = cursor === undefined;
    cursor = page.next_cursor;
    if (first && cursor && !client.getQueryData(keyOf(arn, path))) client.setQueryData<Visits>(keyOf(arn, path), { list: [...list], last, more: true });
  } while (cursor && list.length < mostVisits);
  return { list, last, more: cursor !== undefined };
}

/** Reads what has changed since the last look, and puts it where it belongs. */
async function catchUp(client: QueryClient, arn: string, path: string): Promise<void> {
  const held = client.getQueryData<Visits>(keyOf(arn, path));
  if (!held) return;
  const changed: Visit[] = [];
  let last = 0;
  let cursor: string | undefined;
  do {
    const page = await fetchVisits(arn, { payloads: 'none', limit: pageSize, changed_since: held.last, ...(path ? { path } : {}), ...(cursor ? { cursor } : {}) });
    last ||= page.last_event;
    changed.push(...page.visits);
    cursor = page.next_cursor;
  } while (cursor && changed.length < mostVisits);
  client.setQueryData<Visits>(keyOf(arn, path), (now) => (now ? merge(now, changed, Math.max(last, now.last)) : now));
}

/** Puts changed visits among those that are held. */
export function merge(held: Visits, changed: Visit[], last: number): Visits {
  if (changed.length === 0) return last === held.last ? held : { ...held, last };
  const byId = new Map(held.list.map((v) => [v.id, v]));
  let more = held.more;
  for (const v of changed) {
    if (byId.has(v.id) || byId.size < mostVisits) byId.set(v.id, v);
    else more = true;
  }
  return { list: [...byId.values()].sort((a, b) => a.id - b.id), last, more };
}

/** At most this often an execution is looked at again, in milliseconds. */
const apart = 400;

/** The visits of an execution, of those below a path if one is given, kept fresh as long as it runs. */
export function useVisits(arn: string, running: boolean, path = '') {
  const client = useQueryClient();
  const visits = useQuery({ queryKey: keyOf(arn, path), queryFn: ({ signal }) => load(client, arn, path, signal), staleTime: Infinity, refetchOnWindowFocus: false });
  const stream = useStreamState();
  const busy = useRef(false);
  const again = useRef(false);
  const at = useRef(0);

  const refresh = () => {
    if (busy.current) {
      again.current = true;
      return;
    }
    busy.current = true;
    setTimeout(
      () => {
        at.current = Date.now();
        catchUp(client, arn, path)
          .catch(() => {}) // the next change, or the stream's return, tries again
          .finally(() => {
            busy.current = false;
            if (path === '') {
              for (const kind of ['execution', 'totals', 'history']) void client.invalidateQueries({ queryKey: [kind, arn] });
            }
            if (again.current) {
              again.current = false;
              refresh();
            }
          });
      },
      Math.max(0, at.current + apart - Date.now()),
    );
  };
  useEvents(['visit.changed', 'execution.status'], (event) => {
    if (event.type === 'resync' || (event.data as { arn?: string } | null)?.arn === arn) refresh();
  });
  // Without a stream it is looked at every few seconds.
  const poll = running && stream.is !== 'live';
  const latest = useRef(refresh);
  useEffect(() => {
    latest.current = refresh;
  });
  useEffect(() => {
    if (!poll) return;
    const timer = setInterval(() => latest.current(), 3000);
    return () => clearInterval(timer);
  }, [poll]);
  return visits;
}
