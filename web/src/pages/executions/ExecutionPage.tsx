import { ActionIcon, Button, Menu, Select, Skeleton, Switch, Tabs } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { IconArrowForwardUp, IconCopy, IconDots, IconDownload, IconPlayerPlay, IconPlayerStop, IconAlertOctagon } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useParams, useSearch } from '@tanstack/react-router';
import { useCallback, useMemo, useState } from 'react';
import { ApiError } from '../../api/http.ts';
import { boundTasksQuery, definitionQuery, executionQuery, totalsQuery, type ExecutionView, type Visit } from '../../api/executions.ts';
import { copyText } from '../../app/clipboard.ts';
import { useShortcuts } from '../../app/keys.ts';
import { Page } from '../../app/Page.tsx';
import { GraphView } from '../../graph/GraphView.tsx';
import { parseDefinition } from '../../graph/definition.ts';
import {
  DataTable, Duration, EmptyState, ErrorState, formatCount, Gantt, IdChip, Money, StatusBadge, statusText, TimeAgo, useDelayed, useNow, type Column,
} from '../../kit/index.ts';
import { common, shell } from '../../strings/index.ts';
import { executions as t } from '../../strings/executions.ts';
import { RedriveDialog, StartDialog, StopDialog } from './dialogs.tsx';
import { interesting, iterationsOf, nodeStatuses, redrives, shownStatus, timelineRows, timelineSummary, walkedEdges } from './derive.ts';
import { EventsTable } from './EventsTable.tsx';
import { exportHistory } from './exportHistory.ts';
import { CompareWith } from '../compare/CompareLink.tsx';
import { ForkFacts } from '../fork/Fork.tsx';
import css from './ExecutionPage.module.css';
import { mostVisits, useVisits } from './useVisits.ts';
import { readable } from './cause.ts';
import { VisitInspector, type InspectorTab } from './VisitInspector.tsx';

type View = 'graph' | 'timeline' | 'table' | 'events';
const views: View[] = ['graph', 'timeline', 'table', 'events'];

interface Search {
  view?: View;
  /** The id of a node of the graph. */
  state?: string;
  visit?: string;
  tab?: InspectorTab;
  /** The iteration of a Map that the graph shows: "Each ticket#3". */
  at?: string;
}

const tabKeys: Partial<Record<InspectorTab, string>> = { input: 'i', output: 'o', flow: 'w', variables: 'v', attempts: 'a', events: 'e', definition: 'd' };

/** One execution: what it does now, what it did, and why it failed. */
export function ExecutionPage() {
  const { id } = useParams({ strict: false }) as { id: string };
  const execution = useQuery(executionQuery(id));
  const late = useDelayed(execution.isPending);
  const name = id.split(':').at(-1) ?? id;
  const crumbs = [{ label: t.title, to: '/executions' }];
  if (execution.data) return <Loaded key={execution.data.arn} execution={execution.data} />;
  const gone = execution.error instanceof ApiError && execution.error.status === 404;
  return (
    <Page title={name} crumbs={crumbs}>
      {execution.isError && (gone ? <EmptyState title={t.noSuch} text={t.noSuchText} /> : <ErrorState error={execution.error} retry={() => void execution.refetch()} />)}
      {late && <Skeleton height={360} />}
    </Page>
  );
}

