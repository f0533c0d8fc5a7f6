import { describe, expect, it } from 'vitest';
import { diffLines } from './diff.ts';

const show = (a: string, b: string) => diffLines(a, b).flatMap((h) => h.lines.map((l) => ({ same: ' ', removed: '-', added: '+' })[h.kind] + l)).join('');

describe('diffLines', () => {
  it('finds what was added and removed', () => {
    expect(show('a\nb\nc', 'a\nc')).toBe(' a-b c');
    expect(show('a\nc', 'a\nb\nc')).toBe(' a+b c');
    expect(show('a\nb\nc', 'a\nx\nc')).toBe(' a-b+x c');
    expect(show('', 'a')).toBe('+a');
    expect(show('a', '')).toBe('-a');
    expect(show('a\nb\nc\na\nb\nb\na', 'c\nb\na\nb\na\nc')).toHaveLength(18);
  });

  it('keeps all lines of both sides, whatever they are', () => {
    let seed = 7;
    const next = () => (seed = (seed * 1103515245 + 12345) % 2147483648) / 2147483648;
    for (let round = 0; round < 300; round++) {
      const lines = () => Array.from({ length: Math.floor(next() * 30) }, () => 'abc'[Math.floor(next() * 3)]!).join('\n');
      const [a, b] = [lines(), lines()];
      const hunks = diffLines(a, b);
      const side = (kind: string) => hunks.filter((h) => h.kind === 'same' || h.kind === kind).flatMap((h) => h.lines).join('\n');
      expect(side('removed')).toBe(a);
      expect(side('added')).toBe(b);
    }
  });
});
