import { Button, Menu, ActionIcon, SegmentedControl, Select, Skeleton, Tabs } from '@mantine/core';
import { IconDots, IconPencil, IconPlayerPlay } from '@tabler/icons-react';
import { useQueries, useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useParams, useSearch } from '@tanstack/react-router';
import { useMemo, useState } from 'react';
import { aws } from '../../api/aws.ts';
import { ApiError, rest } from '../../api/http.ts';
import { aliasesQuery, machineQuery, machineRowQuery, machineStatsQuery, versionOf, versionsQuery, type MachineRow } from '../../api/machines.ts';
import { searchQuery, type ExecutionRow } from '../../api/executions.ts';
import { useShortcuts } from '../../app/keys.ts';
import { Page } from '../../app/Page.tsx';
import { readable } from '../../asl/patch.ts';
import { parseDefinition } from '../../graph/definition.ts';
import { GraphView } from '../../graph/GraphView.tsx';
import type { NodeStatus } from '../../graph/status.ts';
import { DataTable, DiffView, Duration, EmptyState, ErrorState, formatDuration, IdChip, JsonEditor, Money, StatusBadge, TimeAgo } from '../../kit/index.ts';
import { machines as t } from '../../strings/machines.ts';
import { EditedBy } from './EditedBy.tsx';
import { DeleteDialog } from './DeleteDialog.tsx';
import css from './Machines.module.css';
import { RunBars } from './RunBars.tsx';
import { StartDialog } from './StartDialog.tsx';
import { useInfiniteQuery } from '@tanstack/react-query';

type Tint = 'failures' | 'p95' | 'none';

