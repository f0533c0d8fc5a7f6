import { queryOptions } from '@tanstack/react-query';
import { pages } from './agents.ts';
import type { Happening } from './board.ts';
import { rest } from './http.ts';
import type { Role } from './session.ts';

export interface Person {
  id: string;
  name: string;
  display?: string;
  email?: string;
  role: Role;
  version: number;
  removed?: boolean;
  created_at?: string;
}

/** A one-time link by which somebody sets a password. */
export interface OneTimeLink {
  for: string;
  url: string;
  ends_at: string;
}

export const peopleQuery = queryOptions({ queryKey: ['users', 'people'], queryFn: ({ signal }) => pages<Person>('/users', 'users', {}, signal) });

export const userActs = {
  add: (body: { name: string; display?: string; email?: string; role: Role }) => rest<Person & { link?: OneTimeLink }>('/users', { method: 'POST', body }),
  change: (name: string, body: { display?: string; email?: string; role?: Role }) => rest<Person>(`/users/${encodeURIComponent(name)}`, { method: 'PATCH', body }),
  remove: (name: string) => rest<void>(`/users/${encodeURIComponent(name)}`, { method: 'DELETE' }),
  reset: (name: string) => rest<OneTimeLink>(`/users/${encodeURIComponent(name)}/reset`, { method: 'POST' }),
  password: (name: string, old: string, next: string) => rest<void>(`/users/${encodeURIComponent(name)}/password`, { method: 'POST', body: { old, new: next } }),
};

export interface Member {
  user: string;
  id: string;
  role: Role;
}

export const membersQuery = (project: string) =>
  queryOptions({ queryKey: ['members', project], queryFn: async ({ signal }) => (await rest<{ members: Member[] }>(`/projects/${encodeURIComponent(project)}/members`, { signal })).members });

export const memberActs = {
  set: (project: string, user: string, role: Role) => rest<void>(`/projects/${encodeURIComponent(project)}/members/${encodeURIComponent(user)}`, { method: 'PUT', body: { role } }),
  remove: (project: string, user: string) => rest<void>(`/projects/${encodeURIComponent(project)}/members/${encodeURIComponent(user)}`, { method: 'DELETE' }),
};

export type KeyKind = 'tokens' | 'access-keys' | 'service-keys';

export interface ApiKey {
  id: string;
  user?: string;
  name?: string;
  scopes?: string[];
  created_at: string;
  expires_at?: string;
  last_used?: string;
  /** Only in the answer that makes it. */
  key?: string;
  secret_access_key?: string;
}

export const keysQuery = (kind: KeyKind) =>
  queryOptions({ queryKey: ['keys', kind], queryFn: async ({ signal }) => (await rest<Record<string, ApiKey[]>>(`/${kind}`, { signal }))[kind.replace('-', '_')] ?? [] });

export const keyActs = {
  make: (kind: KeyKind, body: { name: string; scopes?: string[]; expires_at?: string }) => rest<ApiKey>(`/${kind}`, { method: 'POST', body }),
  end: (kind: KeyKind, id: string) => rest<void>(`/${kind}/${encodeURIComponent(id)}`, { method: 'DELETE' }),
};

export const scopes = ['read', 'comment', 'edit', 'review', 'manage', 'start', 'machines', 'usage', 'metrics'];

export interface Session {
  id: string;
  created_at: string;
  seen_at: string;
  address?: string;
  browser?: string;
  current?: boolean;
}

export const sessionsQuery = queryOptions({ queryKey: ['sessions'], queryFn: async ({ signal }) => (await rest<{ sessions: Session[] }>('/sessions', { signal })).sessions });
export const endSession = (id: string) => rest<void>(`/sessions/${encodeURIComponent(id)}`, { method: 'DELETE' });

export interface Webhook {
  id: string;
  host: string;
  types?: string[];
  projects?: string[];
  created_at: string;
  created_by: string;
  disabled: boolean;
  failing_since?: string;
  failures?: number;
  last_error?: string;
  next_try?: string;
  after: number;
  secret?: string;
}

