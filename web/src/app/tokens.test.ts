import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const css = readFileSync('src/app/tokens.css', 'utf8');

function tokens(selector: string): Record<string, string> {
  const at = css.indexOf(`${selector} {`);
  const block = css.slice(at, css.indexOf('\n}', at));
  return Object.fromEntries([...block.matchAll(/--ls-([\w-]+):\s*(#[0-9a-f]{6});/g)].map((m) => [m[1]!, m[2]!]));
}

const light = tokens(':root');
const themes = { light, dark: { ...light, ...tokens(":root[data-mantine-color-scheme='dark']") } };

function luminance(hex: string): number {
  const [r, g, b] = [1, 3, 5].map((i) => {
    const c = parseInt(hex.slice(i, i + 2), 16) / 255;
    return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(a: string, b: string): number {
  const [x, y] = [luminance(a), luminance(b)].sort((p, q) => q - p) as [number, number];
  return (x + 0.05) / (y + 0.05);
}

const meanings = ['running', 'succeeded', 'failed', 'handled', 'person', 'neutral'];
const grounds = ['bg', 'surface', 'sunken', 'hover', 'selected'];

describe.each(Object.entries(themes))('colours of the %s theme', (_, t) => {
  const pairs: [string, string][] = [
    ...meanings.flatMap((m): [string, string][] => [[m, `${m}-tint`], [m, 'surface'], [m, 'bg'], ['on-solid', m]]),
    ...grounds.flatMap((g): [string, string][] => [['text', g], ['dim', g], ['accent', g]]),
    ...['key', 'string', 'number', 'word'].map((c): [string, string] => [`code-${c}`, 'sunken']),
  ];
  it.each(pairs)('%s on %s can be read', (fg, bg) => {
    expect(contrast(t[fg]!, t[bg]!)).toBeGreaterThanOrEqual(4.5);
  });
  it.each([1, 2, 3, 4, 5, 6, 7, 8])('category %i stands out from the page', (n) => {
    expect(contrast(t[`cat-${n}`]!, t.surface!)).toBeGreaterThanOrEqual(3);
  });
});
