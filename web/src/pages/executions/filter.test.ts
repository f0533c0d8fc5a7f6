import { expect, it } from 'vitest';
import { parseFilter } from '../../kit/filters.ts';
import { parseSpan, toSearch } from './filter.ts';

const now = Date.parse('2026-03-14T12:00:00Z');
const read = (text: string) => toSearch(parseFilter(text), now);

it('asks the server for what is typed', () => {
  expect(read('status:failed machine:orders error:States.Timeout input.customer.id:42 run-').filter).toEqual({ status: 'FAILED', machine: 'orders', error: 'States.Timeout', input: 'customer.id:42', name: 'run-' });
  expect(read('status:failed status:aborted').filter.status).toBe('FAILED,ABORTED');
  expect(read('started:<2h').filter).toEqual({ from: '2026-03-14T10:00:00.000Z' });
  expect(read('started:>3d').filter).toEqual({ to: '2026-03-11T12:00:00.000Z' });
  expect(read('started:>2026-03-01').filter).toEqual({ from: '2026-03-01T00:00:00.000Z' });
  expect(read('took:>1.5s').filter).toEqual({ min_duration_ms: '1500' });
});

it('names what it cannot read', () => {
  expect(read('status:nope started:yesterday took:5 colour:red').bad.map((t) => t.name)).toEqual(['status', 'started', 'took', 'colour']);
  expect(parseSpan('2 h')).toBeUndefined();
});
