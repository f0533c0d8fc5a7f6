import { Button, SegmentedControl, Select, Tabs, Tooltip } from '@mantine/core';
import { IconCoin, IconDownload } from '@tabler/icons-react';
import { useQueries, useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import { useRef } from 'react';
import { budgetsQuery, usageOrNothing, usageQuery, type Budget, type Usage, type UsageDay, type UsageRow } from '../../api/agents.ts';
import { projectsQuery } from '../../api/board.ts';
import { csvPath, workCost, type WorkCost } from '../../api/costs.ts';
import { useShortcuts } from '../../app/keys.ts';
import { Page } from '../../app/Page.tsx';
import { DataTable, EmptyState, ErrorState, formatCount, formatMoney, formatShort, Money, Panel, StackedBars, StatusBadge, toNano, type Column, type Series } from '../../kit/index.ts';
import { costs as t } from '../../strings/costs.ts';
import { Budgets } from './Budgets.tsx';
import css from './costs.module.css';
import { Prices } from './Prices.tsx';

const tabs = ['overview', 'budgets', 'prices'] as const;
const periods = ['today', '7d', '30d', 'month', '90d'] as const;
type Period = (typeof periods)[number];
const groups = ['agent', 'task', 'machine', 'model', 'label', 'project', 'day'];
const dayMs = 86_400_000;

/** A date as the server has days: in UTC. */
const isoDay = (ms: number) => new Date(ms).toISOString().slice(0, 10);

function since(period: Period, today: string): string {
  const now = Date.parse(today);
  if (period === 'today') return today;
  if (period === 'month') return `${today.slice(0, 8)}01`;
  return isoDay(now - (Number(period.slice(0, -1)) - 1) * dayMs);
}

function daysFrom(first: string, last: string): string[] {
  const out: string[] = [];
  for (let at = Date.parse(first); at <= Date.parse(last) && out.length < 400; at += dayMs) out.push(isoDay(at));
  return out;
}

/** What it all cost, and what limits it. */
export function CostsPage() {
  const search = useSearch({ strict: false }) as Record<string, string | undefined>;
  const navigate = useNavigate();
  const tab = tabs.find((x) => x === search.tab) ?? 'overview';
  return (
    <Page title={t.title}>
      <Tabs value={tab} onChange={(v) => void navigate({ to: '/costs', search: { ...search, tab: v === 'overview' || !v ? undefined : v }, replace: true })} keepMounted={false}>
        <Tabs.List>{tabs.map((x) => <Tabs.Tab key={x} value={x}>{t.tabs[x]}</Tabs.Tab>)}</Tabs.List>
        <Tabs.Panel value="overview" pt="md"><Overview /></Tabs.Panel>
        <Tabs.Panel value="budgets" pt="md"><Budgets /></Tabs.Panel>
        <Tabs.Panel value="prices" pt="md"><Prices /></Tabs.Panel>
      </Tabs>
    </Page>
  );
}

type Metric = 'billed' | 'shadow' | 'tokens';
const metrics: Metric[] = ['billed', 'shadow', 'tokens'];
const allTokens = (r: UsageRow) => r.tokens.input + r.tokens.cache_read + r.tokens.cache_write_5m + r.tokens.cache_write_1h + r.tokens.output;
const amountOf = (r: UsageRow, metric: Metric) => (metric === 'tokens' ? allTokens(r) : Number(r[metric]));

function Overview() {
  const search = useSearch({ strict: false }) as Record<string, string | undefined>;
  const navigate = useNavigate();
  const grouping = useRef<HTMLInputElement>(null);
  const projects = useQuery(projectsQuery).data ?? [];
  const set = (change: Record<string, string | undefined>) => void navigate({ to: '/costs', search: { ...search, ...change }, replace: true });
  const period = periods.find((p) => p === search.period) ?? '7d';
  const group = groups.includes(search.by ?? '') ? search.by! : 'agent';
  const project = search.project;
  const today = isoDay(Date.now());
  const first = since(period, today);
  const within = project ? { project } : {};
  const usage = useQuery(usageQuery({ group_by: group, since: first, until: today, limit: 200, days: 1, ...within }));
  const tasks = useQuery(usageOrNothing({ group_by: 'task', since: first, until: today, limit: 8, ...within }));
  const month = useQuery(usageOrNothing({ group_by: 'day', since: `${today.slice(0, 8)}01`, until: today, limit: 31, ...within }));
  const week = useQuery(usageOrNothing({ group_by: 'day', since: isoDay(Date.parse(today) - 6 * dayMs), until: today, limit: 7, ...within }));
  const budgets = useQuery(budgetsQuery).data ?? [];
  useShortcuts([
    ...periods.map((p, i) => ({ keys: String(i + 1), label: t.keys.period, group: t.keys.page, run: () => set({ period: p === '7d' ? undefined : p }) })),
    { keys: 'g g', label: t.keys.group, group: t.keys.page, run: () => grouping.current?.focus() },
  ]);

  const data = usage.data;
  const total = data?.total;
  const metric: Metric = metrics.find((m) => m === search.show) ?? (total && Number(total.billed) === 0 && Number(total.shadow) > 0 ? 'shadow' : 'billed');
  const format = metric === 'tokens' ? formatShort : formatMoney;

  // What a day cost on average of late, for the days of the month to come.
  const average = week.data ? amountOf(week.data.total, metric) / 7 : 0;
  const end = Date.UTC(Number(today.slice(0, 4)), Number(today.slice(5, 7)), 0);
  const ahead = Math.round((end - Date.parse(today)) / dayMs);
  const atRate = month.data && week.data ? toNano(month.data.total.billed) + (toNano(week.data.total.billed) * BigInt(ahead)) / 7n : undefined;
  const nothing = data && total?.events === 0;

  return (
    <>
      <div className={css.bar}>
        <SegmentedControl aria-label={t.period} value={period} onChange={(v) => set({ period: v === '7d' ? undefined : v })} data={periods.map((value) => ({ value, label: t.periods[value]! }))} />
        <Select ref={grouping} aria-label={t.groupBy} value={group} onChange={(v) => set({ by: v === 'agent' || !v ? undefined : v })} data={groups.map((value) => ({ value, label: `${t.groupBy} ${t.groups[value]!.toLowerCase()}` }))} allowDeselect={false} style={{ width: 190 }} />
        {projects.length > 1 && (
          <Select aria-label={t.project} placeholder={t.allProjects} value={project ?? null} onChange={(v) => set({ project: v ?? undefined, ...(v && !['agent', 'day', 'project', 'task'].includes(group) ? { by: 'task' } : {}) })} data={projects.map((p) => p.key)} clearable clearButtonProps={{ 'aria-label': t.allProjects }} style={{ width: 150 }} />
        )}
        <SegmentedControl aria-label={t.metric} value={metric} onChange={(v) => set({ show: v })} data={metrics.map((value) => ({ value, label: t.metrics[value]! }))} />
        <span style={{ flex: 1 }} />
        <Tooltip label={t.csvText}>
          <Button component="a" href={csvPath({ group_by: group, since: first, until: today, project })} download={`costs-${group}-${first}-${today}.csv`} variant="default" leftSection={<IconDownload size={14} />}>{t.csv}</Button>
        </Tooltip>
      </div>
      {usage.isError ? (
        <ErrorState error={usage.error} retry={() => void usage.refetch()} />
      ) : nothing && period === '7d' && !project && !search.by ? (
        <EmptyState icon={<IconCoin size={26} />} title={t.emptyTitle} text={t.emptyText} command={t.emptyCommand} />
      ) : (
        <>
          <dl className={css.totals}>
            <Total label={t.billed} value={total && <Money nano={total.billed} />} text={t.billedText} />
            <Total label={t.included} value={total && <Money nano={toNano(total.shadow) > toNano(total.billed) ? toNano(total.shadow) - toNano(total.billed) : 0n} included={toNano(total.shadow) > toNano(total.billed)} />} text={t.includedText} short />
            <Total label={t.tokens} value={total && formatShort(allTokens(total))} text={total ? t.tokensParts(formatShort(total.tokens.input), formatShort(total.tokens.cache_read), formatShort(total.tokens.output)) : ''} />
            <Total label={t.calls} value={total && formatCount(total.events)} text="" />
            <Total label={t.forecast} value={atRate !== undefined && <Money nano={atRate} />} text={t.forecastText} short />
          </dl>
          {total && (total.unpriced > 0 || data?.unattributed) && (
            <p className={css.notes}>
              {total.unpriced > 0 && <span>{t.unpriced(total.unpriced)} <Link to="/costs" search={{ tab: 'prices' }}>{t.setPrices}</Link></span>}
              {data?.unattributed && Number(data.unattributed.billed) > 0 && <span className="dim">{t.unattributed(formatMoney(data.unattributed.billed))}</span>}
            </p>
          )}
          <div className={css.chart}>
            {data && (
              <StackedBars
                label={t.chart(t.metrics[metric]!, t.groups[group]!)}
                height={180}
                format={format}
                {...chartOf(data, group, metric, first, today, period === 'month' && ahead > 0 ? { average, days: ahead } : undefined)}
                {...lineOf(budgets, metric, project)}
              />
            )}
          </div>
          <Panel title={`${t.by} ${t.groups[group]!.toLowerCase()}`} bare>
            <UsageTable rows={data?.rows ?? []} group={group} total={total} metric={metric} loading={usage.isPending} />
          </Panel>
          <div className={css.columns}>
            {group !== 'task' && tasks.data && tasks.data.rows.length > 0 && (
              <Panel title={t.topTasks} bare><UsageTable rows={tasks.data.rows} group="task" total={tasks.data.total} metric={metric} loading={false} brief /></Panel>
            )}
            <Work projects={project ? [project] : projects.map((p) => p.key)} first={first} last={today} />
          </div>
        </>
      )}
    </>
  );
}

function Total({ label, value, text, short }: { label: string; value: React.ReactNode; text: string; short?: boolean }) {
  const shown = (
    <div className={css.total}>
      <dt>{label}</dt>
      <dd className="num">{value || '…'}</dd>
      {!short && text && <dd className={css.sub}>{text}</dd>}
    </div>
  );
  return short ? <Tooltip label={text} multiline maw={280}>{shown}</Tooltip> : shown;
}

const most = 7;

/** Bars by day for the groups that count most; the others are one. */
function chartOf(data: Usage, group: string, metric: Metric, first: string, last: string, forecast: { average: number; days: number } | undefined) {
  const byDay = group === 'day';
  const ranked = [...data.rows].sort((a, b) => amountOf(b, metric) - amountOf(a, metric)).filter((r) => amountOf(r, metric) > 0);
  const top = byDay ? [] : ranked.slice(0, most).map((r) => r.name);
  const keyOf = new Map(top.map((name, i) => [name, `g${i}`]));
  const series: Series[] = byDay
    ? [{ key: 'all', label: t.metrics[metric]!, colour: 'var(--ls-cat-1)' }]
    : [
        ...top.map((name, i) => ({ key: `g${i}`, label: name || t.noName, colour: `var(--ls-cat-${i + 1})` })),
        { key: 'others', label: t.others, colour: 'var(--ls-cat-8)' },
      ];
  const value = (d: UsageDay) => (metric === 'tokens' ? d.tokens : Number(d[metric]));
  const values = new Map<string, Record<string, number>>();
  if (byDay) for (const r of data.rows) values.set(r.name, { all: amountOf(r, metric) });
  for (const d of data.days ?? []) {
    const of = values.get(d.day) ?? {};
    const key = keyOf.get(d.name) ?? 'others';
    of[key] = (of[key] ?? 0) + value(d);
    values.set(d.day, of);
  }
  const label = (day: string) => new Date(`${day}T00:00:00Z`).toLocaleDateString('en-GB', { day: 'numeric', month: 'short', timeZone: 'UTC' });
  const bars = daysFrom(first, last).map((day) => ({ label: label(day), values: values.get(day) ?? {} }));
  if (forecast && forecast.average > 0) {
    series.push({ key: 'forecast', label: t.forecastSeries, colour: 'var(--ls-neutral)', hatched: true });
    for (let i = 1; i <= forecast.days; i++) bars.push({ label: label(isoDay(Date.parse(last) + i * dayMs)), values: { forecast: forecast.average } });
  }
  return { bars, series };
}

/** The budget of all that is shown, as a line: what it comes to for a day. */
function lineOf(budgets: Budget[], metric: Metric, project: string | undefined) {
  const wanted = metric === 'tokens' ? 'tokens' : `${metric}_usd`;
  const found = budgets
    .filter((b) => b.metric === wanted && b.hard && (project ? b.scope === 'project' && b.name === project : b.scope === 'workspace'))
    .sort((a, b) => order.indexOf(a.window) - order.indexOf(b.window))[0];
  if (!found) return {};
  const at = Number(found.hard) / ({ day: 1, week: 7, month: 30, task: 1 }[found.window] ?? 1);
  return { line: { at, label: t.budgetLine(found.id, metric === 'tokens' ? formatShort(at) : formatMoney(at)) } };
}

const order = ['day', 'week', 'month'];

function UsageTable({ rows, group, total, metric, loading, brief }: { rows: UsageRow[]; group: string; total: UsageRow | undefined; metric: Metric; loading: boolean; brief?: boolean }) {
  const navigate = useNavigate();
  const all = total ? amountOf(total, metric) : 0;
  const open = (r: UsageRow) => {
    if (group === 'agent') void navigate({ to: '/agents/$slug', params: { slug: r.name } });
    else if (group === 'task') void navigate({ to: '/board/$project', params: { project: r.name.split('-')[0]! }, search: { task: r.name } });
    else if (group === 'machine') void navigate({ to: '/machines/$name', params: { name: r.name } });
  };
  const linked = ['agent', 'task', 'machine'].includes(group);
  const columns: Column<UsageRow>[] = [
    {
      id: 'name', label: t.groups[group] ?? t.name, always: true, cell: (r) => (
        <span style={{ display: 'inline-flex', gap: 8, alignItems: 'center', maxWidth: '100%' }}>
          <NameLink name={r.name} group={group} />
          {r.unpriced > 0 && <Tooltip label={t.noPriceText(r.unpriced)}><span><StatusBadge status="near_budget" label={t.noPrice} size="sm" /></span></Tooltip>}
        </span>
      ),
    },
    { id: 'share', label: t.share, width: '110px', hidden: brief ?? false, cell: (r) => <span className={css.share} style={{ width: `${all > 0 ? Math.max(1, (amountOf(r, metric) / all) * 100) : 0}%` }} /> },
    { id: 'calls', label: t.calls, align: 'right', width: '110px', hidden: brief ?? false, cell: (r) => formatCount(r.events) },
    { id: 'in', label: t.tokensIn, align: 'right', width: '90px', hidden: brief ?? false, cell: (r) => formatShort(r.tokens.input + r.tokens.cache_write_5m + r.tokens.cache_write_1h) },
    { id: 'cached', label: t.tokensCached, align: 'right', width: '90px', hidden: brief ?? false, cell: (r) => formatShort(r.tokens.cache_read) },
    { id: 'out', label: t.tokensOut, align: 'right', width: '90px', hidden: brief ?? false, cell: (r) => formatShort(r.tokens.output) },
    { id: 'billed', label: t.billed, align: 'right', width: '100px', cell: (r) => <Money nano={r.billed} /> },
    { id: 'worth', label: t.worth, align: 'right', width: '110px', cell: (r) => <Money nano={r.shadow} included={Number(r.billed) < Number(r.shadow)} /> },
  ];
  return <DataTable plain={brief ?? false} name={`usage-${group}${brief ? '-brief' : ''}`} label={t.groups[group]!} rows={rows} rowId={(r) => r.id ?? r.name} loading={loading} empty={<p className="dim" style={{ padding: '4px 16px' }}>{t.none}</p>} {...(linked ? { onOpen: open } : {})} columns={columns} />;
}

function NameLink({ name, group }: { name: string; group: string }) {
  if (group === 'agent') return <Link to="/agents/$slug" params={{ slug: name }} className="truncate">{name}</Link>;
  if (group === 'task') return <Link to="/board/$project" params={{ project: name.split('-')[0]! }} search={{ task: name }} className="truncate">{name}</Link>;
  if (group === 'machine' && name) return <Link to="/machines/$name" params={{ name }} className="truncate">{name}</Link>;
  return <span className="truncate">{name || t.noName}</span>;
}

/** What accepted work cost in each project. */
function Work({ projects, first, last }: { projects: string[]; first: string; last: string }) {
  const asked = useQueries({ queries: projects.slice(0, 30).map((p) => ({ ...workCost(p, first, last), retry: false })) });
  const rows = asked.map((q) => q.data).filter((d): d is WorkCost => d !== undefined && d.tasks > 0);
  if (rows.length === 0) return null;
  const share = (v: number) => `${Math.round(v * 100)} %`;
  return (
    <Panel title={t.work} text={t.workText} bare>
      <DataTable<WorkCost>
        name="work"
        plain
        label={t.work}
        rows={rows}
        rowId={(r) => r.project}
        columns={[
          { id: 'project', label: t.project, always: true, cell: (r) => r.project },
          { id: 'tasks', label: t.accepted, align: 'right', cell: (r) => formatCount(r.tasks) },
          { id: 'deliverables', label: t.deliverables, align: 'right', cell: (r) => formatCount(r.deliverables) },
          { id: 'per', label: t.perDeliverable, align: 'right', cell: (r) => (Number(r.billed_per_deliverable) > 0 ? <Money nano={r.billed_per_deliverable} /> : <Money nano={r.shadow_per_deliverable} included />) },
          { id: 'rework', label: t.rework, align: 'right', cell: (r) => share(r.rework_share) },
          { id: 'failed', label: t.failed, align: 'right', cell: (r) => share(r.failed_share) },
        ]}
      />
      {rows.some((r) => r.partial) && <p className="dim" style={{ fontSize: 12 }}>{t.partial}</p>}
    </Panel>
  );
}
