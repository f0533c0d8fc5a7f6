import type { Runs } from '../../api/machines.ts';
import { machines as t } from '../../strings/machines.ts';
import css from './Machines.module.css';

/** Runs by day and result, small enough for a cell of a table. */
export function RunBars({ runs, width = 92, height = 22 }: { runs: readonly Runs[]; width?: number; height?: number }) {
  const rows = runs.map((r) => ({ good: r.succeeded, bad: r.failed + r.timed_out + r.aborted, open: r.running }));
  const top = Math.max(...rows.map((r) => r.good + r.bad + r.open), 0);
  if (top === 0) return <span className="dim">{t.noRuns}</span>;
  const sum = (k: 'good' | 'bad' | 'open') => rows.reduce((n, r) => n + r[k], 0);
  const step = width / rows.length;
  return (
    <svg width={width} height={height} role="img" aria-label={t.runsOf(sum('good'), sum('bad'), sum('open'))} className={css.bars}>
      {rows.map((r, i) => {
        let y = height;
        const part = (n: number, colour: string) => {
          if (n === 0) return null;
          const h = Math.max(2, (n / top) * (height - 2));
          y -= h;
          return <rect key={colour} x={i * step + 1} y={y} width={step - 3} height={h} fill={colour} />;
        };
        return (
          <g key={i}>
            <rect x={i * step + 1} y={height - 1} width={step - 3} height={1} fill="var(--ls-border-strong)" />
            {part(r.good, 'var(--ls-succeeded)')}
            {part(r.bad, 'var(--ls-failed)')}
            {part(r.open, 'var(--ls-running)')}
          </g>
        );
      })}
    </svg>
  );
}
