/** A stretch of time in which nothing happens, drawn short. */
export interface Fold {
  from: number;
  to: number;
}

/** Maps times to a line in which long stretches without anything are folded. Milliseconds. */
export interface TimeScale {
  from: number;
  to: number;
  folds: Fold[];
  /** 0 to 1. */
  x: (time: number) => number;
  time: (x: number) => number;
}

/** A fold takes this share of the line. */
const foldShare = 0.035;

/**
 * Makes a scale from the first to the last of the times. Between two neighbours
 * that are further apart than a fifth of the whole, and for which busy is false,
 * time is folded.
 */
export function timeScale(from: number, to: number, times: Iterable<number>, busy: (from: number, to: number) => boolean = () => true): TimeScale {
  const span = Math.max(to - from, 1);
  const sorted = [...new Set([from, ...times, to])].filter((t) => t >= from && t <= to).sort((a, b) => a - b);
  const folds: Fold[] = [];
  for (let i = 1; i < sorted.length; i++) {
    const [a, b] = [sorted[i - 1]!, sorted[i]!];
    if (b - a > Math.max(span * 0.2, 2000) && !busy(a, b)) folds.push({ from: a, to: b });
  }
  const folded = folds.reduce((sum, f) => sum + f.to - f.from, 0);
  const open = Math.max(span - folded, 1);
  const scale = Math.max(1 - folds.length * foldShare, 0.1) / open;
  const x = (time: number) => {
    let at = 0;
    let last = from;
    for (const f of folds) {
      if (time <= f.from) break;
      at += (f.from - last) * scale;
      if (time < f.to) return at + ((time - f.from) / (f.to - f.from)) * foldShare;
      at += foldShare;
      last = f.to;
    }
    return at + (time - last) * scale;
  };
  const time = (px: number) => {
    let low = from;
    let high = to;
    for (let i = 0; i < 50; i++) {
      const mid = (low + high) / 2;
      if (x(mid) < px) low = mid;
      else high = mid;
    }
    return (low + high) / 2;
  };
  return { from, to, folds, x, time };
}

const steps = [
  1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000, 600_000, 900_000, 1_800_000, 3_600_000, 7_200_000, 10_800_000, 21_600_000,
  43_200_000, 86_400_000, 172_800_000, 604_800_000,
];

/** Times for marks on a scale, at most about so many, none within a fold. */
export function ticks(scale: TimeScale, most: number): number[] {
  const folded = scale.folds.reduce((sum, f) => sum + f.to - f.from, 0);
  const span = Math.max(scale.to - scale.from - folded, 1);
  const step = steps.find((s) => span / s <= most) ?? steps.at(-1)!;
  const out: number[] = [];
  let skipTo = -Infinity;
  for (let t = step; t <= scale.to - scale.from && out.length < 200; t += step) {
    const at = scale.from + t;
    if (at < skipTo) continue;
    const fold = scale.folds.find((f) => at > f.from && at < f.to);
    if (fold) {
      skipTo = fold.to;
      t = Math.floor((fold.to - scale.from) / step) * step;
      continue;
    }
    out.push(at);
  }
  return out;
}
