/** nano-USD in a dollar: money is counted in integers. */
export const nanoPerUsd = 1_000_000_000;

/** Money as people read it: $1.84, and four decimals below a cent. */
export function formatMoney(nano: number): string {
  const usd = nano / nanoPerUsd;
  if (nano === 0) return '$0.00';
  const small = Math.abs(usd) < 0.01;
  if (small && Math.abs(usd) < 0.00005) return usd < 0 ? '−<$0.0001' : '<$0.0001';
  const text = Math.abs(usd).toLocaleString('en-US', { minimumFractionDigits: small ? 4 : 2, maximumFractionDigits: small ? 4 : 2 });
  return `${usd < 0 ? '−' : ''}$${text}`;
}

/** A span of time, as short as it stays exact enough: "420 ms", "3.2 s", "2 min 5 s", "3 h 12 min", "2 d 4 h". */
export function formatDuration(ms: number): string {
  if (!Number.isFinite(ms)) return '';
  if (ms < 0) ms = 0;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(Math.floor(ms / 100) / 10).toFixed(1)} s`;
  const s = Math.floor(ms / 1000);
  const pair = (a: number, unitA: string, b: number, unitB: string) => (b > 0 ? `${a} ${unitA} ${b} ${unitB}` : `${a} ${unitA}`);
  if (s < 3600) return pair(Math.floor(s / 60), 'min', s % 60, 's');
  if (s < 86_400) return pair(Math.floor(s / 3600), 'h', Math.floor((s % 3600) / 60), 'min');
  return pair(Math.floor(s / 86_400), 'd', Math.floor((s % 86_400) / 3600), 'h');
}

/** A number of bytes: "812 B", "1.4 KB", "3.0 MB". */
export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  if (bytes < 1_000_000) return `${(bytes / 1000).toFixed(1)} KB`;
  return `${(bytes / 1_000_000).toFixed(1)} MB`;
}

/** A count: 12,403. */
export function formatCount(n: number): string {
  return n.toLocaleString('en-US');
}

/** A moment as the console takes it: seconds (AWS API), a text (control plane), milliseconds in a Date. */
export type Moment = number | string | Date;

/** Milliseconds since 1970. Numbers are seconds, as the AWS API has them. */
export function toMs(at: Moment): number {
  if (at instanceof Date) return at.getTime();
  return typeof at === 'number' ? at * 1000 : Date.parse(at);
}

const sameDay = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const sameYear = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' });
const anyYear = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit' });

/** A moment in the viewer's zone, without what goes without saying. */
export function formatTime(at: Moment, now: number = Date.now()): string {
  const ms = toMs(at);
  if (Number.isNaN(ms)) return '';
  const d = new Date(ms);
  const n = new Date(now);
  if (d.toDateString() === n.toDateString()) return sameDay.format(d);
  return (d.getFullYear() === n.getFullYear() ? sameYear : anyYear).format(d);
}

/** The same moment in UTC, to the millisecond. */
export function formatUtc(at: Moment): string {
  const ms = toMs(at);
  return Number.isNaN(ms) ? '' : new Date(ms).toISOString().replace('T', ' ').replace('Z', ' UTC');
}

/** "5 s ago", "12 min ago"; from an hour on the time itself. */
export function formatAgo(at: Moment, now: number = Date.now()): string {
  const ms = now - toMs(at);
  if (ms < -1000 && ms > -3_600_000) return `in ${wholeSpan(-ms)}`;
  if (ms < 1000 && ms >= -1000) return 'now';
  if (ms < 0 || ms >= 3_600_000) return formatTime(at, now);
  return `${wholeSpan(ms)} ago`;
}

/** Whole seconds below a minute, whole minutes above. */
function wholeSpan(ms: number): string {
  return ms < 60_000 ? `${Math.floor(ms / 1000)} s` : `${Math.floor(ms / 60_000)} min`;
}

/** An id that keeps its beginning and its end. */
export function shorten(id: string, most = 22): string {
  if (id.length <= most) return id;
  const tail = Math.floor((most - 1) * 0.45);
  return `${id.slice(0, most - 1 - tail)}…${id.slice(-tail)}`;
}
