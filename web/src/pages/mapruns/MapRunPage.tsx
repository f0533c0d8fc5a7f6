import { Button, Select, Skeleton } from '@mantine/core';
import { useMediaQuery } from '@mantine/hooks';
import { IconAdjustments, IconArrowForwardUp } from '@tabler/icons-react';
import { useInfiniteQuery, useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, useNavigate, useParams, useSearch } from '@tanstack/react-router';
import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { ApiError } from '../../api/http.ts';
import type { Execution } from '../../api/aws.ts';
import { executionQuery } from '../../api/executions.ts';
import { cellsQuery, cellQuery, childrenQuery, countsKey, countsQuery, failuresQuery, paceQuery, partsKey, type Failure, type MapRun } from '../../api/mapruns.ts';
import { useEvents, useStreamState } from '../../api/stream/client.ts';
import { useShortcuts } from '../../app/keys.ts';
import { Page } from '../../app/Page.tsx';
import {
  CellGrid, DataTable, Duration, EmptyState, ErrorState, formatCount, formatDuration, IdChip, Inspector, JsonView, NoMatch, StatusBadge, statusText, TimeAgo, TimeChart, toMs, useDelayed, useNow, type Column,
} from '../../kit/index.ts';
import { StatusIcon } from '../../kit/StatusBadge.tsx';
import { common } from '../../strings/index.ts';
import { mapruns as t } from '../../strings/mapruns.ts';
import { ChangeDialog, RedriveDialog } from './dialogs.tsx';
import css from './MapRunPage.module.css';
import { addSample, endedOf, failedOf, failureLimit, limitText, nextOf, parts, percent, rateOf, statusesOf, statusOfBucket, type Sample } from './numbers.ts';

interface Search {
  /** The place of an execution that the inspector shows. */
  item?: string;
  /** Of the table of executions. */
  status?: string;
}

/** One Map Run: how far it is, how fast, what failed. */
export function MapRunPage() {
  const { id } = useParams({ strict: false }) as { id: string };
  const stream = useStreamState();
  const counts = useQuery({ ...countsQuery(id), refetchInterval: (q) => (stream.is !== 'live' && q.state.data?.status === 'RUNNING' ? 3000 : false) });
  const late = useDelayed(counts.isPending);
  if (counts.data) return <Loaded key={id} run={counts.data} />;
  const gone = counts.error instanceof ApiError && counts.error.status === 404;
  return (
    <Page title={t.title(id.split('/').at(-1)?.split(':')[0] ?? id)} crumbs={[{ label: t.executions, to: '/executions' }]}>
      {counts.isError && (gone ? <EmptyState title={t.noSuch} text={t.noSuchText} /> : <ErrorState error={counts.error} retry={() => void counts.refetch()} />)}
      {late && <div className={css.content}><Skeleton height={86} /><Skeleton height={180} /><Skeleton height={280} /></div>}
    </Page>
  );
}