function Loaded({ execution: x }: { execution: ExecutionView }) {
  const search = useSearch({ strict: false }) as Search;
  const navigate = useNavigate();
  const running = x.status === 'RUNNING' || x.status === 'PENDING_REDRIVE';
  const visits = useVisits(x.arn, running);
  const totals = useQuery(totalsQuery(x.arn));
  const definition = useQuery(definitionQuery(x.arn));
  const [dialog, setDialog] = useState<'stop' | 'redrive' | 'start' | null>(null);
  const [follow, setFollow] = useState(running && !search.state && !search.visit);
  const view = search.view ?? 'graph';
  const list = useMemo(() => visits.data?.list ?? [], [visits.data]);

  const change = useCallback((to: Partial<Search>) => void navigate({ to: '.', search: (old: Search) => ({ ...old, ...to }) as never, replace: true }), [navigate]);
  const chosen = useMemo(() => choose(list, x.failed, search), [list, x.failed, search]);
  const selectVisit = useCallback((v: Visit | undefined, tab?: InspectorTab) => {
    setFollow(false);
    change({ state: v?.node, visit: v ? String(v.id) : undefined, ...(tab ? { tab } : {}) });
  }, [change]);
  const selectNode = useCallback((node: string | undefined) => {
    setFollow(false);
    change({ state: node, visit: undefined });
  }, [change]);

  const failures = useMemo(() => list.filter((v) => v.status === 'failed' || v.status === 'caught'), [list]);
  const step = (among: readonly Visit[], by: number) => {
    if (among.length === 0) return;
    const at = among.findIndex((v) => v.id >= (chosen.visit?.id ?? 0));
    const exact = among[at]?.id === chosen.visit?.id;
    const to = by > 0 ? (exact ? at + 1 : Math.max(at, 0)) : (at < 0 ? among.length : at) - 1;
    const v = among[(to + among.length) % among.length];
    if (v) selectVisit(v);
  };
  const siblings = chosen.siblings;
  const redrivable = x.redrive_status === 'REDRIVABLE';
  useShortcuts([
    ...views.map((v, i) => ({ keys: String(i + 1), label: { graph: t.graph, timeline: t.timeline, table: t.table, events: t.events }[v], group: t.groupViews, run: () => change({ view: v }) })),
    { keys: 'n', label: t.nextFailure, group: t.groupViews, run: () => step(failures, 1) },
    { keys: 'p', label: t.previousFailure, group: t.groupViews, run: () => step(failures, -1) },
    { keys: 'l', label: t.nextVisit, group: t.groupViews, run: () => step(siblings, 1) },
    { keys: 'h', label: t.previousVisit, group: t.groupViews, run: () => step(siblings, -1) },
    { keys: 'c', label: t.copyArn, group: t.groupViews, run: () => void copyText(x.arn).then(() => notifications.show({ message: common.copied })) },
    ...(running ? [{ keys: 'f', label: t.follow, group: t.groupViews, run: () => setFollow(true) }, { keys: '.', label: t.stop, group: t.groupViews, run: () => setDialog('stop') }] : []),
    ...(redrivable ? [{ keys: 'r', label: t.redrive, group: t.groupViews, run: () => setDialog('redrive') }] : []),
    ...(chosen.node
      ? (Object.entries(tabKeys) as [InspectorTab, string][]).map(([tab, keys]) => ({ keys, label: t.tabs[tab], group: t.groupInspector, run: () => change({ tab }) }))
      : []),
  ]);
  useListWalk(x.arn);

  const machine = x.machine.split('/')[0]!;
  return (
    <Page
      fill
      title={x.name}
      crumbs={[{ label: t.title, to: '/executions' }, { label: x.machine, to: `/machines/${encodeURIComponent(machine)}` }]}
      beside={<><StatusBadge status={running && x.waiting_for === 'review' ? 'waiting_for_person' : x.status} size="lg" /><IdChip id={x.arn} label="ARN" shown="ARN" /></>}
      actions={
        <>
          <Button variant="default" leftSection={<IconPlayerPlay size={14} />} onClick={() => setDialog('start')}>{t.newFrom}</Button>
          {redrivable && <Button leftSection={<IconArrowForwardUp size={14} />} onClick={() => setDialog('redrive')}>{t.redrive}</Button>}
          {running && <Button variant="default" leftSection={<IconPlayerStop size={14} />} onClick={() => setDialog('stop')}>{t.stop}</Button>}
          <Menu position="bottom-end">
            <Menu.Target><ActionIcon variant="default" size={30} aria-label={common.more}><IconDots size={16} /></ActionIcon></Menu.Target>
            <Menu.Dropdown>
              <Menu.Item leftSection={<IconCopy size={15} />} onClick={() => void copyText(x.arn)}>{t.copyArn}</Menu.Item>
              <Menu.Item leftSection={<IconDownload size={15} />} onClick={() => void exportHistory(x, definition.data)}>{t.exportHistory}</Menu.Item>
              <CompareWith arn={x.arn} />
            </Menu.Dropdown>
          </Menu>
        </>
      }
      below={<Facts execution={x} />}
    >
      {x.status !== 'SUCCEEDED' && !running && <FailureCard execution={x} onShow={(v) => selectVisit(v, 'input')} />}
      <div className={css.bar}>
        <Tabs value={view} onChange={(v) => change({ view: (v ?? 'graph') as View })}>
          <Tabs.List aria-label={t.views}>
            <Tabs.Tab value="graph">{t.graph}</Tabs.Tab>
            <Tabs.Tab value="timeline">{t.timeline}</Tabs.Tab>
            <Tabs.Tab value="table">{t.table}</Tabs.Tab>
            <Tabs.Tab value="events">{t.events}</Tabs.Tab>
          </Tabs.List>
        </Tabs>
        {running && <Switch label={follow ? t.following : t.follow} checked={follow} onChange={(e) => setFollow(e.currentTarget.checked)} />}
      </div>
      <div className={css.main}>
        <div className={css.view} data-view={view}>
          {visits.isError && <ErrorState error={visits.error} retry={() => void visits.refetch()} />}
          {view === 'graph' && (
            <ExecutionGraph execution={x} definition={definition.data} visits={list} totals={totals.data?.states ?? []} selected={chosen.node} at={search.at} follow={follow} onSelect={selectNode} onAt={(at) => change({ at })} />
          )}
          {view === 'timeline' && <Timeline execution={x} visits={list} more={visits.data?.more ?? false} selected={chosen.visit} onSelect={selectVisit} />}
          {view === 'table' && <VisitTable visits={list} more={visits.data?.more ?? false} selected={chosen.visit} loading={visits.isPending} onSelect={selectVisit} />}
          {view === 'events' && <EventsTable arn={x.arn} marked={chosen.visit} />}
        </div>
        {chosen.node && view !== 'events' && (
          <VisitInspector
            execution={x}
            definition={definition.data}
            node={chosen.node}
            visit={chosen.visit}
            siblings={siblings}
            tab={search.tab ?? (chosen.visit?.status === 'failed' && chosen.visit.attempts.length > 0 ? 'attempts' : 'input')}
            onTab={(tab) => change({ tab })}
            onVisit={selectVisit}
            onClose={() => selectNode(undefined)}
            onEvents={() => change({ view: 'events' })}
            iterations={search.at}
            onAt={(at) => change({ at })}
            visits={list}
          />
        )}
      </div>
      {dialog === 'stop' && <StopDialog execution={x} onClose={() => setDialog(null)} />}
      {dialog === 'redrive' && <RedriveDialog execution={x} totals={totals.data?.by_status} onClose={() => setDialog(null)} />}
      {dialog === 'start' && <StartDialog execution={x} onClose={() => setDialog(null)} onStarted={(arn) => void navigate({ to: '/executions/$id', params: { id: arn } })} />}
    </Page>
  );
}

