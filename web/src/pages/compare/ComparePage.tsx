import { Button, Select, Skeleton, Switch } from '@mantine/core';
import { IconArrowsLeftRight, IconArrowsDiff } from '@tabler/icons-react';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import { useMemo } from 'react';
import { executionQuery, fetchVisits, searchQuery, type ExecutionView, type Payload, type Visit } from '../../api/executions.ts';
import { useShortcuts } from '../../app/keys.ts';
import { Page } from '../../app/Page.tsx';
import { DataTable, DiffView, Duration, EmptyState, ErrorState, formatCount, formatDuration, formatTime, Inspector, Money, StatusBadge, statusText, TimeAgo, toMs, useDelayed, type Column } from '../../kit/index.ts';
import { executions } from '../../strings/executions.ts';
import { compare as t } from '../../strings/compare.ts';
import { align, settled, tookOf, type Pair } from './align.ts';
import css from './ComparePage.module.css';

/** So many visits of each execution are compared. */
const mostVisits = 1000;

interface Search {
  a?: string;
  b?: string;
  /** "1": only pairs that differ. */
  only?: string;
  /** The key of the pair that the inspector shows. */
  at?: string;
}

function visitsQuery(arn: string | undefined) {
  return {
    queryKey: ['compare-visits', arn],
    queryFn: async ({ signal }: { signal: AbortSignal }) => {
      const list: Visit[] = [];
      let cursor: string | undefined;
      do {
        const page = await fetchVisits(arn!, { payloads: 'preview', limit: 200, ...(cursor ? { cursor } : {}) }, signal);
        list.push(...page.visits);
        cursor = page.next_cursor;
      } while (cursor && list.length < mostVisits);
      return { list, more: cursor !== undefined };
    },
    enabled: arn !== undefined,
    staleTime: 30_000,
  };
}

