import { ActionIcon, SegmentedControl, Tabs } from '@mantine/core';
import { useLocalStorage } from '@mantine/hooks';
import { IconChevronLeft, IconChevronRight } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useMemo } from 'react';
import { visitQuery, type Attempt, type ExecutionView, type Payload, type Visit } from '../../api/executions.ts';
import { onServer } from '../../app/base.ts';
import { allStates, parseDefinition } from '../../graph/definition.ts';
import { CellGrid, DiffView, Duration, formatBytes, Inspector, JsonView, Money, StatusBadge, TimeAgo } from '../../kit/index.ts';
import { executions as t } from '../../strings/executions.ts';
import { iterationsOf, shownStatus } from './derive.ts';
import { VisitActions } from '../fork/Fork.tsx';
import { readable } from './cause.ts';
import { AgentTab, EventsTab, FlowTab, isAgentRun, VariablesTab } from './VisitTabs.tsx';
import css from './VisitInspector.module.css';

export type InspectorTab = 'input' | 'output' | 'flow' | 'variables' | 'attempts' | 'events' | 'agent' | 'definition';

interface Props {
  execution: ExecutionView;
  definition: string | undefined;
  node: string;
  visit: Visit | undefined;
  siblings: readonly Visit[];
  visits: readonly Visit[];
  tab: InspectorTab;
  iterations: string | undefined;
  onTab: (tab: InspectorTab) => void;
  onVisit: (v: Visit) => void;
  onAt: (at: string | undefined) => void;
  onClose: () => void;
  onEvents: () => void;
}

/** All about one visit of a state. */
export function VisitInspector({ execution: x, definition, node, visit, siblings, visits, tab, iterations, onTab, onVisit, onAt, onClose, onEvents }: Props) {
  const state = useMemo(() => {
    const scope = definition ? parseDefinition(definition) : null;
    return scope ? allStates(scope).find((s) => s.id === node) : undefined;
  }, [definition, node]);
  const whole = useQuery({ ...visitQuery(x.arn, visit ?? { id: 0, path: '', last_event: 1 }), enabled: visit !== undefined });
  const v = visit ? { ...visit, ...(whole.data?.id === visit.id ? { input: whole.data.input, output: whole.data.output } : {}) } : undefined;
  const at = visit ? siblings.findIndex((s) => s.id === visit.id) : -1;
  const name = node.slice(node.lastIndexOf('/') + 1);
  const found = useMemo(() => (state?.type === 'Map' ? iterationsOf(visits, node).sort((a, b) => a.index - b.index) : []), [state, visits, node]);
  const agent = v !== undefined && isAgentRun(v, state?.source.Resource);
  const tabs: InspectorTab[] = ['input', 'output', 'flow', 'variables', ...(agent ? (['agent'] as const) : []), 'attempts', 'events', 'definition'];
  const pick = (by: number) => {
    const to = siblings[at + by];
    if (to) onVisit(to);
  };

  return (
    <Inspector
      title={name}
      label={t.inspector}
      name="visit"
      width={Math.min(500, Math.round(window.innerWidth * 0.36))}
      onClose={onClose}
      head={
        <>
          <div className={css.badges}>
            <span className="dim">{state?.type ?? v?.type}</span>
            {v && <StatusBadge status={shownStatus(v)} size="sm" />}
            {v && <Duration from={v.entered_at} to={v.exited_at} />}
            {v?.cost_nano !== undefined && <Money nano={v.cost_nano} />}
            {siblings.length > 1 && (
              <span className={css.picker}>
                <ActionIcon size={22} onClick={() => pick(-1)} disabled={at <= 0} aria-label={t.previousVisit}><IconChevronLeft size={14} /></ActionIcon>
                <span className="num" role="status">{t.visitOf(at + 1, siblings.length)}</span>
                <ActionIcon size={22} onClick={() => pick(1)} disabled={at >= siblings.length - 1} aria-label={t.nextVisit}><IconChevronRight size={14} /></ActionIcon>
              </span>
            )}
          </div>
          <VisitActions execution={x} visit={visit} state={name} />
          <Tabs value={tab} onChange={(to) => onTab((to ?? 'input') as InspectorTab)}>
            <Tabs.List className={css.tabs!}>
              {tabs.map((each) => <Tabs.Tab key={each} value={each}>{t.tabs[each]}</Tabs.Tab>)}
            </Tabs.List>
          </Tabs>
        </>
      }
    >
      {v?.error && tab !== 'definition' && (tab !== 'attempts' || v.attempts.length === 0) && (
        <div className={css.error}>
          <code>{v.error}</code>
          {v.cause && <pre className={css.cause}>{readable(v.cause)}</pre>}
          {v.cause_url && <a href={onServer(v.cause_url)} download>{t.export}</a>}
        </div>
      )}
      {v?.waiting_for && !v.exited_at && <p className={css.waits}>{t.waits[v.waiting_for]}</p>}
      {v?.child_execution && <p><Link to="/executions/$id" params={{ id: v.child_execution }}>{t.openChild}</Link></p>}
      {v?.map_run && <p><Link to="/maprun/$id" params={{ id: v.map_run }}>{t.openMapRun}</Link></p>}
      {found.length > 1 && (
        <div className={css.cells}>
          <CellGrid label={t.iterations} statuses={found.map((i) => i.status)} onPick={(i) => onAt(found[i]!.path === iterations ? undefined : found[i]!.path)} selected={found.findIndex((i) => i.path === iterations)} />
        </div>
      )}
      {!v && tab !== 'definition' && <p className="dim">{t.notVisited}</p>}
      {v && tab === 'input' && <PayloadView payload={v.input} label={t.input} pending={whole.isPending} />}
      {v && tab === 'output' && <OutputTab visit={v} pending={whole.isPending} />}
      {v && tab === 'flow' && <FlowTab execution={x} visit={v} />}
      {v && tab === 'variables' && <VariablesTab execution={x} visit={v} />}
      {v && tab === 'agent' && <AgentTab execution={x} visit={v} />}
      {v && tab === 'events' && <EventsTab execution={x} visit={v} onAll={onEvents} />}
      {v && tab === 'attempts' && (v.attempts.length === 0 ? <p className="dim">{t.noAttempts}</p> : <ol className={css.attempts}>{v.attempts.map((a) => <AttemptRow key={a.n} attempt={a} />)}</ol>)}
      {tab === 'definition' && state && <JsonView value={withoutInside(state.source)} label={t.tabs.definition} depth={3} />}
    </Inspector>
  );
}

