import { readDefinition, type Scope } from '../graph/definition.ts';
import { nodeAt, parseJson, pathAt, readPointer, valueOf, type JsonNode, type JsonPath } from './cst.ts';

/** Where a state is: in the graph, and in the text. */
export interface Place {
  /** "Each ticket#0/Enrich", as the graph and the server's visits have it. */
  id: string;
  name: string;
  type: string;
  /** What the ids of the states beside it begin with. */
  prefix: string;
  /** Of the object that has StartAt and States. */
  scope: JsonPath;
  path: JsonPath;
}

export type QueryLanguage = 'JSONPath' | 'JSONata';

/** A definition's text, read. */
export interface Machine {
  text: string;
  root: JsonNode;
  scope: Scope | null;
  /** By id. */
  places: ReadonlyMap<string, Place>;
  /** Of scopes, by prefix. */
  scopes: ReadonlyMap<string, JsonPath>;
}

/** Reads a definition; throws a JsonError where it is no JSON. */
export function readMachine(text: string): Machine {
  const root = parseJson(text);
  const places = new Map<string, Place>();
  const scopes = new Map<string, JsonPath>();
  const walk = (scope: JsonPath, prefix: string, depth: number) => {
    scopes.set(prefix, scope);
    const states = nodeAt(root, [...scope, 'States']);
    const seen = new Set<string>();
    for (const m of [...(states?.members ?? [])].reverse()) {
      // Of several with one name the last counts.
      if (m.value.kind !== 'object' || seen.has(m.name)) continue;
      seen.add(m.name);
      const path = [...scope, 'States', m.name];
      const type = nodeAt(root, [...path, 'Type'])?.value;
      const id = prefix + m.name;
      places.set(id, { id, name: m.name, type: typeof type === 'string' && type ? type : 'Unknown', prefix, scope, path });
      if (depth >= 12) continue;
      if (type === 'Map') {
        const key = nodeAt(root, [...path, 'ItemProcessor']) ? 'ItemProcessor' : 'Iterator';
        if (nodeAt(root, [...path, key, 'States'])?.kind === 'object') walk([...path, key], `${id}#0/`, depth + 1);
      }
      if (type === 'Parallel') {
        let n = 0;
        nodeAt(root, [...path, 'Branches'])?.items.forEach((branch, i) => {
          if (branch.kind === 'object') walk([...path, 'Branches', i], `${id}#${n++}/`, depth + 1);
        });
      }
    }
  };
  walk([], '', 0);
  return { text, root, scope: readDefinition(valueOf(root)), places, scopes };
}

/** The names of the states of a scope, in the order of the text. */
export function namesIn(root: JsonNode, scope: JsonPath): string[] {
  return [...new Set((nodeAt(root, [...scope, 'States'])?.members ?? []).filter((m) => m.value.kind === 'object').map((m) => m.name))];
}

/** The names of all states; AWS wants them unique in the whole machine. */
export function allNames(machine: Machine): Set<string> {
  return new Set([...machine.places.values()].map((p) => p.name));
}

/** A name that no state has: "Wait", "Wait 2". */
export function freshName(taken: ReadonlySet<string>, wanted: string): string {
  const base = wanted.slice(0, 74);
  if (!taken.has(base)) return base;
  for (let i = 2; ; i++) if (!taken.has(`${base} ${i}`)) return `${base} ${i}`;
}

/** The query language that counts for a state. */
export function languageOf(root: JsonNode, path: JsonPath = []): QueryLanguage {
  for (const at of [path, []]) {
    const said = nodeAt(root, [...at, 'QueryLanguage'])?.value;
    if (said === 'JSONata' || said === 'JSONPath') return said;
  }
  return 'JSONPath';
}

/** The innermost state that has an offset of the text in it. */
export function stateAt(machine: Machine, offset: number): string | undefined {
  return ownerOf(machine, pathAt(machine.root, offset));
}

/** The innermost state that a path leads into. */
export function ownerOf(machine: Machine, path: JsonPath): string | undefined {
  let best: Place | undefined;
  for (const p of machine.places.values()) {
    if (p.path.length > path.length || (best && best.path.length >= p.path.length)) continue;
    if (p.path.every((part, i) => part === path[i])) best = p;
  }
  return best?.id;
}

/** What a diagnostic of the server is about. */
export function locate(machine: Machine, pointer: string | undefined): { from: number; to: number; line: number; state?: string } {
  const path = readPointer(machine.root, pointer ?? '');
  const node = nodeAt(machine.root, path) ?? machine.root;
  const state = ownerOf(machine, path);
  // Of an object only its beginning: an underlined page says nothing.
  const to = node.kind === 'object' || node.kind === 'array' ? Math.min(node.to, node.from + 1) : node.to;
  return { from: node.from, to, line: lineOf(machine.text, node.from), ...(state === undefined ? {} : { state }) };
}

/** The number of a line, from 1. */
export function lineOf(text: string, offset: number): number {
  let n = 1;
  for (let i = text.indexOf('\n'); i >= 0 && i < offset; i = text.indexOf('\n', i + 1)) n++;
  return n;
}

/** Names of variables that states assign and that a state can read. */
export function variablesFor(machine: Machine, id: string): string[] {
  const own = machine.places.get(id);
  const out = new Set<string>();
  for (const p of machine.places.values()) {
    if (own && !own.prefix.startsWith(p.prefix)) continue;
    const assigns = [nodeAt(machine.root, [...p.path, 'Assign'])];
    for (const list of ['Choices', 'Catch']) nodeAt(machine.root, [...p.path, list])?.items.forEach((_, i) => assigns.push(nodeAt(machine.root, [...p.path, list, i, 'Assign'])));
    for (const a of assigns) for (const m of a?.members ?? []) out.add(m.name.replace(/\.\$$/, ''));
  }
  return [...out].sort();
}
