import type { Graph } from '../../api/board.ts';

const ended = new Set(['done', 'failed', 'cancelled']);

/** The longest chain of tasks that are open and wait for one another: their ids, the first to be done first. */
export function criticalPath(g: Graph): string[] {
  const openTasks = new Map(g.tasks.filter((t) => !ended.has(t.state)).map((t) => [t.id, t]));
  const before = new Map<string, string[]>();
  for (const e of g.edges) {
    if (!e.met && openTasks.has(e.task) && openTasks.has(e.depends_on)) before.set(e.task, [...(before.get(e.task) ?? []), e.depends_on]);
  }
  const known = new Map<string, string[]>();
  const longest = (id: string, seen: ReadonlySet<string>): string[] => {
    const had = known.get(id);
    if (had) return had;
    if (seen.has(id)) return [];
    let best: string[] = [];
    for (const up of before.get(id) ?? []) {
      const chain = longest(up, new Set([...seen, id]));
      if (chain.length > best.length) best = chain;
    }
    const chain = [...best, id];
    known.set(id, chain);
    return chain;
  };
  let best: string[] = [];
  for (const id of before.keys()) {
    const chain = longest(id, new Set());
    if (chain.length > best.length) best = chain;
  }
  return best;
}
