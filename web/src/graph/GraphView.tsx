import '@xyflow/react/dist/base.css';
import { ActionIcon, Tooltip } from '@mantine/core';
import { IconFocusCentered, IconListTree, IconMinus, IconPlus } from '@tabler/icons-react';
import { BaseEdge, EdgeLabelRenderer, Handle, Position, ReactFlow, ReactFlowProvider, useReactFlow, useStore, type Edge as FlowEdge, type EdgeProps, type Node as FlowNode, type NodeProps } from '@xyflow/react';
import { memo, useCallback, useEffect, useMemo, useRef, useState, type ReactNode } from 'react';
import { useShortcuts } from '../app/keys.ts';
import { ErrorState, statusText } from '../kit/index.ts';
import { StatusIcon } from '../kit/StatusBadge.tsx';
import { meaningOf } from '../kit/status.ts';
import { graph } from '../strings/graph.ts';
import type { Scope } from './definition.ts';
import css from './GraphView.module.css';
import { closedAtFirst, startId, type LaidEdge, type LaidNode } from './layout.ts';
import { Outline } from './Outline.tsx';
import type { NodeStatus } from './status.ts';
import { TypeIcon } from './TypeIcon.tsx';
import { useLayout } from './useLayout.ts';

export interface GraphViewProps {
  /** The text of the definition; layouts are kept by it. */
  definition: string;
  scope: Scope;
  label: string;
  status?: ReadonlyMap<string, NodeStatus>;
  /** Edges that were walked: "from→to" by ids. */
  walked?: ReadonlySet<string>;
  selected?: string | undefined;
  onSelect?: (id: string | undefined) => void;
  /** Brought into the middle, now and whenever it changes. */
  focus?: string | undefined;
  /** Over the graph, at the top left: a legend, a picker. */
  overlay?: ReactNode;
  /** Within a container's head: a picker of iterations. */
  headOf?: (id: string) => ReactNode;
  /** What an editor puts on the graph. */
  edit?: GraphEdit;
}

/** What an editor puts on the graph besides the states. */
export interface GraphEdit {
  /** On an edge, behind its label. Edges of one scope are numbered as in its definition; that of the start has none. */
  onEdge: (edge: LaidEdge, index: number | undefined) => ReactNode;
  /** On the upper or the lower edge of a state. */
  around: (node: LaidNode, where: 'above' | 'below') => ReactNode;
  /** Is told of the element of a state, to make it one that can be dragged; returns what undoes that. */
  element: (id: string, element: HTMLElement) => () => void;
}

/** A state machine as a graph that can be moved, zoomed and walked through by keys. */
export function GraphView(props: GraphViewProps) {
  return (
    <ReactFlowProvider>
      <Inner {...props} />
    </ReactFlowProvider>
  );
}

interface Data extends Record<string, unknown> {
  node: LaidNode;
  status: NodeStatus | undefined;
  selected: boolean;
  toggle: (id: string) => void;
  head: ReactNode;
  edit: GraphEdit | undefined;
}

const readable = 0.72;

