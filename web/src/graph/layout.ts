import { Graph, layout as dagreLayout } from '@dagrejs/dagre';
import type { Edge, EdgeKind, Scope, State } from './definition.ts';

export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface LaidNode extends Box {
  id: string;
  name: string;
  type: string;
  depth: number;
  /** The container it is in. */
  parent?: string;
  /** What it contains is drawn in it. */
  open: boolean;
  /** How many states are in it, at any depth. */
  inside: number;
  lanes: Box[];
}

export interface LaidEdge {
  id: string;
  from: string;
  to: string;
  kind: EdgeKind;
  label: string;
  /** A loop or a Catch: runs in the gutter at the right. */
  gutter: boolean;
  loop: boolean;
  points: [number, number][];
  labelAt?: [number, number];
  depth: number;
}

/** A graph with absolute coordinates. Containers come before what is in them. */
export interface Layout {
  width: number;
  height: number;
  nodes: LaidNode[];
  edges: LaidEdge[];
}

export const size = { width: 190, height: 48, header: 34, padding: 16, nodeGap: 30, rankGap: 38, lane: 14, start: 14 } as const;

/** The id of the mark above the first state. */
export const startId = '^start';

const labelHeight = 16;
/** Labels are drawn in 11.5 px and cut to this. */
export const labelWidth = 150;

/**
 * Lays out a state machine. No edge crosses a container's border, so each scope is
 * laid out alone, and then placed as one box in its parent. Containers in collapsed
 * are drawn like other states.
 */
export function layout(scope: Scope, collapsed: ReadonlySet<string> = new Set()): Layout {
  const laid = layoutScope(scope, collapsed, 0, undefined, true);
  return laid;
}