/** Two executions side by side, state by state. */
export function ComparePage() {
  const { a, b, only, at } = useSearch({ strict: false }) as Search;
  const navigate = useNavigate();
  const change = (to: { [K in keyof Search]?: string | undefined }) => void navigate({ to: '.', search: (old: Search) => ({ ...old, ...to }) as never, replace: true });
  const [x, y] = [useQuery({ ...executionQuery(a ?? ''), enabled: a !== undefined }), useQuery({ ...executionQuery(b ?? ''), enabled: b !== undefined })];
  const [va, vb] = [useQuery(visitsQuery(a)), useQuery(visitsQuery(b))];
  const pairs = useMemo(() => (va.data && vb.data ? align(va.data.list, vb.data.list) : undefined), [va.data, vb.data]);
  const different = useMemo(() => pairs?.filter((p) => p.differs.length > 0) ?? [], [pairs]);
  const rows = only === '1' ? different : (pairs ?? []);
  const open = pairs?.find((p) => p.key === at);
  const step = (by: 1 | -1) => {
    if (different.length === 0) return;
    const i = different.findIndex((p) => p.key === at);
    change({ at: different[i < 0 ? (by > 0 ? 0 : different.length - 1) : (i + by + different.length) % different.length]!.key });
  };
  useShortcuts([
    { keys: 'n', label: t.next, group: t.group, run: () => step(1) },
    { keys: 'p', label: t.previous, group: t.group, run: () => step(-1) },
    { keys: 'o', label: t.onlyKey, group: t.group, run: () => change({ only: only === '1' ? undefined : '1' }) },
  ]);
  const both = a !== undefined && b !== undefined && a !== b;
  const pending = both && (!pairs || x.isPending || y.isPending);
  const late = useDelayed(pending);
  const failed = [x, y, va, vb].find((q) => q.isError);
  const most = useMemo(() => Math.max(1, ...(pairs ?? []).flatMap((p) => [tookOf(p.a) ?? 0, tookOf(p.b) ?? 0])), [pairs]);

  const columns: Column<Pair>[] = [
    { id: 'state', label: t.columns.state, always: true, cell: (p) => <span className={css.path} title={p.path}>{p.path}{p.nth > 1 && <span className="dim"> · {t.nth(p.nth)}</span>}</span> },
    { id: 'a', label: t.columns.a, width: '150px', cell: (p) => (p.a ? <StatusBadge status={p.a.status} size="sm" /> : <span className="dim">{t.notThere}</span>) },
    { id: 'b', label: t.columns.b, width: '150px', cell: (p) => (p.b ? <StatusBadge status={p.b.status} size="sm" /> : <span className="dim">{t.notThere}</span>) },
    { id: 'duration', label: t.columns.duration, width: '250px', cell: (p) => <Took a={tookOf(p.a)} b={tookOf(p.b)} most={most} /> },
    {
      id: 'differs',
      label: t.columns.differs,
      width: '220px',
      always: true,
      cell: (p) => <span className={css.marks}>{p.differs.map((d) => <span key={d} className={css.mark} data-is={d}>{t.differs[d]}</span>)}</span>,
    },
  ];

  return (
    <Page
      fill={both}
      title={t.title}
      crumbs={[{ label: executions.title, to: '/executions' }]}
      actions={both && <Button variant="default" leftSection={<IconArrowsLeftRight size={14} />} onClick={() => change({ a: b, b: a })}>{t.swap}</Button>}
    >
      {!both && (
        <EmptyState icon={<IconArrowsDiff size={24} />} title={t.choose} text={a !== undefined && a === b ? t.sameExecution : t.chooseText}>
          <div className={css.choose}>
            <ChooseExecution label={t.a} value={a} onChange={(arn) => change({ a: arn })} />
            <ChooseExecution label={t.b} value={b} machine={x.data?.machine} onChange={(arn) => change({ b: arn })} />
          </div>
        </EmptyState>
      )}
      {failed && <ErrorState error={failed.error} retry={() => void failed.refetch()} />}
      {late && !failed && <Skeleton height={320} />}
      {both && pairs && x.data && y.data && (
        <div className={css.main}>
          <div className={css.scroll}>
            <div className={css.heads}>
              <Head execution={x.data} label={t.a} />
              <Head execution={y.data} label={t.b} other={x.data} />
            </div>
            {x.data.machine !== y.data.machine && <p className={css.note}>{t.otherMachine}</p>}
            <DataTable
              name="compare"
              label={t.title}
              columns={columns}
              rows={rows}
              rowId={(p) => p.key}
              active={at ?? ''}
              onOpen={(p) => change({ at: p.key })}
              toolbar={
                <div className={css.bar}>
                  <strong className="num" role="status">{different.length === 0 ? t.allSame : t.differ(different.length, pairs.length)}</strong>
                  <Switch label={t.onlyDifferent} checked={only === '1'} onChange={(e) => change({ only: e.currentTarget.checked ? '1' : undefined })} />
                </div>
              }
              empty={<p className={css.note}>{t.same(pairs.length)}.</p>}
            />
            {(va.data?.more || vb.data?.more) && <p className={css.note}>{t.most(formatCount(mostVisits))}</p>}
          </div>
          {open && <PairInspector pair={open} a={a!} b={b!} onClose={() => change({ at: undefined })} />}
        </div>
      )}
    </Page>
  );
}

function ChooseExecution({ label, value, machine, onChange }: { label: string; value: string | undefined; machine?: string | undefined; onChange: (arn: string) => void }) {
  const list = useInfiniteQuery(searchQuery(machine ? { machine } : {}));
  const rows = list.data?.pages[0]?.executions ?? [];
  const data = rows.map((x) => ({ value: x.arn, label: `${x.name} · ${x.machine} · ${statusText(x.status)} · ${formatTime(x.started_at)}` }));
  if (value && !rows.some((x) => x.arn === value)) data.unshift({ value, label: value.split(':').at(-1)! });
  return <Select label={label} searchable data={data} value={value ?? null} onChange={(v) => v && onChange(v)} w={420} maw="100%" />;
}

const took = (x: ExecutionView) => (x.stopped_at ? toMs(x.stopped_at) - toMs(x.started_at) : undefined);

function Head({ execution: x, label, other }: { execution: ExecutionView; label: string; other?: ExecutionView }) {
  return (
    <section className={css.head} aria-label={label}>
      <div className={css.headLine}>
        <span className={css.which}>{label}</span>
        <Link to="/executions/$id" params={{ id: x.arn }} className={css.name}>{x.name}</Link>
        <StatusBadge status={x.status} size="sm" />
      </div>
      <dl className={css.facts}>
        <div><dt>{t.machine}</dt><dd>{x.machine}{x.version ? ` · ${t.version(x.version)}` : ''}</dd></div>
        <div><dt>{t.started}</dt><dd><TimeAgo at={x.started_at} /></dd></div>
        <div><dt>{t.duration}</dt><dd><Duration from={x.started_at} to={x.stopped_at} />{other && <span className={css.delta}> {delta(took(other), took(x))}</span>}</dd></div>
        <div><dt>{t.transitions}</dt><dd className="num">{formatCount(x.transitions)}</dd></div>
        {x.tokens > 0 && <div><dt>{t.cost}</dt><dd><Money nano={x.cost_nano} /></dd></div>}
        {x.error && <div><dt>{t.error}</dt><dd><code className={css.error}>{x.error}</code></dd></div>}
      </dl>
    </section>
  );
}

