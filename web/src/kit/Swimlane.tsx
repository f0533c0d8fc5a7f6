import { Tooltip } from '@mantine/core';
import type { ReactNode } from 'react';
import { formatDuration, formatTime } from './format.ts';
import css from './Swimlane.module.css';
import { statusText } from './StatusBadge.tsx';
import { meaningOf } from './status.ts';

export interface LaneSegment {
  /** Milliseconds since 1970. */
  from: number;
  to: number;
  status: string;
  /** What to say besides the status and how long. */
  title?: string;
  onClick?: () => void;
}

export interface Lane {
  id: string;
  label: ReactNode;
  /** For screen readers: what went on, in a sentence. */
  summary: string;
  segments: LaneSegment[];
}

/** What each of several was doing over a stretch of time. */
export function Swimlane({ lanes, from, to, label, axis = true, height = 18 }: { lanes: Lane[]; from: number; to: number; label: string; axis?: boolean; height?: number }) {
  const span = Math.max(to - from, 1);
  const share = (t: number) => `${(Math.max(0, Math.min(span, t - from)) / span) * 100}%`;
  const hours = axisTimes(from, to);
  return (
    <div className={css.lanes} role="list" aria-label={label} data-labelled={lanes.some((l) => l.label) || undefined}>
      {lanes.map((lane) => (
        <div key={lane.id} className={css.lane} role="listitem">
          {lane.label && <div className={css.label}>{lane.label}</div>}
          <div className={css.track} style={{ height }}>
            <span className="sr-only">{lane.summary}</span>
            {lane.segments.filter((s) => s.to > from && s.from < to).map((s, i) => {
              const text = `${statusText(s.status)}${s.title ? `: ${s.title}` : ''}, ${formatTime(new Date(s.from))}, ${formatDuration(s.to - s.from)}`;
              const style = { left: share(s.from), width: `calc(${share(Math.min(s.to, to))} - ${share(Math.max(s.from, from))})` };
              return (
                <Tooltip key={i} label={text} openDelay={80}>
                  {s.onClick ? (
                    <button type="button" className={css.segment} data-meaning={meaningOf(s.status)} style={style} aria-label={text} onClick={s.onClick} />
                  ) : (
                    <span className={css.segment} data-meaning={meaningOf(s.status)} style={style} />
                  )}
                </Tooltip>
              );
            })}
          </div>
        </div>
      ))}
      {axis && (
        <div className={css.axis} aria-hidden="true">
          {hours.map((t) => <span key={t} className="num" style={{ left: share(t) }}>{axisLabel(t, span)}</span>)}
        </div>
      )}
    </div>
  );
}

function axisTimes(from: number, to: number): number[] {
  const hour = 3_600_000;
  const span = to - from;
  const step = [hour / 4, hour, 3 * hour, 6 * hour, 12 * hour, 24 * hour, 48 * hour, 168 * hour].find((s) => span / s <= 9) ?? 720 * hour;
  const zone = new Date(from).getTimezoneOffset() * 60_000;
  const out: number[] = [];
  for (let t = Math.ceil((from - zone) / step) * step + zone; t <= to; t += step) out.push(t);
  return out;
}

function axisLabel(t: number, span: number): string {
  const d = new Date(t);
  return span > 3 * 86_400_000 ? d.toLocaleDateString('en-GB', { day: 'numeric', month: 'short' }) : d.toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' });
}
