import { Button, SegmentedControl } from '@mantine/core';
import { IconPlus, IconRobot } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import { useRef } from 'react';
import { lastModel, statusHistory, stretches, useRights, type Agent } from '../../api/agents.ts';
import { projectsQuery } from '../../api/board.ts';
import { useShortcuts } from '../../app/keys.ts';
import { Page } from '../../app/Page.tsx';
import { AgentAvatar, BudgetBar, EmptyState, ErrorState, FilterBar, formatTime, Money, NoMatch, parseFilter, StatusBadge, statusText, Swimlane, TimeAgo, useDelayed, type Term } from '../../kit/index.ts';

import { agents as t } from '../../strings/agents.ts';
import css from './agents.module.css';
import { drawn, Strip, summary, useLiveStrips, useMinute } from './Strip.tsx';
import { useWall, type Card } from './wall.ts';

/** All agents, those who need somebody first. */
export function AgentsPage() {
  const search = useSearch({ strict: false }) as { q?: string; view?: string };
  const navigate = useNavigate();
  const { agents, cards } = useWall();
  const rights = useRights();
  const projects = useQuery(projectsQuery).data ?? [];
  const list = useRef<HTMLUListElement>(null);
  const waiting = useDelayed(agents.isPending);
  useLiveStrips(agents.data ?? []);
  const set = (change: Record<string, string | undefined>) => void navigate({ to: '/agents', search: { ...search, ...change }, replace: true });

  const terms = parseFilter(search.q ?? '');
  const keyOf = new Map(projects.map((p) => [p.id, p.key]));
  const shown = cards.filter((c) => (c.agent.admin !== 'retired' || terms.some((x) => x.value === 'retired')) && terms.every((term) => matches(c, term, keyOf)));
  const lanes = search.view === 'lanes';

  const step = (by: number) => {
    const links = [...(list.current?.querySelectorAll<HTMLElement>('a[data-card]') ?? [])];
    const at = links.indexOf(document.activeElement as HTMLElement);
    links[Math.max(0, Math.min(links.length - 1, at + by))]?.focus();
  };
  useShortcuts([
    { keys: 'j', label: t.keys.next, group: t.groups.page, run: () => step(1) },
    { keys: 'k', label: t.keys.previous, group: t.groups.page, run: () => step(-1) },
    { keys: 'v', label: t.keys.lanes, group: t.groups.page, run: () => set({ view: lanes ? undefined : 'lanes' }) },
    ...(rights.managesSome ? [{ keys: 'n', label: t.keys.connect, group: t.groups.page, run: () => void navigate({ to: '/agents/connect' }) }] : []),
  ]);

  const connect = rights.managesSome && (
    <Button component={Link} to="/agents/connect" leftSection={<IconPlus size={14} />}>{t.connect}</Button>
  );
  return (
    <Page title={t.title} actions={cards.length > 0 && connect}>
      {agents.isError ? (
        <ErrorState error={agents.error} retry={() => void agents.refetch()} />
      ) : agents.isSuccess && cards.length === 0 ? (
        <EmptyState icon={<IconRobot size={26} />} title={t.emptyTitle} text={t.emptyText} action={connect} command={rights.managesSome ? 'lockstep agent add writer --project WEB' : ''} />
      ) : (
        <>
          <div className={css.bar}>
            <div className={css.grow}>
              <FilterBar
                value={search.q ?? ''}
                onChange={(q) => set({ q: q || undefined })}
                fields={[
                  { name: 'status', label: t.filters.status, values: ['working', 'blocked', 'idle', 'paused', 'offline', 'never_seen', 'retired', 'stalled', 'failing'] },
                  { name: 'project', label: t.filters.project, values: projects.map((p) => p.key) },
                  { name: 'runtime', label: t.filters.runtime, values: Object.keys(t.runtimes) },
                  { name: 'role', label: t.filters.role, values: ['worker', 'lead'] },
                ]}
              />
            </div>
            <SegmentedControl aria-label={t.view} value={lanes ? 'lanes' : 'cards'} onChange={(v) => set({ view: v === 'lanes' ? v : undefined })} data={[{ value: 'cards', label: t.views.cards }, { value: 'lanes', label: t.views.lanes }]} />
          </div>
          <p className={css.sum} role="status">{agents.isSuccess && <>{t.count(shown.length)} · {t.attention}</>}</p>
          {agents.isSuccess && shown.length === 0 && <NoMatch clear={() => set({ q: undefined })} />}
          {lanes ? (
            shown.length > 0 && <Lanes cards={shown} />
          ) : (
            <ul ref={list} className={css.wall} aria-label={t.title}>
              {shown.map((c) => <AgentCard key={c.agent.id} card={c} />)}
              {waiting && Array.from({ length: 6 }, (_, i) => <li key={i} className={css.skeleton} aria-hidden="true" />)}
            </ul>
          )}
        </>
      )}
    </Page>
  );
}

