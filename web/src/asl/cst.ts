// JSON with the place of every part of it, so that a text can be changed where it
// has to change and nowhere else.

export interface JsonNode {
  kind: 'object' | 'array' | 'string' | 'number' | 'word';
  /** Offsets in the text; to is after the last character. */
  from: number;
  to: number;
  /** What it says; undefined for objects and arrays. */
  value?: string | number | boolean | null;
  members: JsonMember[];
  items: JsonNode[];
}

export interface JsonMember {
  name: string;
  key: JsonNode;
  value: JsonNode;
}

export type JsonPath = readonly (string | number)[];

/** Where a text stops being JSON. */
export class JsonError extends Error {
  readonly at: number;

  constructor(message: string, at: number) {
    super(message);
    this.name = 'JsonError';
    this.at = at;
  }
}

/** Deeper nesting is refused, as the server refuses it. */
const deepest = 200;

/** Parses strict JSON; throws a JsonError. */
export function parseJson(text: string): JsonNode {
  let at = 0;
  const fail = (message: string): never => {
    throw new JsonError(message, Math.min(at, text.length));
  };
  const space = () => {
    for (;;) {
      const c = text.charCodeAt(at);
      if (c === 32 || c === 10 || c === 13 || c === 9) at++;
      else return;
    }
  };
  const stringPattern = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
  const numberPattern = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
  const string = (): JsonNode => {
    stringPattern.lastIndex = at;
    const found = stringPattern.exec(text);
    if (!found) return fail(text[at] === '"' ? 'This string does not end, or has a character that must be escaped.' : 'A name in double quotes belongs here.');
    const from = at;
    at = stringPattern.lastIndex;
    return { kind: 'string', from, to: at, value: JSON.parse(found[0]) as string, members: [], items: [] };
  };
  const value = (depth: number): JsonNode => {
    if (depth > deepest) fail('This is nested too deeply.');
    space();
    const from = at;
    const c = text[at];
    if (c === '{') {
      at++;
      const members: JsonMember[] = [];
      space();
      if (text[at] === '}') at++;
      else {
        for (;;) {
          space();
          const key = string();
          space();
          if (text[at] !== ':') fail('A colon belongs here.');
          at++;
          const v = value(depth + 1);
          members.push({ name: key.value as string, key, value: v });
          space();
          if (text[at] === ',') {
            at++;
            continue;
          }
          if (text[at] !== '}') fail('A comma or the end of the object belongs here.');
          at++;
          break;
        }
      }
      return { kind: 'object', from, to: at, members, items: [] };
    }
    if (c === '[') {
      at++;
      const items: JsonNode[] = [];
      space();
      if (text[at] === ']') at++;
      else {
        for (;;) {
          items.push(value(depth + 1));
          space();
          if (text[at] === ',') {
            at++;
            continue;
          }
          if (text[at] !== ']') fail('A comma or the end of the array belongs here.');
          at++;
          break;
        }
      }
      return { kind: 'array', from, to: at, members: [], items };
    }
    if (c === '"') return string();
    for (const [word, v] of [['true', true], ['false', false], ['null', null]] as const) {
      if (text.startsWith(word, at)) {
        at += word.length;
        return { kind: 'word', from, to: at, value: v, members: [], items: [] };
      }
    }
    numberPattern.lastIndex = at;
    const number = numberPattern.exec(text);
    if (!number) return fail(c === undefined ? 'The text ends too early.' : 'A value belongs here.');
    at = numberPattern.lastIndex;
    return { kind: 'number', from, to: at, value: Number(number[0]), members: [], items: [] };
  };
  const root = value(0);
  space();
  if (at < text.length) fail('Nothing belongs after the end of the definition.');
  return root;
}

/** The member of an object; of several with one name the last counts, as everywhere. */
export function memberOf(node: JsonNode | undefined, name: string): JsonMember | undefined {
  return node?.members.findLast((m) => m.name === name);
}

/** What is at a path. */
export function nodeAt(root: JsonNode, path: JsonPath): JsonNode | undefined {
  let node: JsonNode | undefined = root;
  for (const part of path) {
    if (!node) return undefined;
    node = typeof part === 'number' ? node.items[part] : memberOf(node, part)?.value;
  }
  return node;
}

/** The value that a node stands for. */
export function valueOf(node: JsonNode): unknown {
  if (node.kind === 'object') {
    const out: Record<string, unknown> = {};
    for (const m of node.members) Object.defineProperty(out, m.name, { value: valueOf(m.value), enumerable: true, configurable: true, writable: true });
    return out;
  }
  if (node.kind === 'array') return node.items.map(valueOf);
  return node.value;
}

/** The path of the innermost part of a text that has an offset in it. */
export function pathAt(root: JsonNode, offset: number): (string | number)[] {
  const path: (string | number)[] = [];
  let node: JsonNode | undefined = root;
  while (node) {
    let next: JsonNode | undefined = undefined;
    if (node.kind === 'object') {
      const found: JsonMember | undefined = node.members.find((m) => m.key.from <= offset && offset <= m.value.to);
      if (found) {
        path.push(found.name);
        next = offset >= found.value.from ? found.value : undefined;
      }
    } else if (node.kind === 'array') {
      const i: number = node.items.findIndex((n) => n.from <= offset && offset <= n.to);
      if (i >= 0) {
        path.push(i);
        next = node.items[i];
      }
    }
    node = next;
  }
  return path;
}

/** Reads a JSON Pointer, as diagnostics have it: "/States/A/Choices/0" or "/States/A/Choices[0]". */
export function readPointer(root: JsonNode, pointer: string): (string | number)[] {
  const path: (string | number)[] = [];
  let node: JsonNode | undefined = root;
  let parts = pointer.split('/').slice(1).map((p) => p.replace(/~1/g, '/').replace(/~0/g, '~'));
  while (parts.length > 0 && node) {
    if (node.kind === 'array') {
      const i = Number(/^\[?(\d+)\]?$/.exec(parts[0]!)?.[1] ?? NaN);
      if (Number.isNaN(i) || !node.items[i]) break;
      path.push(i);
      node = node.items[i];
      parts = parts.slice(1);
      continue;
    }
    // A name may have a slash of its own that the pointer does not escape, and an index in brackets after it.
    let found = false;
    for (let n = 1; n <= parts.length && !found; n++) {
      const name = parts.slice(0, n).join('/');
      const whole: JsonMember | undefined = memberOf(node, name);
      const indexed: RegExpExecArray | null = whole ? null : /^(.*?)((?:\[\d+\])+)$/.exec(name);
      const member: JsonMember | undefined = whole ?? (indexed ? memberOf(node, indexed[1]!) : undefined);
      if (!member) continue;
      found = true;
      path.push(member.name);
      node = member.value;
      for (const [, i] of indexed?.[2]?.matchAll(/\[(\d+)\]/g) ?? []) {
        if (!node?.items[Number(i)]) break;
        path.push(Number(i));
        node = node.items[Number(i)];
      }
      parts = parts.slice(n);
    }
    if (!found) break;
  }
  return path;
}
