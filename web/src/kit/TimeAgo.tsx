import { useNow } from './clock.ts';
import { formatAgo, formatDuration, formatTime, formatUtc, toMs, type Moment } from './format.ts';
import css from './TimeAgo.module.css';

/** A moment, with a plain title since lists have hundreds of them: relative below an hour, else in the viewer's zone; in UTC on hover. */
export function TimeAgo({ at, absolute }: { at: Moment | undefined | null; absolute?: boolean }) {
  const { now, stale } = useNow(!absolute && at !== undefined && at !== null && Math.abs(Date.now() - toMs(at)) < 3_600_000);
  if (at === undefined || at === null || at === '') return <span className="dim">–</span>;
  return (
    <time dateTime={new Date(toMs(at)).toISOString()} title={formatUtc(at)} className={`num ${css.time}`} data-stale={stale || undefined}>
      {absolute ? formatTime(at, now) : formatAgo(at, now)}
    </time>
  );
}

/** How long something took, or has been going on for as long as it has no end. */
export function Duration({ from, to }: { from: Moment | undefined | null; to?: Moment | undefined | null }) {
  const open = to === undefined || to === null || to === '';
  const { now, stale } = useNow(open && from !== undefined && from !== null);
  if (from === undefined || from === null || from === '') return <span className="dim">–</span>;
  return (
    <span className={`num ${css.time}`} data-stale={(open && stale) || undefined}>
      {formatDuration((open ? now : toMs(to)) - toMs(from))}
    </span>
  );
}