function matches(c: Card, term: Term, keyOf: Map<string, string>): boolean {
  const a = c.agent;
  const value = term.value.toLowerCase();
  switch (term.name) {
    case 'status':
      return a.status.label === value || a.admin === value || (value === 'stalled' && !!a.status.stalled) || (value === 'failing' && !!a.status.failing);
    case 'project':
      return (a.projects ?? []).some((p) => keyOf.get(p)?.toLowerCase() === value);
    case 'runtime':
      return a.runtime === value;
    case 'role':
      return a.role === value;
    default:
      return [a.slug, a.name ?? '', ...(a.capabilities ?? [])].some((x) => x.toLowerCase().includes(value));
  }
}

/** Marks of an agent that say more than its status. */
export function Chips({ agent, reviews }: { agent: Agent; reviews: number }) {
  return (
    <>
      {agent.status.failing && <StatusBadge status="failing" label={t.chips.failing} size="sm" />}
      {agent.status.stalled && <StatusBadge status="stalled" label={t.chips.stalled} size="sm" />}
      {reviews > 0 && <StatusBadge status="review" label={t.chips.review(reviews)} size="sm" />}
    </>
  );
}

function AgentCard({ card: c }: { card: Card }) {
  const a = c.agent;
  const name = a.name || a.slug;
  const model = useQuery({ ...lastModel(a.slug), enabled: a.status.label !== 'never_seen' }).data;
  const note = c.current?.card?.note;
  const spent = c.cost && c.cost.billed == 0 && c.cost.shadow != 0 ? { nano: c.cost.shadow, included: true } : { nano: c.cost?.billed ?? 0 };
  return (
    <li className={css.card} data-attention={c.attention <= 4 || undefined}>
      <div className={css.head}>
        <AgentAvatar name={name} size={34} />
        <div className={css.who}>
          <Link to="/agents/$slug" params={{ slug: a.slug }} data-card className={css.name}>{name}</Link>
          <span className={`${css.slug} truncate`}>@{a.slug} · {t.runtimes[a.runtime] ?? a.runtime}</span>
        </div>
        <StatusBadge status={a.status.label} size="sm" />
      </div>
      <div className={css.chips}>
        <Chips agent={a} reviews={c.reviews} />
        {a.admin === 'paused' && a.pause_reason && <span className="dim">{t.pausedBy[a.pause_reason] ?? a.pause_reason}</span>}
      </div>
      <div className={css.now}>
        {c.current ? (
          <>
            <Link to="/board/$project" params={{ project: c.current.key.split('-')[0]! }} search={{ task: c.current.key }} className={css.task}>
              <span className="mono">{c.current.key}</span> {c.current.title}
            </Link>
            <span className={css.line}>
              <span className="truncate">{c.current.state === 'blocked' ? (c.current.block?.reason ?? statusText('blocked')) : note && c.current.state === 'in_progress' ? note.text : statusText(c.current.state)}</span> <TimeAgo at={note && c.current.state === 'in_progress' ? note.at : c.current.state_since} />
            </span>
          </>
        ) : (
          <>
            <span className="dim">{t.nothingInHand}</span>
            <span className={css.line}>{a.status.last_signal ? <>{t.lastSignal} <TimeAgo at={a.status.last_signal} /></> : t.neverSeen}</span>
          </>
        )}
      </div>
      <Strip agent={a} />
      <div className={css.cost}>
        {c.budget?.hard ? (
          <BudgetBar used={c.budget.standing.used} limit={c.budget.hard} {...(c.budget.soft ? { soft: Number(c.budget.soft) / Number(c.budget.hard) } : {})} label={t.budgetOf(name)} />
        ) : (
          <span className={css.pair}><span className="dim">{t.costToday}</span> <Money {...spent} /></span>
        )}
      </div>
      <div className={css.foot}>
        <span className="num">{t.queue(c.queue.length)}</span>
        <span className="num">{t.doneToday(c.done)}</span>
        <span className={`${css.model} truncate`} title={model || undefined}>{model || t.noModel}</span>
      </div>
    </li>
  );
}

/** All agents over the last 24 hours, one below the other. */
function Lanes({ cards }: { cards: Card[] }) {
  return (
    <div className={css.lanes} role="group" aria-label={t.lanesLabel}>
      {cards.slice(0, 100).map((c, i) => <LaneOf key={c.agent.id} card={c} axis={i === Math.min(cards.length, 100) - 1} />)}
    </div>
  );
}

function LaneOf({ card: { agent }, axis }: { card: Card; axis: boolean }) {
  const { now } = useMinute();
  const from = now - 86_400_000;
  const navigate = useNavigate();
  const history = useQuery(statusHistory(agent.slug, from, 1));
  const segments = stretches(history.data ?? [], from, now, agent.status.label).map((s) => ({
    ...s,
    ...(s.status === 'working' ? { onClick: () => void navigate({ to: '/agents/$slug', params: { slug: agent.slug }, search: { tab: 'runs' } }), title: formatTime(new Date(s.from)) } : {}),
  }));
  const name = agent.name || agent.slug;
  return (
    <Swimlane
      label={t.strip(name)}
      from={from}
      to={now}
      axis={axis}
      lanes={[{
        id: agent.id,
        label: <span className={css.laneName}><AgentAvatar name={name} size={20} status={agent.status.label} /><Link to="/agents/$slug" params={{ slug: agent.slug }} className="truncate" data-card>{name}</Link></span>,
        summary: summary(segments),
        segments: drawn(segments),
      }]}
    />
  );
}

