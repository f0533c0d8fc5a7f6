// What can be done to a state machine on the canvas. Each operation is a change of
// the text that leaves all the rest of it as it is.
import { nodeAt, valueOf, type JsonPath } from './cst.ts';
import { allNames, freshName, languageOf, namesIn, readMachine, type Machine, type Place, type QueryLanguage } from './machine.ts';
import { Patcher, Raw, type Patch } from './patch.ts';

/** A place between two states where another can go. */
export type Slot =
  | { kind: 'start'; prefix: string }
  | { kind: 'next' | 'end' | 'default'; from: string }
  | { kind: 'choice' | 'catch'; from: string; index: number };

/** A change, and what is selected after it. */
export interface Change {
  text: string;
  /** In coordinates of the text before. */
  patches: Patch[];
  select?: string;
}

/** States that go in together: a palette's entry, or what was copied. */
export interface Piece {
  /** The name it would like to have; its type, and the rest of it. */
  name: string;
  type: string;
  /** Given the language and the name of what comes after; undefined: nothing does. */
  make: (language: QueryLanguage) => Record<string, unknown> | Raw;
}

/** Why something cannot be done. */
export class Refused extends Error {}

const terminal = (type: string) => type === 'Succeed' || type === 'Fail';

/** Something about slots in one text: "next:A" is the same slot in all of them. */
export function slotKey(slot: Slot): string {
  return slot.kind === 'start' ? `start:${slot.prefix}` : `${slot.kind}:${slot.from}${'index' in slot ? `:${slot.index}` : ''}`;
}

function finish(p: Patcher, select?: string): Change {
  return { text: p.text, patches: p.patches(), ...(select === undefined ? {} : { select }) };
}

function placeOf(m: Machine, id: string): Place {
  const found = m.places.get(id);
  if (!found) throw new Refused(`There is no state “${id}”.`);
  return found;
}

/** The scope that a slot is in. */
export function prefixOf(m: Machine, slot: Slot): string {
  return slot.kind === 'start' ? slot.prefix : placeOf(m, slot.from).prefix;
}

function targetPath(m: Machine, slot: Slot): JsonPath {
  if (slot.kind === 'start') {
    const scope = m.scopes.get(slot.prefix);
    if (!scope) throw new Refused('There is no such place any more.');
    return [...scope, 'StartAt'];
  }
  const { path } = placeOf(m, slot.from);
  if (slot.kind === 'choice') return [...path, 'Choices', slot.index, 'Next'];
  if (slot.kind === 'catch') return [...path, 'Catch', slot.index, 'Next'];
  return [...path, slot.kind === 'default' ? 'Default' : 'Next'];
}

/** The state that a slot leads to; undefined where the scope ends. */
export function targetOf(m: Machine, slot: Slot, p?: Patcher): string | undefined {
  const value = nodeAt(p?.root ?? m.root, targetPath(m, slot))?.value;
  const prefix = prefixOf(m, slot);
  return typeof value === 'string' && nodeAt(p?.root ?? m.root, [...m.scopes.get(prefix)!, 'States', value]) ? value : undefined;
}

function retarget(p: Patcher, m: Machine, slot: Slot, name: string): void {
  const path = targetPath(m, slot);
  if (slot.kind === 'end' || slot.kind === 'next') link(p, path.slice(0, -1), name);
  else p.set(path, name, slot.kind === 'default' ? 'Choices' : undefined);
}

/** Makes a state lead to another, or end its scope; a Choice gets a Default. */
function link(p: Patcher, path: JsonPath, to: string | undefined): void {
  const type = p.at([...path, 'Type'])?.value;
  if (terminal(String(type))) return;
  if (type === 'Choice') {
    p.set([...path, 'Default'], to, 'Choices');
    return;
  }
  const next = [...path, 'Next'];
  const end = [...path, 'End'];
  if (to === undefined) {
    if (p.at(next) && !p.at(end)) {
      p.rename(next, 'End');
      p.set(end, true);
    } else {
      p.remove(next);
      p.set(end, true);
    }
  } else {
    if (p.at(end) && !p.at(next)) p.rename(end, 'Next');
    else p.remove(end);
    p.set(next, to);
  }
}

/** Where a state leads by itself. */
function successor(p: Patcher, place: Place): string | undefined {
  const to = p.at([...place.path, place.type === 'Choice' ? 'Default' : 'Next'])?.value;
  return typeof to === 'string' && to !== place.name && p.at([...place.scope, 'States', to]) ? to : undefined;
}