/** What the address selects: a node, one of its visits, and the others of that node. */
function choose(list: readonly Visit[], failed: Visit | undefined, search: Search): { node: string | undefined; visit: Visit | undefined; siblings: Visit[] } {
  const byId = search.visit ? (list.find((v) => v.id === Number(search.visit)) ?? (failed?.id === Number(search.visit) ? failed : undefined)) : undefined;
  const node = byId?.node ?? search.state;
  const siblings = node ? list.filter((v) => v.node === node && (!search.at || !v.path.startsWith(search.at.slice(0, search.at.lastIndexOf('#') + 1)) || v.path.startsWith(`${search.at}/`))) : [];
  const visit = byId ?? siblings.findLast((v) => v.status === 'failed') ?? siblings.at(-1);
  return { node, visit, siblings };
}

/** [ and ] go through the list that one came from. */
function useListWalk(arn: string) {
  const navigate = useNavigate();
  const walk = (by: number) => {
    const list = JSON.parse(sessionStorage.getItem('lockstep.list') ?? '[]') as string[];
    const to = list[list.indexOf(arn) + by];
    if (list.includes(arn) && to) void navigate({ to: '/executions/$id', params: { id: to } });
  };
  useShortcuts([
    { keys: ']', label: shell.keys.nextItem, group: t.groupViews, run: () => walk(1) },
    { keys: '[', label: shell.keys.previousItem, group: t.groupViews, run: () => walk(-1) },
  ]);
}

