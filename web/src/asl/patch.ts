import { memberOf, nodeAt, parseJson, type JsonNode, type JsonPath } from './cst.ts';

/** Some characters of a text replaced by others. */
export interface Patch {
  from: number;
  to: number;
  insert: string;
}

/** JSON that goes into a text as it is written. */
export class Raw {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/**
 * A text of JSON that is being changed in several steps. It remembers which
 * characters of the old text it still has, so that in the end it can say which it
 * has not: patches().
 */
export class Patcher {
  text: string;
  root: JsonNode;
  readonly base: string;
  private pieces: (string | { from: number; to: number })[];
  private readonly unit: string;
  private readonly newline: string;

  constructor(text: string) {
    this.base = text;
    this.text = text;
    this.root = parseJson(text);
    this.pieces = [{ from: 0, to: text.length }];
    this.unit = /\n([ \t]+)\S/.exec(text)?.[1] ?? '  ';
    this.newline = text.includes('\r\n') ? '\r\n' : '\n';
  }

  at(path: JsonPath): JsonNode | undefined {
    return nodeAt(this.root, path);
  }

  /** The text of what is at a path, as it is written. */
  rawAt(path: JsonPath): string {
    const n = this.at(path);
    return n ? this.text.slice(n.from, n.to) : '';
  }

  /** What is different from the text at first, in its coordinates, in order. */
  patches(): Patch[] {
    const out: Patch[] = [];
    let done = 0;
    let insert = '';
    for (const p of this.pieces) {
      if (typeof p === 'string') {
        insert += p;
        continue;
      }
      if (insert || p.from > done) out.push({ from: done, to: p.from, insert });
      insert = '';
      done = p.to;
    }
    if (insert || done < this.base.length) out.push({ from: done, to: this.base.length, insert });
    return out;
  }

  replace(from: number, to: number, insert: string): void {
    const next: typeof this.pieces = [];
    let at = 0;
    let put = false;
    for (const p of this.pieces) {
      const length = typeof p === 'string' ? p.length : p.to - p.from;
      const cut = (a: number, b: number) => {
        if (b <= a) return;
        next.push(typeof p === 'string' ? p.slice(a, b) : { from: p.from + a, to: p.from + b });
      };
      cut(0, Math.min(length, from - at));
      if (!put && from <= at + length) {
        if (insert) next.push(insert);
        put = true;
      }
      cut(Math.max(0, to - at), length);
      at += length;
    }
    if (!put && insert) next.push(insert);
    this.pieces = next;
    this.text = this.text.slice(0, from) + insert + this.text.slice(to);
    this.root = parseJson(this.text);
  }

  /** Sets what is at a path; undefined takes it away. A new member comes after the one named, null: first, or else last. */
  set(path: JsonPath, value: unknown, after?: string | null): void {
    if (value === undefined) {
      this.remove(path);
      return;
    }
    const node = this.at(path);
    const last = path.at(-1)!;
    if (node) {
      const insert = this.write(value, this.indentOf(node.from), this.isSpread(node) || this.isSpread(this.at(path.slice(0, -1))!));
      if (this.text.slice(node.from, node.to) !== insert) this.replace(node.from, node.to, insert);
      return;
    }
    const parent = this.at(path.slice(0, -1));
    if (!parent) {
      // Members on the way there are made, too.
      const missing = path.findIndex((_, i) => !this.at(path.slice(0, i + 1)));
      const made = path.slice(missing + 1).reduceRight<unknown>((inner, part) => (typeof part === 'number' ? [inner] : { [part]: inner }), value);
      this.set(path.slice(0, missing + 1), made, after);
      return;
    }
    if (typeof last === 'number') this.insertInto(parent, parent.items.length, (indent, spread) => this.write(value, indent, spread));
    else {
      const index = after === null ? 0 : parent.members.findLastIndex((m) => m.name === after) + 1;
      this.insertInto(parent, index === 0 && after !== null ? parent.members.length : index, (indent, spread) => `${JSON.stringify(last)}:${this.colonSpace(parent)}${this.write(value, indent, spread)}`);
    }
  }

  /** Puts an item into an array. */
  insertItem(path: JsonPath, index: number, value: unknown): void {
    const array = this.at(path);
    if (array?.kind !== 'array') throw new Error('there is no array at this path');
    this.insertInto(array, Math.min(index, array.items.length), (indent, spread) => this.write(value, indent, spread));
  }

  /** Gives a member another name, at the same place. */
  rename(path: JsonPath, name: string): void {
    const parent = this.at(path.slice(0, -1));
    const member = memberOf(parent, path.at(-1) as string);
    if (member) this.replace(member.key.from, member.key.to, JSON.stringify(name));
  }

  /** Takes a member or an item away, with its comma. */
  remove(path: JsonPath): void {
    const parent = this.at(path.slice(0, -1));
    const node = this.at(path);
    if (!parent || !node) return;
    const parts = partsOf(parent);
    const i = parts.findIndex((p) => p.to === node.to);
    const part = parts[i]!;
    if (parts.length === 1) this.replace(parent.from + 1, parent.to - 1, '');
    else if (i === parts.length - 1) this.replace(parts[i - 1]!.to, part.to, '');
    else this.replace(part.from, parts[i + 1]!.from, '');
  }

