import { queryOptions } from '@tanstack/react-query';
import { useMemo } from 'react';
import { useQuery } from '@tanstack/react-query';
import type { Happening, Row, User } from './board.ts';
import { ApiError, rest } from './http.ts';
import { sessionQuery } from './session.ts';
import type { Nano } from '../kit/format.ts';

export interface AgentStatus {
  label: string;
  admin: 'active' | 'paused' | 'retired';
  connectivity: string;
  activity: string;
  stalled?: boolean;
  failing?: boolean;
  first_seen?: string;
  last_signal?: string;
  working?: string[];
}

export interface Agent {
  id: string;
  version: number;
  slug: string;
  name?: string;
  role: string;
  capabilities?: string[];
  projects: string[] | null;
  runtime: string;
  slots: number;
  admin: 'active' | 'paused' | 'retired';
  paused_by?: string;
  pause_reason?: string;
  failures?: number;
  refused?: number;
  created_at: string;
  connection?: { url?: string; private?: string; agent_id?: string; mcp_entry?: string; hooks_path?: string; timeout_seconds?: number } | null;
  status: AgentStatus;
}

/** Reads all pages of a list, within bounds. */
export async function pages<T>(path: string, name: string, query: Record<string, string | number | undefined> = {}, signal?: AbortSignal, most = 10): Promise<T[]> {
  const rows: T[] = [];
  let cursor: string | undefined;
  for (let i = 0; i < most; i++) {
    const page = await rest<Record<string, unknown>>(path, { query: { ...query, limit: 200, cursor }, signal });
    rows.push(...((page[name] ?? []) as T[]));
    cursor = page.next_cursor as string | undefined;
    if (!cursor) break;
  }
  return rows;
}

/** What somebody may not see is nothing; what fails otherwise fails. */
export async function orNothing<T>(ask: Promise<T>, nothing: T): Promise<T> {
  try {
    return await ask;
  } catch (err) {
    if (err instanceof ApiError && err.status >= 400 && err.status < 500) return nothing;
    throw err;
  }
}

export const allAgents = queryOptions({
  queryKey: ['agents', 'all'],
  queryFn: ({ signal }) => pages<Agent>('/agents', 'agents', {}, signal),
});

export const agentQuery = (slug: string) => queryOptions({ queryKey: ['agent', slug], queryFn: ({ signal }) => rest<Agent>(at(slug), { signal }) });

/** Tasks that agents have in hand, for the wall: assigned, in progress, blocked, in review. */
export const openTasks = queryOptions({
  queryKey: ['tasks', 'open'],
  queryFn: ({ signal }) => pages<Row>('/tasks', 'tasks', { status: 'assigned,in_progress,blocked,review', cards: 1 }, signal, 5),
});

/** Tasks that were done since a moment. */
export const doneSince = (since: string) =>
  queryOptions({ queryKey: ['tasks', 'done', since], queryFn: ({ signal }) => pages<Row>('/tasks', 'tasks', { status: 'done', updated_since: since }, signal, 5) });

export interface StatusChange {
  seq: number;
  at: string;
  from: string;
  to: string;
}

/** Changes of an agent's status back to a moment, the newest first. Not among what the stream makes stale: pages add to it themselves. */
export const statusHistory = (slug: string, since: number, most = 5) =>
  queryOptions({
    queryKey: ['strip', slug, most > 1 ? Math.floor(since / 60_000) : 'day'],
    staleTime: 60_000,
    queryFn: async ({ signal }) => {
      const rows: StatusChange[] = [];
      let before: number | undefined;
      for (let i = 0; i < most; i++) {
        const page = await rest<{ changes: StatusChange[]; before?: number }>(`${at(slug)}/status-history`, { query: { limit: 200, before }, signal });
        rows.push(...page.changes);
        before = page.before;
        if (!before || Date.parse(page.changes.at(-1)?.at ?? '') < since) break;
      }
      return rows;
    },
  });

/** What an agent was doing, as stretches from a moment to now. */
export function stretches(changes: readonly StatusChange[], from: number, now: number, current: string): { from: number; to: number; status: string }[] {
  const out: { from: number; to: number; status: string }[] = [];
  let to = now;
  let status = current;
  for (const c of changes) {
    const began = Date.parse(c.at);
    if (began < to) out.push({ from: Math.max(began, from), to, status });
    to = Math.min(to, began);
    status = c.from;
    if (began <= from) return out.reverse();
  }
  if (changes.length > 0 && to > from) out.push({ from, to, status });
  return out.reverse();
}

/** The model that an agent used last; '' if it has used none. */
export const lastModel = (slug: string) =>
  queryOptions({
    queryKey: ['model', slug],
    staleTime: 60_000,
    queryFn: async ({ signal }) => {
      const said = await rest<{ events: Happening[] }>('/activity', { query: { agent: slug, type: 'usage.recorded', limit: 1 }, signal });
      const models = said.events[0]?.data?.models;
      return Array.isArray(models) ? models.join(', ') : '';
    },
  });

export interface Tokens {
  input: number;
  cache_read: number;
  cache_write_5m: number;
  cache_write_1h: number;
  output: number;
}

export interface UsageRow {
  name: string;
  id?: string;
  events: number;
  tokens: Tokens;
  billed: Nano;
  shadow: Nano;
  unpriced: number;
  marked: number;
}

export interface UsageDay {
  day: string;
  name: string;
  events: number;
  tokens: number;
  billed: Nano;
  shadow: Nano;
}