function layoutScope(scope: Scope, collapsed: ReadonlySet<string>, depth: number, parent: string | undefined, top: boolean): Layout {
  const containers = new Map<string, { inner: Layout[]; box: { width: number; height: number } }>();
  const sizeOf = (s: State) => {
    if (s.scopes.length === 0 || collapsed.has(s.id)) return { width: size.width, height: size.height };
    const inner = s.scopes.map((each) => layoutScope(each, collapsed, depth + 1, s.id, false));
    const box = {
      width: Math.max(size.width, inner.reduce((w, l) => w + l.width, 0) + size.padding * 2 * inner.length + size.padding * (inner.length + 1)),
      height: size.header + size.padding * 3 + Math.max(...inner.map((l) => l.height)),
    };
    containers.set(s.id, { inner, box });
    return box;
  };

  const order = depthFirst(scope);
  const g = new Graph({ multigraph: true });
  g.setGraph({ rankdir: 'TB', nodesep: size.nodeGap, ranksep: size.rankGap, marginx: 0, marginy: 0, ranker: 'network-simplex' });
  g.setDefaultEdgeLabel(() => ({}));
  if (top && scope.states.length > 0) g.setNode(startId, { width: size.start, height: size.start });
  for (const s of order.states) g.setNode(s.id, sizeOf(s));
  if (top && scope.states.some((s) => s.id === scope.startAt)) g.setEdge(startId, scope.startAt, { weight: 8, minlen: 1, width: 0, height: 0 }, 'start');

  const weights: Record<EdgeKind, number> = { next: 8, choice: 4, default: 4, catch: 0 };
  const gutter: Edge[] = [];
  const direct: { edge: Edge; name: string }[] = [];
  scope.edges.forEach((edge, i) => {
    const hangs = edge.kind === 'catch' && order.catchers.get(edge.to) === edge;
    if (order.loops.has(edge) || (edge.kind === 'catch' && !hangs)) {
      gutter.push(edge);
      return;
    }
    const width = edge.label ? Math.min(labelWidth, textWidth(edge.label)) : 0;
    g.setEdge(edge.from, edge.to, { weight: weights[edge.kind], minlen: 1, width, height: width ? labelHeight : 0, labelpos: 'c' }, String(i));
    direct.push({ edge, name: String(i) });
  });
  dagreLayout(g);

  const boxes = new Map<string, Box>();
  let right = 0;
  let bottom = 0;
  for (const id of g.nodes()) {
    const n = g.node(id) as Box;
    const box = { x: n.x - n.width / 2, y: n.y - n.height / 2, width: n.width, height: n.height };
    boxes.set(id, box);
    right = Math.max(right, box.x + box.width);
    bottom = Math.max(bottom, box.y + box.height);
  }

  const nodes: LaidNode[] = [];
  const edges: LaidEdge[] = [];
  if (top && boxes.has(startId)) {
    nodes.push({ id: startId, name: '', type: 'Start', depth, open: false, inside: 0, lanes: [], ...boxes.get(startId)! });
    if (g.hasEdge(startId, scope.startAt, 'start')) {
      edges.push({ id: startId, from: startId, to: scope.startAt, kind: 'next', label: '', gutter: false, loop: false, points: pointsOf(g.edge({ v: startId, w: scope.startAt, name: 'start' })), depth });
    }
  }
  for (const s of order.states) {
    const box = boxes.get(s.id)!;
    const container = containers.get(s.id);
    const node: LaidNode = { id: s.id, name: s.name, type: s.type, depth, ...(parent === undefined ? {} : { parent }), open: container !== undefined, inside: countInside(s), lanes: [], ...box };
    nodes.push(node);
    if (container) placeInside(node, container.inner, nodes, edges);
  }
  const ranks = bands([...boxes.values()]);
  for (const { edge, name } of direct) {
    const bends = pointsOf(g.edge({ v: edge.from, w: edge.to, name })).slice(1, -1);
    const points = routeDirect(boxes.get(edge.from)!, boxes.get(edge.to)!, bends, ranks);
    // Nearer to where it leads, since that is where edges are apart.
    const labelAt = edge.label ? between(points, 0.6) : undefined;
    edges.push({ ...baseEdge(edge, depth, name), gutter: false, loop: false, points, ...(labelAt ? { labelAt } : {}) });
  }

  const used = routeGutter(gutter, order.loops, boxes, ranks, right, depth, scope, edges);
  return { width: Math.max(right + used, size.width), height: bottom, nodes, edges };
}

function baseEdge(edge: Edge, depth: number, name: string) {
  return { id: `${edge.from}→${edge.to}:${name}`, from: edge.from, to: edge.to, kind: edge.kind, label: edge.label, depth };
}

function pointsOf(edge: unknown): [number, number][] {
  return ((edge as { points?: { x: number; y: number }[] }).points ?? []).map((p) => [p.x, p.y]);
}

/** Puts the inner layouts of a container side by side, in lanes of one height. */
function placeInside(node: LaidNode, inner: Layout[], nodes: LaidNode[], edges: LaidEdge[]): void {
  const content = inner.reduce((w, l) => w + l.width, 0) + size.padding * 2 * inner.length + size.padding * (inner.length - 1);
  let x = node.x + Math.max(size.padding, (node.width - content) / 2);
  const y = node.y + size.header;
  const height = node.height - size.header - size.padding;
  for (const l of inner) {
    const lane = { x, y, width: l.width + size.padding * 2, height };
    node.lanes.push(lane);
    const [dx, dy] = [x + size.padding, y + size.padding];
    for (const n of l.nodes) nodes.push({ ...n, x: n.x + dx, y: n.y + dy, lanes: n.lanes.map((b) => ({ ...b, x: b.x + dx, y: b.y + dy })) });
    for (const e of l.edges) {
      edges.push({ ...e, points: e.points.map(([px, py]) => [px + dx, py + dy]), ...(e.labelAt ? { labelAt: [e.labelAt[0] + dx, e.labelAt[1] + dy] } : {}) });
    }
    x += lane.width + size.padding;
  }
}

