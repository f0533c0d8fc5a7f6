import { Button, SegmentedControl } from '@mantine/core';
import { IconArrowForwardUp, IconListDetails, IconPlayerStop } from '@tabler/icons-react';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import { useCallback, useMemo, useState } from 'react';
import { histogramQuery, searchQuery, type Bucket, type ExecutionRow } from '../../api/executions.ts';
import { machinesQuery } from '../../api/machines.ts';
import { useShortcuts } from '../../app/keys.ts';
import { Page } from '../../app/Page.tsx';
import {
  DataTable, Duration, EmptyState, ErrorState, FilterBar, formatCount, formatDuration, formatTerm, formatTime, Money, NoMatch, parseFilter, StackedBars, StatusBadge, statusText, TimeAgo,
  type Column, type FilterField, type Series,
} from '../../kit/index.ts';
import { common, kit } from '../../strings/index.ts';
import { executions as t } from '../../strings/executions.ts';
import { CompareSelected } from '../compare/CompareLink.tsx';
import { BulkDialog } from './BulkDialog.tsx';
import css from './ExecutionsPage.module.css';
import { toSearch } from './filter.ts';

/** Spans to choose from, in milliseconds, and how many bars they have: each bar is a round time. */
const ranges: Record<string, { span: number; bars: number }> = {
  '1h': { span: 3_600_000, bars: 60 },
  '24h': { span: 86_400_000, bars: 48 },
  '7d': { span: 604_800_000, bars: 56 },
  '30d': { span: 2_592_000_000, bars: 60 },
};

const series: Series[] = [
  { key: 'succeeded', label: statusText('SUCCEEDED'), colour: 'var(--ls-succeeded)' },
  { key: 'running', label: statusText('RUNNING'), colour: 'var(--ls-running)' },
  { key: 'failed', label: statusText('FAILED'), colour: 'var(--ls-failed)', hatched: true },
  { key: 'timed_out', label: statusText('TIMED_OUT'), colour: 'var(--ls-handled)', hatched: true },
  { key: 'aborted', label: statusText('ABORTED'), colour: 'var(--ls-border-strong)' },
];

const columns: Column<ExecutionRow>[] = [
  { id: 'name', label: t.columns.name, always: true, cell: (x) => <Link to="/executions/$id" params={{ id: x.arn }}>{x.name}</Link> },
  { id: 'status', label: t.columns.status, width: '150px', cell: (x) => <StatusBadge status={x.waiting_for === 'review' && x.status === 'RUNNING' ? 'waiting_for_person' : x.status} size="sm" /> },
  {
    id: 'machine',
    label: t.columns.machine,
    cell: (x) => (
      <>
        <Link to="/machines/$name" params={{ name: x.machine.split('/')[0]! }}>{x.machine}</Link>
        {(x.alias || x.version) && <span className="dim"> · {x.alias || t.version(x.version!)}</span>}
      </>
    ),
  },
  { id: 'started', label: t.columns.started, width: '130px', cell: (x) => <TimeAgo at={x.started_at} /> },
  { id: 'duration', label: t.columns.duration, width: '110px', align: 'right', cell: (x) => <Duration from={x.started_at} to={x.stopped_at} /> },
  {
    id: 'state',
    label: t.columns.state,
    cell: (x) =>
      x.state ? (
        <span>
          {x.state}
          {x.status === 'RUNNING' && x.waiting_for && <span className="dim"> · {t.waits[x.waiting_for]}</span>}
          {x.error && <span className={css.error}> · {x.error}</span>}
        </span>
      ) : (
        x.error && <span className={css.error}>{x.error}</span>
      ),
  },
  { id: 'cost', label: t.columns.cost, width: '92px', align: 'right', cell: (x) => (x.cost_nano === undefined ? '' : <><Money nano={x.cost_nano} />{x.cost_is_part && '+'}</>) },
  { id: 'redrives', label: t.columns.redrives, width: '90px', align: 'right', cell: (x) => (x.redrives > 0 ? x.redrives : ''), hidden: true },
  { id: 'events', label: t.columns.events, width: '90px', align: 'right', cell: (x) => formatCount(x.events), hidden: true },
];