function Loaded({ run }: { run: MapRun }) {
  const search = useSearch({ strict: false }) as Search;
  const navigate = useNavigate();
  const running = run.status === 'RUNNING' || run.status === 'PENDING_REDRIVE';
  const parent = useQuery(executionQuery(run.execution));
  const [dialog, setDialog] = useState<'redrive' | 'change' | null>(null);
  useLive(run);

  const cells = useQuery(cellsQuery(run.arn));
  const statuses = useMemo(() => (cells.data?.cells !== undefined ? statusesOf(cells.data.cells) : undefined), [cells.data?.cells]);
  const failures = useQuery(failuresQuery(run.arn));
  const failed = useMemo(
    () => (statuses ? statuses.flatMap((s, i) => (s === 'FAILED' || s === 'TIMED_OUT' ? [i] : [])) : (failures.data?.failures.flatMap((f) => f.indexes) ?? []).sort((a, b) => a - b)),
    [statuses, failures.data],
  );
  const item = search.item !== undefined && /^\d+$/.test(search.item) ? Number(search.item) : undefined;
  const change = useCallback((to: Partial<Search>) => void navigate({ to: '.', search: (old: Search) => ({ ...old, ...to }) as never, replace: true }), [navigate]);
  const pick = useCallback((i: number | undefined) => change({ item: i === undefined ? undefined : String(i) } as Partial<Search>), [change]);
  const step = (by: 1 | -1) => {
    const to = nextOf(failed, item ?? (by > 0 ? -1 : Infinity), by);
    if (to !== undefined) pick(to);
  };
  const redrivable = parent.data?.redrive_status === 'REDRIVABLE' && run.status !== 'SUCCEEDED';
  useShortcuts([
    { keys: 'n', label: t.next, group: t.group, run: () => step(1) },
    { keys: 'p', label: t.previous, group: t.group, run: () => step(-1) },
    ...(redrivable ? [{ keys: 'r', label: t.redrive, group: t.group, run: () => setDialog('redrive') }] : []),
    ...(running ? [{ keys: 'e', label: t.settingsKey, group: t.group, run: () => setDialog('change') }] : []),
  ]);
  // In a narrow window the page scrolls, and the inspector lies over it.
  const wide = useMediaQuery('(min-width: 901px)', window.innerWidth > 900, { getInitialValueInEffect: false });
  const parentName = run.execution.split(':').at(-1)!;

  return (
    <Page
      fill={wide}
      title={t.title(run.state)}
      crumbs={[{ label: t.executions, to: '/executions' }, { label: parentName, to: `/executions/${encodeURIComponent(run.execution)}` }]}
      beside={<><StatusBadge status={run.status} size="lg" /><IdChip id={run.arn} label="ARN" shown="ARN" /></>}
      actions={
        <>
          {running && <Button variant="default" leftSection={<IconAdjustments size={14} />} onClick={() => setDialog('change')}>{t.edit}</Button>}
          {redrivable && <Button leftSection={<IconArrowForwardUp size={14} />} onClick={() => setDialog('redrive')}>{t.redrive}</Button>}
        </>
      }
      below={
        <dl className={css.facts}>
          <Fact label={t.parent}><Link to="/executions/$id" params={{ id: run.execution }}>{parentName}</Link></Fact>
          <Fact label={t.started}><TimeAgo at={run.started_at} /></Fact>
          <Fact label={t.duration}><Duration from={run.started_at} to={run.stopped_at} /></Fact>
          <Fact label={t.type}>{t.types[run.type]}</Fact>
          <Fact label={t.maxConcurrency}><span className="num">{run.max_concurrency > 0 ? formatCount(run.max_concurrency) : t.noLimit}</span></Fact>
          <Fact label={t.tolerated}>{limitText(run) || common.none}</Fact>
          {run.redrives > 0 && <Fact label={t.redrive}>{t.redriven(run.redrives)}</Fact>}
        </dl>
      }
    >
      <div className={css.main}>
        <div className={css.scroll}>
          <div className={css.content}>
            <Counts run={run} />
            <div className={css.pair}>
              <Progress run={run} />
              <Pace run={run} running={running} />
            </div>
            <CellsCard run={run} cells={cells.data} error={cells.isError ? cells.error : null} statuses={statuses} retry={() => void cells.refetch()} item={item} onPick={pick} />
            <Failures run={run} failures={failures.data?.failures} partly={failures.data && !failures.data.complete ? failures.data.looked_at : undefined} error={failures.isError ? failures.error : null} retry={() => void failures.refetch()} onPick={pick} />
            <Children run={run} status={search.status ?? ''} onStatus={(status) => change({ status } as Partial<Search>)} />
          </div>
        </div>
        {item !== undefined && <ItemInspector run={run} index={item} failures={failures.data?.failures ?? []} onClose={() => pick(undefined)} />}
      </div>
      {dialog === 'redrive' && <RedriveDialog run={run} onClose={() => setDialog(null)} />}
      {dialog === 'change' && <ChangeDialog run={run} onClose={() => setDialog(null)} />}
    </Page>
  );
}

