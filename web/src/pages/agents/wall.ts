import { useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { allAgents, budgetsQuery, doneSince, openTasks, usageOrNothing, type Agent, type Budget, type UsageRow } from '../../api/agents.ts';
import type { Row } from '../../api/board.ts';

/** An agent with what its card shows. */
export interface Card {
  agent: Agent;
  /** What it works on, or is blocked at: the newest first. */
  current?: Row;
  queue: Row[];
  reviews: number;
  done: number;
  cost?: UsageRow | undefined;
  budget?: Budget | undefined;
  attention: number;
}

/** Midnight, where the one who looks is. */
export function startOfDay(now = Date.now()): Date {
  const d = new Date(now);
  d.setHours(0, 0, 0, 0);
  return d;
}

/** How much an agent needs somebody: the smaller the more. */
export function attentionOf(a: Agent, reviews: number): number {
  if (a.admin === 'retired') return 100;
  if (a.status.failing) return 0;
  if (a.status.stalled) return 1;
  if (a.status.label === 'blocked') return 2;
  if (a.admin === 'paused') return a.pause_reason === 'manual' ? 9 : 3;
  if (reviews > 0) return 4;
  if (a.status.label === 'offline') return 5;
  if (a.status.label === 'working') return 6;
  if (a.status.label === 'never_seen') return 8;
  return 7;
}

const inHand = ['in_progress', 'blocked', 'review'];

/** All agents with what they do, those who need somebody first. */
export function useWall() {
  const agents = useQuery(allAgents);
  const open = useQuery(openTasks);
  const since = startOfDay().toISOString();
  const done = useQuery(doneSince(since));
  const costs = useQuery(usageOrNothing({ group_by: 'agent', since, limit: 1000 }));
  const budgets = useQuery(budgetsQuery);
  const cards = useMemo(() => {
    if (!agents.data) return [];
    const of = (a: Agent) => `agent:${a.id}`;
    const byAgent = new Map<string, Row[]>();
    for (const t of open.data ?? []) {
      if (!t.assignee) continue;
      const list = byAgent.get(t.assignee) ?? [];
      list.push(t);
      byAgent.set(t.assignee, list);
    }
    return agents.data
      .map((agent): Card => {
        const tasks = byAgent.get(of(agent)) ?? [];
        const reviews = tasks.filter((t) => t.state === 'review').length;
        const current = tasks.filter((t) => inHand.includes(t.state)).sort((a, b) => inHand.indexOf(a.state) - inHand.indexOf(b.state) || b.updated_at.localeCompare(a.updated_at))[0];
        return {
          agent,
          ...(current ? { current } : {}),
          queue: tasks.filter((t) => t.state === 'assigned'),
          reviews,
          done: (done.data ?? []).filter((t) => t.assignee === of(agent) && t.state_since >= since).length,
          cost: costs.data?.rows.find((r) => r.id === agent.id || r.name === agent.slug),
          budget: (budgets.data ?? []).find((b) => b.scope === 'agent' && b.name === agent.slug && b.window === 'day' && b.metric !== 'tokens' && b.metric !== 'runs'),
          attention: attentionOf(agent, reviews),
        };
      })
      .sort((a, b) => a.attention - b.attention || a.agent.slug.localeCompare(b.agent.slug));
  }, [agents.data, open.data, done.data, costs.data, budgets.data, since]);
  return { agents, cards };
}
