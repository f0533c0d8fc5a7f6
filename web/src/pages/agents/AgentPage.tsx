import { ActionIcon, Button, Menu, SegmentedControl, Tabs } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { IconBell, IconDots, IconPlayerPause, IconPlayerPlay, IconTrash } from '@tabler/icons-react';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, useNavigate, useParams, useSearch } from '@tanstack/react-router';
import { useState } from 'react';
import { agentActs, agentQuery, budgetsQuery, lastModel, openTasks, statusHistory, stretches, usageOrNothing, useRights, type Agent } from '../../api/agents.ts';
import { projectsQuery, useMe } from '../../api/board.ts';
import { useShortcuts } from '../../app/keys.ts';
import { Page } from '../../app/Page.tsx';
import { AgentAvatar, BudgetBar, Confirm, DataTable, ErrorState, Facts, formatCount, Money, Panel, StatusBadge, Swimlane, TimeAgo } from '../../kit/index.ts';
import { common } from '../../strings/index.ts';
import { agents as t } from '../../strings/agents.ts';
import { BudgetForm, metricFormat } from '../costs/Budgets.tsx';
import { AgentSettings } from './AgentSettings.tsx';
import { Chips } from './AgentsPage.tsx';
import css from './agents.module.css';
import { HealthPanel } from './HealthPanel.tsx';
import { Messages } from './Messages.tsx';
import { Runs, useRunCounts } from './Runs.tsx';
import { drawn, summary, useLiveStrips, useMinute } from './Strip.tsx';

const tabs = ['overview', 'runs', 'health', 'messages', 'settings'] as const;
type Tab = (typeof tabs)[number];

/** One agent: what it does, did, costs and may do. */
export function AgentPage() {
  const { slug = '' } = useParams({ strict: false }) as { slug?: string };
  const agent = useQuery(agentQuery(slug));
  const name = agent.data?.name || slug;
  if (!agent.data) {
    return (
      <Page title={name} crumbs={[{ label: t.title, to: '/agents' }]}>
        {agent.isError ? <ErrorState error={agent.error} retry={() => void agent.refetch()} /> : <div className={css.skeleton} role="status" aria-label={common.loading} />}
      </Page>
    );
  }
  return <Inside agent={agent.data} />;
}

