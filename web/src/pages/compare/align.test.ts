import { expect, it } from 'vitest';
import type { Visit } from '../../api/executions.ts';
import { align } from './align.ts';

let id = 0;
const visit = (path: string, more: Partial<Visit> = {}): Visit =>
  ({ id: ++id, path, node: path, state: path, type: 'Pass', status: 'succeeded', entered_at: '2026-01-01T00:00:00Z', exited_at: '2026-01-01T00:00:01Z', attempts: [], first_event: 1, last_event: 2, redrive: 0, ...more }) as Visit;
const json = (value: unknown) => ({ text: JSON.stringify(value), bytes: 10, url: '' });

it('puts visits of the same path beside each other', () => {
  const pairs = align([visit('A'), visit('B'), visit('B'), visit('D')], [visit('A'), visit('B'), visit('C'), visit('D')]);
  expect(pairs.map((p) => [p.key, p.differs])).toEqual([['A 1', []], ['B 1', []], ['C 1', ['onlyB']], ['B 2', ['onlyA']], ['D 1', []]]);
});

it('marks what differs, and not the order of members', () => {
  const [same, other] = align(
    [visit('A', { input: json({ x: 1, y: 2 }) }), visit('B', { status: 'failed', error: 'E', output: json(1) })],
    [visit('A', { input: json({ y: 2, x: 1 }) }), visit('B', { output: json(2) })],
  );
  expect(same!.differs).toEqual([]);
  expect(other!.differs).toEqual(['status', 'error', 'output']);
});

it('shows all of two that have nothing in common', () => {
  expect(align([visit('A')], [visit('X'), visit('Y')]).map((p) => p.key)).toEqual(['X 1', 'Y 1', 'A 1']);
  expect(align([], [])).toEqual([]);
});