/** Takes counts from the stream as they come, and reads the rest again, the more seldom the more there is of it. */
function useLive(run: MapRun): void {
  const client = useQueryClient();
  const due = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const last = useRef(0);
  const { arn } = run;
  const apart = run.executions.total > 2000 ? 5000 : 1500;
  const refresh = () => {
    if (due.current) return;
    due.current = setTimeout(() => {
      due.current = undefined;
      last.current = Date.now();
      void client.invalidateQueries({ queryKey: partsKey(arn) });
      void client.invalidateQueries({ queryKey: ['execution', run.execution] });
    }, Math.max(0, last.current + apart - Date.now()));
  };
  useEffect(() => () => clearTimeout(due.current), []);
  useEvents(['maprun.counts'], (event) => {
    const data = event.data as MapRun | null;
    if (event.type === 'resync' || data?.arn !== arn) return;
    client.setQueryData(countsKey(arn), data);
    refresh();
  });
  const status = useRef(run.status);
  useEffect(() => {
    // However the end was learned, what is shown is to be that of the end.
    if (status.current !== run.status) refresh();
    status.current = run.status;
  });
}

function Fact({ label, children }: { label: string; children: React.ReactNode }) {
  return <div className={css.fact}><dt>{label}</dt><dd>{children}</dd></div>;
}

const tiles = ['pending', 'running', 'succeeded', 'failed', 'timed_out', 'aborted'] as const;

function Counts({ run }: { run: MapRun }) {
  const c = run.items;
  return (
    <section aria-label={t.counts}>
      <dl className={css.tiles}>
        {tiles.map((key) => (
          <div key={key} className={css.tile} data-is={c[key] > 0 ? key : undefined}>
            <dt>{c[key] > 0 && <StatusIcon status={key} />}{t.count[key]}</dt>
            <dd className="num">{formatCount(c[key])}</dd>
          </div>
        ))}
        <div className={css.tile}>
          <dt>{t.count.results_written}</dt>
          <dd className="num">{formatCount(c.results_written)}</dd>
        </div>
      </dl>
      {run.executions.total !== c.total && run.executions.total > 0 && <p className={`${css.note} num`}>{t.batches(formatCount(c.total), formatCount(run.executions.total))}</p>}
    </section>
  );
}

function Progress({ run }: { run: MapRun }) {
  const c = run.items;
  const limit = failureLimit(run);
  const failed = failedOf(c);
  const over = limit > 0 ? failed > limit : failed > 0;
  const widest = Math.max(limit * 1.25, failed * 1.1, 1);
  const said = parts.filter((p) => c[p] > 0).map((p) => `${formatCount(c[p])} ${t.count[p].toLowerCase()}`).join(', ');
  return (
    <section className={css.card} aria-label={t.progress}>
      <div className={css.cardHead}>
        <h2>{t.progress}</h2>
        <span className="num dim">{t.ofTotal(formatCount(endedOf(c)), formatCount(c.total))} {t.ended} · {percent(endedOf(c), c.total)}</span>
      </div>
      <div className={css.bar} role="img" aria-label={t.progressText(said || '0', formatCount(c.total))}>
        {parts.map((p) => c[p] > 0 && <span key={p} data-is={p} style={{ flexGrow: c[p] }} />)}
      </div>
      <ul className={css.legend}>
        {parts.filter((p) => c[p] > 0).map((p) => <li key={p}><span className={css.swatch} data-is={p} />{t.count[p]} <span className="num dim">{percent(c[p], c.total)}</span></li>)}
      </ul>
      <div className={css.cardHead}>
        <h3>{t.tolerated}</h3>
        <span className="num" data-over={over || undefined}>{over && limit > 0 ? t.over : ''}</span>
      </div>
      {limit > 0 ? (
        <>
          <div className={css.tolerance} role="meter" aria-label={t.tolerated} aria-valuemin={0} aria-valuemax={limit} aria-valuenow={Math.min(failed, limit)} aria-valuetext={t.toleratedText(formatCount(failed), formatCount(limit), percent(failed, limit))}>
            <span className={css.failedFill} data-over={over || undefined} style={{ width: `${(failed / widest) * 100}%` }} />
            <span className={css.limit} style={{ left: `${(limit / widest) * 100}%` }}><span className="num">{t.limitAt(formatCount(limit))}</span></span>
          </div>
          <p className={`${css.note} num`}>{t.toleratedText(formatCount(failed), formatCount(limit), percent(failed, limit))}. {limitText(run)}.</p>
        </>
      ) : (
        <p className={css.note}>{failed > 0 ? `${t.failedShare(formatCount(failed), percent(failed, c.total))}. ` : ''}{t.toleratedNone}</p>
      )}
    </section>
  );
}