function Inner({ definition, scope, label, status, walked, selected, onSelect, focus, overlay, headOf, edit }: GraphViewProps) {
  const [collapsed, setCollapsed] = useState<ReadonlySet<string>>(() => closedAtFirst(scope));
  const [outline, setOutline] = useState(false);
  const frame = useRef<HTMLDivElement>(null);
  const flow = useReactFlow();
  const laid = useLayout(definition, scope, collapsed);
  const ready = useStore((s) => s.width > 0 && s.height > 0);
  const unzoom = useStore((s) => (edit ? Math.ceil(10 / s.transform[2]) / 10 : 1));
  const layout = laid.data;

  const toggle = useCallback((id: string) => {
    setCollapsed((old) => {
      const next = new Set(old);
      if (!next.delete(id)) next.add(id);
      return next;
    });
  }, []);

  const nodes = useMemo(
    () =>
      (layout?.nodes ?? []).map(
        (n): FlowNode<Data> => ({
          id: n.id,
          type: n.type === 'Start' ? 'start' : n.open ? 'container' : 'state',
          position: { x: n.x, y: n.y },
          width: n.width,
          height: n.height,
          zIndex: n.depth * 2,
          draggable: false,
          selectable: false,
          focusable: false,
          data: { node: n, status: status?.get(n.id), selected: selected === n.id, toggle, head: n.open ? headOf?.(n.id) : undefined, edit },
        }),
      ),
    [layout, status, selected, toggle, headOf, edit],
  );
  const edges = useMemo(
    () =>
      (layout?.edges ?? []).map(
        (e): FlowEdge => ({ id: e.id, source: e.from, target: e.to, type: 'laid', zIndex: e.depth * 2 + 1, selectable: false, focusable: false, data: { edge: e, edit, walked: walked?.has(`${e.from}→${e.to}`) || e.from === startId && walked !== undefined && walked.size > 0 } }),
      ),
    [layout, walked, edit],
  );

  const show = useCallback(
    (id: string | undefined, animate = true) => {
      if (!layout) return;
      const duration = animate && !matchMedia('(prefers-reduced-motion: reduce)').matches ? 180 : 0;
      const { width, height } = frame.current?.getBoundingClientRect() ?? { width: 800, height: 600 };
      const whole = Math.min((width - 48) / layout.width, (height - 48) / layout.height, 1.15);
      if (whole >= readable || !id) {
        const zoom = Math.max(whole, id === undefined ? 0.1 : readable);
        void flow.setViewport({ x: (width - layout.width * zoom) / 2, y: whole >= readable ? (height - layout.height * zoom) / 2 : 24, zoom }, { duration });
        return;
      }
      const node = layout.nodes.find((n) => n.id === id) ?? layout.nodes[0];
      if (!node) return;
      const zoom = Math.max(readable, Math.min(1, flow.getZoom()));
      const middle = height / 2 - (node.y + Math.min(node.height, 200) / 2) * zoom;
      // Above the first state there is nothing to see.
      void flow.setViewport({ x: width / 2 - (node.x + node.width / 2) * zoom, y: Math.min(24, middle), zoom }, { duration });
    },
    [layout, flow],
  );
  const first = useRef(true);
  useEffect(() => {
    if (!layout || !ready) return;
    show(focus ?? layout.nodes[0]?.id, !first.current);
    first.current = false;
  }, [layout, ready, focus, show]);

  useShortcuts([
    { keys: '!', label: graph.fit, group: graph.keys, run: () => show(undefined) },
    { keys: 'Shift 1', label: graph.fit, group: graph.keys, run: () => show(undefined) },
    { keys: 'u', label: graph.outline, group: graph.keys, run: () => setOutline((o) => !o) },
  ]);

  return (
    <div ref={frame} className={css.frame} style={edit ? ({ '--unzoom': unzoom } as React.CSSProperties) : undefined} role="group" aria-label={label} data-many={(layout?.nodes.length ?? 0) > 150 || undefined}>
      {laid.isError && <div className={css.problem}><ErrorState error={laid.error} retry={() => void laid.refetch()} /></div>}
      {layout && (
        <ReactFlow
          nodes={nodes}
          edges={edges}
          nodeTypes={nodeTypes}
          edgeTypes={edgeTypes}
          minZoom={0.08}
          maxZoom={1.6}
          onlyRenderVisibleElements={layout.nodes.length > 150}
          nodesDraggable={false}
          nodesConnectable={false}
          nodesFocusable={false}
          edgesFocusable={false}
          elementsSelectable={false}
          panOnScroll
          zoomOnDoubleClick={false}
          disableKeyboardA11y
          onNodeClick={(_, n) => n.id !== startId && onSelect?.(n.id)}
          onPaneClick={() => onSelect?.(undefined)}
          attributionPosition="bottom-left"
        />
      )}
      {overlay && <div className={css.overlay}>{overlay}</div>}
      <div className={css.controls}>
        <Tooltip label={graph.outline} position="left">
          <ActionIcon variant="default" size={30} onClick={() => setOutline(!outline)} aria-label={graph.outline} aria-pressed={outline}><IconListTree size={16} /></ActionIcon>
        </Tooltip>
        <Tooltip label={graph.zoomIn} position="left">
          <ActionIcon variant="default" size={30} onClick={() => void flow.zoomIn({ duration: 120 })} aria-label={graph.zoomIn}><IconPlus size={16} /></ActionIcon>
        </Tooltip>
        <Tooltip label={graph.zoomOut} position="left">
          <ActionIcon variant="default" size={30} onClick={() => void flow.zoomOut({ duration: 120 })} aria-label={graph.zoomOut}><IconMinus size={16} /></ActionIcon>
        </Tooltip>
        <Tooltip label={graph.fit} position="left">
          <ActionIcon variant="default" size={30} onClick={() => show(undefined)} aria-label={graph.fit}><IconFocusCentered size={16} /></ActionIcon>
        </Tooltip>
      </div>
      {outline && <Outline scope={scope} status={status} selected={selected} onSelect={(id) => { onSelect?.(id); show(id); }} onClose={() => setOutline(false)} />}
    </div>
  );
}

