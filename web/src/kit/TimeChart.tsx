import { useElementSize } from '@mantine/hooks';
import { scaleLinear } from 'd3-scale';
import { useState } from 'react';
import { kit } from '../strings/index.ts';
import { formatDuration, formatTime } from './format.ts';
import { colourOf, type Meaning } from './status.ts';
import css from './StackedBars.module.css';
import { ticks, timeScale } from './timescale.ts';

export interface TimePoint {
  /** Milliseconds since 1970; the value holds until then from the point before. */
  at: number;
  value: number;
  /** More numbers, for the table behind. */
  more?: readonly number[];
}

export interface TimeChartProps {
  label: string;
  points: readonly TimePoint[];
  /** When the first value began. */
  from: number;
  height?: number;
  meaning?: Meaning;
  format?: (n: number) => string;
  /** A line across, such as a limit. */
  line?: { at: number; label: string } | undefined;
  valueLabel: string;
  moreLabels?: readonly string[];
  timeLabel: string;
  title?: React.ReactNode;
  /** Read out in place of the picture. */
  summary: string;
}

/** A number over time as steps, with a table behind it. */
export function TimeChart({ label, points, from, height = 96, meaning = 'running', format = (n) => n.toLocaleString('en-US'), line, valueLabel, moreLabels = [], timeLabel, title, summary }: TimeChartProps) {
  const { ref, width } = useElementSize();
  const [table, setTable] = useState(false);
  const [hover, setHover] = useState(-1);
  const to = points.at(-1)?.at ?? from + 1;
  const most = points.reduce((m, p) => Math.max(m, p.value), 0);
  // A limit far above what is there would press the line flat: then only its words are shown.
  const lineShown = line && line.at <= most * 3;
  const y = scaleLinear([0, Math.max(most, lineShown ? line.at : 0, 1)], [height, 8]).nice(3);
  const [left, bottom] = [44, 18];
  const inner = Math.max((width || 300) - left - 4, 50);
  const x = (at: number) => left + ((at - from) / Math.max(to - from, 1)) * inner;
  let path = '';
  points.forEach((p, i) => {
    path += `${i === 0 ? 'M' : 'L'}${x(points[i - 1]?.at ?? from).toFixed(1)},${y(p.value).toFixed(1)}H${x(p.at).toFixed(1)}`;
  });
  const marks = ticks(timeScale(from, to, []), Math.max(2, Math.floor(inner / 110)));
  const shown = points[hover];
  // Of what took seconds the time of day says too little.
  const time = (at: number) => (to - from < 60_000 ? `+${formatDuration(at - from)}` : formatTime(new Date(at)));
  return (
    <figure className={css.chart} aria-label={label}>
      <div className={css.head}>
        {title}
        <button type="button" className={css.toggle} aria-pressed={table} onClick={() => setTable(!table)}>{kit.asTable}</button>
      </div>
      {table ? (
        <div className={css.tableFrame} tabIndex={0} role="group" aria-label={label}>
          <table className={css.table}>
            <thead><tr><th scope="col">{timeLabel}</th>{[valueLabel, ...moreLabels].map((l) => <th key={l} scope="col">{l}</th>)}</tr></thead>
            <tbody>
              {points.map((p) => <tr key={p.at}><th scope="row">{time(p.at)}</th>{[p.value, ...(p.more ?? [])].map((v, i) => <td key={i} className="num">{format(v)}</td>)}</tr>)}
            </tbody>
          </table>
        </div>
      ) : (
        <div ref={ref}>
          <div
            className={css.plot}
            onPointerMove={(e) => {
              const at = from + ((e.nativeEvent.offsetX - left) / inner) * (to - from);
              setHover(points.findIndex((p) => at <= p.at));
            }}
            onPointerLeave={() => setHover(-1)}
          >
            <svg width={width || 300} height={height + bottom} role="img" aria-label={`${label}. ${summary}`}>
              {y.ticks(3).filter(Number.isInteger).map((t) => (
                <g key={t}>
                  <line x1={left} x2={left + inner} y1={y(t)} y2={y(t)} stroke="var(--ls-border)" />
                  <text x={left - 6} y={y(t) + 4} textAnchor="end" className={css.axisText}>{format(t)}</text>
                </g>
              ))}
              {points.length > 0 && <path d={`${path}V${height}H${left}Z`} fill={colourOf(meaning)} opacity={0.14} />}
              <path d={path} fill="none" stroke={colourOf(meaning)} strokeWidth={1.5} />
              {marks.map((t) => x(t) < left + inner - 20 && <text key={t} x={x(t)} y={height + 14} textAnchor="middle" className={css.axisText}>{time(t)}</text>)}
              {lineShown && (
                <g>
                  <line x1={left} x2={left + inner} y1={y(line.at)} y2={y(line.at)} stroke="var(--ls-handled)" strokeDasharray="5 4" strokeWidth={1.5} />
                  <text x={left + inner} y={y(line.at) + 13} textAnchor="end" className={css.axisText} style={{ fill: 'var(--ls-handled)', paintOrder: 'stroke', stroke: 'var(--ls-surface)', strokeWidth: 3 }}>{line.label}</text>
                </g>
              )}
              {shown && <line x1={x(shown.at)} x2={x(shown.at)} y1={0} y2={height} stroke="var(--ls-border-strong)" />}
            </svg>
          </div>
          <div className={`${css.now} num`}>{shown ? `${time(shown.at)}: ${[valueLabel, ...moreLabels].map((l, i) => `${format(i === 0 ? shown.value : (shown.more?.[i - 1] ?? 0))} ${l.toLowerCase()}`).join(', ')}` : summary}</div>
        </div>
      )}
    </figure>
  );
}
