import { Button, Skeleton } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { IconArrowRight, IconBinaryTree2, IconPlayerPlay, IconRobot, IconTerminal2 } from '@tabler/icons-react';
import { queryOptions, useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { Link, useNavigate } from '@tanstack/react-router';
import { useState, type ReactNode } from 'react';
import { orNothing, pages, usageOrNothing, type Agent } from '../../api/agents.ts';
import { aws } from '../../api/aws.ts';
import type { Row } from '../../api/board.ts';
import { histogramQuery, searchQuery, startExecution } from '../../api/executions.ts';
import { examplesQuery, freeName, machinesQuery, usualRole, type Example } from '../../api/machines.ts';
import type { Waiting } from '../../api/reviews.ts';
import { client } from '../../app/client.ts';
import { Page } from '../../app/Page.tsx';
import {
  AgentAvatar, Duration, ErrorState, formatCount, formatMoney, IdChip, meaningOf, Money, StackedBars, StatusBadge, statusText, TimeAgo, useDelayed, type Series,
} from '../../kit/index.ts';
import { executions as x } from '../../strings/executions.ts';
import { home as t } from '../../strings/home.ts';
import css from './Home.module.css';
import { Thumbnail } from '../machines/Thumbnail.tsx';

// Who may not see agents or reviews has none here.
const agentsOrNone = queryOptions({ queryKey: ['agents', 'all-or-none'], queryFn: ({ signal }) => orNothing(pages<Agent>('/agents', 'agents', {}, signal), []) });
const waitingOrNone = queryOptions({ queryKey: ['reviews', 'home'], queryFn: ({ signal }) => orNothing(pages<Waiting>('/reviews', 'reviews', { mine: 1 }, signal, 1), []) });

/** Where the console begins: what Lockstep is, as long as nothing is there; then what waits and what runs. */
export function HomePage() {
  const machines = useQuery(machinesQuery);
  const agents = useQuery(agentsOrNone);
  const late = useDelayed(machines.isPending);
  if (machines.isError) return <Page title={t.title}><ErrorState error={machines.error} retry={() => void machines.refetch()} /></Page>;
  if (machines.isPending || agents.isPending) return <Page title={t.title}>{late && <Skeleton height={320} />}</Page>;
  return machines.data.length === 0 && (agents.data ?? []).length === 0 ? <Onboarding /> : <Dashboard />;
}

const command = 'aws --endpoint-url http://127.0.0.1:8083 stepfunctions list-state-machines';

function Onboarding() {
  const examples = useQuery({ ...examplesQuery, retry: false });
  return (
    <Page title={t.welcome}>
      <p className={css.lead}>{t.lead}<br />{t.lead2}</p>
      {examples.isPending && <div className={css.templates}><Skeleton height={320} /><Skeleton height={320} /><Skeleton height={320} /></div>}
      {examples.data && (
        <section aria-label={t.templates}>
          <h2 className={css.h2}>{t.templates}</h2>
          <p className={css.note}>{t.templatesText}</p>
          <ul className={css.templates}>{examples.data.slice(0, 3).map((e) => <li key={e.name}><Template example={e} /></li>)}</ul>
        </section>
      )}
      <div className={css.ways}>
        <section className={css.card} aria-label={examples.isError ? t.own : t.newMachine}>
          <h2><IconBinaryTree2 size={17} aria-hidden="true" /> {t.newMachine}</h2>
          <p>{t.newText}</p>
          <Button component={Link} to={'/machines/new' as '/'} variant="default">{t.newMachine}</Button>
        </section>
        <section className={css.card} aria-label={t.agentTitle}>
          <h2><IconRobot size={17} aria-hidden="true" /> {t.agentTitle}</h2>
          <p>{t.agentText}</p>
          <Button component={Link} to={'/agents/connect' as '/'} variant="default">{t.agent}</Button>
        </section>
        <section className={css.card} aria-label={t.cliTitle}>
          <h2><IconTerminal2 size={17} aria-hidden="true" /> {t.cliTitle}</h2>
          <p>{t.cliText}</p>
          <div className={css.cli}><IdChip id={command.replace('http://127.0.0.1:8083', location.origin)} most={200} label="aws" /></div>
          <div className={css.cli}><IdChip id="lockstep example" most={200} label="lockstep example" /></div>
        </section>
      </div>
    </Page>
  );
}

/** Makes the machine of an example, with the activities it asks; runs it once where nothing else is needed for that. */
async function makeExample(example: Example, taken: ReadonlySet<string>): Promise<{ name: string; executionArn?: string }> {
  for (const name of example.activities ?? []) await aws('CreateActivity', { name });
  const name = freeName(example.name, taken);
  const { stateMachineArn } = await aws('CreateStateMachine', { name, definition: example.definition, roleArn: usualRole, publish: true });
  if (example.needs.length > 0) return { name };
  return { name, executionArn: await startExecution(stateMachineArn, JSON.stringify(example.input ?? {}), '') };
}

function Template({ example: e }: { example: Example }) {
  const navigate = useNavigate();
  const machines = useQuery(machinesQuery);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const runs = e.needs.length === 0;
  const label = runs ? t.start : t.make;
  const start = async () => {
    setBusy(true);
    setError(null);
    try {
      const { name, executionArn } = await makeExample(e, new Set((machines.data ?? []).map((m) => m.name)));
      void client.invalidateQueries({ queryKey: ['machines'] });
      notifications.show({ message: t.made(name) });
      await (executionArn ? navigate({ to: '/executions/$id', params: { id: executionArn } }) : navigate({ to: '/machines/$name', params: { name } }));
    } catch (err) {
      setError(err);
      setBusy(false);
    }
  };
  return (
    <article className={css.template} aria-label={e.title}>
      <div className={css.thumb}><Thumbnail definition={e.definition} label={t.graphOf(e.title)} /></div>
      <div className={css.templateBody}>
        <h3>{e.title}</h3>
        <p>{e.description}</p>
        {e.needs.length > 0 && <p className={css.needs}>{t.needs}: {e.needs.join('; ')}.</p>}
        {error !== null && <ErrorState error={error} title={t.failed(e.title)} />}
        <Button className={css.startButton!} {...(runs ? { leftSection: <IconPlayerPlay size={14} /> } : { variant: 'default' })} loading={busy} onClick={() => void start()} aria-label={`${label}: ${e.title}`}>{label}</Button>
      </div>
    </article>
  );
}

const series: Series[] = [
  { key: 'succeeded', label: statusText('SUCCEEDED'), colour: 'var(--ls-succeeded)' },
  { key: 'running', label: statusText('RUNNING'), colour: 'var(--ls-running)' },
  { key: 'failed', label: statusText('FAILED'), colour: 'var(--ls-failed)', hatched: true },
  { key: 'timed_out', label: statusText('TIMED_OUT'), colour: 'var(--ls-handled)', hatched: true },
  { key: 'aborted', label: statusText('ABORTED'), colour: 'var(--ls-border-strong)' },
];

const day = 86_400_000;

function Dashboard() {
  // A round hour, so that the question stays the same for a while.
  const [end] = useState(() => Math.ceil(Date.now() / 3_600_000) * 3_600_000);
  const from = new Date(end - day).toISOString();
  const reviews = useQuery(waitingOrNone);
  const blocked = useQuery({ queryKey: ['tasks', 'blocked'], queryFn: ({ signal }) => orNothing(pages<Row>('/tasks', 'tasks', { status: 'blocked' }, signal, 1), []) });
  const failed = useInfiniteQuery(searchQuery({ status: 'failed', from }));
  const running = useInfiniteQuery(searchQuery({ status: 'running' }));
  const starts = useQuery(histogramQuery({ from, to: new Date(end).toISOString() }, 24));
  const failedRows = failed.data?.pages[0]?.executions ?? [];
  const runningRows = running.data?.pages[0]?.executions ?? [];
  const reviewRows = reviews.data ?? [];
  const blockedRows = blocked.data ?? [];
  const settled = !reviews.isPending && !blocked.isPending && !failed.isPending;
  return (
    <Page title={t.dashboard}>
      <div className={css.dash}>
        <div className={css.side}>
        <section className={css.card} aria-label={t.waiting}>
          <h2>{t.waiting}</h2>
          {!settled && <Skeleton height={120} />}
          {settled && reviewRows.length + blockedRows.length + failedRows.length === 0 && <p className={css.note}>{t.nothingWaits}</p>}
          <Group to="/reviews" title={t.reviews(reviewRows.length)} count={reviewRows.length}>
            {reviewRows.slice(0, 4).map(({ review: r }) => (
              <Line key={r.id} badge={<StatusBadge status="waiting_for_person" label={t.kinds.review!} size="sm" />} at={r.created_at}><Link to="/reviews/$id" params={{ id: r.id }}>{r.title}</Link></Line>
            ))}
          </Group>
          <Group to="/board" title={t.blocked(blockedRows.length)} count={blockedRows.length}>
            {blockedRows.slice(0, 4).map((task) => (
              <Line key={task.id} badge={<StatusBadge status="blocked" size="sm" />} at={task.state_since} note={task.block?.reason}>
                <Link to="/board/$project" params={{ project: task.key.split('-')[0]! }} search={{ task: task.key } as never}>{task.key} {task.title}</Link>
              </Line>
            ))}
          </Group>
          <Group to="/executions" search={{ q: 'status:failed' }} title={t.failedRuns(failedRows.length)} count={failedRows.length}>
            {failedRows.slice(0, 4).map((e) => (
              <Line key={e.arn} badge={<StatusBadge status={e.status} size="sm" />} at={e.stopped_at ?? e.started_at} note={[e.state, e.error].filter(Boolean).join(' · ')}>
                <Link to="/executions/$id" params={{ id: e.arn }}>{e.name}</Link>
              </Line>
            ))}
          </Group>
        </section>
        <section className={css.card} aria-label={t.running}>
          <div className={css.head}><h2>{t.running}</h2><span className="num dim">{running.data && runningRows.length > 0 ? formatCount(runningRows.length) + (running.hasNextPage ? '+' : '') : ''}</span></div>
          {running.isPending && <Skeleton height={80} />}
          {running.isSuccess && runningRows.length === 0 && <p className={css.note}>{t.nothingRuns}</p>}
          <ul className={css.lines}>
            {runningRows.slice(0, 8).map((e) => (
              <li key={e.arn} className={css.line}>
                <StatusBadge status={e.waiting_for === 'review' ? 'waiting_for_person' : e.status} size="sm" />
                <span className={css.what}><Link to="/executions/$id" params={{ id: e.arn }}>{e.name}</Link><span className={css.sub}>{[e.machine, e.state, e.waiting_for ? x.waits[e.waiting_for] : ''].filter(Boolean).join(' · ')}</span></span>
                <span className={css.when}><Duration from={e.started_at} /></span>
              </li>
            ))}
          </ul>
          {runningRows.length > 8 && <Link to="/executions" search={{ q: 'status:running' } as never}>{t.more(formatCount(runningRows.length - 8) + (running.hasNextPage ? '+' : ''))}</Link>}
        </section>
        </div>
        <div className={css.side}>
          <section className={css.card} aria-label={t.cost}><h2>{t.cost}</h2><CostToday /></section>
          <section className={css.card} aria-label={t.agents}><h2>{t.agents}</h2><AgentStates /></section>
        <section className={css.card} aria-label={t.today}>
          <StackedBars
            label={t.today}
            title={<h2>{t.today}</h2>}
            series={series}
            height={110}
            bars={(starts.data?.buckets ?? []).map((b) => ({ label: new Date(b.from).toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' }), values: { ...b } as unknown as Record<string, number> }))}
          />
        </section>
        </div>
      </div>
    </Page>
  );
}

function Group({ to, search, title, count, children }: { to: string; search?: Record<string, string>; title: string; count: number; children: ReactNode }) {
  if (count === 0) return null;
  return (
    <div className={css.group}>
      <h3><Link to={to as '/'} search={(search ?? {}) as never}>{title} <IconArrowRight size={13} aria-hidden="true" /></Link></h3>
      <ul className={css.lines}>{children}</ul>
    </div>
  );
}

function Line({ badge, at, note, children }: { badge: ReactNode; at: string; note?: string | undefined; children: ReactNode }) {
  return (
    <li className={css.line}>
      {badge}
      <span className={css.what}>{children}{note && <span className={css.sub}>{note}</span>}</span>
      <span className={css.when}><TimeAgo at={at} /></span>
    </li>
  );
}

function CostToday() {
  const today = new Date().toISOString().slice(0, 10);
  const usage = useQuery(usageOrNothing({ group_by: 'agent', since: today, until: today }));
  if (usage.isPending) return <Skeleton height={40} />;
  const total = usage.data?.total;
  if (!total || total.events === 0) return <p className={css.note}>{t.noCost}</p>;
  // What it would have cost by list prices, without what was paid.
  const included = BigInt(total.shadow) - BigInt(total.billed);
  const tokens = Object.values(total.tokens).reduce((a, b) => a + b, 0);
  return (
    <Link to="/costs" className={css.big}>
      <strong><Money nano={total.billed} /></strong>
      <span className="dim num">{t.tokens(formatCount(tokens))}{included > 0n ? `, ${t.included(formatMoney(included))}` : ''}</span>
    </Link>
  );
}

/** The order in which states of agents are shown: what needs attention first. */
const urgency = ['failed', 'handled', 'person', 'running', 'neutral', 'redrive', 'succeeded'];

function AgentStates() {
  const agents = useQuery(agentsOrNone);
  if (agents.isPending) return <Skeleton height={60} />;
  const list = (agents.data ?? []).filter((a) => a.admin !== 'retired');
  if (list.length === 0) return <p className={css.note}>{t.noAgents} <Link to={'/agents/connect' as '/'}>{t.agent}</Link></p>;
  const by = new Map<string, typeof list>();
  for (const a of list) by.set(a.status.label, [...(by.get(a.status.label) ?? []), a]);
  return (
    <ul className={css.lines}>
      {[...by].sort(([a], [b]) => urgency.indexOf(meaningOf(a)) - urgency.indexOf(meaningOf(b))).map(([status, some]) => (
        <li key={status} className={css.line}>
          <StatusBadge status={status} label={`${some.length} ${statusText(status).toLowerCase()}`} size="sm" />
          <span className={css.avatars}>
            {some.slice(0, 6).map((a) => <Link key={a.id} to="/agents/$slug" params={{ slug: a.slug }}><AgentAvatar name={a.name || a.slug} status={a.status.label} size={24} /></Link>)}
            {some.length > 6 && <span className="dim num">+{some.length - 6}</span>}
          </span>
        </li>
      ))}
    </ul>
  );
}