/** Lets all that leads to a state lead to where it leads. */
function bypass(p: Patcher, place: Place, keepRules: boolean): void {
  const to = successor(p, place);
  const start = [...place.scope, 'StartAt'];
  if (p.at(start)?.value === place.name) {
    const other = namesIn(p.root, place.scope).find((n) => n !== place.name);
    p.set(start, to ?? other ?? '');
  }
  for (const name of namesIn(p.root, place.scope)) {
    if (name === place.name) continue;
    const path = [...place.scope, 'States', name];
    if (p.at([...path, 'Next'])?.value === place.name) link(p, path, to);
    if (p.at([...path, 'Default'])?.value === place.name) p.set([...path, 'Default'], to);
    for (const list of ['Choices', 'Catch']) {
      const items = p.at([...path, list])?.items.length ?? 0;
      for (let i = items - 1; i >= 0; i--) {
        const at = [...path, list, i, 'Next'];
        if (p.at(at)?.value !== place.name) continue;
        if (to !== undefined) p.set(at, to);
        else if (!keepRules) p.remove(p.at([...path, list])!.items.length === 1 && list === 'Catch' ? [...path, list] : [...path, list, i]);
      }
    }
  }
}

/** In a state that came from elsewhere, lets go of targets that are not here. */
function dropTargets(p: Patcher, path: JsonPath, scope: JsonPath, otherwise: string | undefined): void {
  const here = (name: unknown) => typeof name === 'string' && p.at([...scope, 'States', name]) !== undefined;
  for (const list of ['Choices', 'Catch']) {
    for (let i = (p.at([...path, list])?.items.length ?? 0) - 1; i >= 0; i--) {
      if (here(p.at([...path, list, i, 'Next'])?.value)) continue;
      if (list === 'Choices' && otherwise !== undefined) p.set([...path, list, i, 'Next'], otherwise);
      else p.remove(p.at([...path, list])!.items.length === 1 ? [...path, list] : [...path, list, i]);
    }
  }
}

function addState(p: Patcher, m: Machine, slot: Slot, name: string, definition: Record<string, unknown> | Raw): void {
  const scope = m.scopes.get(prefixOf(m, slot))!;
  const to = targetOf(m, slot, p);
  if (!p.at([...scope, 'States'])) p.set([...scope, 'States'], {}, 'StartAt');
  // At the start of the scope it comes first in the text, too.
  const after = slot.kind === 'start' ? null : placeOf(m, slot.from).name;
  const path = [...scope, 'States', name];
  p.set(path, definition, after);
  dropTargets(p, path, scope, to);
  link(p, path, to);
  retarget(p, m, slot, name);
}

/** The definition of a state as it would be inserted, with names inside that are free. */
function named(m: Machine, definition: Record<string, unknown> | Raw, outer: string): Record<string, unknown> | Raw {
  const taken = allNames(m);
  taken.add(outer);
  if (definition instanceof Raw) {
    const p = new Patcher(`{"StartAt": ${JSON.stringify(outer)}, "States": {${JSON.stringify(outer)}: ${definition.text}}}`);
    for (;;) {
      const inner = readMachine(p.text);
      const clash = [...inner.places.values()].find((x) => x.prefix !== '' && taken.has(x.name));
      if (!clash) break;
      renameIn(p, clash, freshName(new Set([...taken, ...allNames(inner)]), clash.name));
    }
    return new Raw(p.rawAt(['States', outer]));
  }
  const scopes = (d: Record<string, unknown>): Record<string, unknown> => {
    const fix = (scope: Record<string, unknown>) => {
      const map = new Map<string, string>();
      for (const name of Object.keys(scope.States as object)) {
        const fresh = freshName(taken, name);
        taken.add(fresh);
        map.set(name, fresh);
      }
      const states = Object.fromEntries(Object.entries(scope.States as Record<string, Record<string, unknown>>).map(([n, s]) => [map.get(n)!, scopes({ ...s, ...(typeof s.Next === 'string' ? { Next: map.get(s.Next) } : {}), ...(typeof s.Default === 'string' ? { Default: map.get(s.Default) } : {}) })]));
      return { ...scope, StartAt: map.get(scope.StartAt as string), States: states };
    };
    return {
      ...d,
      ...(d.ItemProcessor ? { ItemProcessor: fix(d.ItemProcessor as Record<string, unknown>) } : {}),
      ...(Array.isArray(d.Branches) ? { Branches: d.Branches.map((b) => fix(b as Record<string, unknown>)) } : {}),
    };
  };
  return scopes(definition);
}

