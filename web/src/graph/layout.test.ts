import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { readDefinition, type Scope } from './definition.ts';
import { layout, size, startId, type Box, type LaidNode, type Layout } from './layout.ts';

const golden = 'src/graph/testdata';

/** Definitions of the repository, and small ones that show one thing each. */
const definitions: Record<string, unknown> = {
  'choice and loop': {
    StartAt: 'Try',
    States: {
      Try: { Type: 'Task', Resource: 'r', Next: 'Done?', Catch: [{ ErrorEquals: ['States.ALL'], Next: 'Give up' }] },
      'Done?': { Type: 'Choice', Choices: [{ Variable: '$.done', BooleanEquals: true, Next: 'Yes' }], Default: 'Pause' },
      Pause: { Type: 'Wait', Seconds: 5, Next: 'Try' },
      Yes: { Type: 'Succeed' },
      'Give up': { Type: 'Fail' },
    },
  },
  'map in parallel': {
    StartAt: 'Both',
    States: {
      Both: {
        Type: 'Parallel',
        Branches: [
          { StartAt: 'Each', States: { Each: { Type: 'Map', ItemProcessor: { StartAt: 'One', States: { One: { Type: 'Task', Next: 'Two' }, Two: { Type: 'Pass', End: true } } }, End: true } } },
          { StartAt: 'Alone', States: { Alone: { Type: 'Pass', End: true } } },
        ],
        Catch: [{ ErrorEquals: ['A'], Next: 'Repair' }],
        Next: 'After',
      },
      Repair: { Type: 'Pass', Next: 'After' },
      After: { Type: 'Succeed' },
    },
  },
};
const examples = '../examples';
for (const folder of existsSync(examples) ? readdirSync(examples, { withFileTypes: true }) : []) {
  if (!folder.isDirectory()) continue;
  for (const file of readdirSync(`${examples}/${folder.name}`)) {
    if (file.endsWith('.asl.json')) definitions[file.replace('.asl.json', '')] = JSON.parse(readFileSync(`${examples}/${folder.name}/${file}`, 'utf8'));
  }
}

/** A machine that nobody wrote, from a seed. */
function random(seed: number): Scope {
  const next = (n: number) => {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    return Math.floor((seed / 2147483648) * n);
  };
  const scope = (depth: number): object => {
    const names = Array.from({ length: 1 + next(5) }, (_, i) => `S${i}`);
    const any = () => names[next(names.length)]!;
    const states = names.map((name, i) => {
      const following = names[i + 1];
      const ways = following ? { Next: following } : { End: true };
      const handlers = next(3) === 0 ? { Catch: [{ ErrorEquals: ['E'], Next: any() }] } : {};
      switch (next(depth > 1 ? 3 : 5)) {
        case 0:
          return [name, { Type: 'Choice', Choices: [{ Variable: '$.a', IsPresent: true, Next: any() }], Default: following ?? any() }];
        case 3:
          return [name, { Type: 'Map', ItemProcessor: scope(depth + 1), ...handlers, ...ways }];
        case 4:
          return [name, { Type: 'Parallel', Branches: Array.from({ length: 1 + next(3) }, () => scope(depth + 1)), ...handlers, ...ways }];
        default:
          return [name, { Type: 'Task', ...handlers, ...ways }];
      }
    });
    return { StartAt: 'S0', States: Object.fromEntries(states) };
  };
  return readDefinition(scope(0))!;
}

const overlap = (a: Box, b: Box) => a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
const within = (a: Box, b: Box, by = 0.5) => a.x >= b.x - by && a.y >= b.y - by && a.x + a.width <= b.x + b.width + by && a.y + a.height <= b.y + b.height + by;

