import { expect, it } from 'vitest';
import { formatFilter, parseFilter } from './filters.ts';

it('reads names, values, quotes and words', () => {
  expect(parseFilter('status:failed error:States.Timeout started:>2h input.customer:42 "two words" name:"a \\"b\\""')).toEqual([
    { name: 'status', value: 'failed' },
    { name: 'error', value: 'States.Timeout' },
    { name: 'started', value: '>2h' },
    { name: 'input.customer', value: '42' },
    { name: '', value: 'two words' },
    { name: 'name', value: 'a "b"' },
  ]);
});

it('writes what it reads', () => {
  for (const value of ['plain', 'two words', 'a"b', 'a\\b', 'name:value', '']) {
    for (const name of ['', 'status']) expect(parseFilter(formatFilter([{ name, value }]))).toEqual([{ name, value }]);
  }
});
