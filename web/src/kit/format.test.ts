import { expect, it } from 'vitest';
import { exactMoney, formatAgo, formatDuration, formatMoney, formatShort, moneyField, readMoney, shorten } from './format.ts';

it('writes money as people read it', () => {
  expect(formatMoney(1_840_000_000)).toBe('$1.84');
  expect(formatMoney(12_345_678_900_000)).toBe('$12,345.68');
  expect(formatMoney(9_900_000)).toBe('$0.0099');
  expect(formatMoney(1_000)).toBe('<$0.0001');
  expect(formatMoney(0)).toBe('$0.00');
  expect(formatMoney(-1_500_000_000)).toBe('−$1.50');
  expect(formatMoney(9_999_999)).toBe('$0.0100');
  expect(formatMoney('9007199254740993010000000')).toBe('$9,007,199,254,740,993.01');
});

it('loses no nano-dollar of what a number cannot hold', () => {
  expect(exactMoney('9007199254740993')).toBe('$9,007,199.254740993');
  expect(exactMoney(1_840_000_000)).toBe('$1.84');
  expect(moneyField(12_500_000_000)).toBe('12.5');
  expect(moneyField(20_000_000_000)).toBe('20');
  expect(readMoney('$9,007,199.254740993')).toBe(9007199254740993n);
  expect(readMoney('0.1')).toBe(100_000_000n);
  expect([readMoney(''), readMoney('1e3'), readMoney('1.0000000001'), readMoney('-1')]).toEqual([undefined, undefined, undefined, undefined]);
});

it('writes counts without much room', () => {
  expect([7, 999, 1000, 12_400, 999_960, 3_100_000, 2e9].map(formatShort)).toEqual(['7', '999', '1 K', '12.4 K', '1 M', '3.1 M', '2 B']);
});

it('writes spans of time', () => {
  expect([0, 999, 1000, 59_999, 60_000, 125_000, 3_600_000, 11_520_000, 86_400_000, 187_200_000].map(formatDuration)).toEqual([
    '0 ms', '999 ms', '1.0 s', '59.9 s', '1 min', '2 min 5 s', '1 h', '3 h 12 min', '1 d', '2 d 4 h',
  ]);
});

it('is relative below an hour only', () => {
  const now = Date.UTC(2026, 0, 2, 12);
  expect(formatAgo(new Date(now - 5_500), now)).toBe('5 s ago');
  expect(formatAgo(new Date(now - 12 * 60_000), now)).toBe('12 min ago');
  expect(formatAgo(new Date(now - 2 * 3_600_000), now)).toMatch(/^\d\d:\d\d:\d\d$/);
});

it('keeps both ends of an id', () => {
  expect(shorten('short')).toBe('short');
  expect(shorten('arn:aws:states:us-east-1:123456789012:execution:m:run-1', 20)).toMatch(/^arn:.*…:?.*run-1$/);
  expect(shorten('x'.repeat(50), 20)).toHaveLength(20);
});
