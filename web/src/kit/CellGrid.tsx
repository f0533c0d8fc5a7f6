import { useComputedColorScheme } from '@mantine/core';
import { useElementSize } from '@mantine/hooks';
import { useEffect, useMemo, useRef, useState } from 'react';
import { kit } from '../strings/index.ts';
import css from './CellGrid.module.css';
import { formatCount } from './format.ts';
import { statusText } from './StatusBadge.tsx';
import { meaningOf, type Meaning } from './status.ts';

export interface CellGridProps {
  label: string;
  /** The status of each item, by index. */
  statuses: readonly string[];
  /** Enter or a click; with more than 10,000 items it is the first of a bucket. */
  onPick?: (index: number) => void;
  selected?: number | undefined;
  cell?: number;
  /** What is said of the cell that the pointer or the keys are at; by default its index and status. */
  describe?: (index: number) => string;
  /** What is said of all; by default how many have which status. */
  summary?: string;
}

const mostCells = 10_000;
const order: Meaning[] = ['failed', 'handled', 'person', 'running', 'redrive', 'neutral', 'succeeded'];

/** One square for each item; above 10,000 one for several, in the colour of what needs attention most. */
export function CellGrid({ label, statuses, onPick, selected, cell = 12, describe: tell, summary: sum }: CellGridProps) {
  const { ref, width } = useElementSize();
  const canvas = useRef<HTMLCanvasElement>(null);
  const [cursor, setCursor] = useState(-1);
  const per = Math.max(1, Math.ceil(statuses.length / mostCells));
  const cells = Math.ceil(statuses.length / per);
  const columns = Math.max(1, Math.floor((width || 300) / cell));
  const rows = Math.ceil(cells / columns);
  const at = cursor >= 0 && cursor < cells ? cursor : undefined;
  const picked = selected === undefined || selected < 0 ? undefined : Math.floor(selected / per);
  const theme = useComputedColorScheme();

  useEffect(() => {
    const c = canvas.current;
    const g = c?.getContext('2d');
    if (!c || !g) return;
    const ratio = devicePixelRatio || 1;
    c.width = columns * cell * ratio;
    c.height = rows * cell * ratio;
    g.scale(ratio, ratio);
    const style = getComputedStyle(c);
    const colours = Object.fromEntries(order.map((m) => [m, style.getPropertyValue(`--ls-${m === 'redrive' ? 'running' : m}`)]));
    const faint = style.getPropertyValue('--ls-border-strong');
    for (let i = 0; i < cells; i++) {
      const meaning = worst(statuses, i * per, per);
      const [x, y] = [(i % columns) * cell, Math.floor(i / columns) * cell];
      g.fillStyle = meaning === 'neutral' ? faint : colours[meaning]!;
      g.globalAlpha = meaning === 'neutral' ? 0.55 : 1;
      g.beginPath();
      g.roundRect(x + 1, y + 1, cell - 2, cell - 2, 2);
      g.fill();
      g.globalAlpha = 1;
      if (meaning === 'failed' && cell >= 8) {
        // A cross as well: colour alone says too little.
        g.strokeStyle = style.getPropertyValue('--ls-on-solid');
        g.lineWidth = 1.4;
        g.beginPath();
        g.moveTo(x + 4, y + 4);
        g.lineTo(x + cell - 4, y + cell - 4);
        g.moveTo(x + cell - 4, y + 4);
        g.lineTo(x + 4, y + cell - 4);
        g.stroke();
      }
    }
  }, [statuses, columns, rows, cell, per, cells, theme]);

  const summary = useMemo(() => sum ?? countByStatus(statuses), [sum, statuses]);
  const describe = (i: number) => (per === 1 && tell ? tell(i) : per === 1 ? `${i}: ${statusText(statuses[i]!)}` : `${i * per}–${Math.min(statuses.length, (i + 1) * per) - 1}`);
  return (
    <div ref={ref} className={css.grid}>
      <div
        className={css.frame}
        role="application"
        aria-label={`${label}: ${kit.cells(statuses.length)}, ${summary}`}
        tabIndex={0}
        onKeyDown={(e) => {
          const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[e.key];
          if (by !== undefined) setCursor(Math.max(0, Math.min(cells - 1, cursor + by)));
          else if (e.key === 'Home' || e.key === 'End') setCursor(e.key === 'Home' ? 0 : cells - 1);
          else if (e.key === 'Enter' && at !== undefined) onPick?.(at * per);
          else return;
          e.preventDefault();
          e.stopPropagation();
        }}
      >
        <canvas
          ref={canvas}
          style={{ width: columns * cell, height: rows * cell }}
          onPointerMove={(e) => {
            const i = Math.floor(e.nativeEvent.offsetY / cell) * columns + Math.floor(e.nativeEvent.offsetX / cell);
            setCursor(i < cells ? i : -1);
          }}
          onPointerLeave={() => setCursor(-1)}
          onClick={() => at !== undefined && onPick?.(at * per)}
        />
        {/* Over the picture, so that moving about does not draw it anew. */}
        {[at, picked].map((i, which) => i !== undefined && (
          <span key={which} className={css.ring} style={{ left: (i % columns) * cell, top: Math.floor(i / columns) * cell, width: cell, height: cell }} ref={which === 0 ? intoView : undefined} />
        ))}
      </div>
      <div className={`${css.now} num`} role="status">{at !== undefined ? describe(at) : summary}</div>
    </div>
  );
}

/** Moves the frame, and nothing else, so that a cell is seen that the keys have gone to. */
function intoView(ring: HTMLElement | null): void {
  const frame = ring?.parentElement;
  if (!ring || !frame || !frame.matches(':focus')) return;
  if (ring.offsetTop < frame.scrollTop) frame.scrollTop = ring.offsetTop;
  else if (ring.offsetTop + ring.offsetHeight > frame.scrollTop + frame.clientHeight) frame.scrollTop = ring.offsetTop + ring.offsetHeight - frame.clientHeight;
}

function countByStatus(statuses: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const s of statuses) counts.set(s, (counts.get(s) ?? 0) + 1);
  return [...counts].map(([s, n]) => `${formatCount(n)} ${statusText(s).toLowerCase()}`).join(', ');
}

function worst(statuses: readonly string[], from: number, per: number): Meaning {
  let best = order.length - 1;
  for (let i = from; i < Math.min(statuses.length, from + per); i++) best = Math.min(best, order.indexOf(meaningOf(statuses[i]!)));
  return order[best]!;
}