/** What a screen reader says of a node after what is written on it. */
function Spoken({ node, status }: { node: LaidNode; status: NodeStatus | undefined }) {
  const parts: string[] = [];
  if (status && status.status !== 'not_started') parts.push(statusText(status.status));
  if (status?.note || node.inside > 0) parts.push(node.type);
  if (status?.visits && status.visits > 1) parts.push(graph.visits(status.visits));
  return parts.length > 0 ? <span className="sr-only">, {parts.join(', ')}</span> : null;
}

const Ends = () => (
  <>
    <Handle type="target" position={Position.Top} className={css.handle!} />
    <Handle type="source" position={Position.Bottom} className={css.handle!} />
  </>
);

const StateNode = memo(function StateNode({ data }: NodeProps<FlowNode<Data>>) {
  const { node, status, selected, edit } = data;
  const face = useRef<HTMLButtonElement>(null);
  useDraggable(edit, node.id, face);
  const far = useStore((s) => s.transform[2] < 0.5);
  const is = status?.status ?? 'not_started';
  return (
    <div className={css.state} data-meaning={meaningOf(is)} data-none={is === 'not_started' || undefined} data-selected={selected || undefined} data-far={far || undefined} style={heat(status)}>
      <Ends />
      {edit && !far && <Around node={node} edit={edit} />}
      <button ref={face} type="button" className={`${css.face} nopan`} data-node={node.id} aria-pressed={selected}>
        <span className={css.type}><TypeIcon type={node.type} /></span>
        <span className={css.text}>
          <span className={css.name}>{node.name}</span>
          {!far && <span className={css.note}>{status?.note ?? (node.inside > 0 ? graph.inside(node.inside) : node.type)}</span>}
          <Spoken node={node} status={status} />
        </span>
        {!far && is !== 'not_started' && <span className={css.mark}><StatusIcon status={is} size={15} /></span>}
      </button>
      {!far && status?.visits !== undefined && status.visits > 1 && <span className={`${css.count} num`} aria-hidden="true">{status.visits > 9999 ? '9999+' : `×${status.visits}`}</span>}
      {node.inside > 0 && !far && (
        <button type="button" className={`${css.expand} nopan`} onClick={(e) => { e.stopPropagation(); data.toggle(node.id); }} aria-label={graph.open(node.name)} aria-expanded={false}>
          <IconPlus size={12} />
        </button>
      )}
    </div>
  );
});

const ContainerNode = memo(function ContainerNode({ data }: NodeProps<FlowNode<Data>>) {
  const { node, status, selected, edit } = data;
  const face = useRef<HTMLButtonElement>(null);
  useDraggable(edit, node.id, face);
  const is = status?.status ?? 'not_started';
  return (
    <div className={css.container} data-meaning={meaningOf(is)} data-none={is === 'not_started' || undefined} data-selected={selected || undefined} style={heat(status)}>
      <Ends />
      {edit && <Around node={node} edit={edit} />}
      <div className={css.head}>
        <button ref={face} type="button" className={`${css.headFace} nopan`} data-node={node.id} aria-pressed={selected}>
          <span className={css.type}><TypeIcon type={node.type} /></span>
          <span className={css.name}>{node.name}</span>
          {status?.note && <span className={css.note}>{status.note}</span>}
          <Spoken node={node} status={status} />
          {is !== 'not_started' && <span className={css.mark}><StatusIcon status={is} size={15} /></span>}
        </button>
        {data.head && <span className="nopan nodrag" onClick={(e) => e.stopPropagation()}>{data.head}</span>}
        {status?.visits !== undefined && status.visits > 1 && <span className={`${css.countInline} num`} aria-hidden="true">×{status.visits}</span>}
        <button type="button" className={`${css.collapse} nopan`} onClick={(e) => { e.stopPropagation(); data.toggle(node.id); }} aria-label={graph.close(node.name)} aria-expanded>
          <IconMinus size={12} />
        </button>
      </div>
      {node.lanes.map((lane, i) => (
        <div key={i} className={css.lane} style={{ left: lane.x - node.x - 1, top: lane.y - node.y - 1, width: lane.width, height: lane.height }} />
      ))}
    </div>
  );
});

const StartNode = memo(function StartNode() {
  return (
    <div className={css.start}>
      <Handle type="source" position={Position.Bottom} className={css.handle!} />
    </div>
  );
});

