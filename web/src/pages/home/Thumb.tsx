import { useMemo } from 'react';
import { parseDefinition } from '../../graph/definition.ts';
import { useLayout } from '../../graph/useLayout.ts';
import css from './Home.module.css';

/** The shape of a state machine, too small to read. */
export function Thumb({ definition, label }: { definition: string; label: string }) {
  const scope = useMemo(() => parseDefinition(definition), [definition]);
  const { data } = useLayout(definition, scope, none);
  if (!data) return <div className={css.thumb} role="img" aria-label={label} />;
  return (
    <div className={css.thumb}>
      <svg viewBox={`-8 -8 ${data.width + 16} ${data.height + 16}`} preserveAspectRatio="xMidYMid meet" role="img" aria-label={label}>
        {data.edges.map((e) => (
          <polyline key={e.id} points={e.points.map((p) => p.join(',')).join(' ')} fill="none" stroke="var(--ls-border-strong)" strokeWidth={3} strokeDasharray={e.kind === 'catch' ? '8 6' : undefined} />
        ))}
        {data.nodes.map((n) => (
          <rect key={n.id} x={n.x} y={n.y} width={n.width} height={n.height} rx={n.type === 'Start' ? n.height / 2 : 8} data-type={n.type} data-open={n.open || undefined} />
        ))}
      </svg>
    </div>
  );
}

const none: ReadonlySet<string> = new Set();