export interface Usage {
  group_by: string;
  since: string;
  until: string;
  time_zone: string;
  rows: UsageRow[];
  total: UsageRow;
  unattributed?: UsageRow;
  days?: UsageDay[];
}

export interface UsageAsked {
  group_by: string;
  since?: string;
  until?: string;
  project?: string;
  limit?: number;
  days?: 1;
}

export const usageQuery = (asked: UsageAsked) =>
  queryOptions({ queryKey: ['costs', 'summary', asked], queryFn: ({ signal }) => rest<Usage>('/usage/summary', { query: { ...asked }, signal, exact: true }) });

/** The same, where somebody who may not see costs is to see nothing instead of an error. */
export const usageOrNothing = (asked: UsageAsked) =>
  queryOptions({ queryKey: ['costs', 'maybe', asked], queryFn: ({ signal }) => orNothing<Usage | null>(rest<Usage>('/usage/summary', { query: { ...asked }, signal, exact: true }), null) });

export interface Budget {
  id: string;
  scope: 'workspace' | 'project' | 'agent' | 'task' | 'machine';
  name?: string;
  window: 'day' | 'week' | 'month' | 'task';
  metric: 'billed_usd' | 'shadow_usd' | 'tokens' | 'runs';
  soft?: Nano;
  hard?: Nano;
  on_hard?: 'pause' | 'block_new' | 'notify';
  standing: { used: Nano; soft_told: boolean; hard: boolean; pauses: boolean; blocks_new: boolean };
  window_ends?: string;
}

export const budgetsQuery = queryOptions({
  queryKey: ['budgets'],
  queryFn: async ({ signal }) => (await orNothing(rest<{ budgets: Budget[] }>('/budgets', { signal, exact: true }), { budgets: [] })).budgets,
});

export interface Band {
  figure: string;
  now: number;
  usual: number;
  low: number;
  high: number;
  sample: number;
  before: number;
  enough: boolean;
  out: boolean;
}

export interface Alert {
  figure: string;
  key: string;
  since: string;
  at: string;
  now: number;
  usual: number;
  low: number;
  high: number;
  sample: number;
  back: boolean;
}

export interface Health {
  figures: Band[] | null;
  alerts: Alert[] | null;
}

export const healthQuery = (slug: string) => queryOptions({ queryKey: ['health', slug], staleTime: 30_000, queryFn: ({ signal }) => rest<Health>(`${at(slug)}/health`, { signal }) });

export interface AgentKey {
  id: string;
  agent: string;
  created_at: string;
  last_used?: string;
  name?: string;
  /** Only in the answer that makes it. */
  key?: string;
}

export const agentKeys = (slug: string) => queryOptions({ queryKey: ['agent', slug, 'keys'], queryFn: async ({ signal }) => (await rest<{ keys: AgentKey[] }>(`${at(slug)}/keys`, { signal })).keys });

export interface Message {
  id: string;
  by: string;
  body: string;
  created_at: string;
}

export const messagesQuery = (slug: string) => queryOptions({ queryKey: ['agent', slug, 'messages'], queryFn: ({ signal }) => pages<Message>(`${at(slug)}/messages`, 'messages', {}, signal, 3) });

export interface Kit {
  runtime: string;
  agent: string;
  key: string;
  files: { path: string; text: string; secret?: boolean }[] | null;
  steps: { about: string; command?: string }[] | null;
}

export interface NewAgent {
  slug: string;
  name?: string;
  projects: string[];
  runtime?: string;
  capabilities?: string[];
  role?: string;
  slots?: number;
}

const at = (slug: string) => `/agents/${encodeURIComponent(slug)}`;
const post = <T = Agent>(slug: string, verb: string, body?: unknown) => rest<T>(`${at(slug)}/${verb}`, { method: 'POST', ...(body === undefined ? {} : { body }) });

export const agentActs = {
  create: (body: NewAgent) => rest<Agent>('/agents', { method: 'POST', body }),
  update: (slug: string, body: Partial<NewAgent>, version: number) => rest<Agent>(at(slug), { method: 'PATCH', body, version }),
  pause: (slug: string) => post(slug, 'pause', { reason: 'manual' }),
  resume: (slug: string) => post(slug, 'resume'),
  retire: (slug: string) => post(slug, 'retire'),
  wake: (slug: string) => post<void>(slug, 'wake', {}),
  message: (slug: string, body: string) => post<Message>(slug, 'messages', { body }),
  newKey: (slug: string) => post<AgentKey>(slug, 'keys'),
  endKey: (slug: string, key: string) => rest<void>(`${at(slug)}/keys/${encodeURIComponent(key)}`, { method: 'DELETE' }),
  kit: (slug: string, body: { runtime?: string; url?: string; allow_private?: boolean; agent_id?: string; gateway_token?: string }) => post<Kit>(slug, 'connect-kit', body),
};

/** What the one who looks may do in the whole workspace. */
export function useRights() {
  const session = useQuery(sessionQuery).data;
  return useMemo(() => {
    const rights = new Set(session?.rights ?? []);
    const roles = Object.values(session?.roles.projects ?? {});
    return {
      dev: session?.dev ?? false,
      me: session?.user,
      /** May do it in the whole workspace. */
      can: (right: string) => rights.has(right),
      manages: rights.has('manage'),
      owns: rights.has('own'),
      /** Manages at least one project. */
      managesSome: rights.has('manage') || roles.some((r) => r === 'admin' || r === 'owner'),
      comments: rights.has('comment') || roles.some((r) => r !== 'viewer'),
    };
  }, [session]);
}

export type { Happening, User };