/** One state machine: how its states do, what ran, its versions, and what starts it. */
export function MachinePage() {
  const { name } = useParams({ strict: false }) as { name: string };
  const search = useSearch({ strict: false }) as { tab?: string; tint?: string; state?: string; from?: string; to?: string };
  const navigate = useNavigate();
  const row = useQuery(machineRowQuery(name));
  const machine = useQuery(machineQuery(row.data?.arn));
  const [starting, setStarting] = useState(false);
  const [deleting, setDeleting] = useState(false);
  const tab = search.tab ?? 'graph';
  const go = (to: Record<string, string | undefined>) => void navigate({ to: '.', search: (old: Record<string, string | undefined>) => ({ ...old, ...to }), replace: true } as never);
  const edit = () => void navigate({ to: '/machines/$name/edit', params: { name } });
  useShortcuts(
    [
      { keys: 's', label: t.start, group: t.groupKeys, run: () => setStarting(true) },
      { keys: 'e', label: t.edit, group: t.groupKeys, run: edit },
      { keys: 'v', label: t.compareTitle, group: t.groupKeys, run: () => go({ tab: 'versions', from: search.from ?? 'previous' }) },
    ],
    machine.isSuccess,
  );
  const crumbs = [{ label: t.title, to: '/machines' }];
  const error = row.error ?? machine.error;
  if (error) {
    return (
      <Page title={name} crumbs={crumbs}>
        {error instanceof ApiError && error.status === 404 ? <EmptyState title={t.noSuch} text={t.noSuchText} action={<Button component={Link} to="/machines" variant="default">{t.title}</Button>} /> : <ErrorState error={error} retry={() => void row.refetch()} />}
      </Page>
    );
  }
  if (!row.data || !machine.data) return <Page title={name} crumbs={crumbs}><Skeleton height={420} /></Page>;
  const r = row.data;
  const percent = r.success_rate === null ? '–' : `${Math.round(r.success_rate * 1000) / 10}%`;
  return (
    <Page
      title={name}
      crumbs={crumbs}
      beside={<IdChip id={r.arn} most={34} />}
      actions={
        <>
          <Button variant="default" component={Link} to={`/machines/${encodeURIComponent(name)}/edit` as '/'} search={{ tab: 'test', state: firstState(machine.data.definition) } as never}>{t.test}</Button>
          <Button variant="default" leftSection={<IconPencil size={15} />} onClick={edit}>{t.edit}</Button>
          <Button leftSection={<IconPlayerPlay size={15} />} onClick={() => setStarting(true)}>{t.start}</Button>
          <Menu position="bottom-end">
            <Menu.Target><ActionIcon size={30} aria-label={t.more(name)}><IconDots size={17} /></ActionIcon></Menu.Target>
            <Menu.Dropdown><Menu.Item color="var(--ls-failed)" onClick={() => setDeleting(true)}>{t.delete}</Menu.Item></Menu.Dropdown>
          </Menu>
        </>
      }
      below={
        <dl className={css.facts}>
          <div><dt>{t.columns.type}</dt><dd>{t.types[r.type]}, {r.query_language}</dd></div>
          <div><dt>{t.columns.edited}</dt><dd><EditedBy row={r} /></dd></div>
          <div><dt>{t.columns.runs}</dt><dd><RunBars runs={r.runs} height={18} /></dd></div>
          <div><dt>{t.columns.success}</dt><dd className="num">{percent}</dd></div>
          <div><dt>{t.columns.p50}</dt><dd className="num">{r.p50_ms === null ? '–' : formatDuration(r.p50_ms)}</dd></div>
          <div><dt>{t.columns.p95}</dt><dd className="num">{r.p95_ms === null ? '–' : formatDuration(r.p95_ms)}</dd></div>
          <div><dt>{t.columns.running}</dt><dd className="num">{r.running}</dd></div>
          <div><dt>{t.columns.cost}</dt><dd><Money nano={r.cost_nano} /></dd></div>
        </dl>
      }
    >
      <Tabs value={tab} onChange={(v) => go({ tab: v === 'graph' ? undefined : (v ?? undefined) })} keepMounted={false}>
        <Tabs.List aria-label={name}>{Object.entries(t.tabs).map(([v, label]) => <Tabs.Tab key={v} value={v}>{label}</Tabs.Tab>)}</Tabs.List>
        <Tabs.Panel value="graph"><GraphTab name={name} definition={machine.data.definition} tint={search.tint === 'p95' || search.tint === 'none' ? search.tint : 'failures'} selected={search.state} go={go} /></Tabs.Panel>
        <Tabs.Panel value="executions" className={css.panel!}><ExecutionsTab row={r} /></Tabs.Panel>
        <Tabs.Panel value="versions" className={css.panel!}><VersionsTab row={r} definition={machine.data.definition} from={search.from} to={search.to} go={go} /></Tabs.Panel>
        <Tabs.Panel value="definition" className={css.panel!}><JsonEditor label={t.tabs.definition} value={machine.data.definition} readOnly height="max(420px, calc(100dvh - 250px))" /></Tabs.Panel>
        <Tabs.Panel value="triggers" className={css.panel!}><TriggersTab row={r} /></Tabs.Panel>
      </Tabs>
      {starting && <StartDialog arn={r.arn} name={name} onClose={() => setStarting(false)} />}
      {deleting && <DeleteDialog row={r} onClose={() => setDeleting(false)} onDeleted={() => void navigate({ to: '/machines' })} />}
    </Page>
  );
}

function firstState(definition: string): string {
  return parseDefinition(definition)?.startAt ?? '';
}

function GraphTab({ name, definition, tint, selected, go }: { name: string; definition: string; tint: Tint; selected: string | undefined; go: (to: Record<string, string | undefined>) => void }) {
  const stats = useQuery(machineStatsQuery(name));
  const scope = useMemo(() => parseDefinition(definition), [definition]);
  const status = useMemo(() => {
    const out = new Map<string, NodeStatus>();
    const states = stats.data?.states ?? [];
    const slowest = Math.max(...states.map((s) => s.p95_ms ?? 0), 1);
    for (const s of states) {
      if (s.visits === 0 || tint === 'none') continue;
      const heat = tint === 'failures' ? Math.min(1, s.failure_rate) : (s.p95_ms ?? 0) / slowest;
      const note = tint === 'failures' ? t.rate(`${Math.round(s.failure_rate * 100)}%`) : s.p95_ms === null ? '–' : t.p95Is(formatDuration(s.p95_ms));
      out.set(s.node, { status: 'not_started', visits: s.visits, note, heat });
    }
    return out;
  }, [stats.data, tint]);
  if (!scope) return <EmptyState title={t.noSuch} />;
  return (
    <div className={css.graphPanel}>
      <GraphView
        definition={definition}
        scope={scope}
        label={t.tabs.graph}
        status={status}
        selected={selected}
        onSelect={(id) => go({ state: id })}
        overlay={
          <div className={css.legend}>
            <SegmentedControl aria-label={t.tint} value={tint} onChange={(v) => go({ tint: v === 'failures' ? undefined : v })} data={(['failures', 'p95', 'none'] as const).map((v) => ({ value: v, label: t.tints[v] }))} />
            {tint !== 'none' && stats.data && <span className="dim">{t.last(stats.data.executions)}</span>}
          </div>
        }
      />
    </div>
  );
}