/** What must hold of each layout. */
function check(l: Layout): void {
  const byId = new Map(l.nodes.map((n) => [n.id, n]));
  const siblings = new Map<string, LaidNode[]>();
  for (const n of l.nodes) siblings.set(n.parent ?? '', [...(siblings.get(n.parent ?? '') ?? []), n]);
  for (const [parent, list] of siblings) {
    for (const [i, a] of list.entries()) {
      for (const b of list.slice(i + 1)) expect(overlap(a, b), `${a.id} overlaps ${b.id}`).toBe(false);
      if (parent) {
        const p = byId.get(parent)!;
        expect(p.lanes.some((lane) => within(a, lane)), `${a.id} is outside of ${parent}`).toBe(true);
      }
    }
  }
  for (const n of l.nodes) {
    for (const [i, lane] of n.lanes.entries()) {
      expect(within(lane, n), `a lane of ${n.id} sticks out`).toBe(true);
      expect(n.lanes.slice(i + 1).some((other) => overlap(lane, other))).toBe(false);
      expect(lane.height).toBeCloseTo(n.lanes[0]!.height);
    }
    expect(within(n, { x: 0, y: 0, width: l.width, height: l.height }), `${n.id} is outside of the graph`).toBe(true);
  }
  for (const e of l.edges) {
    const touches = (p: [number, number], n: LaidNode) => within({ x: p[0], y: p[1], width: 0, height: 0 }, n, 1) && (Math.abs(p[1] - n.y) < 1 || Math.abs(p[1] - n.y - n.height) < 1 || Math.abs(p[0] - n.x) < 1 || Math.abs(p[0] - n.x - n.width) < 1);
    expect(e.points.length).toBeGreaterThan(1);
    expect(touches(e.points[0]!, byId.get(e.from)!), `${e.id} does not begin at its node`).toBe(true);
    expect(touches(e.points.at(-1)!, byId.get(e.to)!), `${e.id} does not end at its node`).toBe(true);
  }
}

describe('layout', () => {
  it.each(Object.keys(definitions))('of %s is as it was', (name) => {
    const l = layout(readDefinition(definitions[name])!);
    check(l);
    const round = (n: number) => Math.round(n * 10) / 10;
    const seen = {
      size: [round(l.width), round(l.height)],
      nodes: Object.fromEntries(l.nodes.map((n) => [n.id, [n.x, n.y, n.width, n.height].map(round)])),
      edges: Object.fromEntries(l.edges.map((e) => [e.id, `${e.gutter ? 'gutter' : 'direct'}${e.loop ? ', loop' : ''} ${e.points.map((p) => p.map(round).join(',')).join(' ')}`])),
    };
    const path = `${golden}/${name.replaceAll(' ', '-')}.json`;
    if (process.env.UPDATE || !existsSync(path)) {
      mkdirSync(golden, { recursive: true });
      writeFileSync(path, `${JSON.stringify(seen, null, 1)}\n`);
    }
    expect(seen).toEqual(JSON.parse(readFileSync(path, 'utf8')));
  });

  it('holds for machines that nobody wrote', () => {
    for (let seed = 1; seed <= 100; seed++) {
      try {
        check(layout(random(seed)));
      } catch (err) {
        throw new Error(`seed ${seed}: ${String(err)}`);
      }
    }
  }, 60_000);

  it('keeps the main path straight', () => {
    const l = layout(readDefinition(definitions['choice and loop'])!);
    const x = (id: string) => {
      const n = l.nodes.find((each) => each.id === id)!;
      return n.x + n.width / 2;
    };
    expect(x(startId)).toBeCloseTo(x('Try'));
    expect(l.edges.find((e) => e.from === 'Pause')!.loop).toBe(true);
  });

  it('draws a collapsed container like any other state', () => {
    const l = layout(readDefinition(definitions['map in parallel'])!, new Set(['Both']));
    const both = l.nodes.find((n) => n.id === 'Both')!;
    expect([both.width, both.height, both.open, both.inside]).toEqual([size.width, size.height, false, 4]);
    expect(l.nodes.some((n) => n.parent)).toBe(false);
  });

  it('takes a chain of a thousand states', () => {
    const states = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`S${i}`, { Type: 'Pass', ...(i < 999 ? { Next: `S${i + 1}` } : { End: true }) }]));
    expect(layout(readDefinition({ StartAt: 'S0', States: states })!).nodes).toHaveLength(1001);
  });
});
