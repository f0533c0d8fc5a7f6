import { useMemo } from 'react';
import { parseDefinition } from '../../graph/definition.ts';
import { startId } from '../../graph/layout.ts';
import { useLayout } from '../../graph/useLayout.ts';

const nothing: ReadonlySet<string> = new Set();
const colours: Record<string, string> = { Task: 'var(--ls-running)', Choice: 'var(--ls-handled)', Fail: 'var(--ls-failed)', Succeed: 'var(--ls-succeeded)', Wait: 'var(--ls-neutral)' };

/** A state machine as a small picture. */
export function Thumbnail({ definition, label }: { definition: string; label: string }) {
  const scope = useMemo(() => parseDefinition(definition), [definition]);
  const { data } = useLayout(definition, scope, nothing);
  if (!data) return null;
  return (
    <svg viewBox={`-6 -6 ${data.width + 12} ${data.height + 12}`} width="100%" height="100%" role="img" aria-label={label} preserveAspectRatio="xMidYMid meet">
      {data.edges.map((e) => (
        <polyline key={e.id} points={e.points.map((p) => p.join(',')).join(' ')} fill="none" stroke="var(--ls-border-strong)" strokeWidth={3} strokeDasharray={e.kind === 'catch' ? '8 8' : undefined} />
      ))}
      {data.nodes.map((n) =>
        n.id === startId ? (
          <circle key={n.id} cx={n.x + n.width / 2} cy={n.y + n.height / 2} r={n.width / 2} fill="var(--ls-dim)" />
        ) : (
          <g key={n.id}>
            <rect x={n.x} y={n.y} width={n.width} height={n.height} rx={10} fill="var(--ls-surface)" stroke="var(--ls-border-strong)" strokeWidth={3} />
            {!n.open && <rect x={n.x + 12} y={n.y + 15} width={18} height={18} rx={5} fill={colours[n.type] ?? 'var(--ls-neutral)'} opacity={0.85} />}
            {!n.open && <text x={n.x + 40} y={n.y + 31} fontSize={18} fontWeight={560} fill="var(--ls-text)">{n.name.length > 14 ? `${n.name.slice(0, 13)}…` : n.name}</text>}
          </g>
        ),
      )}
    </svg>
  );
}