function Inside({ agent: a }: { agent: Agent }) {
  const search = useSearch({ strict: false }) as { tab?: string; range?: string; run?: string };
  const navigate = useNavigate();
  const client = useQueryClient();
  const me = useMe();
  const rights = useRights();
  const projects = useQuery(projectsQuery).data ?? [];
  const open = useQuery(openTasks);
  const tab: Tab = tabs.find((x) => x === search.tab) ?? 'overview';
  const [asked, setAsked] = useState<'pause' | 'retire'>();
  const manages = rights.manages || ((a.projects?.length ?? 0) > 0 && (a.projects ?? []).every((p) => me.manages(p)));
  const retired = a.admin === 'retired';
  const name = a.name || a.slug;
  const tasks = (open.data ?? []).filter((x) => x.assignee === `agent:${a.id}`);
  useLiveStrips([a]);

  const go = (to: string | undefined) => void navigate({ to: '/agents/$slug', params: { slug: a.slug }, search: { ...search, run: undefined, tab: to === 'overview' ? undefined : to }, replace: true });
  const fresh = () => Promise.all([client.invalidateQueries({ queryKey: ['agent'] }), client.invalidateQueries({ queryKey: ['agents'] })]);
  const resume = async () => {
    try {
      await agentActs.resume(a.slug);
      await fresh();
    } catch (err) {
      notifications.show({ color: 'red', title: common.failed, message: err instanceof Error ? err.message : String(err) });
    }
  };
  const pauseOrResume = () => (a.admin === 'paused' ? void resume() : setAsked('pause'));
  useShortcuts([
    ...tabs.map((x, i) => ({ keys: String(i + 1), label: t.keys.tab, group: t.groups.page, run: () => go(x) })),
    ...(manages && !retired ? [{ keys: 'p', label: t.keys.pause, group: t.groups.page, run: pauseOrResume }] : []),
  ]);

  return (
    <Page
      title={name}
      heading={<span className={css.laneName}><AgentAvatar name={name} size={28} /> {name}</span>}
      crumbs={[{ label: t.title, to: '/agents' }]}
      beside={
        <>
          <StatusBadge status={retired ? 'retired' : a.status.label} />
          <Chips agent={a} reviews={tasks.filter((x) => x.state === 'review').length} />
          <span className="dim">@{a.slug}</span>
        </>
      }
      actions={
        manages && !retired && (
          <>
            <Button variant="default" onClick={pauseOrResume} leftSection={a.admin === 'paused' ? <IconPlayerPlay size={14} /> : <IconPlayerPause size={14} />}>{a.admin === 'paused' ? t.resume : t.pause}</Button>
            <Menu position="bottom-end">
              <Menu.Target><ActionIcon variant="default" size={30} aria-label={t.more}><IconDots size={16} /></ActionIcon></Menu.Target>
              <Menu.Dropdown>
                <Menu.Item leftSection={<IconBell size={15} />} onClick={() => void agentActs.wake(a.slug).then(() => notifications.show({ message: t.woken }), (err: Error) => notifications.show({ color: 'red', title: common.failed, message: err.message }))}>{t.wake}</Menu.Item>
                <Menu.Item color="var(--ls-failed)" leftSection={<IconTrash size={15} />} onClick={() => setAsked('retire')}>{t.retire}</Menu.Item>
              </Menu.Dropdown>
            </Menu>
          </>
        )
      }
    >
      <Tabs value={tab} onChange={(v) => go(v ?? undefined)} keepMounted={false} mb="lg">
        <Tabs.List>{tabs.map((x) => <Tabs.Tab key={x} value={x}>{t.tabs[x]}</Tabs.Tab>)}</Tabs.List>
        {tabs.map((x) => (
          <Tabs.Panel key={x} value={x} pt="md">
            {x === 'overview' && <Overview agent={a} tasks={tasks} projects={projects} />}
            {x === 'runs' && <Runs agent={a} />}
            {x === 'health' && <HealthPanel slug={a.slug} />}
            {x === 'messages' && <Messages agent={a} />}
            {x === 'settings' && <AgentSettings agent={a} manages={manages && !retired} />}
          </Tabs.Panel>
        ))}
      </Tabs>
      {asked === 'pause' && <Confirm title={t.pauseTitle(name)} verb={t.pause} run={() => agentActs.pause(a.slug).then(fresh)} onClose={() => setAsked(undefined)}>{t.pauseText}</Confirm>}
      {asked === 'retire' && <Confirm title={t.retireTitle(name)} verb={t.retire} danger run={() => agentActs.retire(a.slug).then(fresh)} onClose={() => setAsked(undefined)}>{t.retireText}</Confirm>}
    </Page>
  );
}

const spans: Record<string, number> = { '24h': 1, '7d': 7 };