export interface WebhookDelivery {
  id: string;
  seq: number;
  state: string;
  type: string;
  tries?: { at: string; error?: string; took_ns: number }[];
}

export const webhooksQuery = queryOptions({ queryKey: ['webhooks'], queryFn: async ({ signal }) => (await rest<{ webhooks: Webhook[] }>('/webhooks', { signal })).webhooks });
export const deliveriesQuery = (id: string) =>
  queryOptions({ queryKey: ['webhooks', id, 'deliveries'], queryFn: async ({ signal }) => (await rest<{ deliveries: WebhookDelivery[] }>(`/webhooks/${id}/deliveries`, { query: { limit: 100 }, signal })).deliveries });
export const webhookActs = {
  add: (body: { url: string; types?: string[]; projects?: string[] }) => rest<Webhook>('/webhooks', { method: 'POST', body }),
  remove: (id: string) => rest<void>(`/webhooks/${id}`, { method: 'DELETE' }),
  enable: (id: string, skip: boolean) => rest<void>(`/webhooks/${id}/enable`, { method: 'POST', body: { skip } }),
  redeliver: (id: string, delivery: string) => rest<void>(`/webhooks/${id}/deliveries/${encodeURIComponent(delivery)}/redeliver`, { method: 'POST' }),
};

export interface Policies {
  review_mode?: string;
  max_attempts?: number;
  max_rework?: number;
  lease?: number;
  stall_after?: number;
  ack_timeout?: number;
  on_expiry?: string;
  failing_after?: number;
  pause_failing?: boolean;
  approve_handoffs?: boolean;
  heartbeat_seconds?: number;
  mentions_per_hour?: number;
  [more: string]: unknown;
}

export interface FullProject {
  id: string;
  key: string;
  name: string;
  owner: string;
  version: number;
  policies: Policies;
}

export const projectQuery = (key: string) => queryOptions({ queryKey: ['projects', key], queryFn: ({ signal }) => rest<FullProject>(`/projects/${encodeURIComponent(key)}`, { signal }) });
export const changeProject = (key: string, body: { name?: string; owner?: string; policies?: Policies }, version: number) => rest<FullProject>(`/projects/${encodeURIComponent(key)}`, { method: 'PATCH', body, version });

export interface TaskOutline {
  title?: string;
  description?: string;
  assignee?: string;
  labels?: string[];
  priority?: string;
  template?: string;
  [more: string]: unknown;
}

export interface Template {
  id: string;
  name: string;
  description?: string;
  project: string;
  task: TaskOutline;
  version: number;
}

export interface Recurring {
  id: string;
  name: string;
  project: string;
  expression: string;
  timezone?: string;
  task: TaskOutline;
  paused?: boolean;
  next_at?: string;
  last_at?: string;
  last_task?: string;
  last_error?: string;
  made: number;
  version: number;
}

export const templatesQuery = queryOptions({ queryKey: ['templates'], queryFn: ({ signal }) => pages<Template>('/templates', 'templates', {}, signal) });
export const recurringQuery = queryOptions({ queryKey: ['recurring'], queryFn: ({ signal }) => pages<Recurring>('/recurring', 'recurring', {}, signal) });

export const templateActs = {
  add: (body: { name: string; description?: string; project: string; task: TaskOutline }) => rest<Template>('/templates', { method: 'POST', body }),
  remove: (id: string) => rest<void>(`/templates/${id}`, { method: 'DELETE' }),
};

export const recurringActs = {
  add: (body: { name: string; project: string; expression: string; timezone?: string; task: TaskOutline }) => rest<Recurring>('/recurring', { method: 'POST', body }),
  pause: (r: Recurring) => rest<Recurring>(`/recurring/${r.id}`, { method: 'PATCH', body: { paused: !r.paused }, version: r.version }),
  remove: (id: string) => rest<void>(`/recurring/${id}`, { method: 'DELETE' }),
};

export const auditPage = (before: number | undefined, signal?: AbortSignal) => rest<{ events: Happening[] }>('/audit', { query: { limit: 100, before }, signal });
