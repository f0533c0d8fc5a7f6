import { useInfiniteQuery, useQuery, useQueryClient, type InfiniteData } from '@tanstack/react-query';
import { useCallback, useEffect, useMemo, useRef } from 'react';
import { rest } from '../../api/http.ts';
import type { Row, State } from '../../api/board.ts';
import { useEvents } from '../../api/stream/client.ts';
import { parseFilter } from '../../kit/index.ts';
import { columnOf, columns, compareIn, type ColumnId } from './columns.ts';

const pageSize = 50;

interface ListPage {
  tasks: Row[];
  next_cursor?: string;
}

type ListData = InfiniteData<ListPage, unknown>;

export interface BoardFilter {
  /** The key of a project; '' is all of them. */
  project: string;
  /** As the filter bar has it. */
  text: string;
  mine: boolean;
  hideBlocked: boolean;
  ended: boolean;
}

export interface ColumnData {
  id: ColumnId;
  rows: Row[];
  count: number | undefined;
  hasMore: boolean;
  loadMore: () => void;
  loadingMore: boolean;
}

function queryOf(f: BoardFilter, column: (typeof columns)[number]): Record<string, string | number | undefined> {
  const terms = parseFilter(f.text);
  const term = (name: string) => terms.find((t) => t.name === name)?.value;
  const words = terms.filter((t) => t.name === '').map((t) => t.value).join(' ');
  const agent = term('agent');
  const begun = column.id === 'in_progress';
  return {
    project: f.project || undefined,
    status: begun && f.hideBlocked ? 'in_progress' : column.states.join(','),
    assignee: f.mine ? 'me' : agent && agent !== 'none' ? `@${agent.replace(/^@/, '')}` : agent,
    label: term('label'),
    machine: term('machine'),
    q: words || undefined,
    gate: f.hideBlocked && (column.id === 'inbox' || column.id === 'assigned') ? 'open' : undefined,
    sort: column.ended ? 'updated' : 'rank',
    cards: 1,
  };
}

// The rows of a column stay the same list as long as its data does, so that what
// shows them need not be drawn again.
const flat = new WeakMap<ListData, Row[]>();

function rowsOf(data: ListData | undefined): Row[] {
  if (!data) return none;
  let rows = flat.get(data);
  if (!rows) {
    rows = data.pages.flatMap((p) => p.tasks);
    flat.set(data, rows);
  }
  return rows;
}

const none: Row[] = [];

