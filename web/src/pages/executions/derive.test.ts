import { expect, it } from 'vitest';
import type { StateTotals, Visit } from '../../api/executions.ts';
import { interesting, iterationsOf, nodeStatuses, redrives, timelineRows, walkedEdges } from './derive.ts';
import { merge } from './useVisits.ts';

let id = 0;
function visit(path: string, status: Visit['status'], more: Partial<Visit> = {}): Visit {
  const node = path.replace(/^(Each|.*\/Each)#\d+/g, (_, m: string) => `${m}#0`);
  return {
    id: ++id, path, node, state: path.slice(path.lastIndexOf('/') + 1), type: 'Task', entered_at: '2026-01-01T00:00:00Z', exited_at: status === 'running' ? null : '2026-01-01T00:00:01Z',
    status, attempts: [], first_event: id, last_event: id, redrive: 0, ...more,
  };
}

const visits = [visit('A', 'succeeded'), visit('Each', 'running', { type: 'Map' }), visit('Each#0/B', 'succeeded', { iteration: 0 }), visit('Each#2/B', 'failed', { iteration: 2, error: 'Boom' }), visit('Each#1/B', 'running', { iteration: 1 })];
const totals: StateTotals[] = ['A', 'Each', 'Each#0/B'].map((node) => {
  const of = visits.filter((v) => v.node === node);
  const by: Record<string, number> = {};
  for (const v of of) by[v.status] = (by[v.status] ?? 0) + 1;
  return { state: node, node, type: 'Task', visits: of.length, by_status: by, attempts: 0, p50_ms: null, p95_ms: null, max_ms: null, errors: {} };
});

it('shows what is open before what has ended', () => {
  const got = nodeStatuses(totals, visits);
  expect(got.get('A')).toEqual({ status: 'succeeded', visits: 1, note: '1.0 s' });
  expect(got.get('Each#0/B')).toEqual({ status: 'running', visits: 3, note: '1 running, 1 failed' });
});

it('shows one iteration alone', () => {
  const got = nodeStatuses(totals, visits, { node: 'Each', visits: [visits[3]!] });
  expect(got.get('Each#0/B')).toEqual({ status: 'failed', visits: 1, note: 'Boom' });
  expect(got.get('Each')!.status).toBe('running');
});

it('finds iterations, failed ones first', () => {
  expect(iterationsOf(visits, 'Each').map((i) => [i.index, i.status, i.path])).toEqual([[2, 'failed', 'Each#2'], [0, 'succeeded', 'Each#0'], [1, 'running', 'Each#1']]);
});

it('knows which edges were walked', () => {
  expect([...walkedEdges([...visits, visit('C', 'succeeded')])]).toEqual(['A→Each', 'Each→C']);
});

it('looks at what failed, and else at what runs innermost', () => {
  expect(interesting(visits, visits[3])).toBe('Each#0/B');
  expect(interesting(visits, undefined)).toBe('Each#0/B');
  expect(interesting([visits[0]!], undefined)).toBe('A');
});

it('draws a bar for each attempt', () => {
  const v = visit('A', 'running', { attempts: [{ n: 1, started_at: '2026-01-01T00:00:00Z', ended_at: '2026-01-01T00:00:01Z', status: 'failed', error: 'E', redrive: 0, event: 2 }, { n: 2, started_at: '2026-01-01T00:00:03Z', ended_at: null, status: 'running', redrive: 0, event: 4 }] });
  expect(timelineRows([v])[0]!.bars.map((b) => [b.status, b.to === undefined])).toEqual([['caught', false], ['running', true]]);
});

it('merges what has changed', () => {
  const held = { list: [visits[0]!, visits[1]!], last: 3, more: false };
  const done = { ...visits[1]!, status: 'succeeded' as const };
  const got = merge(held, [done, visits[2]!], 9);
  expect(got.list.map((v) => v.status)).toEqual(['succeeded', 'succeeded', 'succeeded']);
  expect(got.last).toBe(9);
});

it('redrives are bands from one to the next', () => {
  const attempt = (redrive: number, at: string) => ({ n: 1, started_at: at, ended_at: at, status: 'failed' as const, redrive, event: 1 });
  const at = (s: number) => `2026-03-01T00:00:0${s}Z`;
  const visits = [{ attempts: [attempt(0, at(0)), attempt(1, at(3)), attempt(2, at(6))] }] as never;
  const bands = redrives(visits, { redrives: 2, redriven_at: at(5) }, Date.parse(at(9)));
  expect(bands.map((b) => [b.label, b.from, b.to])).toEqual([
    ['Redrive 1', Date.parse(at(3)), Date.parse(at(5))],
    ['Redrive 2', Date.parse(at(5)), Date.parse(at(9))],
  ]);
});