interface Order {
  /** As they are reached; those that are not come last. */
  states: State[];
  /** Edges that lead back to where they come from. */
  loops: Set<Edge>;
  /** Handlers that only a Catch leads to, with the last Catch that does. */
  catchers: Map<string, Edge>;
}

function depthFirst(scope: Scope): Order {
  const byId = new Map(scope.states.map((s) => [s.id, s]));
  const out = new Map<string, Edge[]>();
  for (const e of scope.edges) out.set(e.from, [...(out.get(e.from) ?? []), e]);
  const state = new Map<string, 'open' | 'done'>();
  const loops = new Set<Edge>();
  const states: State[] = [];
  const visit = (first: string) => {
    // With a stack of its own: a definition may be a chain of thousands.
    const stack: { id: string; edges: Edge[]; at: number }[] = [];
    const enter = (id: string) => {
      state.set(id, 'open');
      states.push(byId.get(id)!);
      // Main path first, so that handlers do not pull it about.
      const edges = [...(out.get(id) ?? [])].sort((a, b) => Number(a.kind === 'catch') - Number(b.kind === 'catch'));
      stack.push({ id, edges, at: 0 });
    };
    enter(first);
    while (stack.length > 0) {
      const frame = stack.at(-1)!;
      const edge = frame.edges[frame.at++];
      if (!edge) {
        state.set(frame.id, 'done');
        stack.pop();
      } else if (!state.has(edge.to)) enter(edge.to);
      else if (state.get(edge.to) === 'open') loops.add(edge);
    }
  };
  if (byId.has(scope.startAt)) visit(scope.startAt);
  for (const s of scope.states) if (!state.has(s.id)) visit(s.id);

  const catchers = new Map<string, Edge>();
  const position = new Map(states.map((s, i) => [s.id, i]));
  const straight = new Set(scope.edges.filter((e) => e.kind !== 'catch' && !loops.has(e)).map((e) => e.to));
  for (const e of scope.edges) {
    if (e.kind !== 'catch' || loops.has(e) || straight.has(e.to) || e.to === scope.startAt) continue;
    const before = catchers.get(e.to);
    if (!before || position.get(e.from)! >= position.get(before.from)!) catchers.set(e.to, e);
  }
  return { states, loops, catchers };
}

/** An edge that goes down: straight to the next rank, and past others where it was given room. */
function routeDirect(from: Box, to: Box, bends: [number, number][], ranks: Rank[]): [number, number][] {
  const [a, b] = [ranks.findIndex((r) => within(from, r)), ranks.findIndex((r) => within(to, r))];
  const inside = (x: number, box: Box) => Math.min(Math.max(x, box.x + 16), box.x + box.width - 16);
  const [x1, x2] = [from.x + from.width / 2, to.x + to.width / 2];
  const [y1, y2] = [from.y + from.height, to.y];
  if (b - a <= 1 || bends.length === 0) {
    // Where one is above the other, in a line.
    const line = x1 > to.x + 16 && x1 < to.x + to.width - 16 && Math.abs(x1 - x2) < 12 ? x1 : undefined;
    if (line !== undefined) return [[line, y1], [line, y2]];
    const middle = (y1 + y2) / 2;
    return [[x1, y1], [x1, middle], [x2, middle], [x2, y2]];
  }
  const past = bends.filter(([, y]) => y > y1 && y < y2);
  const first: [number, number] = past[0] ?? [x1, y1];
  const last: [number, number] = past.at(-1) ?? [x2, y2];
  return [[inside(first[0], from), y1], ...past, [inside(last[0], to), y2]];
}

/** The point at a share of the way. */
function between(points: [number, number][], share: number): [number, number] {
  const lengths = points.slice(1).map((p, i) => Math.hypot(p[0] - points[i]![0], p[1] - points[i]![1]));
  let left = lengths.reduce((a, b) => a + b, 0) * share;
  for (const [i, length] of lengths.entries()) {
    if (left <= length && length > 0) {
      const [a, b] = [points[i]!, points[i + 1]!];
      return [a[0] + ((b[0] - a[0]) * left) / length, a[1] + ((b[1] - a[1]) * left) / length];
    }
    left -= length;
  }
  return points.at(-1)!;
}