function ExecutionsTab({ row }: { row: MachineRow }) {
  const navigate = useNavigate();
  const list = useInfiniteQuery(searchQuery({ machine: row.name }));
  const rows = list.data?.pages.flatMap((p) => p.executions) ?? [];
  if (list.isError) return <ErrorState error={list.error} retry={() => void list.refetch()} />;
  return (
    <DataTable<ExecutionRow>
      name="machine-executions"
      label={t.tabs.executions}
      rows={rows}
      rowId={(x) => x.arn}
      loading={list.isPending}
      onOpen={(x) => void navigate({ to: '/executions/$id', params: { id: x.arn } })}
      onMore={() => void (list.hasNextPage && !list.isFetchingNextPage && list.fetchNextPage())}
      toolbar={<Link to="/executions" search={{ q: `machine:${row.name}` } as never}>{t.allExecutions}</Link>}
      empty={<EmptyState title={t.last(0)} />}
      columns={[
        { id: 'name', label: t.columns.name, always: true, cell: (x) => <Link to="/executions/$id" params={{ id: x.arn }}>{x.name}</Link> },
        { id: 'status', label: t.executionColumns.status, width: '150px', cell: (x) => <StatusBadge status={x.status} size="sm" /> },
        { id: 'started', label: t.executionColumns.started, width: '130px', cell: (x) => <TimeAgo at={x.started_at} /> },
        { id: 'duration', label: t.executionColumns.duration, width: '110px', align: 'right', cell: (x) => <Duration from={x.started_at} to={x.stopped_at ?? undefined} /> },
        { id: 'version', label: t.versionColumns.version, width: '90px', cell: (x) => x.alias ?? x.version ?? '' },
      ]}
    />
  );
}

const latest = 'latest';

function VersionsTab({ row, definition, from, to, go }: { row: MachineRow; definition: string; from: string | undefined; to: string | undefined; go: (to: Record<string, string | undefined>) => void }) {
  const versions = useQuery(versionsQuery(row.arn));
  const aliases = useQuery(aliasesQuery(row.arn));
  const list = versions.data ?? [];
  const numbers = list.map((v) => versionOf(v.stateMachineVersionArn));
  // "previous" is what somebody compares with who has not chosen yet.
  const left = from === 'previous' ? (numbers[1] ?? numbers[0]) : from;
  const right = to ?? latest;
  const described = useQueries({ queries: [left, right].map((v) => ({ queryKey: ['machine', row.arn, 'version', v], enabled: v !== undefined && v !== latest, staleTime: Infinity, queryFn: () => aws('DescribeStateMachine', { stateMachineArn: `${row.arn}:${v}` }) })) });
  const text = (v: string | undefined, i: number) => readable(v === latest ? definition : (described[i]?.data?.definition ?? ''));
  const options = [{ value: latest, label: t.latest }, ...numbers.map((n) => ({ value: n, label: t.version(n) }))];
  const of = (n: string) => (aliases.data ?? []).filter((a) => a.routingConfiguration.some((r) => versionOf(r.stateMachineVersionArn) === n)).map((a) => a.name);
  if (versions.isError) return <ErrorState error={versions.error} retry={() => void versions.refetch()} />;
  return (
    <>
      <section className={css.section}>
        <h2>{t.columns.versions}</h2>
        <DataTable
          name="versions"
          label={t.columns.versions}
          rows={list}
          rowId={(v) => v.stateMachineVersionArn}
          loading={versions.isPending}
          empty={<EmptyState title={t.noVersions} text={t.noVersionsText} />}
          columns={[
            { id: 'version', label: t.versionColumns.version, width: '130px', always: true, cell: (v) => t.version(versionOf(v.stateMachineVersionArn)) },
            { id: 'created', label: t.versionColumns.created, width: '160px', cell: (v) => <TimeAgo at={v.creationDate} /> },
            { id: 'aliases', label: t.versionColumns.aliases, cell: (v) => of(versionOf(v.stateMachineVersionArn)).join(', ') },
            { id: 'compare', label: t.compare, width: '120px', always: true, cell: (v) => <Button variant="subtle" onClick={() => go({ from: versionOf(v.stateMachineVersionArn), to: undefined })} aria-label={`${t.compare} ${t.version(versionOf(v.stateMachineVersionArn))}`}>{t.compare}</Button> },
          ]}
        />
      </section>
      <section className={css.section}>
        <h2>{t.versionColumns.aliases}</h2>
        {aliases.data && aliases.data.length === 0 && <p className="dim">{t.noAliases}</p>}
        {(aliases.data ?? []).map((a) => (
          <div key={a.stateMachineAliasArn} className={css.aliasLine}>
            <strong className="truncate">{a.name}</strong>
            <div>
              <div className={css.traffic} aria-hidden="true">{a.routingConfiguration.map((r) => <span key={r.stateMachineVersionArn} style={{ width: `${r.weight}%` }} />)}</div>
              <span className="dim num">{a.routingConfiguration.map((r) => t.share(r.weight, versionOf(r.stateMachineVersionArn))).join(', ')}</span>
            </div>
          </div>
        ))}
      </section>
      {left !== undefined && (
        <section className={css.section} aria-label={t.compareTitle}>
          <h2>{t.compareTitle}</h2>
          <div className={css.compare}>
            <Select label={t.from} value={left} data={options} allowDeselect={false} onChange={(v) => go({ from: v ?? undefined })} />
            <Select label={t.to} value={right} data={options} allowDeselect={false} onChange={(v) => go({ to: v ?? undefined })} />
          </div>
          <DiffView before={text(left, 0)} after={text(right, 1)} label={t.compareTitle} beforeLabel={options.find((o) => o.value === left)?.label ?? ''} afterLabel={options.find((o) => o.value === right)?.label ?? ''} />
        </section>
      )}
    </>
  );
}

