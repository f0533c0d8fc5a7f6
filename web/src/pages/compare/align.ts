import type { Payload, Visit } from '../../api/executions.ts';

/** Two visits that stand for each other: the nth of the same path in either execution. */
export interface Pair {
  /** The path, and which of its visits, from 1. */
  key: string;
  path: string;
  nth: number;
  a?: Visit;
  b?: Visit;
  differs: Difference[];
}

export type Difference = 'status' | 'error' | 'input' | 'output' | 'onlyA' | 'onlyB';

function keyed(visits: readonly Visit[]): Map<string, { path: string; nth: number; visit: Visit }> {
  const seen = new Map<string, number>();
  const out = new Map<string, { path: string; nth: number; visit: Visit }>();
  for (const visit of visits) {
    const nth = (seen.get(visit.path) ?? 0) + 1;
    seen.set(visit.path, nth);
    out.set(`${visit.path} ${nth}`, { path: visit.path, nth, visit });
  }
  return out;
}

/** JSON is the same whatever the order of members; of what is cut short the size and the beginning count. */
function samePayload(a: Payload | undefined, b: Payload | undefined): boolean {
  if (!a || !b) return !a && !b;
  if (a.text === b.text && a.bytes === b.bytes) return true;
  if (a.truncated || b.truncated) return false;
  try {
    return settled(JSON.parse(a.text ?? '')) === settled(JSON.parse(b.text ?? ''));
  } catch {
    return false;
  }
}

/** A value as JSON with the members of objects in order. */
export function settled(value: unknown, indent?: number): string {
  const sort = (v: unknown): unknown => {
    if (Array.isArray(v)) return v.map(sort);
    if (typeof v !== 'object' || v === null) return v;
    return Object.fromEntries(Object.entries(v).sort(([x], [y]) => (x < y ? -1 : 1)).map(([k, member]) => [k, sort(member)]));
  };
  return JSON.stringify(sort(value), null, indent) ?? '';
}

function differences(a: Visit | undefined, b: Visit | undefined): Difference[] {
  if (!a) return ['onlyB'];
  if (!b) return ['onlyA'];
  return [
    ...(a.status === b.status ? [] : ['status' as const]),
    ...(a.error === b.error ? [] : ['error' as const]),
    ...(samePayload(a.input, b.input) ? [] : ['input' as const]),
    ...(samePayload(a.output, b.output) ? [] : ['output' as const]),
  ];
}

/** Puts the visits of two executions beside each other: in the first's order, with what only the second has after what came before it there. */
export function align(first: readonly Visit[], second: readonly Visit[]): Pair[] {
  const [as, bs] = [keyed(first), keyed(second)];
  const order: string[] = [];
  const placed = new Set<string>();
  const bKeys = [...bs.keys()];
  const bAt = new Map(bKeys.map((k, i) => [k, i]));
  const place = (key: string) => {
    if (placed.has(key)) return;
    placed.add(key);
    order.push(key);
  };
  // What only the second has is put after its neighbour, so that both read from top to bottom.
  const follow = (key: string) => {
    for (let i = (bAt.get(key) ?? -2) + 1; i > 0 && i < bKeys.length && !as.has(bKeys[i]!); i++) place(bKeys[i]!);
  };
  for (let i = 0; i < bKeys.length && !as.has(bKeys[i]!); i++) place(bKeys[i]!);
  for (const key of as.keys()) {
    place(key);
    if (bAt.has(key)) follow(key);
  }
  bKeys.forEach(place);
  return order.map((key) => {
    const [a, b] = [as.get(key), bs.get(key)];
    const { path, nth } = (a ?? b)!;
    return { key, path, nth, ...(a ? { a: a.visit } : {}), ...(b ? { b: b.visit } : {}), differs: differences(a?.visit, b?.visit) };
  });
}

/** How long a visit took, in milliseconds; undefined while it is open. */
export function tookOf(v: Visit | undefined): number | undefined {
  return v?.exited_at ? Date.parse(v.exited_at) - Date.parse(v.entered_at) : undefined;
}