/** The columns of a board, and what keeps them in step with the server. */
export function useBoard(filter: BoardFilter) {
  const client = useQueryClient();
  const filtered = filter.text !== '' || filter.mine || filter.hideBlocked;
  const shown = columns.filter((c) => filter.ended || (c.id !== 'failed' && c.id !== 'cancelled'));
  const keyOf = useCallback((id: ColumnId) => ['board', filter.project, filter.text, filter.mine, filter.hideBlocked, id] as const, [filter.project, filter.text, filter.mine, filter.hideBlocked]);

  // One query for each column; the list of columns never changes its length.
  const queries = columns.map((c) =>
    // eslint-disable-next-line react-hooks/rules-of-hooks
    useInfiniteQuery({
      queryKey: keyOf(c.id),
      enabled: shown.some((s) => s.id === c.id),
      initialPageParam: '',
      staleTime: 60_000,
      queryFn: ({ pageParam, signal }) => rest<ListPage>('/tasks', { query: { ...queryOf(filter, c), limit: pageSize, cursor: pageParam }, signal }),
      getNextPageParam: (last) => last.next_cursor,
    }),
  );
  const counts = useQuery({
    queryKey: ['board', filter.project, 'counts'],
    enabled: filter.project !== '',
    queryFn: async ({ signal }) => (await rest<{ counts: Partial<Record<State, number>> }>(`/projects/${encodeURIComponent(filter.project)}/counts`, { signal })).counts,
  });

  /** Puts rows where they belong, and takes them away from where they were. */
  const merge = useCallback(
    (rows: readonly Row[], gone: readonly string[] = []) => {
      const ids = new Set([...rows.map((r) => r.id), ...gone]);
      for (const c of columns) {
        client.setQueryData<ListData>(keyOf(c.id), (old) => {
          if (!old) return old;
          const mine = rows.filter((r) => columnOf(r.state) === c.id);
          if (mine.length === 0 && !old.pages.some((p) => p.tasks.some((t) => ids.has(t.id)))) return old;
          const pages = old.pages.map((p) => ({ ...p, tasks: p.tasks.filter((t) => !ids.has(t.id)) }));
          const compare = compareIn(c.id);
          const more = pages.at(-1)?.next_cursor !== undefined;
          for (const r of mine) {
            let done = false;
            for (const p of pages) {
              const at = p.tasks.findIndex((t) => compare(r, t) < 0);
              if (at >= 0) {
                p.tasks = [...p.tasks.slice(0, at), r, ...p.tasks.slice(at)];
                done = true;
                break;
              }
            }
            // Behind all that is there: it is in a page that has not been read yet, if there is one.
            const last = pages.at(-1);
            if (!done && !more && last) last.tasks = [...last.tasks, r];
          }
          return { ...old, pages };
        });
      }
    },
    [client, keyOf],
  );

  const all = useMemo(() => queries.flatMap((q) => rowsOf(q.data)), queries.map((q) => q.data));
  const newest = useRef('');
  for (const r of all) if (r.updated_at > newest.current) newest.current = r.updated_at;

  // A page that is on its way is not given up for it: what came meanwhile is read after it.
  const again = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const refreshAll = useCallback(() => {
    clearTimeout(again.current);
    const queryKey = ['board', filter.project];
    if (client.isFetching({ queryKey }) > 0) again.current = setTimeout(() => void client.invalidateQueries({ queryKey }, { cancelRefetch: false }), 700);
    else void client.invalidateQueries({ queryKey });
  }, [client, filter.project]);
  useEffect(() => () => clearTimeout(again.current), []);
  const refresh = useCallback(
    async (also: readonly string[] = []) => {
      void client.invalidateQueries({ queryKey: ['board', filter.project, 'counts'] });
      if (filtered || newest.current === '') {
        refreshAll();
        return;
      }
      // What has changed since the newest that is here, with a little overlap.
      const since = new Date(Date.parse(newest.current) - 2000).toISOString();
      const page = await rest<ListPage>('/tasks', { query: { project: filter.project, sort: 'updated', updated_since: since, cards: 1, limit: 200 } });
      if (page.next_cursor) {
        refreshAll();
        return;
      }
      merge(page.tasks);
      const missing = also.filter((key) => !page.tasks.some((t) => t.key === key));
      if (missing.length > 0) {
        // Comments and notes do not count as changes of the task.
        const some = await Promise.all(
          missing.slice(0, 10).map((key) => rest<ListPage>('/tasks', { query: { project: filter.project, q: key, cards: 1, limit: 20 } }).then((p) => p.tasks.filter((t) => t.key === key), () => [])),
        );
        merge(some.flat());
      }
    },
    [client, filter.project, filtered, merge, refreshAll],
  );

  // Events come in bursts: the first is followed at once, the rest together.
  const due = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const last = useRef(0);
  const touched = useRef(new Set<string>());
  const latest = useRef(refresh);
  useEffect(() => {
    latest.current = refresh;
  });
  useEffect(() => () => clearTimeout(due.current), []);
  useEvents(['task.', 'review.', 'comment.', 'attempt.'], (event) => {
    if (event.type === 'resync') {
      refreshAll();
      return;
    }
    const data = event.data as { key?: string; task?: string } | undefined;
    if (event.type === 'task.deleted' && data?.task) {
      merge([], [data.task]);
      return;
    }
    if (data?.key && (!filter.project || data.key.startsWith(`${filter.project}-`))) touched.current.add(data.key);
    else if (filter.project && data?.key) return;
    if (due.current !== undefined) return;
    // What is filtered is read again as a whole; else only what has changed is asked for.
    const wait = Math.max(30, last.current + (filtered ? 1000 : 400) - Date.now());
    due.current = setTimeout(() => {
      due.current = undefined;
      last.current = Date.now();
      const keys = [...touched.current];
      touched.current.clear();
      void latest.current(keys).catch(() => refreshAll());
    }, wait);
  });

  const data: ColumnData[] = shown.map((c) => {
    const i = columns.indexOf(c);
    const q = queries[i]!;
    const rows = rowsOf(q.data);
    const known = counts.data && !filtered ? c.states.reduce((n, st) => n + (counts.data[st] ?? 0), 0) : undefined;
    return { id: c.id, rows, count: known ?? (q.hasNextPage ? undefined : rows.length), hasMore: q.hasNextPage, loadMore: () => void q.fetchNextPage(), loadingMore: q.isFetchingNextPage };
  });
  return {
    columns: data,
    all,
    filtered,
    loading: shown.some((c) => queries[columns.indexOf(c)]!.isPending),
    error: shown.map((c) => queries[columns.indexOf(c)]!.error).find((e) => e !== null) ?? null,
    retry: refreshAll,
    merge,
    refresh,
    inProgress: counts.data?.in_progress,
  };
}

export type Board = ReturnType<typeof useBoard>;
