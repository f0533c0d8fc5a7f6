import { describe, expect, it } from 'vitest';
import type { Graph, Me, Row } from '../../api/board.ts';
import { criticalPath } from './critical.ts';
import { moveTo } from './moves.ts';
import { rankBetween } from './ranks.ts';

describe('ranks', () => {
  it.each([
    ['', 'i000001'], ['i000001', 'i000002'], ['i000001', undefined], ['', undefined], ['a', 'b'], ['az', 'b'], ['i00000z', 'i000010'],
  ] as const)('there is one between %j and %j', (before, after) => {
    const rank = rankBetween(before, after);
    expect(rank > before).toBe(true);
    if (after !== undefined) expect(rank < after).toBe(true);
  });
  it('there is room for many at one place', () => {
    let after = rankBetween('i000001', 'i000002');
    for (let i = 0; i < 100; i++) {
      const next = rankBetween('i000001', after);
      expect(next > 'i000001' && next < after).toBe(true);
      after = next;
    }
    expect(after.length).toBeLessThan(64);
  });
});

const me = (rank: 'admin' | 'member' | 'viewer'): Me => ({
  party: 'user:me',
  writes: () => rank !== 'viewer',
  edits: (_, t) => rank === 'admin' || (rank === 'member' && (!t.assignee || t.assignee === 'user:me')),
  manages: () => rank === 'admin',
});
const row = (more: Partial<Row>): Row => ({
  id: '1', key: 'WEB-1', title: 't', state: 'inbox', version: 1, project: 'p', priority: 'normal', review_mode: 'human', created_at: '', created_by: 'user:x', updated_at: '', state_since: '', round: 0, max_attempts: 3, ...more,
});
const at = (role: 'admin' | 'member' | 'viewer' = 'admin', inProgress = 0) => ({ me: me(role), inProgress, limit: 2, assignee: 'Writer' });

describe('moves', () => {
  it('go by the events of the transition table', () => {
    expect(moveTo(row({}), 'assigned', at())).toEqual({ event: 'assign' });
    expect(moveTo(row({}), 'in_progress', at())).toEqual({ event: 'claim' });
    expect(moveTo(row({ state: 'assigned', assignee: 'agent:a' }), 'inbox', at())).toEqual({ event: 'unassign' });
    expect(moveTo(row({ state: 'in_progress', assignee: 'user:me' }), 'review', at())).toEqual({ event: 'submit' });
    expect(moveTo(row({ state: 'in_progress', assignee: 'user:me', review_mode: 'none' }), 'done', at())).toEqual({ event: 'finish' });
    expect(moveTo(row({ state: 'review', assignee: 'agent:a' }), 'done', at())).toEqual({ event: 'approve' });
    expect(moveTo(row({ state: 'review', assignee: 'agent:a' }), 'assigned', at())).toEqual({ event: 'changes' });
    expect(moveTo(row({ state: 'blocked', assignee: 'agent:a' }), 'assigned', at())).toEqual({ event: 'unblock' });
    expect(moveTo(row({ state: 'done', assignee: 'agent:a' }), 'assigned', at())).toEqual({ event: 'reopen' });
  });
  it('that cannot be say why', () => {
    const why = (t: Partial<Row>, to: Parameters<typeof moveTo>[1], a = at()) => (moveTo(row(t), to, a) as { refused: string }).refused;
    expect(why({ gate: { open: false, waiting_on: ['WEB-7'], reason: 'dependency' } }, 'in_progress')).toMatch('WEB-7');
    expect(why({ state: 'assigned', assignee: 'agent:a' }, 'in_progress')).toMatch('Writer');
    expect(why({}, 'in_progress', at('admin', 2))).toMatch('limit');
    expect(why({}, 'assigned', at('viewer'))).toMatch('role');
    expect(why({ assignee: 'agent:a', state: 'assigned' }, 'inbox', at('member'))).toMatch('role');
    expect(why({}, 'done')).toMatch('no way');
    expect(why({ state: 'in_progress', assignee: 'agent:a' }, 'review')).toMatch('Writer');
  });
});

describe('the critical path', () => {
  const g = (edges: [string, string, boolean?][], done: string[] = []): Graph => ({
    tasks: [...new Set(edges.flatMap((e) => [e[0], e[1]]))].map((id) => ({ id, key: id, title: id, state: done.includes(id) ? 'done' : 'inbox' })),
    edges: edges.map(([task, on, met]) => ({ task, depends_on: on, until: 'approved', met: met ?? false })),
  });
  it('is the longest chain of open work', () => {
    expect(criticalPath(g([['b', 'a'], ['c', 'b'], ['d', 'a']]))).toEqual(['a', 'b', 'c']);
  });
  it('leaves out what is done or met', () => {
    expect(criticalPath(g([['b', 'a', true], ['c', 'b']], ['a']))).toEqual(['b', 'c']);
    expect(criticalPath(g([]))).toEqual([]);
  });
});