interface Rank {
  top: number;
  bottom: number;
}

const within = (b: Box, r: Rank) => b.y >= r.top - 1 && b.y + b.height <= r.bottom + 1;

/** Draws loops and Catch edges at the right, each in a lane of its own where they overlap. Returns how much wider that makes the scope. */
function routeGutter(gutter: Edge[], loops: Set<Edge>, boxes: Map<string, Box>, ranks: Rank[], right: number, depth: number, scope: Scope, edges: LaidEdge[]): number {
  if (gutter.length === 0) return 0;
  // Between two ranks nothing is in the way, so that is where edges run sideways.
  const below = (b: Box) => ranks.find((r) => within(b, r))?.bottom ?? b.y + b.height;
  const above = (b: Box) => ranks.find((r) => within(b, r))?.top ?? b.y;
  const spans = gutter
    .map((edge) => {
      const [from, to] = [boxes.get(edge.from)!, boxes.get(edge.to)!];
      const [y1, y2] = [below(from), above(to)];
      return { edge, from, to, y1, y2, top: Math.min(y1, y2) - 12, bottom: Math.max(y1, y2) + 12 };
    })
    .sort((a, b) => a.bottom - a.top - (b.bottom - b.top) || a.top - b.top);
  const lanes: { top: number; bottom: number }[][] = [];
  for (const s of spans) {
    let lane = lanes.findIndex((taken) => taken.every((t) => t.bottom < s.top || t.top > s.bottom));
    if (lane < 0) lane = lanes.push([]) - 1;
    lanes[lane]!.push(s);
    const x = right + size.lane * (lane + 1);
    const nudge = (lane % 3) * 4;
    const [y1, y2] = [s.y1 + 9 + nudge, s.y2 - 11 - nudge];
    const [x1, x2] = [s.from.x + s.from.width - 18 - nudge, s.to.x + s.to.width - 18 - nudge];
    const points: [number, number][] = [
      [x1, s.from.y + s.from.height],
      [x1, y1],
      [x, y1],
      [x, y2],
      [x2, y2],
      [x2, s.to.y],
    ];
    const index = scope.edges.indexOf(s.edge);
    edges.push({
      ...baseEdge(s.edge, depth, String(index)),
      gutter: true,
      loop: loops.has(s.edge),
      points,
      ...(s.edge.label ? { labelAt: [Math.min((x1 + x) / 2 + 8, x - 6), y1] as [number, number] } : {}),
    });
  }
  return size.lane * lanes.length + 6;
}

/** The ranks of a scope, from top to bottom. */
function bands(boxes: Box[]): Rank[] {
  const out: Rank[] = [];
  for (const b of [...boxes].sort((p, q) => p.y - q.y)) {
    const last = out.at(-1);
    if (last && b.y < last.bottom) last.bottom = Math.max(last.bottom, b.y + b.height);
    else out.push({ top: b.y, bottom: b.y + b.height });
  }
  return out;
}

function countInside(s: State): number {
  return s.scopes.reduce((n, scope) => n + scope.states.reduce((m, inner) => m + 1 + countInside(inner), 0), 0);
}

/** About how wide a label is; exact enough to keep room for it. */
function textWidth(text: string): number {
  return Math.min(text.length, 60) * 6.3 + 12;
}

/** Containers that a large graph begins with closed: all of them, from 150 states on. */
export function closedAtFirst(scope: Scope): Set<string> {
  const out = new Set<string>();
  const count = scope.states.reduce((n, s) => n + 1 + countInside(s), 0);
  if (count <= 150) return out;
  for (const s of scope.states) if (s.scopes.length > 0) out.add(s.id);
  return out;
}
