import { useElementSize } from '@mantine/hooks';
import { scaleLinear } from 'd3-scale';
import { useId, useRef, useState } from 'react';
import { kit } from '../strings/index.ts';
import css from './StackedBars.module.css';

export interface Series {
  key: string;
  label: string;
  /** A variable of the token layer: "var(--ls-failed)" or "var(--ls-cat-1)". */
  colour: string;
  /** Drawn hatched, so that it can be told apart without colours. */
  hatched?: boolean;
}

export interface StackedBar {
  label: string;
  values: Record<string, number>;
}

export interface StackedBarsProps {
  label: string;
  bars: readonly StackedBar[];
  series: readonly Series[];
  height?: number;
  format?: (n: number) => string;
  /** Drag over bars to choose some of them: the first and the last. */
  onBrush?: (first: number, last: number) => void;
  /** A line across, such as a budget. */
  line?: { at: number; label: string };
  legend?: boolean;
  /** Shown above the table's button at the right. */
  title?: React.ReactNode;
}

/** Bars of stacked amounts, with a table behind them. */
export function StackedBars({ label, bars, series, height = 96, format = (n) => n.toLocaleString('en-US'), onBrush, line, legend = true, title }: StackedBarsProps) {
  const { ref, width } = useElementSize();
  const [hover, setHover] = useState(-1);
  const [table, setTable] = useState(false);
  const [brush, setBrush] = useState<[number, number] | null>(null);
  const drawn = useRef<HTMLDivElement>(null);
  const hatch = useId();
  const totals = bars.map((b) => series.reduce((sum, s) => sum + (b.values[s.key] ?? 0), 0));
  const top = Math.max(...totals, line?.at ?? 0, 0) || 1;
  const y = scaleLinear([0, top], [height, 6]).nice(3);
  const [left, bottom] = [44, 18];
  const inner = Math.max(width - left - 4, 50);
  const step = inner / Math.max(bars.length, 1);
  const bar = Math.max(1, Math.min(step - (step > 4 ? 2 : 0.5), 40));
  const every = Math.max(1, Math.ceil(bars.length / Math.max(1, Math.floor(inner / 90))));
  const indexAt = (clientX: number) => {
    const box = drawn.current?.getBoundingClientRect();
    return box ? Math.max(0, Math.min(bars.length - 1, Math.floor((clientX - box.left - left) / step))) : 0;
  };
  const shown = series.filter((s) => bars.some((b) => (b.values[s.key] ?? 0) > 0));
  const say = (i: number) => `${bars[i]!.label}: ${shown.filter((s) => bars[i]!.values[s.key]).map((s) => `${format(bars[i]!.values[s.key]!)} ${s.label}`).join(', ') || format(0)}`;
  const chosen = brush ? [Math.min(...brush), Math.max(...brush)] : null;

  return (
    <figure className={css.chart} aria-label={label}>
      <div className={css.head}>
        {title}
        {legend && (
          <ul className={css.legend}>
            {shown.map((s) => (
              <li key={s.key}><span className={css.swatch} style={{ background: s.colour }} data-hatched={s.hatched || undefined} />{s.label}</li>
            ))}
          </ul>
        )}
        <button type="button" className={css.toggle} aria-pressed={table} onClick={() => setTable(!table)}>{kit.asTable}</button>
      </div>
      {table ? (
        <div className={css.tableFrame} tabIndex={0} role="group" aria-label={label}>
          <table className={css.table}>
            <thead><tr><th scope="col"><span className="sr-only">{label}</span></th>{shown.map((s) => <th key={s.key} scope="col">{s.label}</th>)}</tr></thead>
            <tbody>
              {bars.map((b, i) => totals[i]! > 0 && <tr key={i}><th scope="row">{b.label}</th>{shown.map((s) => <td key={s.key} className="num">{format(b.values[s.key] ?? 0)}</td>)}</tr>)}
            </tbody>
          </table>
        </div>
      ) : (
        <div ref={ref}>
          <div
            ref={drawn}
            className={css.plot}
            data-brush={onBrush ? true : undefined}
            onPointerMove={(e) => {
              const i = indexAt(e.clientX);
              setHover(i);
              if (brush) setBrush([brush[0], i]);
            }}
            onPointerLeave={() => setHover(-1)}
            onPointerDown={(e) => {
              if (!onBrush) return;
              e.currentTarget.setPointerCapture(e.pointerId);
              const i = indexAt(e.clientX);
              setBrush([i, i]);
            }}
            onPointerUp={() => {
              if (chosen && onBrush) onBrush(chosen[0]!, chosen[1]!);
              setBrush(null);
            }}
          >
            <svg width={width || 300} height={height + bottom} role="img" aria-label={`${label}. ${bars.length > 0 ? say(totals.indexOf(Math.max(...totals))) : ''}`}>
              <defs>
                <pattern id={hatch} width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
                  <rect width="2" height="5" fill="var(--ls-surface)" opacity="0.55" />
                </pattern>
              </defs>
              {y.ticks(3).map((t) => (
                <g key={t}>
                  <line x1={left} x2={width} y1={y(t)} y2={y(t)} stroke="var(--ls-border)" />
                  <text x={left - 6} y={y(t) + 4} textAnchor="end" className={css.axisText}>{format(t)}</text>
                </g>
              ))}
              {bars.map((b, i) => {
                let base = 0;
                const x = left + i * step + (step - bar) / 2;
                return (
                  <g key={i} opacity={hover >= 0 && hover !== i ? 0.75 : 1}>
                    {shown.map((s) => {
                      const v = b.values[s.key] ?? 0;
                      if (v <= 0) return null;
                      const from = y(base);
                      base += v;
                      const h = Math.max(1, from - y(base));
                      return (
                        <g key={s.key}>
                          <rect x={x} y={from - h} width={bar} height={h} fill={s.colour} />
                          {s.hatched && <rect x={x} y={from - h} width={bar} height={h} fill={`url(#${hatch})`} />}
                        </g>
                      );
                    })}
                    {i % every === 0 && <text x={left + i * step + step / 2} y={height + 14} textAnchor="middle" className={css.axisText}>{b.label}</text>}
                  </g>
                );
              })}
              {chosen && <rect x={left + chosen[0]! * step} y={0} width={(chosen[1]! - chosen[0]! + 1) * step} height={height} fill="var(--ls-accent)" opacity={0.15} />}
              {line && (
                <g>
                  <line x1={left} x2={width} y1={y(line.at)} y2={y(line.at)} stroke="var(--ls-failed)" strokeDasharray="5 4" strokeWidth={1.5} />
                  <text x={width - 4} y={y(line.at) - 4} textAnchor="end" className={css.axisText} style={{ fill: 'var(--ls-failed)' }}>{line.label}</text>
                </g>
              )}
            </svg>
          </div>
          <div className={`${css.now} num`}>{hover >= 0 && bars[hover] ? say(hover) : ' '}</div>
        </div>
      )}
    </figure>
  );
}