/** Puts a new state into a slot. What the slot led to comes after it. */
export function insert(m: Machine, slot: Slot, piece: Piece): Change {
  if (!allowed(m, slot, piece.type)) throw new Refused('This state cannot go here: it has nothing to lead to.');
  const p = new Patcher(m.text);
  const prefix = prefixOf(m, slot);
  const name = freshName(allNames(m), piece.name);
  const language = languageOf(m.root);
  const definition = named(m, piece.make(language), name);
  addState(p, m, slot, name, definition);
  const path = [...m.scopes.get(prefix)!, 'States', name];
  if (piece.type === 'Choice' && (p.at([...path, 'Choices'])?.items.length ?? 0) === 0) {
    const to = targetOf(m, slot) ?? '';
    p.set([...path, 'Choices'], [emptyRule(language, to)], 'Type');
  }
  return finish(p, prefix + name);
}

/** A state of a type can go into a slot. A Choice needs a state to lead to, and nothing comes after an end but on a path of its own. */
export function allowed(m: Machine, slot: Slot, type: string): boolean {
  const to = slotTarget(m, slot);
  if (type === 'Choice') return to !== undefined;
  return true;
}

function slotTarget(m: Machine, slot: Slot): string | undefined {
  try {
    return targetOf(m, slot);
  } catch {
    return undefined;
  }
}

/** All slots where a state may be dropped: not around itself, and not within itself. */
export function slotsFor(m: Machine, moving: { id?: string; type: string }): Slot[] {
  return allSlots(m).filter((s) => {
    if (!allowed(m, s, moving.type)) return false;
    if (moving.id === undefined) return true;
    const prefix = prefixOf(m, s);
    if (prefix.startsWith(`${moving.id}#`)) return false;
    const own = m.places.get(moving.id);
    if (!own) return false;
    // What is around the last state of a scope needs one; and the rules of a Choice lead nowhere elsewhere.
    if (own.prefix !== prefix) return moving.type !== 'Choice' && (own.prefix === '' || namesIn(m.root, own.scope).length > 1);
    return !('from' in s && s.from === moving.id) && targetOf(m, s) !== own.name;
  });
}

/** Every slot of a machine. */
export function allSlots(m: Machine): Slot[] {
  const out: Slot[] = [];
  for (const prefix of m.scopes.keys()) out.push({ kind: 'start', prefix });
  for (const place of m.places.values()) out.push(...slotsAfter(m, place.id));
  return out;
}

/** The slots behind one state, its main way first. */
export function slotsAfter(m: Machine, id: string): Slot[] {
  const place = placeOf(m, id);
  const out: Slot[] = [];
  if (place.type === 'Choice') {
    out.push({ kind: 'default', from: id });
    nodeAt(m.root, [...place.path, 'Choices'])?.items.forEach((rule, index) => rule.kind === 'object' && out.push({ kind: 'choice', from: id, index }));
  } else if (!terminal(place.type)) {
    out.push({ kind: nodeAt(m.root, [...place.path, 'Next']) ? 'next' : 'end', from: id });
  }
  nodeAt(m.root, [...place.path, 'Catch'])?.items.forEach((c, index) => c.kind === 'object' && out.push({ kind: 'catch', from: id, index }));
  return out;
}

/** Where "insert after" goes. */
export function mainSlot(m: Machine, id: string | undefined): Slot | undefined {
  const place = id === undefined ? undefined : m.places.get(id);
  if (!place) return { kind: 'start', prefix: '' };
  return slotsAfter(m, place.id)[0];
}

/** Moves a state, as it is written, to another slot. */
export function move(m: Machine, id: string, slot: Slot): Change {
  const place = placeOf(m, id);
  if (!slotsFor(m, { id, type: place.type }).some((s) => slotKey(s) === slotKey(slot))) throw new Refused('This state cannot go there.');
  const p = new Patcher(m.text);
  const prefix = prefixOf(m, slot);
  if (prefix === place.prefix) {
    bypass(p, place, true);
    const to = targetOf(m, slot, p);
    retarget(p, m, slot, place.name);
    link(p, place.path, to === place.name ? undefined : to);
    return finish(p, id);
  }
  const raw = new Raw(p.rawAt(place.path));
  bypass(p, place, false);
  p.remove(place.path);
  addState(p, m, slot, place.name, raw);
  return finish(p, prefix + place.name);
}