function Pace({ run, running }: { run: MapRun; running: boolean }) {
  const pace = useQuery(paceQuery(run.arn));
  const [samples, setSamples] = useState<Sample[]>([]);
  const { now } = useNow(running);
  const ended = endedOf(run.items);
  useEffect(() => {
    setSamples((old) => addSample(old, { at: Date.now(), ended }));
  }, [ended]);
  const started = toMs(run.started_at);
  const { rate, now: isNow } = rateOf(running ? samples : [], ended, started, run.stopped_at ? toMs(run.stopped_at) : now);
  const open = run.items.pending + run.items.running;
  const left = rate > 0 ? (open / rate) * 1000 : undefined;
  const points = useMemo(() => (pace.data?.pace ?? []).map((p) => ({ at: Date.parse(p.at), value: p.running, more: [p.ended, p.failed] })), [pace.data]);
  const most = points.reduce((m, p) => Math.max(m, p.value), 0);
  const limit = run.max_concurrency > 0 ? t.limitOf(formatCount(run.max_concurrency)) : t.noLimit;
  return (
    <section className={css.card} aria-label={t.throughput}>
      <dl className={css.pace}>
        <div>
          <dt>{t.throughput} <span className="dim">{isNow ? t.now : t.average}</span></dt>
          <dd className="num">{rate >= 1 || rate === 0 ? t.perSecond(rate >= 100 ? formatCount(Math.round(rate)) : rate.toFixed(rate >= 10 || rate === 0 ? 0 : 1)) : t.perMinute((rate * 60).toFixed(1))}</dd>
        </div>
        {running && <div><dt>{t.left}</dt><dd className="num">{left === undefined ? <span className={css.soft}>{isNow ? t.leftStill : t.leftNone}</span> : t.leftAbout(left < 60_000 ? t.seconds(Math.ceil(left / 1000)) : formatDuration(left))}</dd></div>}
        <div><dt>{t.running}</dt><dd className="num">{formatCount(run.executions.running)}{run.max_concurrency > 0 && <span className={css.soft}> / {formatCount(run.max_concurrency)}</span>}</dd></div>
      </dl>
      {pace.isError && <ErrorState error={pace.error} retry={() => void pace.refetch()} />}
      {pace.isPending && <Skeleton height={120} />}
      {points.length > 0 && most === 0 && <p className={css.note}>{t.tooQuick}</p>}
      {points.length > 0 && most > 0 && (
        <TimeChart
          label={t.concurrency}
          title={<h3 className={css.chartTitle}>{t.concurrency}</h3>}
          points={points}
          from={Date.parse(pace.data!.from)}
          height={84}
          timeLabel={t.time}
          valueLabel={t.count.running}
          moreLabels={[t.ended, t.endedFailed]}
          line={run.max_concurrency > 0 ? { at: run.max_concurrency, label: limit } : undefined}
          format={tenths}
          summary={t.concurrencyText(tenths(most), limit)}
        />
      )}
      {pace.data && !pace.data.complete && <p className={css.note}>{t.newestOnly}</p>}
      {pace.data?.recent_only && <p className={css.note}>{t.recentOnly}</p>}
    </section>
  );
}