/** What an editor puts at a state's upper and lower edge. */
function Around({ node, edit }: { node: LaidNode; edit: GraphEdit }) {
  const [above, below] = [edit.around(node, 'above'), edit.around(node, 'below')];
  return (
    <>
      {above && <div className={`${css.above} nopan nodrag`} onClick={(e) => e.stopPropagation()}>{above}</div>}
      {below && <div className={`${css.below} nopan nodrag`} onClick={(e) => e.stopPropagation()}>{below}</div>}
    </>
  );
}

function useDraggable(edit: GraphEdit | undefined, id: string, ref: React.RefObject<HTMLElement | null>): void {
  const element = edit?.element;
  useEffect(() => (element && ref.current ? element(id, ref.current) : undefined), [element, id, ref]);
}

function heat(status: NodeStatus | undefined): React.CSSProperties | undefined {
  if (status?.heat === undefined) return undefined;
  return { '--heat': `${Math.round(status.heat * 100)}%` } as React.CSSProperties;
}

/** An edge along the points of its layout, with round corners. */
const LaidEdgeView = memo(function LaidEdgeView({ id, data }: EdgeProps) {
  const { edge, walked, edit } = data as unknown as { edge: LaidEdge; walked: boolean; edit: GraphEdit | undefined };
  const path = rounded(edge.points, edge.gutter ? 7 : 12);
  const [x2, y2] = edge.points.at(-1)!;
  const at = edge.labelAt && edge.label ? edge.labelAt : middle(edge.points);
  const last = edge.id.slice(edge.id.lastIndexOf(':') + 1);
  const index = edge.id === startId ? undefined : Number(last);
  const far = useStore((s) => s.transform[2] < 0.5);
  return (
    <>
      <BaseEdge id={id} path={path} className={css.edge!} data-kind={edge.kind} data-walked={walked || undefined} />
      <path d={`M${x2 - 4},${y2 - 7} L${x2},${y2 - 1} L${x2 + 4},${y2 - 7}`} className={css.arrow} data-kind={edge.kind} data-walked={walked || undefined} />
      {!far && (edge.label && edge.labelAt || edit) && (
        <EdgeLabelRenderer>
          <div className={css.onEdge} data-edit={edit ? true : undefined} style={{ transform: `translate(-50%, -50%) translate(${at[0]}px, ${at[1]}px)`, zIndex: edge.depth * 2 + 3 }}>
            {edge.label && edge.labelAt && <div className={css.edgeLabel} data-kind={edge.kind} title={edge.label}>{edge.label}</div>}
            {edit?.onEdge(edge, index)}
          </div>
        </EdgeLabelRenderer>
      )}
    </>
  );
});

/** The point half way along a line. */
function middle(points: [number, number][]): [number, number] {
  const lengths = points.slice(1).map((p, i) => Math.hypot(p[0] - points[i]![0], p[1] - points[i]![1]));
  let left = lengths.reduce((a, b) => a + b, 0) / 2;
  for (const [i, length] of lengths.entries()) {
    if (left <= length && length > 0) {
      const [a, b] = [points[i]!, points[i + 1]!];
      return [a[0] + ((b[0] - a[0]) * left) / length, a[1] + ((b[1] - a[1]) * left) / length];
    }
    left -= length;
  }
  return points[0] ?? [0, 0];
}

function rounded(points: [number, number][], radius: number): string {
  if (points.length < 2) return '';
  let path = `M${points[0]![0]},${points[0]![1]}`;
  for (let i = 1; i < points.length - 1; i++) {
    const [a, b, c] = [points[i - 1]!, points[i]!, points[i + 1]!];
    const [d1, d2] = [Math.hypot(b[0] - a[0], b[1] - a[1]), Math.hypot(c[0] - b[0], c[1] - b[1])];
    const r = Math.min(radius, d1 / 2, d2 / 2);
    if (r < 1) {
      path += ` L${b[0]},${b[1]}`;
      continue;
    }
    path += ` L${b[0] + ((a[0] - b[0]) / d1) * r},${b[1] + ((a[1] - b[1]) / d1) * r} Q${b[0]},${b[1]} ${b[0] + ((c[0] - b[0]) / d2) * r},${b[1] + ((c[1] - b[1]) / d2) * r}`;
  }
  const last = points.at(-1)!;
  return `${path} L${last[0]},${last[1] - 1}`;
}

const nodeTypes = { state: StateNode, container: ContainerNode, start: StartNode };
const edgeTypes = { laid: LaidEdgeView };
