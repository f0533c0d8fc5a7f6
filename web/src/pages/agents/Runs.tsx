import { Button } from '@mantine/core';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import { usageOrNothing, type Agent } from '../../api/agents.ts';
import type { Attempt, Happening } from '../../api/board.ts';
import { rest } from '../../api/http.ts';
import { DataTable, Duration, EmptyState, ErrorState, Facts, IdChip, Inspector, Money, StatusBadge, TimeAgo } from '../../kit/index.ts';
import { common } from '../../strings/index.ts';
import { agents as t } from '../../strings/agents.ts';
import css from './agents.module.css';

interface Run {
  id: string;
  key: string;
  number?: number;
  status: string;
  started?: string;
  ended?: string;
  message?: string;
  category?: string;
}

interface Page {
  events: Happening[];
  before?: number;
}

const text = (v: unknown) => (typeof v === 'string' ? v : undefined);

/** Puts together what the feed says of an agent's attempts, the newest first. */
function runsOf(events: readonly Happening[]): Run[] {
  const runs = new Map<string, Run>();
  for (const e of events) {
    const id = text(e.data?.attempt);
    if (!id) continue;
    const run: Run = runs.get(id) ?? { id, key: e.key ?? '', status: 'running' };
    if (e.type === 'attempt.started') {
      run.started = e.at;
      if (typeof e.data?.number === 'number') run.number = e.data.number;
    } else if (e.type === 'attempt.ended') {
      run.ended = e.at;
      run.status = text(e.data?.status) ?? 'succeeded';
      const [message, category] = [text(e.data?.message), text(e.data?.category)];
      if (message) run.message = message;
      if (category) run.category = category;
    }
    runs.set(id, run);
  }
  return [...runs.values()];
}

const page = (agent: string, before: number | undefined, limit: number, signal: AbortSignal) => rest<Page>('/activity', { query: { agent, type: 'attempt.started,attempt.ended', limit, before }, signal });

/** How many runs of an agent ended since a moment, and how many of these failed. Undefined until that is known. */
export function useRunCounts(slug: string, from: number): { ended: number; failed: number } | undefined {
  const asked = useQuery({
    queryKey: ['agent', slug, 'counts', Math.floor(from / 600_000)],
    staleTime: 30_000,
    queryFn: async ({ signal }) => {
      let [ended, failed] = [0, 0];
      let before: number | undefined;
      for (let i = 0; i < 10; i++) {
        const said = await rest<Page>('/activity', { query: { agent: slug, type: 'attempt.ended', limit: 200, before }, signal });
        const since = said.events.filter((e) => Date.parse(e.at) >= from);
        ended += since.length;
        failed += since.filter((e) => ['failed', 'timed_out', 'lost'].includes(String(e.data?.status))).length;
        before = said.before;
        if (!before || since.length < said.events.length) break;
      }
      return { ended, failed };
    },
  });
  return asked.data;
}

