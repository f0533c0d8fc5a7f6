import { formatDuration } from '../../../kit/index.ts';
import { editor as t } from '../../../strings/machines.ts';
import css from './Editor.module.css';

export interface Retrier {
  IntervalSeconds?: unknown;
  MaxAttempts?: unknown;
  BackoffRate?: unknown;
  MaxDelaySeconds?: unknown;
  JitterStrategy?: unknown;
}

const number = (v: unknown, usual: number) => (typeof v === 'number' && Number.isFinite(v) ? v : usual);

/** The pauses before each retry, in seconds; at most so many as can be drawn. */
export function pausesOf(r: Retrier, most = 40): number[] {
  const [interval, attempts, rate] = [number(r.IntervalSeconds, 1), number(r.MaxAttempts, 3), number(r.BackoffRate, 2)];
  const longest = number(r.MaxDelaySeconds, Infinity);
  return Array.from({ length: Math.max(0, Math.min(attempts, most)) }, (_, k) => Math.min(interval * rate ** k, longest));
}

/** When a state is tried again: a line of time with a mark for each attempt, and how far jitter may bring it forward. */
export function RetryLadder({ retrier }: { retrier: Retrier }) {
  const pauses = pausesOf(retrier);
  const attempts = number(retrier.MaxAttempts, 3);
  const full = retrier.JitterStrategy === 'FULL';
  let at = 0;
  const times = pauses.map((p) => (at += p));
  const total = at || 1;
  const [width, left, right] = [300, 8, 44];
  // Of times that grow by a factor the first ones would lie on each other: the square root sets them apart.
  const x = (s: number) => left + Math.sqrt(s / total) * (width - left - right);
  const say = t.ladderSay(attempts, formatDuration(at * 1000));
  return (
    <figure className={css.ladder} aria-label={`${t.ladder}: ${say}`}>
      <svg viewBox={`0 0 ${width} 46`} role="img" aria-label={say}>
        <line x1={left} x2={x(at)} y1={22} y2={22} stroke="var(--ls-border-strong)" strokeWidth={1.5} />
        <circle cx={left} cy={22} r={5} fill="var(--ls-failed)" />
        {times.map((s, i) => (
          <g key={i}>
            {full && <rect x={x(s - pauses[i]!)} width={Math.max(0, x(s) - x(s - pauses[i]!))} y={17} height={10} fill="var(--ls-handled)" opacity={0.18} rx={2} />}
            <circle cx={x(s)} cy={22} r={4.5} fill="var(--ls-surface)" stroke="var(--ls-handled)" strokeWidth={2} />
            {(i === 0 || i === times.length - 1 || x(s) - x(times[i - 1]!) > 34) && <text x={x(s)} y={i === times.length - 1 ? 42 : 11} textAnchor="middle" className={css.ladderText}>{i === times.length - 1 ? `+${formatDuration(s * 1000)}` : formatDuration(pauses[i]! * 1000)}</text>}
          </g>
        ))}
      </svg>
      <figcaption className={css.small}>{say}{attempts > pauses.length ? '…' : ''}</figcaption>
    </figure>
  );
}