/** Takes a state away; what led to it leads to where it led. */
export function remove(m: Machine, id: string): Change {
  const place = placeOf(m, id);
  const p = new Patcher(m.text);
  if (place.prefix !== '' && namesIn(m.root, place.scope).length === 1) {
    // The last state of a branch takes the branch along.
    const branches = place.scope.slice(0, -1);
    if (place.scope.at(-2) === 'Branches' && (nodeAt(m.root, branches)?.items.length ?? 0) > 1) {
      p.remove(place.scope);
      return finish(p, place.prefix.slice(0, place.prefix.lastIndexOf('#')));
    }
    throw new Refused('What is around this state needs a state inside. Delete the outer one instead.');
  }
  const next = successor(p, place);
  bypass(p, place, false);
  p.remove(place.path);
  return finish(p, next === undefined ? undefined : place.prefix + next);
}

function renameIn(p: Patcher, place: Place, name: string): void {
  const old = place.name;
  p.rename(place.path, name);
  const start = [...place.scope, 'StartAt'];
  if (p.at(start)?.value === old) p.set(start, name);
  for (const each of namesIn(p.root, place.scope)) {
    const path = [...place.scope, 'States', each];
    for (const key of ['Next', 'Default']) if (p.at([...path, key])?.value === old) p.set([...path, key], name);
    for (const list of ['Choices', 'Catch']) {
      const items = p.at([...path, list])?.items.length ?? 0;
      for (let i = 0; i < items; i++) if (p.at([...path, list, i, 'Next'])?.value === old) p.set([...path, list, i, 'Next'], name);
    }
  }
}

/** Gives a state another name, and all that leads to it. */
export function rename(m: Machine, id: string, name: string): Change {
  const place = placeOf(m, id);
  if (name === place.name) return { text: m.text, patches: [], select: id };
  if (name === '') throw new Refused('A state needs a name.');
  if ([...name].length > 80) throw new Refused('A name has at most 80 characters.');
  if (allNames(m).has(name)) throw new Refused(`Another state is called “${name}”.`);
  const p = new Patcher(m.text);
  renameIn(p, place, name);
  return finish(p, place.prefix + name);
}

/** Lets a state lead to another of its scope; undefined: it ends there. */
export function setNext(m: Machine, slot: Slot, to: string | undefined): Change {
  const p = new Patcher(m.text);
  if (slot.kind === 'next' || slot.kind === 'end') link(p, placeOf(m, slot.from).path, to);
  else p.set(targetPath(m, slot), to, slot.kind === 'default' ? 'Choices' : undefined);
  return finish(p);
}

export function canWrap(type: string): boolean {
  return type !== 'Choice' && !terminal(type);
}

/** Puts a Parallel or a Map around a state. Its catchers move outward, since what they lead to stays outside. */
export function wrap(m: Machine, id: string, type: 'Parallel' | 'Map'): Change {
  const place = placeOf(m, id);
  if (!canWrap(place.type)) throw new Refused(`A ${place.type} state leads out of what would be around it.`);
  const p = new Patcher(m.text);
  const name = freshName(allNames(m), type);
  const inner = new Patcher(p.rawAt(place.path));
  const catchers = inner.at(['Catch']) ? new Raw(inner.rawAt(['Catch'])) : undefined;
  const next = inner.at(['Next'])?.value;
  inner.remove(['Catch']);
  link(inner, [], undefined);
  // What led to the state leads to what is around it now; a loop to itself does, too.
  renameIn(p, place, name);
  const path = [...place.scope, 'States', name];
  const scope = { StartAt: place.name, States: { [place.name]: new Raw(inner.text) } };
  p.set(path, {
    Type: type,
    ...(type === 'Map' ? { ItemProcessor: { ProcessorConfig: { Mode: 'INLINE' }, ...scope } } : { Branches: [scope] }),
    ...(catchers ? { Catch: catchers } : {}),
    ...(typeof next === 'string' ? { Next: next === place.name ? name : next } : { End: true }),
  });
  return finish(p, place.prefix + name);
}

/** Makes a state the first of its scope. */
export function setStart(m: Machine, id: string): Change {
  const place = placeOf(m, id);
  const p = new Patcher(m.text);
  p.set([...place.scope, 'StartAt'], place.name);
  return finish(p, id);
}