/** All executions: starts over time, and a list that can be filtered. */
export function ExecutionsPage() {
  const search = useSearch({ strict: false }) as { q?: string; range?: string; from?: string; to?: string };
  const navigate = useNavigate();
  const machines = useQuery(machinesQuery);
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const [dialog, setDialog] = useState<'stop' | 'redrive' | null>(null);
  const change = (to: Partial<typeof search>) => void navigate({ to: '.', search: { ...search, ...to } as never, replace: true });

  const q = search.q ?? '';
  const terms = useMemo(() => parseFilter(q), [q]);
  // Ages count from when the filter was set, so that it is the same question until it changes.
  const { filter, bad } = useMemo(() => toSearch(terms, Date.now()), [terms]);
  const whole = { ...filter, ...(search.from ? { from: search.from } : {}), ...(search.to ? { to: search.to } : {}) };
  const list = useInfiniteQuery({ ...searchQuery(whole), enabled: bad.length === 0 });
  const all = useMemo(() => list.data?.pages.flatMap((p) => p.executions) ?? [], [list.data]);
  const { rows, fresh, accept } = useHeldBack(all, JSON.stringify(whole));

  const fields: FilterField[] = [
    { name: 'status', label: t.filters.status, values: ['running', 'succeeded', 'failed', 'timed_out', 'aborted'] },
    { name: 'machine', label: t.filters.machine, values: (machines.data ?? []).map((m) => m.name) },
    { name: 'error', label: t.filters.error, values: ['States.Timeout', 'States.TaskFailed', 'States.Runtime'] },
    { name: 'started', label: t.filters.started, values: ['<1h', '<24h', '<7d', '>24h'] },
    { name: 'took', label: t.filters.took, values: ['>10s', '>1m', '>1h'] },
    { name: 'name', label: t.filters.name },
    { name: 'type', label: t.filters.type, values: ['standard', 'express'] },
    { name: 'version', label: t.filters.version },
    { name: 'alias', label: t.filters.alias },
    { name: 'input.', label: t.filters.input },
  ];
  const chosen = all.filter((x) => selected.has(x.arn));
  useShortcuts(
    [
      { keys: '.', label: t.stop, group: t.title, run: () => setDialog('stop') },
      { keys: 'r', label: t.redrive, group: t.title, run: () => setDialog('redrive') },
    ],
    selected.size > 0,
  );
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = list;
  const more = useCallback(() => {
    if (hasNextPage && !isFetchingNextPage) void fetchNextPage();
  }, [hasNextPage, isFetchingNextPage, fetchNextPage]);
  const last = list.data?.pages.at(-1);
  const filtered = terms.length > 0 || !!search.from || !!search.to;
  const open = (x: ExecutionRow, how?: { newTab: boolean }) => {
    sessionStorage.setItem('lockstep.list', JSON.stringify(rows.map((r) => r.arn)));
    if (how?.newTab) window.open(`executions/${encodeURIComponent(x.arn)}`, '_blank', 'noopener');
    else void navigate({ to: '/executions/$id', params: { id: x.arn } });
  };

  return (
    <Page title={t.title}>
      {list.isSuccess && all.length === 0 && !filtered ? (
        <div className={css.card}><EmptyState icon={<IconListDetails size={26} />} title={t.noneTitle} text={t.noneText} command={t.noneCommand} /></div>
      ) : (
        <>
          <Histogram machine={filter.machine} type={filter.type} range={search.range ?? '24h'} from={search.from} to={search.to} onChange={change} />
          <DataTable<ExecutionRow>
            name="executions"
            label={t.title}
            columns={columns}
            rows={rows}
            rowId={(x) => x.arn}
            rowLabel={(x) => x.name}
            loading={list.isPending && bad.length === 0}
            selected={selected}
            onSelect={setSelected}
            onOpen={open}
            onMore={more}
            bulk={
              <>
                <Button variant="default" leftSection={<IconPlayerStop size={14} />} onClick={() => setDialog('stop')}>{t.stop}</Button>
                <Button variant="default" leftSection={<IconArrowForwardUp size={14} />} onClick={() => setDialog('redrive')}>{t.redrive}</Button>
                <CompareSelected arns={chosen.map((x) => x.arn)} />
              </>
            }
            toolbar={<FilterBar value={q} onChange={(v) => change({ q: v })} fields={fields} placeholder={t.filterHelp} />}
            empty={<NoMatch clear={() => change({ q: '', from: '', to: '' })} />}
          />
          {bad.map((b) => <p key={formatTerm(b)} className={css.bad} role="alert">{t.badFilter(formatTerm(b))}</p>)}
          {list.isError && <div className={css.below}><ErrorState error={list.error} retry={() => void list.refetch()} /></div>}
          {fresh > 0 && <button type="button" className={css.fresh} onClick={accept}>{kit.newRows(fresh)}</button>}
          {last && list.hasNextPage && (
            <div className={css.below}>
              {!last.complete && <span className="dim num">{t.partly(formatCount((list.data?.pages ?? []).reduce((n, p) => n + p.looked_at, 0)))}</span>}
              <Button variant="default" onClick={more} loading={list.isFetchingNextPage}>{last.complete ? common.more : t.lookFurther}</Button>
            </div>
          )}
        </>
      )}
      <BulkDialog what={dialog} executions={chosen} onClose={(done) => { setDialog(null); if (done) setSelected(new Set()); }} />
    </Page>
  );
}

