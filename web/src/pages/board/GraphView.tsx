import dagre from '@dagrejs/dagre';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useMemo } from 'react';
import { graphQuery, type Graph } from '../../api/board.ts';
import { EmptyState, ErrorState, StatusBadge } from '../../kit/index.ts';
import { board as s } from '../../strings/index.ts';
import css from './Board.module.css';
import { criticalPath } from './critical.ts';
import { changed } from './search.ts';

const width = 216;
const height = 62;

/** What of a project waits for what, from left to right, with the longest chain of open work marked. */
export function GraphView({ project }: { project: string }) {
  const graph = useQuery(graphQuery(project));
  const drawn = useMemo(() => (graph.data ? layOut(graph.data) : undefined), [graph.data]);
  if (graph.isError) return <div className={css.graph}><ErrorState error={graph.error} retry={() => void graph.refetch()} /></div>;
  if (!graph.data || !drawn) return <div className={css.graph} />;
  if (graph.data.edges.length === 0) return <div className={css.graph}><EmptyState title={s.graph.none} text={s.graph.noneText} /></div>;
  const { critical, nodes, edges } = drawn;
  const keyOf = new Map(graph.data.tasks.map((t) => [t.id, t.key]));
  return (
    <div className={css.graph} tabIndex={0} role="group" aria-label={s.graph.label}>
      <div className={css.graphBar}>
        {critical.size > 0 && <span><span className={css.swatch} />{s.graph.critical}</span>}
        <span>{s.graph.criticalText(critical.size)}</span>
        {graph.data.more && <span>{s.graph.more}</span>}
      </div>
      <div className={css.canvas} style={{ width: drawn.width, height: drawn.height }}>
        <svg className={css.edges} width={drawn.width} height={drawn.height} aria-hidden="true">
          {edges.map((e) => <path key={`${e.from}-${e.to}`} d={e.path} className={css.edge} data-met={e.met || undefined} data-critical={e.critical || undefined} />)}
        </svg>
        {nodes.map((n) => (
          <Link
            key={n.task.id}
            to="."
            search={changed({ task: n.task.key })}
            className={css.node}
            data-critical={critical.has(n.task.id) || undefined}
            data-ended={n.task.state === 'done' || n.task.state === 'failed' || n.task.state === 'cancelled' || undefined}
            style={{ left: n.x, top: n.y, width, height }}
          >
            <span className={css.nodeTop}><span className={`mono ${css.key}`}>{n.task.key}</span><StatusBadge status={n.task.state} size="sm" /></span>
            <span className="truncate">{n.task.title}</span>
          </Link>
        ))}
      </div>
      <details className={css.outline}>
        <summary>{s.graph.list}</summary>
        <ul>
          {graph.data.tasks.map((t) => {
            const on = graph.data.edges.filter((e) => e.task === t.id).map((e) => `${keyOf.get(e.depends_on)}${e.met ? ` (${s.graph.met})` : ''}`);
            return on.length > 0 && <li key={t.id}>{s.graph.waits(t.key, on)}</li>;
          })}
        </ul>
      </details>
    </div>
  );
}

export function layOut(g: Graph, rankdir: 'LR' | 'TB' = 'LR') {
  const critical = new Set(criticalPath(g));
  const d = new dagre.graphlib.Graph();
  d.setGraph({ rankdir, nodesep: 16, ranksep: 56, marginx: 2, marginy: 2 });
  d.setDefaultEdgeLabel(() => ({}));
  for (const t of g.tasks) d.setNode(t.id, { width, height });
  for (const e of g.edges) d.setEdge(e.depends_on, e.task, { weight: critical.has(e.task) && critical.has(e.depends_on) ? 8 : 1 });
  dagre.layout(d);
  const nodes = g.tasks.map((task) => {
    const n = d.node(task.id);
    return { task, x: (n.x ?? 0) - width / 2, y: (n.y ?? 0) - height / 2 };
  });
  const at = new Map(nodes.map((n) => [n.task.id, n]));
  const order = [...critical];
  const edges = g.edges.map((e) => {
    const [from, to] = [at.get(e.depends_on)!, at.get(e.task)!];
    const [x1, y1, x2, y2] = [from.x + width, from.y + height / 2, to.x, to.y + height / 2];
    const bend = Math.max(24, (x2 - x1) / 2);
    return { from: e.depends_on, to: e.task, met: e.met, critical: order.indexOf(e.task) > 0 && order[order.indexOf(e.task) - 1] === e.depends_on, path: `M${x1},${y1}C${x1 + bend},${y1} ${x2 - bend},${y2} ${x2},${y2}` };
  });
  const size = d.graph();
  return { critical, nodes, edges, width: Math.ceil(size.width ?? 0), height: Math.ceil(size.height ?? 0) };
}
