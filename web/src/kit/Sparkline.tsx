import { colourOf, type Meaning } from './status.ts';

/** A line without axes, for the shape of something over time. */
export function Sparkline({ values, label, width = 96, height = 24, meaning = 'running' }: { values: readonly number[]; label: string; width?: number; height?: number; meaning?: Meaning }) {
  const top = Math.max(...values, 1);
  const step = values.length > 1 ? width / (values.length - 1) : 0;
  const points = values.map((v, i) => `${(i * step).toFixed(1)},${(height - 2 - (v / top) * (height - 4)).toFixed(1)}`).join(' ');
  return (
    <svg width={width} height={height} viewBox={`0 0 ${width} ${height}`} role="img" aria-label={label}>
      <polygon points={`0,${height} ${points} ${width},${height}`} fill={colourOf(meaning)} opacity={0.14} />
      <polyline points={points} fill="none" stroke={colourOf(meaning)} strokeWidth={1.5} strokeLinejoin="round" />
    </svg>
  );
}