  private insertInto(parent: JsonNode, index: number, write: (indent: string, spread: boolean) => string): void {
    const parts = partsOf(parent);
    const outer = this.indentOf(parent.from);
    if (parts.length === 0) {
      const spread = this.base.includes('\n') || this.base.length < 40;
      const indent = outer + this.unit;
      this.replace(parent.from + 1, parent.to - 1, spread ? `${this.newline}${indent}${write(indent, true)}${this.newline}${outer}` : write(indent, false));
      return;
    }
    const spread = this.isSpread(parent);
    const indent = spread ? this.indentOf(parts[0]!.from) : outer;
    const text = write(indent, spread);
    // What is between two members, so that a new one looks like those around it.
    const gap = spread ? `${this.newline}${indent}` : parts.length > 1 ? this.text.slice(parts[0]!.to, parts[1]!.from).replace(/^[^,]*,/, '') : /[:,] /.test(this.text.slice(parent.from, parent.to)) ? ' ' : '';
    if (index >= parts.length) {
      const end = parts.at(-1)!.to;
      this.replace(end, end, `,${gap}${text}`);
    } else {
      const start = parts[index]!.from;
      this.replace(start, start, `${text},${gap}`);
    }
  }

  private isSpread(node: JsonNode): boolean {
    const parts = partsOf(node);
    return parts.length > 0 && this.text.slice(node.from, parts[0]!.from).includes('\n');
  }

  private colonSpace(node: JsonNode): string {
    const m = node.members[0] ?? this.root.members[0];
    if (!m) return ' ';
    return /^"\s*:(\s*)/.exec(this.text.slice(m.key.to - 1, m.value.from))?.[1] ?? ' ';
  }

  private indentOf(offset: number): string {
    const line = this.text.lastIndexOf('\n', offset - 1) + 1;
    return /^[ \t]*/.exec(this.text.slice(line, offset))![0];
  }

  private write(value: unknown, indent: string, spread: boolean): string {
    if (value instanceof Raw) return reindent(value.text, indent);
    if (!spread) return JSON.stringify(value).length > 60 && this.base.includes('\n') ? this.pretty(value, indent) : this.flat(value);
    return this.pretty(value, indent);
  }

  private flat(value: unknown): string {
    return /"\s*: /.test(this.base) || this.base.length < 40 ? JSON.stringify(value, null, 1).replace(/\n\s*/g, ' ') : JSON.stringify(value);
  }

  private pretty(value: unknown, indent: string): string {
    if (Array.isArray(value) && value.every((v) => typeof v !== 'object' || v === null) && JSON.stringify(value).length < 60) return `[${value.map((v) => JSON.stringify(v)).join(', ')}]`;
    if (typeof value !== 'object' || value === null) return JSON.stringify(value);
    const inner = indent + this.unit;
    const lines = Array.isArray(value) ? value.map((v) => this.pretty(v, inner)) : Object.entries(value).filter(([, v]) => v !== undefined).map(([k, v]) => `${JSON.stringify(k)}: ${v instanceof Raw ? reindent(v.text, inner) : this.pretty(v, inner)}`);
    const [open, close] = Array.isArray(value) ? ['[', ']'] : ['{', '}'];
    if (lines.length === 0) return open + close;
    return `${open}${this.newline}${lines.map((l) => inner + l).join(`,${this.newline}`)}${this.newline}${indent}${close}`;
  }
}

/** Moves JSON that was written elsewhere to another depth; strings have no line ends of their own. */
export function reindent(raw: string, to: string): string {
  const lines = raw.split('\n');
  if (lines.length === 1) return raw;
  const from = /^[ \t]*/.exec(lines.at(-1)!)![0];
  return lines.map((l, i) => (i === 0 || l.trim() === '' ? l : l.startsWith(from) ? to + l.slice(from.length) : to + l.trimStart())).join('\n');
}

function partsOf(node: JsonNode): { from: number; to: number }[] {
  return node.kind === 'array' ? node.items : node.members.map((m) => ({ from: m.key.from, to: m.value.to }));
}

/** A text with patches in its coordinates. */
export function applyPatches(text: string, patches: readonly Patch[]): string {
  let out = '';
  let at = 0;
  for (const p of patches) {
    out += text.slice(at, p.from) + p.insert;
    at = p.to;
  }
  return out + text.slice(at);
}

/** What of a text is different in another one: one patch from the first difference to the last. */
export function difference(before: string, after: string): Patch | null {
  if (before === after) return null;
  let from = 0;
  while (from < before.length && from < after.length && before[from] === after[from]) from++;
  let [to, end] = [before.length, after.length];
  while (to > from && end > from && before[to - 1] === after[end - 1]) {
    to--;
    end--;
  }
  return { from, to, insert: after.slice(from, end) };
}

/** JSON with each member on a line of its own; strings and numbers stay as they are written. */
export function format(text: string, unit = '  '): string {
  const write = (n: JsonNode, indent: string): string => {
    if (n.kind !== 'object' && n.kind !== 'array') return text.slice(n.from, n.to);
    const inner = indent + unit;
    const parts = n.kind === 'object' ? n.members.map((m) => `${text.slice(m.key.from, m.key.to)}: ${write(m.value, inner)}`) : n.items.map((x) => write(x, inner));
    const [open, close] = n.kind === 'object' ? ['{', '}'] : ['[', ']'];
    if (parts.length === 0) return open + close;
    const flat = `[${parts.join(', ')}]`;
    if (n.kind === 'array' && n.items.every((x) => x.kind !== 'object' && x.kind !== 'array') && flat.length < 80) return flat;
    return `${open}\n${parts.map((x) => inner + x).join(',\n')}\n${indent}${close}`;
  };
  return `${write(parseJson(text), '')}\n`;
}

/** The text itself, or formatted where it is all on one line. */
export function readable(text: string): string {
  if (text.trim().includes('\n')) return text;
  try {
    return format(text);
  } catch {
    return text;
  }
}