function Facts({ execution: x }: { execution: ExecutionView }) {
  const tasks = useQuery(boundTasksQuery(x.arn)).data ?? [];
  const machine = x.machine.split('/')[0]!;
  return (
    <dl className={css.facts}>
      <Fact label={t.columns.machine}>
        <Link to="/machines/$name" params={{ name: machine }}>{x.machine}</Link>
        {(x.alias || x.version) && <span className="dim">{x.alias ?? t.version(x.version!)}</span>}
        {x.type === 'EXPRESS' && <span className="dim">{t.express}</span>}
      </Fact>
      <Fact label={t.started}><TimeAgo at={x.started_at} /></Fact>
      <Fact label={t.duration}><Duration from={x.started_at} to={x.stopped_at} /></Fact>
      <Fact label={t.transitions}><span className="num">{formatCount(x.transitions)}</span></Fact>
      {x.tokens > 0 && <Fact label={t.cost}><Money nano={x.cost_nano} /> <span className="dim num">{t.tokens(formatCount(x.tokens))}</span></Fact>}
      {x.redrives > 0 && <Fact label={t.redrive}>{t.redriven(x.redrives)}</Fact>}
      {x.map_run && <Fact label={t.mapRun}><Link to="/maprun/$id" params={{ id: x.map_run }}>{t.openMapRun}</Link></Fact>}
      {x.parent_execution && <Fact label={t.parent}><Link to="/executions/$id" params={{ id: x.parent_execution }}>{x.parent_execution.split(':').at(-1)}</Link></Fact>}
      <ForkFacts execution={x} className={css.fact} />
      {x.children.length > 0 && (
        <Fact label={t.children}>
          {x.children.slice(0, 3).map((c) => <Link key={c.arn} to="/executions/$id" params={{ id: c.arn }}>{c.arn.split(':').at(-1)}</Link>)}
          {x.children.length > 3 && <span className="dim">+{x.children.length - 3}</span>}
        </Fact>
      )}
      {tasks.length > 0 && (
        <Fact label={t.tasks}>
          {tasks.slice(0, 4).map((task) => (
            <Link key={task.id} to="/board/$project" params={{ project: task.key.replace(/-\d+$/, '') }} search={{ task: task.key } as never} title={task.title}>{task.key}</Link>
          ))}
          {tasks.length > 4 && <span className="dim">+{tasks.length - 4}</span>}
        </Fact>
      )}
    </dl>
  );
}

