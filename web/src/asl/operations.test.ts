import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseJson, pathAt, valueOf } from './cst.ts';
import { beginHistory, record, redo, undo } from './history.ts';
import { allNames, locate, namesIn, readMachine, type Machine } from './machine.ts';
import * as op from './operations.ts';
import { pieces } from './palette.ts';
import { applyPatches, format, Patcher } from './patch.ts';

const root = join(import.meta.dirname, '../../..');

/** Every type of state with every field, in a hand that no formatter has: it has to survive. */
const oddities = [
  '{"Comment":"one line","StartAt":"A","States":{"A":{"Type":"Pass","Next":"B"},"B":{"Type":"Succeed"}}}',
  '{ "StartAt" : "A" ,\n\t"States" : {\n\t\t"A" :{ "Type":"Task" , "Resource" :"arn:aws:states:::lambda:invoke",  "Parameters": {"x.$" : "$.y", "n": 1.50e+3, "u":"\\u00e9\\/"},"X-unknown" : [ ] ,"End":true } } , "X-more":{ }\n}\n\n',
  '{\r\n    "States": {\r\n        "Wait a bit": {"Type": "Wait", "Seconds": 5, "Next": "Choose"},\r\n        "Choose": {"Type": "Choice", "Choices": [{"Variable": "$.a", "NumericEquals": 1, "Next": "Wait a bit"}, {"And": [{"Variable": "$.a", "IsPresent": true}, {"Not": {"Variable": "$.b", "IsNull": true}}], "Next": "Bad"}], "Default": "Good"},\r\n        "Good": {"Type": "Succeed"},\r\n        "Bad": {"Type": "Fail", "Error": "E", "CausePath": "$.c"}\r\n    },\r\n    "StartAt": "Wait a bit"\r\n}',
  `{
  "QueryLanguage": "JSONata",
  "StartAt": "Each/one#1",
  "States": {
    "Each/one#1": {
      "Type": "Map", "Items": "{% $states.input.list %}", "MaxConcurrency": 3,
      "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}, "StartAt": "Both", "States": {
        "Both": {"Type": "Parallel", "Branches": [
          {"StartAt": "L", "States": {"L": {"Type": "Task", "Resource": "arn:aws:states:::http:invoke", "Arguments": {"a": "{% 1 %}"}, "Retry": [{"ErrorEquals": ["States.ALL"], "MaxAttempts": 2}], "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "L2", "Assign": {"why": "{% $states.errorOutput.Error %}"}}], "Next": "L2"}, "L2": {"Type": "Pass", "Output": {"ok": true}, "End": true}}},
          {"StartAt": "R", "States": {"R": {"Type": "Wait", "Timestamp": "{% $now() %}", "End": true}}}
        ], "Assign": {"n": 1}, "End": true}}},
      "ItemReader": {"Resource": "arn:aws:states:::s3:getObject", "Arguments": {"Bucket": "b", "Key": "k"}, "ReaderConfig": {"InputType": "JSON"}},
      "ItemBatcher": {"MaxItemsPerBatch": 10}, "ToleratedFailurePercentage": 5.0, "Label": "x", "ResultWriter": {"Resource": "arn:aws:states:::s3:putObject", "Arguments": {"Bucket": "b", "Prefix": "p"}},
      "Next": "__proto__"
    },
    "__proto__": {"Type": "Choice", "Choices": [{"Condition": "{% $n > 1 %}", "Output": "{% $n %}", "Next": "End \\"it\\""}], "Default": "Each/one#1"},
    "End \\"it\\"": {"Type": "Fail", "Error": "{% 'E' %}"}
  }
}`,
  '{"StartAt":"P","States":{"P":{"Type":"Pass","Result":{"a":[1,2,{"b":null}]},"ResultPath":"$.x","InputPath":null,"OutputPath":"$","End":true}}}',
];

