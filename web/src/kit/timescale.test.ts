import { describe, expect, it } from 'vitest';
import { ticks, timeScale } from './timescale.ts';

describe('timeScale', () => {
  it('is a line where nothing is folded', () => {
    const s = timeScale(1000, 3000, [1500]);
    expect([s.x(1000), s.x(2000), s.x(3000)]).toEqual([0, 0.5, 1]);
  });
  it('folds a long time in which nothing goes on', () => {
    const s = timeScale(0, 100_000, [0, 5_000, 95_000, 100_000], (a) => a !== 5_000);
    expect(s.folds).toEqual([{ from: 5_000, to: 95_000 }]);
    expect(s.x(95_000) - s.x(5_000)).toBeCloseTo(0.035);
    expect(s.x(100_000)).toBeCloseTo(1);
    expect(s.time(s.x(97_000))).toBeCloseTo(97_000, 0);
    expect(ticks(s, 10).every((t) => t <= 5_000 || t >= 95_000)).toBe(true);
  });
  it('takes a moment without length', () => {
    const s = timeScale(5, 5, []);
    expect(Number.isFinite(s.x(5))).toBe(true);
  });
});