/** Another branch of a Parallel, with a state that does nothing yet. */
export function addBranch(m: Machine, id: string): Change {
  const place = placeOf(m, id);
  const p = new Patcher(m.text);
  const name = freshName(allNames(m), 'Step');
  const branches = [...place.path, 'Branches'];
  const branch = { StartAt: name, States: { [name]: { Type: 'Pass', End: true } } };
  const n = p.at(branches)?.items.length ?? 0;
  if (p.at(branches)) p.insertItem(branches, n, branch);
  else p.set(branches, [branch], 'Type');
  return finish(p, `${id}#${n}/${name}`);
}

export function emptyRule(language: QueryLanguage, next: string): Record<string, unknown> {
  return language === 'JSONata' ? { Condition: '{% $states.input.ready = true %}', Next: next } : { Variable: '$.ready', BooleanEquals: true, Next: next };
}

/** Another rule of a Choice; it leads to where the Choice leads without it. */
export function addRule(m: Machine, id: string): Change {
  const place = placeOf(m, id);
  const p = new Patcher(m.text);
  const other = namesIn(m.root, place.scope).find((n) => n !== place.name) ?? place.name;
  const next = successor(p, place) ?? other;
  const rules = [...place.path, 'Choices'];
  const rule = emptyRule(languageOf(m.root, place.path), next);
  if (p.at(rules)?.kind === 'array') p.insertItem(rules, p.at(rules)!.items.length, rule);
  else p.set(rules, [rule], 'Type');
  return finish(p, id);
}

/** Catches all errors of a state, and leads to a state of its scope or to a new one that fails. */
export function addCatcher(m: Machine, id: string): Change {
  const place = placeOf(m, id);
  const p = new Patcher(m.text);
  const fail = namesIn(m.root, place.scope).find((n) => nodeAt(m.root, [...place.scope, 'States', n, 'Type'])?.value === 'Fail');
  const name = fail ?? freshName(allNames(m), 'Handle error');
  if (!fail) p.set([...place.scope, 'States', name], { Type: 'Fail', Error: 'Handled', Cause: `${place.name} failed` }, place.name);
  const list = [...place.path, 'Catch'];
  const catcher = { ErrorEquals: ['States.ALL'], Next: name };
  const n = p.at(list)?.items.length ?? 0;
  // States.ALL has to be the last; a catcher before it names an error.
  const last = p.at([...list, n - 1, 'ErrorEquals'])?.items.some((e) => e.value === 'States.ALL');
  if (p.at(list)?.kind === 'array') p.insertItem(list, last ? n - 1 : n, last ? { ...catcher, ErrorEquals: ['States.TaskFailed'] } : catcher);
  else p.set(list, [catcher]);
  return finish(p, id);
}

/** What a copy has of a state. */
export interface Copied {
  name: string;
  type: string;
  text: string;
}

export function copy(m: Machine, id: string): Copied {
  const place = placeOf(m, id);
  const node = nodeAt(m.root, place.path)!;
  return { name: place.name, type: place.type, text: m.text.slice(node.from, node.to) };
}

/** Puts a copied state into a slot, as it was written. */
export function paste(m: Machine, slot: Slot, copied: Copied): Change {
  return insert(m, slot, { name: copied.name, type: copied.type, make: () => new Raw(copied.text) });
}

/** A copy of a state, behind it. */
export function duplicate(m: Machine, id: string): Change {
  const place = placeOf(m, id);
  const slot = mainSlot(m, id) ?? ({ kind: 'start', prefix: place.prefix } as const);
  return paste(m, slot, copy(m, id));
}

/** Sets a member somewhere in a state; undefined takes it away. */
export function setField(m: Machine, path: JsonPath, value: unknown, after?: string): Change {
  const p = new Patcher(m.text);
  p.set(path, value, after);
  return finish(p);
}

/** Several members at once, in order. */
export function setFields(m: Machine, fields: readonly (readonly [JsonPath, unknown])[]): Change {
  const p = new Patcher(m.text);
  for (const [path, value] of fields) p.set(path, value);
  return finish(p);
}

/** Moves an item of a list up or down. */
export function moveItem(m: Machine, path: JsonPath, from: number, to: number): Change {
  const p = new Patcher(m.text);
  const list = p.at(path);
  if (!list?.items[from] || !list.items[to] || from === to) return finish(p);
  const raw = p.rawAt([...path, from]);
  p.remove([...path, from]);
  p.insertItem(path, to, new Raw(raw));
  return finish(p);
}

/** The value at a path. */
export function read(m: Machine, path: JsonPath): unknown {
  const node = nodeAt(m.root, path);
  return node ? valueOf(node) : undefined;
}