/** The output, or what it changed of the input. */
function OutputTab({ visit: v, pending }: { visit: Visit; pending: boolean }) {
  const [mode, setMode] = useLocalStorage<'value' | 'changes'>({ key: 'lockstep.output', defaultValue: 'value' });
  if (!v.output && !v.exited_at) return <p className="dim">{t.noOutput}</p>;
  const comparable = v.input && v.output && !v.input.truncated && !v.output.truncated;
  return (
    <>
      {comparable && <SegmentedControl className={css.mode!} aria-label={t.output} value={mode} onChange={(m) => setMode(m as 'value' | 'changes')} data={[{ value: 'value', label: t.outputValue }, { value: 'changes', label: t.outputChanges }]} />}
      {comparable && mode === 'changes' ? <DiffView before={pretty(v.input!)} after={pretty(v.output!)} label={t.outputChanges} beforeLabel={t.input} afterLabel={t.output} /> : <PayloadView payload={v.output} label={t.output} pending={pending} />}
    </>
  );
}

function AttemptRow({ attempt: a }: { attempt: Attempt }) {
  return (
    <li className={css.attempt}>
      <div className={css.attemptHead}>
        <strong>{t.attemptNo(a.n)}</strong>
        <StatusBadge status={a.status} size="sm" />
        <Duration from={a.started_at} to={a.ended_at} />
      </div>
      <div className="dim">
        <TimeAgo at={a.started_at} absolute />
        {a.redrive > 0 && ` · ${t.redriveNo(a.redrive)}`}
        {a.timeout_seconds ? ` · ${t.timeout(a.timeout_seconds)}` : ''}
        {a.heartbeat_seconds ? ` · ${t.heartbeat(a.heartbeat_seconds)}` : ''}
        {a.worker ? ` · ${t.worker} ${a.worker}` : ''}
      </div>
      {a.resource && <div className="mono dim truncate" title={a.resource}>{a.resource}</div>}
      {a.error && <div className={css.attemptError}><code>{a.error}</code>{a.cause && <pre className={css.cause}>{readable(a.cause)}</pre>}</div>}
    </li>
  );
}

function PayloadView({ payload, label, pending }: { payload: Payload | undefined; label: string; pending: boolean }) {
  if (!payload) return pending ? null : <JsonView value={undefined} label={label} />;
  return (
    <>
      <JsonView value={undefined} text={payload.text ?? ''} label={label} depth={3} download={payload.truncated ? onServer(payload.url) : undefined} />
      {payload.truncated && <p className="dim">{t.truncated(formatBytes(payload.bytes))}</p>}
    </>
  );
}

function pretty(payload: Payload): string {
  try {
    return JSON.stringify(JSON.parse(payload.text ?? ''), null, 2);
  } catch {
    return payload.text ?? '';
  }
}

/** A container's definition without the states within, which have nodes of their own. */
function withoutInside(source: Record<string, unknown>): Record<string, unknown> {
  const out = { ...source };
  for (const key of ['ItemProcessor', 'Iterator', 'Branches']) if (key in out) out[key] = '…';
  return out;
}