/** Definitions of the examples, of what was recorded at the real service, and odd ones. */
function definitions(): string[] {
  const found = new Set<string>(oddities);
  const look = (v: unknown) => {
    if (typeof v === 'string' && v.includes('"StartAt"')) {
      try {
        const parsed = JSON.parse(v) as { States?: object };
        if (parsed.States && typeof parsed.States === 'object') found.add(v);
      } catch {
        // Some cases are about texts that are no JSON.
      }
    } else if (Array.isArray(v)) v.forEach(look);
    else if (v && typeof v === 'object') {
      if ('StartAt' in v && 'States' in v && v.States && typeof v.States === 'object') found.add(JSON.stringify(v, null, found.size % 3 === 0 ? 4 : found.size % 3 === 1 ? 2 : 0));
      Object.values(v).forEach(look);
    }
  };
  const examples = join(root, 'examples');
  for (const folder of readdirSync(examples, { withFileTypes: true })) {
    if (!folder.isDirectory()) continue;
    for (const file of readdirSync(join(examples, folder.name))) if (file.endsWith('.asl.json')) found.add(readFileSync(join(examples, folder.name, file), 'utf8'));
  }
  const layouts = join(root, 'web/src/graph/testdata');
  for (const file of readdirSync(layouts)) if (file.endsWith('.json')) look(JSON.parse(readFileSync(join(layouts, file), 'utf8')));
  // One machine for each type of state and query language that the palette can make.
  for (const language of ['JSONPath', 'JSONata'] as const) {
    let m = readMachine(JSON.stringify({ QueryLanguage: language, StartAt: 'First', States: { First: { Type: 'Pass', End: true } } }, null, 2));
    for (const piece of pieces([])) {
      const slot = op.slotsFor(m, { type: piece.type })[0];
      if (!slot) continue;
      const changed = op.insert(m, slot, piece);
      found.add(changed.text);
      m = readMachine(changed.text);
    }
  }
  const cases = join(root, '../shared/conformance/cases');
  if (existsSync(cases)) for (const file of readdirSync(cases)) look(JSON.parse(readFileSync(join(cases, file), 'utf8')));
  else console.info('the recorded cases are not here; only the examples are tried');
  return [...found].filter((t) => t.length < 60_000).slice(0, 260);
}

