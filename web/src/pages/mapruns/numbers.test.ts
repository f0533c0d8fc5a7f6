import { expect, it } from 'vitest';
import { addSample, failureLimit, nextOf, percent, rateOf, statusesOf, statusOfBucket, type Sample } from './numbers.ts';

const items = { pending: 0, running: 0, succeeded: 0, failed: 0, timed_out: 0, aborted: 0, total: 200, results_written: 0 };

it('takes the smaller of two limits', () => {
  expect(failureLimit({ tolerated_failure_count: 50, tolerated_failure_percentage: 5, items })).toBe(10);
  expect(failureLimit({ tolerated_failure_count: 3, tolerated_failure_percentage: null, items })).toBe(3);
  expect(failureLimit({ tolerated_failure_count: 0, tolerated_failure_percentage: 0, items })).toBe(0);
});

it('rounds shares without lying', () => {
  expect(percent(1, 10_000)).toBe('<0.1 %');
  expect(percent(9999, 10_000)).toBe('>99.9 %');
  expect(percent(1, 3)).toBe('33 %');
  expect(percent(1, 16)).toBe('6.3 %');
  expect(percent(0, 0)).toBe('0 %');
});

it('reads cells', () => {
  expect(statusesOf('s fr')).toEqual(['SUCCEEDED', 'not_started', 'FAILED', 'RUNNING']);
  expect(statusOfBucket({ running: 3, succeeded: 9, failed: 1, timed_out: 0, aborted: 0 })).toBe('FAILED');
});

it('knows the pace of now, and before that the average', () => {
  let samples: Sample[] = addSample([], { at: 10_000, ended: 100 });
  expect(rateOf(samples, 100, 0, 10_000)).toEqual({ rate: 10, now: false });
  samples = addSample(samples, { at: 15_000, ended: 350 });
  expect(rateOf(samples, 350, 0, 15_000)).toEqual({ rate: 50, now: true });
  // When nothing ends any more, the pace of now is nought.
  expect(rateOf(samples, 350, 0, 60_000)).toEqual({ rate: 0, now: true });
  samples = addSample(samples, { at: 90_000, ended: 380 });
  expect(samples).toHaveLength(2);
  expect(rateOf(samples, 380, 0, 90_000)).toEqual({ rate: 1, now: true });
  // A redrive counts less as ended than before: the samples begin anew.
  expect(addSample(samples, { at: 16_000, ended: 10 })).toEqual([{ at: 16_000, ended: 10 }]);
});

it('goes around', () => {
  expect(nextOf([2, 5, 9], 5, 1)).toBe(9);
  expect(nextOf([2, 5, 9], 9, 1)).toBe(2);
  expect(nextOf([2, 5, 9], -1, -1)).toBe(9);
  expect(nextOf([], 1, 1)).toBeUndefined();
});
