import type { StateTotals, Visit } from '../../api/executions.ts';
import type { GanttBar, GanttRow } from '../../kit/Gantt.tsx';
import type { NodeStatus } from '../../graph/status.ts';
import { statusText } from '../../kit/StatusBadge.tsx';
import { formatDuration } from '../../kit/format.ts';
import { executions as t } from '../../strings/executions.ts';

/** The status of a visit as the console shows it: who waits for a person is marked as such. */
export function shownStatus(v: Pick<Visit, 'status' | 'waiting_for'>): string {
  return v.status === 'waiting' && v.waiting_for === 'review' ? 'waiting_for_person' : v.status;
}

const open = ['retrying', 'waiting', 'running'] as const;

/**
 * What the graph shows at each node: from sums over all visits, and from the newest
 * visit that is known. Under the paths of within only those visits count, such as
 * one iteration of a Map.
 */
export function nodeStatuses(totals: readonly StateTotals[], visits: readonly Visit[], within?: { node: string; visits: readonly Visit[] }): Map<string, NodeStatus> {
  const out = new Map<string, NodeStatus>();
  const newest = new Map<string, Visit>();
  for (const v of visits) newest.set(v.node, v);
  for (const s of totals) {
    const last = newest.get(s.node);
    out.set(s.node, statusOf(s.by_status, s.visits, last));
  }
  if (within) {
    for (const id of out.keys()) if (id.startsWith(`${within.node}#`)) out.delete(id);
    const byNode = new Map<string, Visit[]>();
    for (const v of within.visits) byNode.set(v.node, [...(byNode.get(v.node) ?? []), v]);
    for (const [node, list] of byNode) {
      const by: Record<string, number> = {};
      for (const v of list) by[v.status] = (by[v.status] ?? 0) + 1;
      out.set(node, statusOf(by, list.length, list.at(-1)));
    }
  }
  return out;
}

function statusOf(by: Record<string, number>, visits: number, last: Visit | undefined): NodeStatus {
  const many = visits > 1;
  const active = open.find((s) => (by[s] ?? 0) > 0);
  const counted = (status: string) => t.byStatus(by[status]!, statusText(status).toLowerCase());
  let status: string;
  let note = '';
  if (active) {
    status = active;
    if (active === 'waiting') {
      status = last?.status === 'waiting' ? shownStatus(last) : 'waiting';
      note = t.waits[last?.waiting_for ?? ''] ?? statusText('waiting').toLowerCase();
    } else if (active === 'retrying' && last) note = t.attempt(last.attempts.length, last.attempts.length).toLowerCase();
    else note = many ? counted(active) : statusText(active).toLowerCase();
    if (many && by.failed) note += `, ${counted('failed')}`;
  } else {
    const iterated = last?.iteration !== undefined || last?.branch !== undefined;
    status = many && iterated && by.failed ? 'failed' : (last?.status ?? Object.keys(by)[0] ?? 'not_started');
    if (many && (by.failed || by.caught)) note = [by.failed && counted('failed'), by.caught && counted('caught')].filter(Boolean).join(', ');
    else if (status === 'failed' || status === 'caught') note = last?.error ?? statusText(status).toLowerCase();
    else if (last?.exited_at) note = formatDuration(Date.parse(last.exited_at) - Date.parse(last.entered_at));
  }
  return { status, visits, ...(note ? { note } : {}) };
}

/** The edges that were walked: those between visits that follow each other in one scope. */
export function walkedEdges(visits: readonly Visit[]): Set<string> {
  const before = new Map<string, Visit>();
  const out = new Set<string>();
  for (const v of visits) {
    const scope = v.path.slice(0, v.path.length - v.state.length);
    const last = before.get(scope);
    if (last) out.add(`${last.node}→${v.node}`);
    before.set(scope, v);
  }
  return out;
}

/** The node to look at: what failed, else what waits for a person, else what runs, else the last. */
export function interesting(visits: readonly Visit[], failed: Visit | undefined): string | undefined {
  if (failed) return failed.node;
  const open = visits.filter((v) => !v.exited_at && v.status !== 'failed' && v.status !== 'aborted');
  // Innermost first: a container runs because something in it does.
  open.sort((a, b) => b.path.length - a.path.length || b.id - a.id);
  return (open.find((v) => shownStatus(v) === 'waiting_for_person') ?? open[0] ?? visits.at(-1))?.node;
}