function random(seed: number): () => number {
  let a = seed;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** One edit of the canvas, with the states whose own text it may replace. */
function edit(m: Machine, rnd: () => number, copied: op.Copied[]): { change: op.Change; replaced: string[] } | null {
  const pick = <T>(list: readonly T[]): T | undefined => list[Math.floor(rnd() * list.length)];
  const id = pick([...m.places.keys()]);
  const place = id === undefined ? undefined : m.places.get(id)!;
  const kinds = ['insert', 'insert', 'move', 'remove', 'rename', 'wrap', 'next', 'start', 'branch', 'rule', 'catcher', 'paste', 'duplicate', 'field'];
  switch (pick(kinds)) {
    case 'insert': {
      const piece = pick(pieces([]))!;
      const slot = pick(op.slotsFor(m, { type: piece.type }));
      return slot ? { change: op.insert(m, slot, piece), replaced: [] } : null;
    }
    case 'move': {
      const slot = place && pick(op.slotsFor(m, { id: place.id, type: place.type }));
      return slot ? { change: op.move(m, place.id, slot), replaced: op.prefixOf(m, slot) === place.prefix ? [] : [place.id] } : null;
    }
    case 'remove':
      try {
        return place && m.places.size > 2 ? { change: op.remove(m, place.id), replaced: [...m.places.keys()].filter((k) => k.startsWith(place.prefix)) } : null;
      } catch (err) {
        if (err instanceof op.Refused) return null;
        throw err;
      }
    case 'rename':
      return place ? { change: op.rename(m, place.id, [...`${place.name} ${Math.floor(rnd() * 1e6)}`].slice(-80).join('')), replaced: [] } : null;
    case 'wrap':
      return place && op.canWrap(place.type) && m.text.length < 30_000 && place.path.length < 24 ? { change: op.wrap(m, place.id, rnd() < 0.5 ? 'Map' : 'Parallel'), replaced: [place.id] } : null;
    case 'next': {
      const slot = place && pick(op.slotsAfter(m, place.id));
      return slot ? { change: op.setNext(m, slot, pick(namesIn(m.root, place.scope))), replaced: [] } : null;
    }
    case 'start':
      return place ? { change: op.setStart(m, place.id), replaced: [] } : null;
    case 'branch':
      return place?.type === 'Parallel' ? { change: op.addBranch(m, place.id), replaced: [] } : null;
    case 'rule':
      return place?.type === 'Choice' ? { change: op.addRule(m, place.id), replaced: [] } : null;
    case 'catcher':
      return place && ['Task', 'Map', 'Parallel'].includes(place.type) ? { change: op.addCatcher(m, place.id), replaced: [] } : null;
    case 'paste': {
      if (place) copied.push(op.copy(m, place.id));
      const one = pick(copied)!;
      const slot = one && one.text.length < 3000 && pick(op.slotsFor(m, { type: one.type }));
      return slot ? { change: op.paste(m, slot, one), replaced: [] } : null;
    }
    case 'duplicate':
      return place && place.type !== 'Choice' && m.text.length < 30_000 ? { change: op.duplicate(m, place.id), replaced: [] } : null;
    default:
      return place ? { change: op.setField(m, [...place.path, 'Comment'], `note ${Math.floor(rnd() * 100)}`), replaced: [] } : null;
  }
}

const links = new Set(['Next', 'End', 'Default', 'StartAt', 'Comment']);

/** What of the old text an edit replaced must be links, spaces, or the states that it says. */
function expectConfined(m: Machine, change: op.Change, replaced: string[]) {
  for (const p of change.patches) {
    const old = m.text.slice(p.from, p.to);
    if (/^[\s,]*$/.test(old)) continue;
    const path = pathAt(m.root, p.from + (/^[\s,]*/.exec(old)![0].length));
    const inReplaced = replaced.some((id) => {
      const at = m.places.get(id)!.path;
      if (at.every((part, i) => part === path[i])) return true;
      // The last state of a branch takes the branch along.
      const { scope } = m.places.get(id)!;
      return scope.length > 0 && namesIn(m.root, scope).length === 1 && scope.every((part, i) => part === path[i]);
    });
    const isRule = path.includes('Choices') || path.includes('Catch');
    // A name of a state, where that is what changes.
    const isName = path.at(-2) === 'States' && old.startsWith('"') && !old.includes('{');
    const isLink = links.has(String(path.at(-1))) || path.some((part) => part === 'Next');
    expect(inReplaced || isRule || isName || isLink, `replaced ${JSON.stringify(old)} at /${path.join('/')}`).toBe(true);
  }
}

const all = definitions();

describe('definitions as text', () => {
  test('there are enough of them', () => {
    expect(all.length).toBeGreaterThanOrEqual(60);
  });

  test('are read and written without a change', () => {
    for (const text of all) {
      expect(valueOf(parseJson(text))).toEqual(JSON.parse(text));
      const p = new Patcher(text);
      expect(p.text).toBe(text);
      expect(p.patches()).toEqual([]);
      // What is read of a part can be written there again.
      for (const place of readMachine(text).places.values()) expect(JSON.parse(p.rawAt(place.path))).toBeTypeOf('object');
    }
  });

  test('every edit of the canvas leaves the rest of the text as it was', { timeout: 120_000 }, () => {
    let made = 0;
    all.forEach((text, n) => {
      const rnd = random(n + 1);
      let h = beginHistory(text);
      const copied: op.Copied[] = [];
      // Texts of many kilobytes are edited less often: what is tried on them is tried on the small ones, too.
      const edits = text.length > 5000 ? 40 : 200;
      for (let i = 0; i < edits; i++) {
        let m = readMachine(h.text);
        if (m.places.size > 24 || h.text.length > Math.max(5000, text.length * 1.5)) {
          h = record(h, text, 'canvas', i);
          m = readMachine(text);
        }
        const made1 = edit(m, rnd, copied);
        if (!made1) continue;
        const { change, replaced } = made1;
        made++;
        expect(applyPatches(m.text, change.patches)).toBe(change.text);
        expect(() => JSON.parse(change.text) as unknown, change.text).not.toThrow();
        expectConfined(m, change, replaced);
        if (change.text === m.text) continue;
        const before = h;
        h = record(h, change.text, 'canvas', i);
        expect(undo(h).text).toBe(before.text);
        expect(redo(undo(h)).text).toBe(change.text);
      }
      while (h.past.length > 0) h = undo(h);
      expect(h.text).toBe(text);
    });
    expect(made).toBeGreaterThan(5000);
  });

  test('names stay the only ones of their kind', () => {
    for (const [n, text] of all.entries()) {
      const rnd = random(1000 + n);
      let m = readMachine(text);
      if (allNames(m).size !== m.places.size || m.places.size > 30) continue;
      for (let i = 0; i < 20; i++) {
        const e = edit(m, rnd, []);
        if (e) m = readMachine(e.change.text);
        expect(allNames(m).size).toBe(m.places.size);
      }
    }
  });
});

describe('edits', () => {
  const chain = readMachine(JSON.stringify({ StartAt: 'A', States: { A: { Type: 'Pass', Next: 'B' }, B: { Type: 'Task', Resource: 'x', Next: 'C', Catch: [{ ErrorEquals: ['E'], Next: 'C' }] }, C: { Type: 'Pass', End: true } } }, null, 2));
  const states = (c: op.Change) => (JSON.parse(c.text) as { StartAt: string; States: Record<string, Record<string, unknown>> }).States;

  test('what a slot led to comes after what is put into it', () => {
    const s = states(op.insert(chain, { kind: 'next', from: 'A' }, pieces([]).find((p) => p.name === 'Wait')!));
    expect(s.A!.Next).toBe('Wait');
    expect(s.Wait!.Next).toBe('B');
    expect(Object.keys(s)).toEqual(['A', 'Wait', 'B', 'C']);
  });

  test('at the end, the end moves on', () => {
    const s = states(op.insert(chain, { kind: 'end', from: 'C' }, pieces([]).find((p) => p.name === 'Wait')!));
    expect(s.C).toEqual({ Type: 'Pass', Next: 'Wait' });
    expect(s.Wait!.End).toBe(true);
  });

  test('a state that is taken away is bypassed', () => {
    const s = states(op.remove(chain, 'B'));
    expect(s.A!.Next).toBe('C');
    const last = states(op.remove(chain, 'C'));
    expect(last.B).toEqual({ Type: 'Task', Resource: 'x', End: true });
  });

  test('a state that moves takes its text along', () => {
    const c = op.move(chain, 'A', { kind: 'end', from: 'C' });
    expect(JSON.parse(c.text)).toMatchObject({ StartAt: 'B', States: { A: { End: true }, C: { Next: 'A' } } });
  });

  test('what is around a state catches its errors', () => {
    const s = states(op.wrap(chain, 'B', 'Map'));
    expect(s.A!.Next).toBe('Map');
    expect(s.Map).toMatchObject({ Type: 'Map', Next: 'C', Catch: [{ ErrorEquals: ['E'], Next: 'C' }], ItemProcessor: { StartAt: 'B', States: { B: { Type: 'Task', Resource: 'x', End: true } } } });
  });

  test('a new name is the new name everywhere', () => {
    const s = states(op.rename(chain, 'C', 'Ω "c"'));
    expect(s.B).toMatchObject({ Next: 'Ω "c"', Catch: [{ Next: 'Ω "c"' }] });
    expect(() => op.rename(chain, 'C', 'A')).toThrow(/Another state/);
  });

  test('nothing can be dropped where it would mean nothing', () => {
    expect(op.slotsFor(chain, { id: 'B', type: 'Task' }).map(op.slotKey)).toEqual(['start:', 'end:C']);
    expect(op.allowed(chain, { kind: 'end', from: 'C' }, 'Choice')).toBe(false);
  });

  test('a diagnostic finds its line and its state', () => {
    const m = readMachine(oddities[3]!);
    expect(locate(m, '/States/Each~1one#1/ItemProcessor/States/Both/Branches[0]/States/L/Retry[0]/MaxAttempts')).toMatchObject({ state: 'Each/one#1#0/Both#0/L', line: 9 });
    expect(locate(m, '/States/Each/one#1/Items')).toMatchObject({ state: 'Each/one#1', line: 6 });
    expect(locate(m, '/nowhere')).toMatchObject({ line: 1 });
  });

  test('formatting changes only the spaces', () => {
    for (const text of oddities) {
      expect(JSON.parse(format(text))).toEqual(JSON.parse(text));
      expect(format(format(text))).toBe(format(text));
    }
    expect(format(oddities[1]!)).toContain('"n": 1.50e+3');
  });

  test('what is typed at one go is undone at one go', () => {
    let h = beginHistory('a');
    h = record(h, 'ab', 'code', 0);
    h = record(h, 'abc', 'code', 500);
    h = record(h, 'abcd', 'canvas', 600);
    expect(undo(h).text).toBe('abc');
    expect(undo(undo(h)).text).toBe('a');
  });
});
