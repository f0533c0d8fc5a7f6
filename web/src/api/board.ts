import { queryOptions, useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { sessionQuery, type Role } from './session.ts';
import { ApiError, apiPath, rest } from './http.ts';

export type State = 'inbox' | 'assigned' | 'in_progress' | 'blocked' | 'review' | 'done' | 'failed' | 'cancelled';
export type Priority = 'urgent' | 'high' | 'normal' | 'low';

/** "user:ID", "agent:ID", "service:ID", "role:ROLE", "lead" or "system". */
export type Party = string;

export interface Project {
  id: string;
  key: string;
  name: string;
  owner: Party;
  version: number;
  policies: { wip?: Partial<Record<State, number>>; review_mode?: string; approve_handoffs?: boolean };
}

export interface Gate {
  open: boolean;
  waiting_on?: string[];
  reason?: 'dependency' | 'upstream_failed';
}

export interface Brief {
  id: string;
  key: string;
  title: string;
  state: State;
  assignee?: Party;
}

export interface Note {
  at: string;
  text: string;
}

export interface Task extends Brief {
  version: number;
  project: string;
  description?: string;
  acceptance_criteria?: string[];
  priority: Priority;
  labels?: string[];
  capabilities?: string[];
  reviewers?: Party[];
  review_mode: string;
  due_at?: string;
  parent?: string;
  input?: unknown;
  output?: unknown;
  summary?: string;
  budget?: number;
  rank?: string;
  source?: { execution: string; state: string; waiting: boolean; detached?: boolean };
  created_at: string;
  created_by: Party;
  updated_at: string;
  state_since: string;
  round: number;
  rework_count?: number;
  max_attempts: number;
  spent?: number;
  block?: { kind: string; reason: string; owner: Party; action: string; review?: string; at: string };
  approved?: string[];
  flags?: string[];
  percent?: number;
}

/** A task of a board's list, with what its card shows. */
export interface Row extends Task {
  gate?: Gate;
  card?: { comments?: number; review?: string; note?: Note; behind?: number; parent?: Brief };
}

export interface Attempt {
  id: string;
  by: Party;
  number: number;
  status: string;
  created_at: string;
  ended_at?: string;
  notes?: Note[];
  error?: { category: string; code?: string; message: string; retryable: boolean; detail?: string; last_tool?: string; model?: string };
}

export interface Deliverable {
  id: string;
  task: string;
  by: Party;
  attempt?: string;
  series: string;
  number: number;
  kind: 'text' | 'json' | 'file' | 'url';
  title: string;
  media_type?: string;
  content?: string;
  url?: string;
  size?: number;
  hash: string;
  created_at: string;
}

export interface Verdict {
  by: Party;
  verdict: string;
  comment?: string;
  stage?: string;
  at: string;
}

export interface Review {
  id: string;
  version: number;
  project: string;
  task?: string;
  kind: 'deliverable' | 'plan' | 'action' | 'question';
  status: string;
  title: string;
  payload?: unknown;
  choices?: string[];
  round: number;
  author: Party;
  reviewers: Party[];
  required_approvals: number;
  pinned?: { deliverable: string; series: string; number: number; hash: string }[];
  output?: unknown;
  summary?: string;
  verdicts?: Verdict[];
  delegations?: { from: Party; to: Party; at: string }[];
  due_at?: string;
  escalated?: boolean;
  decided_at?: string;
  created_at: string;
  source?: { execution: string; state: string };
}

export interface Comment {
  id: string;
  by: Party;
  kind: string;
  marker?: string;
  body: string;
  review?: string;
  created_at: string;
  mentions?: { party: Party; name: string; held?: boolean }[];
  anchor?: { deliverable: string; line: number };
}

/** Work that is passed on: this task, or a new one after it. */
export interface Handoff {
  id: string;
  created_at: string;
  from: Party;
  to: Party;
  /** Given instead of an agent: to is one of those that had it. */
  capability?: string;
  mode: 'transfer' | 'follow_up';
  state: 'offered' | 'accepted' | 'declined' | 'expired';
  summary: string;
  deliverables?: string[];
  expires_at?: string;
  /** The id of the task that a follow-up made. */
  follow_up?: string;
}

export interface NewHandoff {
  to?: Party;
  capability?: string;
  mode: Handoff['mode'];
  summary: string;
  deliverables?: string[];
  title?: string;
}

/** A task with all that belongs to it. */
export interface TaskView {
  task: Task;
  gate: Gate;
  dependencies?: { id: string; task: string; depends_on: string; until: string; pass_deliverables?: boolean }[];
  lease?: { holder: Party; attempt: string; expires_at?: string; renewed_at: string };
  attempts?: Attempt[];
  deliverables?: Deliverable[];
  reviews?: Review[];
  comments?: Comment[];
  handoffs?: Handoff[];
  children?: Task[];
  parent?: { key: string; title: string };
  why?: string[];
}

export interface Graph {
  tasks: Brief[];
  edges: { task: string; depends_on: string; until: string; met: boolean }[];
  more?: boolean;
}

export interface AgentRow {
  id: string;
  slug: string;
  name?: string;
  role: string;
  projects: string[];
  capabilities?: string[];
  admin?: string;
  status: { label: string; stalled?: boolean };
}

export interface User {
  id: string;
  name: string;
  display?: string;
}

export interface Happening {
  seq: number;
  at: string;
  type: string;
  by?: Party;
  key?: string;
  data?: Record<string, unknown>;
}

/** Reads all pages of a list, within bounds. */
async function all<T>(path: string, name: string, query: Record<string, string | number>, signal?: AbortSignal, most = 10): Promise<T[]> {
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

export const projectsQuery = queryOptions({
  queryKey: ['projects', 'all'],
  staleTime: 60_000,
  queryFn: ({ signal }) => all<Project>('/projects', 'projects', {}, signal),
});

export const agentsQuery = queryOptions({
  queryKey: ['agents', 'names'],
  staleTime: 30_000,
  queryFn: ({ signal }) => all<AgentRow>('/agents', 'agents', {}, signal),
});

export const usersQuery = queryOptions({
  queryKey: ['users'],
  staleTime: 300_000,
  queryFn: ({ signal }) => all<User>('/users', 'users', {}, signal),
});

export const taskQuery = (key: string) =>
  queryOptions({ queryKey: ['task', key], queryFn: ({ signal }) => rest<TaskView>(`/tasks/${encodeURIComponent(key)}`, { signal }) });

export const aroundQuery = (key: string) =>
  queryOptions({ queryKey: ['task', key, 'around'], queryFn: ({ signal }) => rest<Graph>(`/tasks/${encodeURIComponent(key)}/dependencies`, { signal }) });

export const historyQuery = (key: string) =>
  queryOptions({
    queryKey: ['task', key, 'history'],
    queryFn: async ({ signal }) => (await rest<{ events: Happening[] }>('/activity', { query: { task: key, limit: 100 }, signal })).events,
  });

export const graphQuery = (project: string) =>
  queryOptions({ queryKey: ['tasks', 'graph', project], queryFn: ({ signal }) => rest<Graph>(`/projects/${encodeURIComponent(project)}/dependencies`, { signal }) });

export interface Cost {
  billed: number;
  shadow: number;
}

/** What tasks have cost, by id and by key. Who may not see costs, or a server without them, has none. */
export const costsQuery = queryOptions({
  queryKey: ['costs', 'tasks'],
  staleTime: 15_000,
  queryFn: async ({ signal }): Promise<Map<string, Cost>> => {
    const costs = new Map<string, Cost>();
    try {
      const since = new Date(Date.now() - 360 * 86_400_000).toISOString().slice(0, 10);
      const said = await rest<{ rows?: ({ name: string; id?: string } & Cost)[] }>('/usage/summary', { query: { group_by: 'task', since }, signal });
      for (const r of said.rows ?? []) {
        costs.set(r.name, r);
        if (r.id) costs.set(r.id, r);
      }
    } catch (err) {
      if (!(err instanceof ApiError) || err.status === 0 || err.status >= 500) throw err;
    }
    return costs;
  },
});

/** Money that a task has cost: what is paid, else what it would have cost. */
export function costOf(costs: Map<string, Cost> | undefined, t: { id: string; key: string }): { nano: number; included: boolean } | undefined {
  const c = costs?.get(t.id) ?? costs?.get(t.key);
  if (!c) return undefined;
  return c.billed > 0 ? { nano: c.billed, included: false } : { nano: c.shadow, included: c.shadow > 0 };
}

/** Who somebody is, as pages show it. */
export interface Who {
  name: string;
  slug: string;
  person: boolean;
  status?: string;
}

/** Everybody whom this caller may know: by party, and as a list for mentions and assignments. */
export function usePeople() {
  const agents = useQuery(agentsQuery).data;
  const users = useQuery(usersQuery).data;
  return useMemo(() => {
    const by = new Map<Party, Who>();
    for (const a of agents ?? []) by.set(`agent:${a.id}`, { name: a.name || a.slug, slug: a.slug, person: false, status: a.status.label });
    for (const u of users ?? []) by.set(`user:${u.id}`, { name: u.display || u.name, slug: u.name, person: true });
    const of = (p: Party | undefined): Who => {
      if (!p) return { name: '', slug: '', person: true };
      const [kind, id] = p.split(':');
      return by.get(p) ?? { name: kind === 'system' ? 'Lockstep' : kind === 'role' ? `${id}s` : (id ?? p), slug: id ?? p, person: kind !== 'agent' };
    };
    return { of, all: [...by.entries()].map(([party, who]) => ({ party, ...who })), agents: agents ?? [] };
  }, [agents, users]);
}

const ranks: Record<Role, number> = { viewer: 1, member: 2, reviewer: 3, admin: 4, owner: 5 };

/** Who asks, and what they may do in a project. */
export function useMe() {
  const session = useQuery(sessionQuery).data;
  const projects = useQuery(projectsQuery).data;
  return useMemo(() => {
    const party = session ? `user:${session.user.id}` : '';
    const keys = new Map((projects ?? []).map((p) => [p.id, p.key]));
    const role = (project: string) => Math.max(ranks[session?.roles.workspace ?? 'viewer'] ?? 0, ranks[session?.roles.projects?.[keys.get(project) ?? project] ?? 'viewer'] ?? 0);
    return {
      party,
      /** May create tasks and comment. */
      writes: (project: string) => role(project) >= ranks.member,
      /** May edit any task; members edit their own and those of nobody. */
      edits: (project: string, t: { assignee?: Party; created_by?: Party }) =>
        role(project) >= ranks.admin || (role(project) >= ranks.member && (!t.assignee || t.assignee === party || t.created_by === party)),
      manages: (project: string) => role(project) >= ranks.admin,
    };
  }, [session, projects]);
}

export type Me = ReturnType<typeof useMe>;

const path = (task: string, verb: string) => `/tasks/${encodeURIComponent(task)}/${verb}`;
const post = <T = Task>(task: string, verb: string, body?: unknown) => rest<T>(path(task, verb), { method: 'POST', ...(body === undefined ? {} : { body }) });

/** The events of the transition table, and what else changes a task. */
export const act = {
  create: (body: Record<string, unknown>) => rest<Task>('/tasks', { method: 'POST', body }),
  update: (task: string, body: Record<string, unknown>, version?: number) => rest<Task>(`/tasks/${encodeURIComponent(task)}`, { method: 'PATCH', body, ...(version === undefined ? {} : { version }) }),
  assign: (task: string, assignee: Party) => post(task, 'assign', { assignee }),
  unassign: (task: string) => post(task, 'unassign'),
  claim: (task: string) => post<{ task: Task }>(task, 'claim'),
  release: (task: string, note = '') => post(task, 'release', { note }),
  submit: (task: string, summary: string) => post<{ task: Task; review?: Review }>(task, 'submit', { summary }),
  withdraw: (task: string) => post(task, 'withdraw'),
  block: (task: string, body: { kind: string; reason: string; owner: Party; action: string }) => post(task, 'block', body),
  unblock: (task: string, note = '') => post(task, 'unblock', { note }),
  answer: (task: string, answer: string) => post(task, 'answer', { answer }),
  cancel: (task: string, note = '') => post(task, 'cancel', { note }),
  reopen: (task: string, note = '') => post(task, 'reopen', { note }),
  depend: (task: string, other: string, until = 'approved') => rest(path(task, `dependencies/${encodeURIComponent(other)}`), { method: 'PUT', body: { until, pass_deliverables: true } }),
  undepend: (task: string, other: string) => rest(path(task, `dependencies/${encodeURIComponent(other)}`), { method: 'DELETE' }),
  comment: (task: string, body: string, anchor?: { deliverable: string; line: number }) => post<Comment>(task, 'comments', anchor ? { body, anchor } : { body }),
  handOff: (task: string, body: NewHandoff) => post<Handoff>(task, 'handoffs', body),
  acceptHandoff: (id: string) => rest<Handoff>(`/handoffs/${encodeURIComponent(id)}/accept`, { method: 'POST' }),
  declineHandoff: (id: string, note: string) => rest<Handoff>(`/handoffs/${encodeURIComponent(id)}/decline`, { method: 'POST', body: { note } }),
  releaseMentions: (comment: string) => rest(`/comments/${comment}/release`, { method: 'POST' }),
  wake: (slug: string, task: string) => rest(`/agents/${slug}/wake`, { method: 'POST', body: { task } }),
  project: (key: string, name: string) => rest<Project>('/projects', { method: 'POST', body: { key, name } }),
};

export const contentPath = (deliverable: string) => apiPath(`/deliverables/${deliverable}/content`);
