/** nano-USD in a dollar: money is counted in integers. */
export const nanoPerUsd = 1_000_000_000;

/**
 * An amount in nano-USD. A text or a bigint where a number could not hold it: from about nine million dollars on.
 */
export type Nano = number | bigint | string;

/** The amount as a bigint: what is added up is added up as these. Fractions, as of a forecast, are rounded. */
export function toNano(n: Nano): bigint {
  return typeof n === 'number' ? BigInt(Math.round(n)) : BigInt(n);
}

/** Money as people read it: $1.84, and four decimals below a cent. */
export function formatMoney(nano: Nano): string {
  const n = toNano(nano);
  if (n === 0n) return '$0.00';
  const abs = n < 0n ? -n : n;
  const sign = n < 0n ? '−' : '';
  if (abs < 50_000n) return `${sign}<$0.0001`;
  const small = abs < 10_000_000n;
  const unit = small ? 100_000n : 10_000_000n;
  const digits = small ? 4 : 2;
  const units = ((abs + unit / 2n) / unit).toString().padStart(digits + 1, '0');
  return `${sign}$${BigInt(units.slice(0, -digits)).toLocaleString('en-US')}.${units.slice(-digits)}`;
}

/** Money to the last nano-dollar that there is. */
export function exactMoney(nano: Nano): string {
  const n = toNano(nano);
  const digits = (n < 0n ? -n : n).toString().padStart(10, '0');
  return `${n < 0n ? '−' : ''}$${BigInt(digits.slice(0, -9)).toLocaleString('en-US')}.${digits.slice(-9).replace(/0{1,7}$/, '')}`;
}

/** Reads dollars as somebody types them, "12.5" or "$1,200"; undefined if they are none. */
export function readMoney(text: string): bigint | undefined {
  const m = /^\s*\$?\s*(\d[\d,]*)(?:\.(\d{1,9}))?\s*$/.exec(text);
  if (!m) return undefined;
  return BigInt(m[1]!.replaceAll(',', '')) * 1_000_000_000n + BigInt((m[2] ?? '').padEnd(9, '0'));
}

/** Dollars as they stand in a field: "12.5". */
export function moneyField(nano: Nano): string {
  return exactMoney(nano).replace(/[$,]/g, '').replace('−', '-').replace(/\.?0+$/, '');
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

/** A count without much room: 940, 12.4 K, 3.1 M. */
export function formatShort(n: number): string {
  if (n < 1000) return n.toLocaleString('en-US');
  const [by, unit] = n < 999_950 ? [1000, 'K'] : n < 999_950_000 ? [1e6, 'M'] : [1e9, 'B'];
  const v = n / (by as number);
  return `${v.toFixed(v < 99.95 ? 1 : 0).replace(/\.0$/, '')} ${unit}`;
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