const hatched = new Set(['waiting']);

/** Rows of the timeline: one for each state, with a bar for each attempt, or for the visit where it has none. */
export function timelineRows(visits: readonly Visit[]): GanttRow[] {
  const rows = new Map<string, GanttRow>();
  for (const v of visits) {
    let row = rows.get(v.node);
    if (!row) rows.set(v.node, (row = { id: v.node, label: v.state, depth: v.node.split('/').length - 1, bars: [] }));
    row.bars.push(...barsOf(v));
  }
  return [...rows.values()];
}

function barsOf(v: Visit): GanttBar[] {
  const where = v.iteration === undefined ? v.state : `${v.state} ${t.iteration(v.iteration)}`;
  const bar = (n: string, from: string, to: string | null, status: string, what: string): GanttBar => {
    const [a, b] = [Date.parse(from), to ? Date.parse(to) : undefined];
    return {
      id: `${v.id}${n}`,
      from: a,
      ...(b === undefined ? {} : { to: b }),
      status,
      title: [`${where}: ${what}`, b !== undefined && formatDuration(b - a)].filter(Boolean).join(', '),
      ...(hatched.has(v.status) || v.type === 'Wait' || v.waiting_for === 'timer' ? { waits: true } : {}),
    };
  };
  const status = shownStatus(v);
  if (v.attempts.length < 2) return [bar('', v.entered_at, v.exited_at, status, statusText(status))];
  return v.attempts.map((a, i) => {
    const last = i === v.attempts.length - 1;
    const is = last && !a.ended_at ? status : a.status === 'failed' || a.status === 'timed_out' ? (last && v.status === 'failed' ? 'failed' : 'caught') : a.status;
    return bar(`.${a.n}`, a.started_at, a.ended_at, is, `${t.attemptNo(a.n)}, ${a.error ?? statusText(a.status)}`);
  });
}

/** Iterations of a Map that visits tell of, failed ones first. */
export function iterationsOf(visits: readonly Visit[], node: string): { index: number; status: string; path: string }[] {
  const found = new Map<string, { index: number; status: string; path: string }>();
  const rank: Record<string, number> = { failed: 0, caught: 1, retrying: 2, waiting: 3, running: 4, aborted: 5, succeeded: 6 };
  for (const v of visits) {
    if (!v.node.startsWith(`${node}#0/`)) continue;
    // The part of the path up to this Map's iteration.
    const depth = node.split('/').length;
    const path = v.path.split('/').slice(0, depth).join('/');
    const index = Number(path.slice(path.lastIndexOf('#') + 1));
    const before = found.get(path);
    if (!before) found.set(path, { index, status: v.status, path });
    else if ((rank[v.status] ?? 9) < (rank[before.status] ?? 9)) before.status = v.status;
  }
  return [...found.values()].sort((a, b) => Number(b.status === 'failed') - Number(a.status === 'failed') || a.index - b.index);
}

/**
 * When each redrive began, up to the next one or the end. The last one is known;
 * earlier ones begin with the first attempt that was made in them.
 */
export function redrives(visits: readonly Visit[], x: { redrives: number; redriven_at: string | null }, end: number): { from: number; to: number; label: string }[] {
  const began = new Map<number, number>();
  for (const v of visits) for (const a of v.attempts) if (a.redrive > 0) began.set(a.redrive, Math.min(began.get(a.redrive) ?? Infinity, Date.parse(a.started_at)));
  if (x.redriven_at) began.set(x.redrives, Date.parse(x.redriven_at));
  const list = [...began].sort((a, b) => a[0] - b[0]);
  return list.map(([n, from], i) => ({ from, to: list[i + 1]?.[1] ?? end, label: t.redriveNo(n) }));
}

/** The timeline in a sentence or two. */
export function timelineSummary(visits: readonly Visit[], rows: readonly GanttRow[], end: number, more: boolean): string {
  const failed = visits.filter((v) => v.status === 'failed').length;
  const again = visits.filter((v) => v.attempts.length > 1).length;
  let longest: { state: string; took: number } | undefined;
  for (const v of visits) {
    const took = (v.exited_at ? Date.parse(v.exited_at) : end) - Date.parse(v.entered_at);
    if (!longest || took > longest.took) longest = { state: v.state, took };
  }
  return t.timelineText(rows.length, visits.length, more, failed, again, longest?.state ?? '', longest ? formatDuration(longest.took) : '');
}
