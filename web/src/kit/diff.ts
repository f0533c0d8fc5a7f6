/** A piece of a comparison: lines that are the same, taken away or added. */
export interface Hunk {
  kind: 'same' | 'removed' | 'added';
  lines: string[];
}

/** More edits than this are not looked for; the rest counts as replaced. */
const mostEdits = 4000;

/** Compares two texts by lines, by Myers' algorithm. */
export function diffLines(before: string, after: string): Hunk[] {
  const a = before === '' ? [] : before.split('\n');
  const b = after === '' ? [] : after.split('\n');
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  let endA = a.length;
  let endB = b.length;
  while (endA > start && endB > start && a[endA - 1] === b[endB - 1]) {
    endA--;
    endB--;
  }
  const hunks: Hunk[] = [];
  const add = (kind: Hunk['kind'], lines: string[]) => {
    if (lines.length === 0) return;
    const last = hunks.at(-1);
    if (last?.kind === kind) last.lines.push(...lines);
    else hunks.push({ kind, lines });
  };
  add('same', a.slice(0, start));
  for (const [kind, line] of middle(a.slice(start, endA), b.slice(start, endB))) add(kind, [line]);
  add('same', a.slice(endA));
  return hunks;
}

function middle(a: string[], b: string[]): [Hunk['kind'], string][] {
  const most = Math.min(a.length + b.length, mostEdits);
  const offset = most + 1;
  const furthest = new Int32Array(2 * most + 3);
  const trace: Int32Array[] = [];
  for (let d = 0; d <= most; d++) {
    trace.push(furthest.slice(offset - d - 1, offset + d + 2));
    for (let k = -d; k <= d; k += 2) {
      const down = k === -d || (k !== d && furthest[offset + k - 1]! < furthest[offset + k + 1]!);
      let x = down ? furthest[offset + k + 1]! : furthest[offset + k - 1]! + 1;
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) x++;
      furthest[offset + k] = x;
      if (x >= a.length && x - k >= b.length) return backtrack(trace, a, b);
    }
  }
  return [...a.map((l): [Hunk['kind'], string] => ['removed', l]), ...b.map((l): [Hunk['kind'], string] => ['added', l])];
}

function backtrack(trace: Int32Array[], a: string[], b: string[]): [Hunk['kind'], string][] {
  const out: [Hunk['kind'], string][] = [];
  let x = a.length;
  let y = b.length;
  for (let d = trace.length - 1; d >= 0; d--) {
    const row = trace[d]!;
    const at = (k: number) => row[k + d + 1]!;
    const k = x - y;
    const down = k === -d || (k !== d && at(k - 1) < at(k + 1));
    const fromK = down ? k + 1 : k - 1;
    const fromX = d === 0 ? 0 : at(fromK);
    const fromY = d === 0 ? 0 : fromX - fromK;
    while (x > fromX && y > fromY && x > 0 && y > 0 && a[x - 1] === b[y - 1] && (d === 0 || x > (down ? fromX : fromX + 1) || y > (down ? fromY + 1 : fromY))) {
      out.push(['same', a[--x]!]);
      y--;
    }
    if (d === 0) break;
    if (down) out.push(['added', b[--y]!]);
    else out.push(['removed', a[--x]!]);
  }
  return out.reverse();
}