const tenths = (n: number): string => formatCount(Math.round(n * 10) / 10);

interface CellsProps {
  run: MapRun;
  cells: { total: number; cells?: string; buckets?: { running: number; succeeded: number; failed: number; timed_out: number; aborted: number }[]; recent_only?: boolean } | undefined;
  statuses: string[] | undefined;
  error: unknown;
  retry: () => void;
  item: number | undefined;
  onPick: (index: number) => void;
}

function CellsCard({ run, cells, statuses, error, retry, item, onPick }: CellsProps) {
  const [table, setTable] = useState(false);
  const buckets = cells?.buckets;
  const per = buckets && buckets.length > 0 ? cells.total / buckets.length : 1;
  const range = (i: number) => t.bucket(formatCount(Math.floor(i * per)), formatCount(Math.max(Math.floor((i + 1) * per) - 1, Math.floor(i * per))));
  const bucketText = (i: number) => {
    const b = buckets![i]!;
    return (['succeeded', 'running', 'failed', 'timed_out', 'aborted'] as const).filter((k) => b[k] > 0).map((k) => `${formatCount(b[k])} ${t.count[k].toLowerCase()}`).join(', ');
  };
  const shown = useMemo(() => statuses ?? buckets?.map(statusOfBucket), [statuses, buckets]);
  const c = run.executions;
  const summary = (['succeeded', 'running', 'failed', 'timed_out', 'aborted', 'pending'] as const).filter((k) => c[k] > 0).map((k) => `${formatCount(c[k])} ${t.count[k].toLowerCase()}`).join(', ');
  return (
    <section className={css.card} aria-label={t.cells}>
      <div className={css.cardHead}>
        <h2>{t.cells}</h2>
        <span className={css.hint}>{buckets ? t.bucketsHint(formatCount(Math.round(per))) : t.cellsHint}</span>
        <button type="button" className={css.link} aria-pressed={table} onClick={() => setTable(!table)}>{t.asTable}</button>
      </div>
      {error !== null && <ErrorState error={error} retry={retry} />}
      {!shown && error === null && <Skeleton height={160} />}
      {shown && shown.length === 0 && <p className="dim">{t.noneYet}</p>}
      {shown && shown.length > 0 && !table && (
        <CellGrid
          label={t.cells}
          statuses={shown}
          cell={shown.length > 3000 ? 11 : shown.length > 400 ? 13 : 16}
          summary={summary}
          selected={buckets ? undefined : item}
          describe={(i) => (buckets ? `${range(i)}: ${bucketText(i)}` : `${i}: ${shown[i] === 'not_started' ? t.notStarted : statusText(shown[i]!)}`)}
          {...(buckets ? {} : { onPick })}
        />
      )}
      {shown && table && (
        <DataTable
          name="maprun-groups"
          label={t.cells}
          columns={[
            { id: 'range', label: t.cells, always: true, cell: (g) => g.label },
            ...(['succeeded', 'running', 'failed', 'timed_out', 'aborted'] as const).map((k) => ({ id: k, label: t.count[k], align: 'right' as const, cell: (g: Group) => formatCount(g.by[k] ?? 0) })),
          ]}
          rows={buckets ? buckets.map((b, i): Group => ({ label: range(i), by: { ...b } })) : groupsOf(shown)}
          rowId={(g) => g.label}
        />
      )}
      {cells?.recent_only && <p className={css.note}>{t.recentOnly}</p>}
    </section>
  );
}

interface Group {
  label: string;
  by: Record<string, number>;
}

