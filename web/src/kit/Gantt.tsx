import { useElementSize } from '@mantine/hooks';
import { useVirtualizer } from '@tanstack/react-virtual';
import { useEffect, useMemo, useRef, useState } from 'react';
import { kit } from '../strings/index.ts';
import { formatDuration } from './format.ts';
import css from './Gantt.module.css';
import { meaningOf } from './status.ts';
import { ticks, timeScale, type TimeScale } from './timescale.ts';

export interface GanttBar {
  id: string;
  /** Milliseconds since 1970. */
  from: number;
  /** undefined: it goes on. */
  to?: number | undefined;
  status: string;
  /** Spoken and shown on hover. */
  title: string;
  /** Drawn hatched: something is waited for. */
  waits?: boolean;
}

export interface GanttRow {
  id: string;
  label: string;
  depth?: number;
  bars: GanttBar[];
}

export interface GanttProps {
  label: string;
  rows: GanttRow[];
  now: number;
  selected?: string | undefined;
  onSelect?: (bar: GanttBar, row: GanttRow) => void;
  /** Lines across all rows, such as a redrive. */
  marks?: { at: number; label: string }[];
  /** Stretches of time that belong together, such as a redrive: shaded, with a label. */
  bands?: { from: number; to: number; label: string }[];
  height?: string;
}

const rowHeight = 26;
/** Above so many bars they are painted instead of being elements. */
const mostElements = 2000;

/** Rows of bars over time. Drag over the axis to zoom, double-click to see all again; long waits are folded. */
export function Gantt({ label, rows, now, selected, onSelect, marks = [], bands = [], height }: GanttProps) {
  const scroll = useRef<HTMLDivElement>(null);
  const { ref, width } = useElementSize();
  const [window_, setWindow] = useState<[number, number] | null>(null);
  const [drag, setDrag] = useState<[number, number] | null>(null);
  const count = useMemo(() => rows.reduce((n, r) => n + r.bars.length, 0), [rows]);
  const scale = useMemo(() => scaleOf(rows, now, window_), [rows, now, window_]);
  const virtualizer = useVirtualizer({ count: rows.length, getScrollElement: () => scroll.current, estimateSize: () => rowHeight, overscan: 10 });
  const items = virtualizer.getVirtualItems();
  const plot = Math.max(width, 50);
  const marked = ticks(scale, Math.max(2, Math.floor(plot / 110)));
  const painted = count > mostElements;

  return (
    <div className={css.gantt} style={{ height }} role="group" aria-label={label}>
      <div className={css.axis}>
        <div className={css.corner} />
        <div
          ref={ref}
          className={css.ticks}
          onPointerDown={(e) => {
            e.currentTarget.setPointerCapture(e.pointerId);
            const x = e.nativeEvent.offsetX / plot;
            setDrag([x, x]);
          }}
          onPointerMove={(e) => drag && setDrag([drag[0], Math.max(0, Math.min(1, (e.clientX - e.currentTarget.getBoundingClientRect().left) / plot))])}
          onPointerUp={() => {
            if (drag && Math.abs(drag[1] - drag[0]) > 0.01) setWindow([scale.time(Math.min(...drag)), scale.time(Math.max(...drag))]);
            setDrag(null);
          }}
          onDoubleClick={() => setWindow(null)}
        >
          {marked.filter((t) => scale.x(t) < 0.97).map((t) => (
            <span key={t} className={`${css.tick} num`} style={{ left: `${scale.x(t) * 100}%` }}>{formatDuration(t - scale.from)}</span>
          ))}
          {drag && <span className={css.brush} style={{ left: `${Math.min(...drag) * 100}%`, width: `${Math.abs(drag[1] - drag[0]) * 100}%` }} />}
        </div>
      </div>
      <div ref={scroll} className={css.scroll} tabIndex={0} role="group" aria-label={label}>
        <div className={css.rows} style={{ height: virtualizer.getTotalSize() }}>
          <div className={css.grid} aria-hidden="true">
            {marked.map((t) => <span key={t} className={css.gridLine} style={{ left: `${scale.x(t) * 100}%` }} />)}
            {bands.map((b) => {
              const [x1, x2] = [Math.max(0, scale.x(b.from)), Math.min(1, scale.x(b.to))];
              return x2 <= 0 || x1 >= 1 ? null : <span key={b.from} className={css.band} style={{ left: `${x1 * 100}%`, width: `${Math.max(0, x2 - x1) * 100}%` }}><span>{b.label}</span></span>;
            })}
            {scale.folds.map((f) => (
              <span key={f.from} className={css.fold} style={{ left: `${scale.x(f.from) * 100}%`, width: `${(scale.x(f.to) - scale.x(f.from)) * 100}%` }}>
                <span className={css.foldText}>{formatDuration(f.to - f.from)}</span>
              </span>
            ))}
            {marks.filter((m) => m.at >= scale.from && m.at <= scale.to).map((m) => (
              <span key={m.at} className={css.mark} style={{ left: `${scale.x(m.at) * 100}%` }}><span>{m.label}</span></span>
            ))}
          </div>
          {painted && <Painted rows={rows} items={items} scale={scale} now={now} width={plot} selected={selected} onSelect={onSelect} />}
          {items.map((v) => {
            const row = rows[v.index]!;
            return (
              <div key={row.id} className={css.row} style={{ top: v.start, height: rowHeight }}>
                <div className={`${css.label} truncate`} style={{ paddingLeft: 12 + (row.depth ?? 0) * 14 }} title={row.label}>{row.label}</div>
                <div className={css.plot}>
                  {!painted && row.bars.map((b) => <Bar key={b.id} bar={b} row={row} scale={scale} now={now} selected={selected === b.id} onSelect={onSelect} />)}
                </div>
              </div>
            );
          })}
        </div>
      </div>
    </div>
  );
}