interface Trigger {
  name: string;
  kind: string;
  when: string;
  paused: boolean;
}

function TriggersTab({ row }: { row: MachineRow }) {
  const list = useQuery({
    queryKey: ['triggers', row.arn],
    queryFn: async ({ signal }): Promise<Trigger[]> => {
      // Either names the machine by its name or by an ARN, of a version or an alias, too.
      const mine = (x: { machine: string }) => x.machine === row.name || x.machine === row.arn || x.machine.startsWith(`${row.arn}:`);
      const [schedules, triggers] = await Promise.all([
        rest<{ schedules: { name: string; machine: string; expression: string; paused?: boolean }[] }>('/schedules', { signal }),
        rest<{ triggers: { name: string; machine: string; type: string; pattern?: unknown; path?: string; bucket?: string; prefix?: string; paused?: boolean }[] }>('/triggers', { signal }),
      ]);
      return [
        ...(schedules.schedules ?? []).filter(mine).map((x) => ({ name: x.name, kind: t.schedule, when: x.expression, paused: x.paused ?? false })),
        ...(triggers.triggers ?? []).filter(mine).map((x) => ({ name: x.name, kind: x.type, when: x.pattern ? JSON.stringify(x.pattern) : (x.path ?? `${x.bucket ?? ''}/${x.prefix ?? ''}`), paused: x.paused ?? false })),
      ];
    },
  });
  if (list.isError) return <ErrorState error={list.error} retry={() => void list.refetch()} />;
  return (
    <DataTable<Trigger>
      name="machine-triggers"
      label={t.tabs.triggers}
      rows={list.data ?? []}
      rowId={(x) => `${x.kind}:${x.name}`}
      loading={list.isPending}
      empty={<EmptyState title={t.noTriggers} text={t.noTriggersText} />}
      columns={[
        { id: 'name', label: t.triggerColumns.name, always: true, cell: (x) => x.name },
        { id: 'kind', label: t.triggerColumns.kind, width: '140px', cell: (x) => x.kind },
        { id: 'when', label: t.triggerColumns.when, cell: (x) => <code className="mono">{x.when}</code> },
        { id: 'state', label: t.triggerColumns.state, width: '120px', cell: (x) => (x.paused ? <StatusBadge status="paused" size="sm" /> : t.active) },
      ]}
    />
  );
}