function Fact({ label, children }: { label: string; children: React.ReactNode }) {
  return (
    <div className={css.fact}>
      <dt>{label}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function FailureCard({ execution: x, onShow }: { execution: ExecutionView; onShow: (v: Visit) => void }) {
  const v = x.failed;
  const error = x.error ?? v?.error;
  const cause = x.cause ?? v?.cause;
  if (x.status === 'ABORTED' && !error && !cause) return null;
  const title = x.status === 'TIMED_OUT' && !v ? t.timedOut : x.status === 'ABORTED' ? t.aborted : v ? t.failedIn(v.state) : t.failedNoState;
  return (
    <section className={css.failure} aria-label={title}>
      <IconAlertOctagon size={20} aria-hidden="true" className={css.failureIcon} />
      <div className={css.failureBody}>
        <div className={css.failureTitle}>
          <strong>{title}</strong>
          {error && <code className={css.errorName}>{error}</code>}
          {v && v.attempts.length > 0 && <span className="dim">{t.attempt(v.attempts.length, v.attempts.length)}</span>}
          {v?.iteration !== undefined && <span className="dim">{t.iteration(v.iteration)}</span>}
        </div>
        {cause && <pre className={css.cause} tabIndex={0} aria-label={t.cause}>{readable(cause)}</pre>}
      </div>
      {v && <Button variant="default" onClick={() => onShow(v)}>{t.showInput}</Button>}
    </section>
  );
}

interface ExecutionGraphProps {
  execution: ExecutionView;
  definition: string | undefined;
  visits: readonly Visit[];
  totals: Parameters<typeof nodeStatuses>[0];
  selected: string | undefined;
  at: string | undefined;
  follow: boolean;
  onSelect: (node: string | undefined) => void;
  onAt: (at: string | undefined) => void;
}

function ExecutionGraph({ execution: x, definition, visits, totals, selected, at, follow, onSelect, onAt }: ExecutionGraphProps) {
  const scope = useMemo(() => (definition ? parseDefinition(definition) : null), [definition]);
  const inside = useVisitsAt(x, at);
  const within = useMemo(() => {
    if (!at || !inside) return undefined;
    // The node of the Map: its path with the indexes of all iterations but its own taken as they are in the definition.
    const node = inside[0]?.node.split('/').slice(0, at.split('/').length).join('/').replace(/#\d+$/, '') ?? at.slice(0, at.lastIndexOf('#'));
    return { node, visits: inside };
  }, [at, inside]);
  const status = useMemo(() => nodeStatuses(totals, visits, within), [totals, visits, within]);
  const walked = useMemo(() => walkedEdges(within ? [...visits.filter((v) => !v.node.startsWith(`${within.node}#`)), ...within.visits] : visits), [visits, within]);
  const focus = useMemo(() => (follow ? interesting(visits, undefined) : (selected ?? interesting(visits, x.failed))), [follow, selected, visits, x.failed]);
  const headOf = useCallback(
    (id: string) => {
      const found = iterationsOf(visits, id);
      if (found.length < 2) return null;
      return (
        <Select
          className={css.picker!}
          size="xs"
          aria-label={t.iterations}
          value={found.find((i) => i.path === at)?.path ?? ''}
          onChange={(v) => onAt(v || undefined)}
          data={[{ value: '', label: t.allIterations(formatCount(found.length)) }, ...found.slice(0, 300).map((i) => ({ value: i.path, label: `${t.iteration(i.index)} ${statusText(i.status).toLowerCase()}` }))]}
          searchable
          allowDeselect={false}
          comboboxProps={{ width: 180, position: 'bottom-end' }}
        />
      );
    },
    [visits, at, onAt],
  );
  if (!scope || definition === undefined) return <Skeleton height="100%" />;
  return <GraphView definition={definition} scope={scope} label={t.graph} status={status} walked={walked} selected={selected} onSelect={onSelect} focus={focus} headOf={headOf} />;
}

/** The visits of one iteration. */
function useVisitsAt(x: ExecutionView, at: string | undefined): readonly Visit[] | undefined {
  const found = useVisits(x.arn, x.status === 'RUNNING', at ? `${at}/` : '');
  return at ? found.data?.list : undefined;
}

function Timeline({ execution: x, visits, more, selected, onSelect }: { execution: ExecutionView; visits: readonly Visit[]; more: boolean; selected: Visit | undefined; onSelect: (v: Visit) => void }) {
  const rows = useMemo(() => timelineRows(visits), [visits]);
  const { now } = useNow(x.status === 'RUNNING');
  const end = x.stopped_at ? Date.parse(x.stopped_at) : now;
  const bands = useMemo(() => redrives(visits, x, end), [visits, x, end]);
  const bar = selected ? rows.flatMap((r) => r.bars).find((b) => b.id === String(selected.id) || b.id.startsWith(`${selected.id}.`))?.id : undefined;
  return (
    <div className={css.scroll}>
      {visits.length === 0 ? (
        <EmptyState title={t.noVisits} />
      ) : (
        <>
          <p className={css.summary}>{timelineSummary(visits, rows, end, more)}</p>
          <Gantt label={t.timeline} rows={rows} now={end} selected={bar} onSelect={(b) => { const v = visits.find((each) => each.id === Number(b.id.split('.')[0])); if (v) onSelect(v); }} bands={bands} />
        </>
      )}
    </div>
  );
}

const visitColumns: Column<Visit>[] = [
  { id: 'state', label: t.visitColumns.state, always: true, cell: (v) => <strong style={{ fontWeight: 550 }}>{v.state}</strong> },
  { id: 'path', label: t.visitColumns.path, cell: (v) => <span className="mono dim">{v.path === v.state ? '' : v.path.slice(0, -v.state.length - 1)}</span> },
  { id: 'type', label: t.visitColumns.type, width: '90px', cell: (v) => v.type },
  { id: 'status', label: t.visitColumns.status, width: '170px', cell: (v) => <StatusBadge status={shownStatus(v)} size="sm" /> },
  { id: 'entered', label: t.visitColumns.entered, width: '120px', cell: (v) => <TimeAgo at={v.entered_at} /> },
  { id: 'duration', label: t.visitColumns.duration, width: '100px', align: 'right', cell: (v) => <Duration from={v.entered_at} to={v.exited_at} /> },
  { id: 'attempts', label: t.visitColumns.attempts, width: '90px', align: 'right', cell: (v) => (v.attempts.length > 1 ? v.attempts.length : '') },
  { id: 'cost', label: t.visitColumns.cost, width: '90px', align: 'right', cell: (v) => (v.cost_nano === undefined ? '' : <Money nano={v.cost_nano} />) },
  { id: 'error', label: t.visitColumns.error, cell: (v) => <span style={{ color: 'var(--ls-failed)' }}>{v.error}</span> },
];

function VisitTable({ visits, more, selected, loading, onSelect }: { visits: Visit[]; more: boolean; selected: Visit | undefined; loading: boolean; onSelect: (v: Visit) => void }) {
  return (
    <div className={css.scroll}>
      <DataTable<Visit> name="visits" label={t.table} columns={visitColumns} rows={visits} rowId={(v) => String(v.id)} rowLabel={(v) => v.path} loading={loading} onOpen={onSelect} {...(selected ? { active: String(selected.id) } : {})} empty={<EmptyState title={t.noVisits} />} />
      {more && <p className="dim">{t.mostVisits(formatCount(mostVisits))}</p>}
    </div>
  );
}
