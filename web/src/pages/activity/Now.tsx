import { Button, SegmentedControl } from '@mantine/core';
import { useInfiniteQuery, useQueries, useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import { allAgents, healthQuery, useRights, type Agent, type Alert } from '../../api/agents.ts';
import { usePeople, type Happening } from '../../api/board.ts';
import { rest } from '../../api/http.ts';
import { noticeDeliveries } from '../../api/notices.ts';
import { auditPage, webhooksQuery } from '../../api/settings.ts';
import { DataTable, EmptyState, ErrorState, formatDuration, Panel, StatusBadge, TimeAgo } from '../../kit/index.ts';
import { common } from '../../strings/index.ts';
import { agents as words } from '../../strings/agents.ts';
import { notices } from '../../strings/notices.ts';
import { ops as t } from '../../strings/ops.ts';
import { formatFigure } from '../agents/HealthPanel.tsx';

const troubles = (a: Agent) => [a.status.failing ? 'failing' : '', a.status.stalled ? 'stalled' : '', ['blocked', 'offline', 'paused'].includes(a.status.label) ? a.status.label : ''].filter(Boolean);

/** Agents that need somebody, and failures that make no error. */
export function Alerts() {
  const agents = useQuery(allAgents);
  const list = (agents.data ?? []).filter((a) => a.admin !== 'retired');
  const health = useQueries({ queries: list.slice(0, 100).map((a) => healthQuery(a.slug)) });
  const alerts = health.flatMap((h, i) => (h.data?.alerts ?? []).map((alert): { agent: Agent; alert: Alert } => ({ agent: list[i]!, alert })));
  const needy = list.filter((a) => troubles(a).length > 0);
  if (agents.isError) return <ErrorState error={agents.error} retry={() => void agents.refetch()} />;
  if (agents.isSuccess && needy.length === 0 && alerts.length === 0) return <EmptyState title={t.noAlerts} text={t.noAlertsText} />;
  return (
    <>
      <Panel title={t.agentsTitle} text={t.alertsText} bare>
        <DataTable<Agent>
          plain
          name="needy"
          label={t.agentsTitle}
          rows={needy}
          rowId={(a) => a.id}
          loading={agents.isPending}
          empty={<p className="dim" style={{ padding: '4px 16px' }}>{common.none}</p>}
          columns={[
            { id: 'agent', label: t.agent, always: true, cell: (a) => <Link to="/agents/$slug" params={{ slug: a.slug }}>{a.name || a.slug}</Link> },
            { id: 'state', label: t.state, cell: (a) => <span style={{ display: 'inline-flex', gap: 6 }}>{troubles(a).map((s) => <StatusBadge key={s} status={s} size="sm" />)}</span> },
            { id: 'why', label: t.why, cell: (a) => (a.admin === 'paused' && a.pause_reason ? (words.pausedBy[a.pause_reason] ?? a.pause_reason) : '–') },
            { id: 'signal', label: words.lastSignal, width: '140px', cell: (a) => <TimeAgo at={a.status.last_signal} /> },
          ]}
        />
      </Panel>
      <Panel title={t.quietTitle} bare>
        <DataTable<{ agent: Agent; alert: Alert }>
          plain
          name="quiet"
          label={t.quietTitle}
          rows={alerts}
          rowId={(x) => `${x.agent.id}/${x.alert.figure}`}
          empty={<p className="dim" style={{ padding: '4px 16px' }}>{t.quietEmpty}</p>}
          columns={[
            { id: 'of', label: t.subject, always: true, cell: (x) => <Link to="/agents/$slug" params={{ slug: x.agent.slug }} search={{ tab: 'health' }}>{x.agent.name || x.agent.slug}</Link> },
            { id: 'figure', label: t.figure, cell: (x) => words.figuresOf[x.alert.figure] ?? x.alert.figure },
            { id: 'now', label: words.today, align: 'right', cell: (x) => formatFigure(x.alert.figure, x.alert.now) },
            { id: 'band', label: words.band, align: 'right', cell: (x) => `${formatFigure(x.alert.figure, x.alert.low)} – ${formatFigure(x.alert.figure, x.alert.high)}` },
            { id: 'since', label: t.since, cell: (x) => <TimeAgo at={x.alert.since} /> },
          ]}
        />
      </Panel>
    </>
  );
}

type Event = Happening & { agent?: string };

/** Wakeups that did not arrive as they should. */
export function Wakeups() {
  const people = usePeople();
  const list = useInfiniteQuery({
    queryKey: ['wakeups'],
    queryFn: ({ pageParam, signal }) => rest<{ events: Event[]; before?: number }>('/activity', { query: { type: 'wakeup.failed,wakeup.skipped,wakeup.offered_again', limit: 100, before: pageParam }, signal }),
    initialPageParam: undefined as number | undefined,
    getNextPageParam: (last) => last.before,
  });
  if (list.isError) return <ErrorState error={list.error} retry={() => void list.refetch()} />;
  const text = (e: Event, name: string) => (typeof e.data?.[name] === 'string' ? (e.data[name] as string) : '');
  return (
    <Panel title={t.sections.wakeups!} text={t.wakeupsText} bare>
      <DataTable<Event>
        plain
        name="wakeups"
        label={t.sections.wakeups!}
        rows={(list.data?.pages ?? []).flatMap((p) => p.events)}
        rowId={(e) => String(e.seq)}
        loading={list.isPending}
        empty={<EmptyState title={t.wakeupsEmpty} />}
        columns={[
          { id: 'when', label: t.when, width: '120px', cell: (e) => <TimeAgo at={e.at} /> },
          { id: 'agent', label: t.agent, always: true, cell: (e) => { const who = people.of(e.agent ? `agent:${e.agent}` : undefined); return who.slug ? <Link to="/agents/$slug" params={{ slug: who.slug }}>{who.name}</Link> : '–'; } },
          { id: 'task', label: t.task, width: '100px', cell: (e) => (e.key ? <Link to="/board/$project" params={{ project: e.key.split('-')[0]! }} search={{ task: e.key }} className="mono">{e.key}</Link> : '–') },
          { id: 'what', label: t.what, width: '140px', cell: (e) => <StatusBadge status={e.type === 'wakeup.failed' ? 'failed' : e.type === 'wakeup.skipped' ? 'queued' : 'retrying'} label={t.kinds[e.type] ?? e.type} size="sm" /> },
          { id: 'reason', label: t.reason, width: '160px', cell: (e) => text(e, 'reason') || '–' },
          { id: 'why', label: t.why, cell: (e) => text(e, 'hindrance') || text(e, 'error') || text(e, 'last_error') || '–' },
        ]}
      />
      {list.hasNextPage && <Button mt="sm" variant="default" onClick={() => void list.fetchNextPage()}>{common.more}</Button>}
    </Panel>
  );
}

interface Row {
  arn: string;
  name: string;
  machine: string;
  started_at: string | null;
  duration_ms: number;
  state?: string;
  waiting_for?: string;
}

/** Executions that have been running for long. */
export function LongRunning() {
  const search = useSearch({ strict: false }) as { longer?: string };
  const navigate = useNavigate();
  const longer = search.longer && t.spans[search.longer] ? search.longer : '86400000';
  const list = useQuery({ queryKey: ['executions', 'long', longer], queryFn: ({ signal }) => rest<{ executions: Row[]; complete: boolean }>('/executions', { query: { status: 'RUNNING', min_duration_ms: longer, limit: 100 }, signal }) });
  if (list.isError) return <ErrorState error={list.error} retry={() => void list.refetch()} />;
  return (
    <Panel title={t.sections.stuck!} text={t.stuckText} bare actions={<SegmentedControl aria-label={t.longer} value={longer} onChange={(v) => void navigate({ to: '/ops', search: { show: 'stuck', longer: v }, replace: true })} data={Object.entries(t.spans).map(([value, label]) => ({ value, label }))} />}>
      <DataTable<Row>
        plain
        name="long"
        label={t.sections.stuck!}
        rows={list.data?.executions ?? []}
        rowId={(x) => x.arn}
        loading={list.isPending}
        empty={<EmptyState title={t.stuckEmpty} />}
        columns={[
          { id: 'name', label: t.execution, always: true, cell: (x) => <Link to="/executions/$id" params={{ id: x.arn }}>{x.name}</Link> },
          { id: 'machine', label: t.machine, cell: (x) => <Link to="/machines/$name" params={{ name: x.machine }}>{x.machine}</Link> },
          { id: 'state', label: t.state, cell: (x) => x.state ?? '–' },
          { id: 'waiting', label: t.waiting, cell: (x) => x.waiting_for ?? '–' },
          { id: 'took', label: t.running, align: 'right', width: '130px', cell: (x) => formatDuration(x.duration_ms) },
        ]}
      />
      {list.data && !list.data.complete && <p className="dim" style={{ fontSize: 12 }}>{t.partly}</p>}
    </Panel>
  );
}

interface Failed {
  id: string;
  kind: string;
  what: string;
  to: string;
  tries: number;
  error: string;
  at: string | undefined;
}

/** Notifications and webhooks that could not be delivered. */
export function Deliveries() {
  const rights = useRights();
  const own = useQuery(noticeDeliveries);
  const hooks = useQuery({ ...webhooksQuery, enabled: rights.manages });
  const rows: Failed[] = [
    ...(hooks.data ?? []).filter((h) => h.disabled || h.failing_since).map((h) => ({ id: h.id, kind: t.webhook, what: h.disabled ? notices.types.webhook_disabled! : (h.types ?? []).join(', '), to: h.host, tries: h.failures ?? 0, error: h.last_error ?? '', at: h.failing_since })),
    ...(own.data ?? []).filter((d) => d.state !== 'delivered' && d.state !== 'sent' && (d.log ?? []).some((x) => x.error)).map((d) => ({ id: d.id, kind: t.notification, what: d.notification.title, to: notices.channels[d.channel] ?? d.channel, tries: d.log?.length ?? 0, error: d.log?.at(-1)?.error ?? '', at: d.notification.at })),
  ];
  if (own.isError) return <ErrorState error={own.error} retry={() => void own.refetch()} />;
  return (
    <Panel title={t.sections.deliveries!} text={t.deliveriesText} bare>
      <DataTable<Failed>
        plain
        name="failed-deliveries"
        label={t.sections.deliveries!}
        rows={rows}
        rowId={(r) => r.id}
        loading={own.isPending}
        empty={<EmptyState title={t.deliveriesEmpty} />}
        columns={[
          { id: 'at', label: t.since, width: '130px', cell: (r) => <TimeAgo at={r.at} /> },
          { id: 'kind', label: t.type, width: '120px', cell: (r) => r.kind },
          { id: 'what', label: t.what, always: true, cell: (r) => r.what || '–' },
          { id: 'to', label: t.to, cell: (r) => r.to },
          { id: 'tries', label: t.tries, align: 'right', width: '70px', cell: (r) => r.tries },
          { id: 'error', label: t.error, cell: (r) => <span title={r.error}>{r.error}</span> },
        ]}
      />
    </Panel>
  );
}

/** Who did what with users, keys and sessions. */
export function Audit() {
  const rights = useRights();
  const people = usePeople();
  const list = useInfiniteQuery({
    queryKey: ['audit'],
    enabled: rights.owns,
    queryFn: ({ pageParam, signal }) => auditPage(pageParam, signal),
    initialPageParam: undefined as number | undefined,
    getNextPageParam: (last) => (last.events.length === 100 ? last.events.at(-1)?.seq : undefined),
  });
  if (list.isError) return <ErrorState error={list.error} retry={() => void list.refetch()} />;
  return (
    <Panel title={t.sections.audit!} text={t.auditText} bare>
      <DataTable<Happening>
        plain
        name="audit"
        label={t.sections.audit!}
        rows={(list.data?.pages ?? []).flatMap((p) => p.events)}
        rowId={(e) => String(e.seq)}
        loading={list.isPending}
        empty={<EmptyState title={t.auditEmpty} />}
        columns={[
          { id: 'when', label: t.when, width: '140px', cell: (e) => <TimeAgo at={e.at} absolute /> },
          { id: 'who', label: t.who, width: '160px', cell: (e) => people.of(e.by).name || e.by },
          { id: 'what', label: t.what, always: true, width: '200px', cell: (e) => <span className="mono">{e.type.replace(/^audit\./, '')}</span> },
          { id: 'data', label: t.value, cell: (e) => <span className="mono">{Object.entries(e.data ?? {}).map(([k, v]) => `${k}: ${typeof v === 'string' && people.of(`user:${v}`).name ? people.of(`user:${v}`).name : String(v)}`).join(', ')}</span> },
        ]}
      />
      {list.hasNextPage && <Button mt="sm" variant="default" onClick={() => void list.fetchNextPage()}>{common.more}</Button>}
    </Panel>
  );
}