/** The table behind a grid: hundreds of executions in a row. */
function groupsOf(statuses: readonly string[]): Group[] {
  const per = Math.max(1, Math.ceil(statuses.length / 100 / 10) * 10);
  const out: Group[] = [];
  for (let i = 0; i < statuses.length; i += per) {
    const by: Record<string, number> = {};
    for (const s of statuses.slice(i, i + per)) by[s.toLowerCase()] = (by[s.toLowerCase()] ?? 0) + 1;
    out.push({ label: t.bucket(formatCount(i), formatCount(Math.min(i + per, statuses.length) - 1)), by });
  }
  return out;
}

function Failures({ run, failures, partly, error, retry, onPick }: { run: MapRun; failures: Failure[] | undefined; partly: number | undefined; error: unknown; retry: () => void; onPick: (index: number) => void }) {
  const columns: Column<Failure>[] = [
    { id: 'count', label: t.times, width: '80px', align: 'right', always: true, cell: (f) => <strong>{formatCount(f.count)}</strong> },
    { id: 'status', label: t.columns.status, width: '130px', cell: (f) => <StatusBadge status={f.status} size="sm" /> },
    { id: 'error', label: t.error, width: '220px', always: true, cell: (f) => (f.error ? <code className={css.errorName} title={f.error}>{f.error}</code> : <span className="dim">{t.noError}</span>) },
    { id: 'cause', label: t.cause, cell: (f) => <span className={css.cause} title={f.cause}>{f.cause}</span> },
    {
      id: 'examples',
      label: t.examples,
      width: '190px',
      cell: (f) => (
        <span className={css.examples}>
          {f.indexes.slice(0, 4).map((i, at) => <button key={f.examples[at] ?? i} type="button" className={css.link} onClick={() => onPick(i)} aria-label={t.item(formatCount(i))}>#{formatCount(i)}</button>)}
        </span>
      ),
    },
  ];
  const none = failedOf(run.executions) + run.executions.aborted === 0;
  return (
    <section className={css.section} aria-label={t.failures}>
      {error !== null ? (
        <><h2>{t.failures}</h2><ErrorState error={error} retry={retry} /></>
      ) : none && failures?.length === 0 ? (
        <><h2>{t.failures}</h2><p className={css.note}>{t.noFailures}</p></>
      ) : (
        <DataTable
          name="maprun-failures"
          label={t.failures}
          columns={columns}
          rows={failures ?? []}
          rowId={(f) => `${f.status} ${f.error} ${f.cause}`}
          loading={failures === undefined}
          onOpen={(f) => f.indexes[0] !== undefined && onPick(f.indexes[0])}
          toolbar={<h2>{t.failures}</h2>}
          empty={<p className={css.inTable}>{none ? t.noFailures : t.noneLeft}</p>}
        />
      )}
      {partly !== undefined && <p className={css.note}>{t.partly(formatCount(partly))}</p>}
    </section>
  );
}

function Children({ run, status, onStatus }: { run: MapRun; status: string; onStatus: (s: string) => void }) {
  const navigate = useNavigate();
  const list = useInfiniteQuery(childrenQuery(run.arn, status));
  const rows = useMemo(() => list.data?.pages.flatMap((p) => p.executions) ?? [], [list.data]);
  const batched = run.items.total !== run.executions.total;
  const columns: Column<Execution>[] = [
    { id: 'name', label: t.columns.name, always: true, cell: (x) => <Link to="/executions/$id" params={{ id: x.executionArn }} className="mono">{x.name}</Link> },
    { id: 'status', label: t.columns.status, width: '160px', cell: (x) => <StatusBadge status={x.status} size="sm" /> },
    { id: 'started', label: t.columns.started, width: '140px', cell: (x) => <TimeAgo at={x.startDate} /> },
    { id: 'duration', label: t.columns.duration, width: '120px', align: 'right', cell: (x) => <Duration from={x.startDate} to={x.stopDate} /> },
    { id: 'items', label: t.columns.items, width: '90px', align: 'right', cell: (x) => formatCount(x.itemCount ?? 1), hidden: !batched },
    { id: 'redrives', label: t.columns.redrives, width: '90px', align: 'right', cell: (x) => (x.redriveCount ? formatCount(x.redriveCount) : ''), hidden: run.redrives === 0 },
  ];
  const more = () => {
    if (list.hasNextPage && !list.isFetchingNextPage) void list.fetchNextPage();
  };
  return (
    <section className={css.section} aria-label={t.children}>
      <DataTable
        name="maprun-children"
        label={t.children}
        columns={columns}
        rows={rows}
        rowId={(x) => x.executionArn}
        loading={list.isPending}
        onOpen={(x) => {
          sessionStorage.setItem('lockstep.list', JSON.stringify(rows.map((r) => r.executionArn)));
          void navigate({ to: '/executions/$id', params: { id: x.executionArn } });
        }}
        onMore={more}
        toolbar={
          <div className={css.toolbar}>
            <h2>{t.children}</h2>
            <Select
              aria-label={t.filterStatus}
              w={150}
              value={status}
              onChange={(v) => onStatus(v ?? '')}
              allowDeselect={false}
              data={[{ value: '', label: t.all }, ...['RUNNING', 'SUCCEEDED', 'FAILED', 'TIMED_OUT', 'ABORTED', 'PENDING_REDRIVE'].map((value) => ({ value, label: statusText(value) }))]}
            />
          </div>
        }
        empty={status ? <NoMatch clear={() => onStatus('')} /> : <p className={css.inTable}>{run.type === 'EXPRESS' && run.executions.total > 0 ? t.noneLeft : t.noneYet}</p>}
      />
      {list.isError && <ErrorState error={list.error} retry={() => void list.refetch()} />}
      {list.hasNextPage && <div><Button variant="default" onClick={more} loading={list.isFetchingNextPage}>{common.more}</Button></div>}
    </section>
  );
}

/** What one execution of the run does, without leaving the page. */
function ItemInspector({ run, index, failures, onClose }: { run: MapRun; index: number; failures: Failure[]; onClose: () => void }) {
  const cell = useQuery(cellQuery(run.arn, index));
  const x = cell.data;
  const whole = useQuery({ ...executionQuery(x?.arn ?? ''), enabled: x !== undefined });
  const cause = whole.data?.cause ?? failures.find((f) => f.indexes.includes(index))?.cause;
  const gone = cell.error instanceof ApiError && cell.error.status === 404;
  return (
    <Inspector title={t.item(formatCount(index))} label={t.itemOf} onClose={onClose} head={<div className={css.badges}>{x && <><StatusBadge status={x.status} size="sm" /><Duration from={x.started_at} to={x.stopped_at} /></>}</div>}>
      {cell.isPending && <Skeleton height={100} />}
      {gone && <p className="dim">{t.gone}</p>}
      {cell.isError && !gone && <ErrorState error={cell.error} retry={() => void cell.refetch()} />}
      {x && (
        <div className={css.item}>
          {x.error && <div className={css.itemError}><code className={css.errorName}>{x.error}</code>{cause && <pre className={css.causeText}>{cause}</pre>}</div>}
          <dl className={css.itemFacts}>
            {x.state && <Fact label={t.state}>{x.state}</Fact>}
            <Fact label={t.started}><TimeAgo at={x.started_at} absolute /></Fact>
            <Fact label={t.columns.name}><IdChip id={x.arn} shown={x.name} label={x.name} /></Fact>
          </dl>
          <Link to="/executions/$id" params={{ id: x.arn }}>{t.open}</Link>
          {whole.data?.input && <div><h3>{t.input}</h3><JsonView value={undefined} text={whole.data.input.text ?? ''} label={t.input} depth={2} plain /></div>}
          {whole.data?.output && <div><h3>{t.output}</h3><JsonView value={undefined} text={whole.data.output.text ?? ''} label={t.output} depth={2} plain /></div>}
        </div>
      )}
    </Inspector>
  );
}