/** Keeps rows that have come since the list was first read out of it, until they are asked for: what somebody reads does not move. */
function useHeldBack(all: ExecutionRow[], key: string): { rows: ExecutionRow[]; fresh: number; accept: () => void } {
  const [held, setHeld] = useState<{ key: string; first: string } | null>(null);
  const at = held?.key === key ? all.findIndex((x) => x.arn === held.first) : -1;
  if ((held?.key !== key || at < 0) && all[0]) setHeld({ key, first: all[0].arn });
  const fresh = Math.max(at, 0);
  return { rows: fresh > 0 ? all.slice(fresh) : all, fresh, accept: () => all[0] && setHeld({ key, first: all[0].arn }) };
}

interface HistogramProps {
  machine: string | undefined;
  type: string | undefined;
  range: string;
  from: string | undefined;
  to: string | undefined;
  onChange: (to: { range?: string; from?: string; to?: string }) => void;
}

function Histogram({ machine, type, range, from, to, onChange }: HistogramProps) {
  const { span, bars } = ranges[range] ?? ranges['24h']!;
  const step = span / bars;
  const end = Math.ceil(Date.now() / step) * step;
  const window_ = from || to ? { ...(from ? { from } : {}), ...(to ? { to } : {}) } : { from: new Date(end - span).toISOString(), to: new Date(end).toISOString() };
  const found = useQuery(histogramQuery({ ...(machine ? { machine } : {}), ...(type ? { type } : {}), ...window_ }, bars));
  const buckets = found.data?.buckets ?? [];
  const wide = buckets.length > 1 ? Date.parse(buckets[0]!.to) - Date.parse(buckets[0]!.from) : 0;
  return (
    <section className={css.card} aria-label={t.starts}>
      <StackedBars
        label={t.starts}
        series={series}
        height={72}
        bars={buckets.map((b) => ({ label: bucketLabel(b, wide * buckets.length), values: { ...b } as unknown as Record<string, number> }))}
        onBrush={(a, b) => onChange({ from: buckets[a]!.from, to: buckets[b]!.to })}
        title={
          from || to ? (
            <Button variant="light" size="compact-xs" onClick={() => onChange({ from: '', to: '' })}>
              {t.chosenRange(from ? formatTime(from) : '…', to ? formatTime(to) : '…')} ✕ <span className="sr-only">{t.clearRange}</span>
            </Button>
          ) : (
            <SegmentedControl aria-label={t.rangeLabel} value={range} onChange={(v) => onChange({ range: v })} data={Object.keys(ranges).map((value) => ({ value, label: t.range[value]! }))} />
          )
        }
      />
      {found.isError && <ErrorState error={found.error} retry={() => void found.refetch()} />}
      {found.data?.estimated && <span className="dim">{t.estimated}, {formatDuration(wide)}</span>}
    </section>
  );
}

function bucketLabel(b: Bucket, span: number): string {
  const d = new Date(b.from);
  return span > 2 * 86_400_000 ? d.toLocaleDateString('en-GB', { day: 'numeric', month: 'short' }) : d.toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' });
}