/** How much longer the second took, in words; differences that nobody would notice are none. */
function delta(a: number | undefined, b: number | undefined): string {
  if (a === undefined || b === undefined) return '';
  const by = Math.abs(b - a);
  if (by < 2 || by / Math.max(a, b) < 0.02) return t.asLong;
  const ratio = Math.max(a, b) / Math.max(Math.min(a, b), 1);
  const times = ratio >= 1.5 && ratio < 1000 ? t.times(ratio >= 10 ? String(Math.round(ratio)) : ratio.toFixed(1)) : '';
  return b > a ? t.slower(formatDuration(by), times) : t.faster(formatDuration(by), times);
}

/** Two bars, one above the other, and what lies between them. */
function Took({ a, b, most }: { a: number | undefined; b: number | undefined; most: number }) {
  const width = (ms: number) => `${Math.max(1, (ms / most) * 100)}%`;
  const said = delta(a, b);
  return (
    <span className={css.took} title={[a, b].map((ms) => (ms === undefined ? '–' : formatDuration(ms))).join(' → ')}>
      <span className={css.bars} aria-hidden="true">
        <span data-which="a" style={{ width: a === undefined ? 0 : width(a) }} />
        <span data-which="b" style={{ width: b === undefined ? 0 : width(b) }} />
      </span>
      <span className={`num ${css.tookText}`}>{said && said !== t.asLong ? said : a !== undefined ? formatDuration(a) : b !== undefined ? formatDuration(b) : '–'}</span>
    </span>
  );
}

function readable(p: Payload | undefined): string {
  try {
    return settled(JSON.parse(p?.text ?? ''), 2);
  } catch {
    return p?.text ?? '';
  }
}

function PairInspector({ pair: p, a, b, onClose }: { pair: Pair; a: string; b: string; onClose: () => void }) {
  const cut = [p.a?.input, p.a?.output, p.b?.input, p.b?.output].some((x) => x?.truncated);
  return (
    <Inspector
      title={p.path}
      label={t.visit(p.path)}
      onClose={onClose}
      head={
        <div className={css.badges}>
          {p.a ? <StatusBadge status={p.a.status} size="sm" /> : <span className="dim">{t.notThere}</span>}
          <span aria-hidden="true">→</span>
          {p.b ? <StatusBadge status={p.b.status} size="sm" /> : <span className="dim">{t.notThere}</span>}
          <span className="dim">{delta(tookOf(p.a), tookOf(p.b))}</span>
        </div>
      }
    >
      <div className={css.pair}>
        {(p.a?.error || p.b?.error) && (
          <><h3>{t.error}</h3><DiffView before={errorText(p.a)} after={errorText(p.b)} label={t.error} beforeLabel={t.columns.a} afterLabel={t.columns.b} /></>
        )}
        <h3>{t.input}</h3>
        <DiffView before={readable(p.a?.input)} after={readable(p.b?.input)} label={t.input} beforeLabel={t.columns.a} afterLabel={t.columns.b} />
        <h3>{t.output}</h3>
        <DiffView before={readable(p.a?.output)} after={readable(p.b?.output)} label={t.output} beforeLabel={t.columns.a} afterLabel={t.columns.b} />
        {cut && <p className={css.note}>{t.beginnings}</p>}
        <p className={css.links}>
          {p.a && <Link to="/executions/$id" params={{ id: a }} search={{ visit: String(p.a.id) } as never}>{t.openVisit}: {t.columns.a.toLowerCase()}</Link>}
          {p.b && <Link to="/executions/$id" params={{ id: b }} search={{ visit: String(p.b.id) } as never}>{t.openVisit}: {t.columns.b.toLowerCase()}</Link>}
        </p>
      </div>
    </Inspector>
  );
}

function errorText(v: Visit | undefined): string {
  return [v?.error, v?.cause].filter(Boolean).join('\n');
}
