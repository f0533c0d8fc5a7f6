import type { SearchFilter } from '../../api/executions.ts';
import type { Term } from '../../kit/index.ts';

const units: Record<string, number> = { s: 1000, m: 60_000, min: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };

/** A span such as 30s, 2h or 3d in milliseconds; undefined if it is none. */
export function parseSpan(text: string): number | undefined {
  const m = /^(\d+(?:\.\d+)?)(ms|s|min|m|h|d|w)$/.exec(text);
  if (!m) return undefined;
  return m[2] === 'ms' ? Number(m[1]) : Number(m[1]) * units[m[2]!]!;
}

const statuses: Record<string, string> = { running: 'RUNNING', succeeded: 'SUCCEEDED', failed: 'FAILED', timed_out: 'TIMED_OUT', timedout: 'TIMED_OUT', aborted: 'ABORTED', stopped: 'ABORTED' };

/**
 * Makes what the server is asked for of a filter's terms. Ages count back from now:
 * started:<2h is within the last two hours, started:>2h before that. bad are terms
 * that cannot be read.
 */
export function toSearch(terms: readonly Term[], now: number): { filter: SearchFilter; bad: Term[] } {
  const filter: SearchFilter = {};
  const bad: Term[] = [];
  const add = (key: keyof SearchFilter, value: string) => (filter[key] = value);
  for (const term of terms) {
    const { name, value } = term;
    if (name === 'status') {
      const known = value.split(',').map((v) => statuses[v.toLowerCase()]);
      if (known.some((k) => !k)) bad.push(term);
      else add('status', [filter.status, ...known].filter(Boolean).join(','));
    } else if (name === 'machine' || name === 'error' || name === 'version' || name === 'alias' || name === 'name') add(name, value);
    else if (name === 'type') add('type', value.toUpperCase());
    else if (name === '') add('name', value);
    else if (name.startsWith('input.')) add('input', `${name.slice('input.'.length)}:${value}`);
    else if (name === 'started') {
      const sign = value[0];
      const rest = value.replace(/^[<>]=?/, '');
      const span = parseSpan(rest);
      const date = span === undefined ? Date.parse(rest) : NaN;
      if ((sign !== '<' && sign !== '>') || (span === undefined && Number.isNaN(date))) bad.push(term);
      else if (span !== undefined) add(sign === '<' ? 'from' : 'to', new Date(now - span).toISOString());
      else add(sign === '<' ? 'to' : 'from', new Date(date).toISOString());
    } else if (name === 'took') {
      const span = parseSpan(value.replace(/^[<>]=?/, ''));
      if (span === undefined || !/^[<>]/.test(value)) bad.push(term);
      else add(value[0] === '<' ? 'max_duration_ms' : 'min_duration_ms', String(Math.round(span)));
    } else bad.push(term);
  }
  return { filter, bad };
}