function Bar({ bar, row, scale, now, selected, onSelect }: { bar: GanttBar; row: GanttRow; scale: TimeScale; now: number; selected: boolean; onSelect: GanttProps['onSelect'] }) {
  const [x1, x2] = [scale.x(bar.from), scale.x(bar.to ?? now)];
  if (x2 < 0 || x1 > 1) return null;
  const left = Math.max(0, x1);
  return (
    <button
      type="button"
      className={css.bar}
      data-meaning={meaningOf(bar.status)}
      data-waits={bar.waits || undefined}
      data-open={bar.to === undefined || undefined}
      data-selected={selected || undefined}
      style={{ left: `${left * 100}%`, width: `max(4px, ${(Math.min(1, x2) - left) * 100}%)` }}
      title={bar.title}
      aria-label={bar.title}
      onClick={() => onSelect?.(bar, row)}
    />
  );
}

interface PaintedProps {
  rows: GanttRow[];
  items: { index: number; start: number }[];
  scale: TimeScale;
  now: number;
  width: number;
  selected: string | undefined;
  onSelect: GanttProps['onSelect'];
}

/** The bars of the rows in sight as one picture. */
function Painted({ rows, items, scale, now, width, selected, onSelect }: PaintedProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const top = items[0]?.start ?? 0;
  const height = (items.length || 1) * rowHeight;
  useEffect(() => {
    const c = canvas.current;
    const g = c?.getContext('2d');
    if (!c || !g) return;
    const ratio = devicePixelRatio || 1;
    c.width = width * ratio;
    c.height = height * ratio;
    g.scale(ratio, ratio);
    const style = getComputedStyle(c);
    const colour = (status: string) => style.getPropertyValue(`--ls-${meaningOf(status).replace('redrive', 'running')}`);
    for (const v of items) {
      for (const b of rows[v.index]!.bars) {
        const x = scale.x(b.from) * width;
        const w = Math.max(2, scale.x(b.to ?? now) * width - x);
        if (x > width || x + w < 0) continue;
        g.fillStyle = colour(b.status);
        g.globalAlpha = b.waits ? 0.45 : 1;
        g.fillRect(x, v.start - top + 6, w, rowHeight - 12);
        if (b.id === selected) {
          g.globalAlpha = 1;
          g.strokeStyle = style.color;
          g.lineWidth = 2;
          g.strokeRect(x, v.start - top + 5, w, rowHeight - 10);
        }
      }
    }
  }, [rows, items, scale, now, width, height, top, selected]);
  return (
    <canvas
      ref={canvas}
      className={css.canvas}
      style={{ top, height, width }}
      aria-label={kit.asTable}
      onClick={(e) => {
        const y = e.nativeEvent.offsetY + top;
        const row = rows[Math.floor(y / rowHeight)];
        const at = e.nativeEvent.offsetX;
        const hit = row?.bars.findLast((b) => at >= scale.x(b.from) * width - 2 && at <= Math.max(scale.x(b.from) * width + 3, scale.x(b.to ?? now) * width + 2));
        if (row && hit) onSelect?.(hit, row);
      }}
    />
  );
}

function scaleOf(rows: GanttRow[], now: number, window_: [number, number] | null): TimeScale {
  const bars = rows.flatMap((r) => r.bars);
  if (bars.length === 0) return timeScale(now - 1000, now, []);
  if (window_) return timeScale(window_[0], window_[1], []);
  let from = Infinity;
  let to = -Infinity;
  const times: number[] = [];
  const active: [number, number][] = [];
  for (const b of bars) {
    const end = b.to ?? now;
    from = Math.min(from, b.from);
    to = Math.max(to, end);
    times.push(b.from, end);
    if (!b.waits) active.push([b.from, end]);
  }
  active.sort((a, b) => a[0] - b[0]);
  const busy = (a: number, b: number) => active.some(([s, e]) => s < b && e > a);
  return timeScale(from, to, times, bars.length > mostElements ? () => true : busy);
}
