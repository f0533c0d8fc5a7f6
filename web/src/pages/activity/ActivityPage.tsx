import { Button, Switch } from '@mantine/core';
import { IconActivity } from '@tabler/icons-react';
import { useInfiniteQuery, useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import { useEffect, useState } from 'react';
import { agentsQuery, projectsQuery, usePeople, type Happening } from '../../api/board.ts';
import { rest } from '../../api/http.ts';
import { useEvents } from '../../api/stream/client.ts';
import { Page } from '../../app/Page.tsx';
import { AgentAvatar, EmptyState, ErrorState, FilterBar, NoMatch, parseFilter, TimeAgo } from '../../kit/index.ts';
import { common } from '../../strings/index.ts';
import { activity as t } from '../../strings/ops.ts';
import css from './activity.module.css';

/** What people want to know of; the rest is bookkeeping: wakeups, runs, statuses, usage. */
const usual = 'task.*,review.*,comment.*,deliverable.*,handoff.*,project.*,budget.*,recurring.made,agent.created,agent.updated,agent.connected,agent.message,agent.stalled,agent.paused,agent.resumed,agent.retired,agent.quiet_failure,agent.quiet_failure_over,wakeup.failed';
const kinds = ['task.*', 'review.*', 'comment.*', 'attempt.*', 'agent.*', 'wakeup.*', 'usage.recorded', 'deliverable.*', 'budget.*', 'project.*'];
type Event = Happening & { agent?: string };

/** What happened, for a project, an agent or a task; what is new gathers above the list. */
export function ActivityPage() {
  const search = useSearch({ strict: false }) as { q?: string; all?: string };
  const navigate = useNavigate();
  const client = useQueryClient();
  const people = usePeople();
  const projects = useQuery(projectsQuery).data ?? [];
  const agents = useQuery(agentsQuery).data ?? [];
  const [fresh, setFresh] = useState(0);
  const terms = parseFilter(search.q ?? '');
  const of = (name: string) => terms.filter((x) => x.name === name).map((x) => x.value);
  const asked = { project: of('project')[0], agent: of('agent')[0], task: of('task')[0], type: of('type').join(',') || (search.all ? undefined : usual) };
  const key = JSON.stringify(asked);
  const list = useInfiniteQuery({
    queryKey: ['feed', key],
    queryFn: ({ pageParam, signal }) => rest<{ events: Event[]; before?: number }>('/activity', { query: { ...asked, limit: 60, before: pageParam }, signal }),
    initialPageParam: undefined as number | undefined,
    getNextPageParam: (last) => last.before,
    refetchOnWindowFocus: false,
  });
  useEffect(() => setFresh(0), [key, list.dataUpdatedAt]);
  const projectId = projects.find((p) => p.key === asked.project)?.id;
  const agentId = agents.find((a) => a.slug === asked.agent)?.id;
  useEvents(['task.', 'review.', 'comment.', 'attempt.', 'agent.', 'wakeup.', 'usage.', 'deliverable.', 'budget.', 'project.', 'handoff.'], (e) => {
    const data = e.data as { project?: string; agent?: string; key?: string } | null;
    if (asked.type && !asked.type.split(',').some((k) => (k.endsWith('*') ? e.type.startsWith(k.slice(0, -1)) : e.type === k))) return;
    if ((asked.project && data?.project !== projectId) || (asked.agent && data?.agent !== agentId) || (asked.task && data?.key !== asked.task)) return;
    if (e.type !== 'resync') setFresh((n) => n + 1);
  });
  const events = (list.data?.pages ?? []).flatMap((p) => p.events);
  const set = (q: string | undefined) => void navigate({ to: '/activity', search: { ...search, q: q || undefined }, replace: true });
  // Who does it: of a wakeup or a status it is the agent's, whoever caused it.
  const name = (e: Event) => people.of(e.agent && /^(wakeup\.|agent\.(status|stalled|connected))/.test(e.type) ? `agent:${e.agent}` : e.by);

  let day = '';
  return (
    <Page title={t.title}>
      <FilterBar
        value={search.q ?? ''}
        onChange={set}
        fields={[
          { name: 'project', label: t.filters.project, values: projects.map((p) => p.key) },
          { name: 'agent', label: t.filters.agent, values: agents.map((a) => a.slug) },
          { name: 'task', label: t.filters.task, hint: 'WEB-12' },
          { name: 'type', label: t.filters.type, values: kinds },
        ]}
      />
      <div className={css.bar}>
        <Switch label={t.everything} checked={!!search.all} onChange={(e) => void navigate({ to: '/activity', search: { ...search, all: e.currentTarget.checked ? '1' : undefined }, replace: true })} />
        <span style={{ flex: 1 }} />
        {fresh > 0 && <Button variant="light" size="compact-sm" onClick={() => void client.resetQueries({ queryKey: ['feed', key] })}>{t.newEvents(fresh)}</Button>}
      </div>
      {list.isError ? (
        <ErrorState error={list.error} retry={() => void list.refetch()} />
      ) : list.isSuccess && events.length === 0 ? (
        terms.length > 0 ? <NoMatch clear={() => set(undefined)} /> : <EmptyState icon={<IconActivity size={26} />} title={t.emptyTitle} text={t.emptyText} />
      ) : (
        <ol className={css.feed} aria-label={t.label} aria-busy={list.isPending}>
          {events.map((e) => {
            const today = dayOf(e.at);
            const heading = today !== day ? today : undefined;
            day = today;
            const who = name(e);
            const it = e.agent ? people.of(`agent:${e.agent}`) : undefined;
            const about = it && it.name !== who.name ? it : undefined;
            const detail = detailOf(e);
            return (
              <li key={e.seq} className={css.item} data-heading={heading ? true : undefined}>
                {heading && <h2 className={css.day}>{heading}</h2>}
                <div className={css.line}>
                  <AgentAvatar name={who.name || t.system} size={22} {...(who.person ? { person: true } : {})} />
                  <span className={css.words}>
                    <strong>{who.name || t.system}</strong> {t.what[e.type] ?? e.type}{' '}
                    {e.key && <Link to="/board/$project" params={{ project: e.key.split('-')[0]! }} search={{ task: e.key }} className="mono">{e.key}</Link>}{' '}
                    {about && <Link to="/agents/$slug" params={{ slug: about.slug }}>@{about.slug}</Link>}
                    {detail && <span className={css.detail}>{detail}</span>}
                  </span>
                  <span className={css.time}><TimeAgo at={e.at} /></span>
                </div>
              </li>
            );
          })}
        </ol>
      )}
      {list.hasNextPage && <Button mt="sm" variant="default" loading={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>{t.more}</Button>}
      {list.isPending && <span className="sr-only" role="status">{common.loading}</span>}
    </Page>
  );
}

function dayOf(at: string): string {
  const d = new Date(at);
  const now = new Date();
  if (d.toDateString() === now.toDateString()) return t.today;
  if (d.toDateString() === new Date(now.getTime() - 86_400_000).toDateString()) return t.yesterday;
  return d.toLocaleDateString('en-GB', { weekday: 'long', day: 'numeric', month: 'long' });
}

/** What an event says besides what it is: words of others, shown as text. */
export function detailOf(e: Happening): string {
  const d = e.data ?? {};
  const text = (name: string) => (typeof d[name] === 'string' ? (d[name] as string) : '');
  if (e.type === 'agent.status') return `${text('from')} → ${text('to')}`;
  return [text('note') || (e.type === 'agent.message' ? '' : text('message')) || text('reason') || text('title') || text('name') || text('hindrance'), e.type === 'attempt.ended' ? text('status') : ''].filter(Boolean).join(' · ');
}