function Overview({ agent: a, tasks, projects }: { agent: Agent; tasks: import('../../api/board.ts').Row[]; projects: import('../../api/board.ts').Project[] }) {
  const search = useSearch({ strict: false }) as { range?: string };
  const navigate = useNavigate();
  const { now } = useMinute();
  const rights = useRights();
  const range = search.range && spans[search.range] ? search.range : '24h';
  const from = now - spans[range]! * 86_400_000;
  const history = useQuery(statusHistory(a.slug, from, range === '24h' ? 1 : 10));
  const since = new Date(from).toISOString();
  const usage = useQuery(usageOrNothing({ group_by: 'agent', since: since.slice(0, 10), limit: 1000 }));
  const model = useQuery(lastModel(a.slug)).data;
  const counts = useRunCounts(a.slug, from);
  const budgets = (useQuery(budgetsQuery).data ?? []).filter((b) => b.scope === 'agent' && b.name === a.slug);
  const [setting, setSetting] = useState(false);
  const row = usage.data?.rows.find((r) => r.id === a.id || r.name === a.slug);
  const segments = stretches(history.data ?? [], from, now, a.status.label).map((s) => ({
    ...s,
    ...(s.status === 'working' ? { onClick: () => void navigate({ to: '/agents/$slug', params: { slug: a.slug }, search: { tab: 'runs' } }) } : {}),
  }));
  const keyOf = new Map(projects.map((p) => [p.id, p.key]));
  const wait = usage.isPending ? '…' : undefined;

  return (
    <>
      <Panel
        title={t.timeTitle}
        actions={<SegmentedControl aria-label={t.range} value={range} onChange={(v) => void navigate({ to: '/agents/$slug', params: { slug: a.slug }, search: { ...search, range: v === '24h' ? undefined : v }, replace: true })} data={Object.keys(spans).map((value) => ({ value, label: t.ranges[value]! }))} />}
      >
        <Swimlane label={t.strip(a.name || a.slug)} from={from} to={now} height={22} lanes={[{ id: a.id, label: null, summary: summary(segments), segments: drawn(segments) }]} />
        <p className="dim" style={{ margin: '6px 0 0', fontSize: 12 }}>{summary(segments)}</p>
      </Panel>
      <Panel title={t.figures} text={t.ranges[range]}>
        <dl className={css.big}>
          {(
            [
              [t.billed, wait ?? <Money key="b" nano={row?.billed ?? 0} />],
              ...(row && Number(row.shadow) > Number(row.billed) ? [[t.worth, <Money key="w" nano={row.shadow} included />] as const] : []),
              [t.tokensIn, wait ?? formatCount((row?.tokens.input ?? 0) + (row?.tokens.cache_write_5m ?? 0) + (row?.tokens.cache_write_1h ?? 0))],
              [t.tokensCached, wait ?? formatCount(row?.tokens.cache_read ?? 0)],
              [t.tokensOut, wait ?? formatCount(row?.tokens.output ?? 0)],
              [t.calls, wait ?? formatCount(row?.events ?? 0)],
              [t.runsEnded, counts ? formatCount(counts.ended) : '…'],
              [t.errorRate, counts ? (counts.ended > 0 ? `${Math.round((counts.failed / counts.ended) * 100)} %` : '–') : '…'],
            ] as const
          ).map(([label, value]) => (
            <div key={label}><dt>{label}</dt><dd className="num">{value}</dd></div>
          ))}
        </dl>
      </Panel>
      <Panel title={t.inHand} text={t.inHandText} bare>
        <DataTable
          name="agent-tasks"
          plain
          label={t.inHand}
          rows={tasks}
          rowId={(x) => x.id}
          empty={<p className="dim" style={{ padding: '4px 16px' }}>{t.inHandEmpty}</p>}
          onOpen={(x) => void navigate({ to: '/board/$project', params: { project: x.key.split('-')[0]! }, search: { task: x.key } })}
          columns={[
            { id: 'key', label: t.task, always: true, width: '90px', cell: (x) => <Link to="/board/$project" params={{ project: x.key.split('-')[0]! }} search={{ task: x.key }} className="mono">{x.key}</Link> },
            { id: 'title', label: t.name, cell: (x) => x.title },
            { id: 'state', label: t.state, width: '140px', cell: (x) => <StatusBadge status={x.state} size="sm" /> },
            { id: 'note', label: t.activity, cell: (x) => x.card?.note?.text ?? <TimeAgo at={x.state_since} /> },
          ]}
        />
      </Panel>
      <div className={css.columns}>
        <Panel title={t.settingsTitle}>
          <Facts
            of={[
              [t.facts.runtime, t.runtimes[a.runtime] ?? a.runtime],
              [t.model, model || t.noModel],
              [t.facts.role, t.roles[a.role] ?? a.role],
              [t.facts.slots, a.slots],
              [t.facts.projects, (a.projects ?? []).map((p) => keyOf.get(p) ?? p).join(', ') || '–'],
              [t.facts.capabilities, (a.capabilities ?? []).join(', ') || '–'],
              [t.facts.reached, a.connection?.url ? `${t.push} ${a.connection.url}` : t.pulls],
              [t.facts.first, <TimeAgo key="f" at={a.status.first_seen} />],
              [t.lastSignal, <TimeAgo key="l" at={a.status.last_signal} />],
            ]}
          />
        </Panel>
        <Panel title={t.budgetTitle} actions={rights.manages && <Button variant="default" onClick={() => setSetting(true)}>{t.budgetSet}</Button>}>
          <div className={css.stack}>
            {budgets.length === 0 && <span className="dim">{t.budgetNone}</span>}
            {budgets.map((b) => (
              <div key={b.id}>
                <div className="dim" style={{ fontSize: 12 }}>{b.id}</div>
                <BudgetBar used={b.standing.used} limit={b.hard ?? b.soft} format={metricFormat(b.metric)} label={b.id} />
              </div>
            ))}
          </div>
        </Panel>
      </div>
      {setting && <BudgetForm start={{ scope: 'agent', name: a.slug }} onClose={() => setSetting(false)} />}
    </>
  );
}
