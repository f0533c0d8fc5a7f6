import type { Bucket, Counts, MapRun } from '../../api/mapruns.ts';
import { formatCount } from '../../kit/format.ts';
import { mapruns as t } from '../../strings/mapruns.ts';

/** The statuses of items in the order pages have them. */
export const parts = ['succeeded', 'running', 'failed', 'timed_out', 'aborted', 'pending'] as const;
export type Part = (typeof parts)[number];

/** What counts against the tolerated failures. */
export const failedOf = (c: Counts): number => c.failed + c.timed_out;

/** What has ended, in whichever way. */
export const endedOf = (c: Counts): number => c.succeeded + c.failed + c.timed_out + c.aborted;

/** How many failures a run takes, in items: the smaller of its two limits. */
export function failureLimit(run: Pick<MapRun, 'tolerated_failure_count' | 'tolerated_failure_percentage' | 'items'>): number {
  const [count, share] = [run.tolerated_failure_count, run.tolerated_failure_percentage];
  if (!count && !share) return 0;
  return Math.min(count ? count : Infinity, share ? Math.floor((share * run.items.total) / 100) : Infinity);
}

export function limitText(run: Pick<MapRun, 'tolerated_failure_count' | 'tolerated_failure_percentage'>): string {
  const [count, share] = [run.tolerated_failure_count, run.tolerated_failure_percentage];
  const said = [...(count ? [t.limitCount(formatCount(count))] : []), ...(share ? [t.limitShare(String(share))] : [])];
  return said.length === 2 ? t.limitBoth(said[0]!, said[1]!) : (said[0] ?? '');
}

/** A share as people read it: never 0 % of something that is there, nor 100 % with something missing. */
export function percent(n: number, of: number): string {
  if (of <= 0) return '0 %';
  const p = (n / of) * 100;
  if (p > 0 && p < 0.1) return '<0.1 %';
  if (p < 100 && p > 99.9) return '>99.9 %';
  return `${p < 10 && p % 1 !== 0 ? p.toFixed(1) : Math.round(p)} %`;
}

const letters: Record<string, string> = { r: 'RUNNING', s: 'SUCCEEDED', f: 'FAILED', t: 'TIMED_OUT', a: 'ABORTED' };

export const statusesOf = (cells: string): string[] => Array.from(cells, (c) => letters[c] ?? 'not_started');

/** The status of a group is the one that needs attention most. */
export function statusOfBucket(b: Bucket): string {
  if (b.failed > 0) return 'FAILED';
  if (b.timed_out > 0) return 'TIMED_OUT';
  if (b.running > 0) return 'RUNNING';
  if (b.aborted > 0) return 'ABORTED';
  return b.succeeded > 0 ? 'SUCCEEDED' : 'not_started';
}

export interface Sample {
  at: number;
  ended: number;
}

/** What happened longer ago says nothing of now, in milliseconds. */
const recent = 30_000;

/** Adds a sample, and forgets old ones but for the last of them. */
export function addSample(samples: readonly Sample[], next: Sample): Sample[] {
  if (samples.length > 0 && samples.at(-1)!.ended > next.ended) return [next];
  const keep = samples.findLastIndex((s) => next.at - s.at >= recent);
  return [...samples.slice(Math.max(keep, 0)), next];
}

/** Items per second: of the last half minute where the samples tell it, else since the start. */
export function rateOf(samples: readonly Sample[], ended: number, startedAt: number, now: number): { rate: number; now: boolean } {
  const base = samples.findLast((s) => now - s.at >= recent) ?? samples[0];
  if (base && now - base.at >= 5000) return { rate: ((ended - base.ended) * 1000) / Math.max(now - Math.max(base.at, now - recent), 1), now: true };
  return { rate: now > startedAt ? (ended * 1000) / (now - startedAt) : 0, now: false };
}

/** The next place among some, after or before one, around the end. */
export function nextOf(indexes: readonly number[], from: number, by: 1 | -1): number | undefined {
  if (indexes.length === 0) return undefined;
  if (by > 0) return indexes.find((i) => i > from) ?? indexes[0];
  return indexes.findLast((i) => i < from) ?? indexes.at(-1);
}