/** Each try of an agent at a task, with its error and what it cost. */
export function Runs({ agent }: { agent: Agent }) {
  const search = useSearch({ strict: false }) as { tab?: string; run?: string; of?: string };
  const navigate = useNavigate();
  const list = useInfiniteQuery({
    queryKey: ['agent', agent.slug, 'runs'],
    queryFn: ({ pageParam, signal }) => page(agent.slug, pageParam, 100, signal),
    initialPageParam: undefined as number | undefined,
    getNextPageParam: (last) => last.before,
  });
  const costs = useQuery(usageOrNothing({ group_by: 'attempt', since: new Date(Date.now() - 30 * 86_400_000).toISOString().slice(0, 10), limit: 1000 }));
  const rows = runsOf((list.data?.pages ?? []).flatMap((p) => p.events));
  const costOf = new Map((costs.data?.rows ?? []).map((r) => [r.name, r]));
  const open = (run: Run | undefined) => void navigate({ to: '/agents/$slug', params: { slug: agent.slug }, search: { tab: 'runs', run: run?.id, of: run?.key }, replace: true });
  if (list.isError) return <ErrorState error={list.error} retry={() => void list.refetch()} />;
  const shown = search.run && search.of ? { id: search.run, key: search.of } : undefined;
  return (
    <div style={{ display: 'flex', alignItems: 'flex-start', gap: 16, minWidth: 0 }}>
      <div style={{ flex: 1, minWidth: 0 }}>
        <DataTable
          name="runs"
          label={t.runs}
          rows={rows}
          rowId={(r) => r.id}
          loading={list.isPending}
          toolbar={<span className="dim">{t.runsText}</span>}
          empty={<EmptyState title={t.runsEmptyTitle} text={t.runsEmptyText} />}
          onOpen={open}
          {...(search.run ? { active: search.run } : {})}
          columns={[
            { id: 'task', label: t.task, always: true, width: '100px', cell: (r) => <Link to="/board/$project" params={{ project: r.key.split('-')[0] || '-' }} search={{ task: r.key }} className="mono">{r.key}</Link> },
            { id: 'number', label: t.run, width: '80px', cell: (r) => (r.number ? t.attempt(r.number) : '–') },
            { id: 'status', label: t.state, width: '130px', cell: (r) => <StatusBadge status={r.status} size="sm" /> },
            { id: 'started', label: t.started, width: '150px', cell: (r) => <TimeAgo at={r.started} /> },
            { id: 'took', label: t.took, width: '100px', align: 'right', cell: (r) => (r.started ? <Duration from={r.started} to={r.ended} /> : '–') },
            { id: 'cost', label: t.cost, width: '90px', align: 'right', cell: (r) => <CostCell row={costOf.get(r.id)} /> },
            { id: 'error', label: t.error, cell: (r) => r.message && <span title={r.message}>{r.message}</span> },
          ]}
        />
        {list.hasNextPage && <Button mt="sm" variant="default" loading={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>{common.more}</Button>}
      </div>
      {shown && <RunInspector id={shown.id} task={shown.key} onClose={() => open(undefined)} />}
    </div>
  );
}

function CostCell({ row }: { row: import('../../api/agents.ts').UsageRow | undefined }) {
  if (!row) return <span className="dim">–</span>;
  return Number(row.billed) > 0 || Number(row.shadow) === 0 ? <Money nano={row.billed} /> : <Money nano={row.shadow} included />;
}

function RunInspector({ id, task, onClose }: { id: string; task: string; onClose: () => void }) {
  const attempts = useQuery({
    queryKey: ['task', task, 'attempts'],
    queryFn: async ({ signal }) => (await rest<{ attempts: (Attempt & { runtime_run_id?: string; runtime_session_key?: string })[] }>(`/tasks/${encodeURIComponent(task)}/attempts`, { query: { limit: 200 }, signal })).attempts,
  });
  const run = attempts.data?.find((a) => a.id === id);
  return (
    <Inspector title={t.runTitle(task)} label={t.run} onClose={onClose} {...(run ? { head: <StatusBadge status={run.status} /> } : {})}>
      {attempts.isError && <ErrorState error={attempts.error} retry={() => void attempts.refetch()} />}
      {attempts.isSuccess && !run && <p className="dim">{t.goneRun}</p>}
      {run && (
        <div className={css.stack}>
          <Facts
            of={[
              [t.run, t.attempt(run.number)],
              [t.started, <TimeAgo key="s" at={run.created_at} absolute />],
              [t.took, <Duration key="d" from={run.created_at} to={run.ended_at} />],
              ...(run.runtime_session_key ? [[t.session, <IdChip key="i" id={run.runtime_session_key} />] as const] : []),
            ]}
          />
          {run.error && (
            <section>
              <h3 className={css.small}>{t.errorOf}</h3>
              <p style={{ overflowWrap: 'anywhere', margin: '4px 0 10px' }}>{run.error.message}</p>
              <Facts of={[[t.category, run.error.category], ...(run.error.code ? [[common.code, run.error.code] as const] : []), ...(run.error.last_tool ? [[t.lastTool, run.error.last_tool] as const] : []), ...(run.error.model ? [[t.model, run.error.model] as const] : []), ['', run.error.retryable ? t.retryable : t.notRetryable]]} />
              {run.error.detail && <pre className="mono" style={{ whiteSpace: 'pre-wrap', overflowWrap: 'anywhere' }}>{run.error.detail}</pre>}
            </section>
          )}
          <section>
            <h3 className={css.small}>{t.notes}</h3>
            {(run.notes ?? []).length === 0 && <p className="dim">{t.noNotes}</p>}
            {(run.notes ?? []).map((n, i) => (
              <div key={i} className={css.message}>
                <div className={css.meta}><TimeAgo at={n.at} /></div>
                <div style={{ overflowWrap: 'anywhere', whiteSpace: 'pre-wrap' }}>{n.text}</div>
              </div>
            ))}
          </section>
        </div>
      )}
    </Inspector>
  );
}
