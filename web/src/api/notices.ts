import { queryOptions } from '@tanstack/react-query';
import { orNothing } from './agents.ts';
import { rest } from './http.ts';

export interface Notice {
  id: string;
  type: string;
  at: string;
  title: string;
  text?: string;
  project?: string;
  /** Its key. */
  task?: string;
  review?: string;
  /** Its slug. */
  agent?: string;
  read_at?: string;
}

/** What is for whoever is signed in: unread ones first. */
export const noticesQuery = queryOptions({
  queryKey: ['notifications'],
  refetchInterval: 60_000,
  queryFn: ({ signal }) => orNothing(rest<{ notifications: Notice[]; unread: number }>('/notifications', { query: { limit: 50 }, signal }), { notifications: [], unread: 0 }),
});

export const markRead = (ids?: string[]) => rest<{ read: number }>('/notifications/read', { method: 'POST', body: ids ? { ids } : { all: true } });

/** Where the thing is that a notification tells of. */
export function placeOf(n: Notice): string {
  if (n.review && n.type.startsWith('review_')) return `/reviews/${n.review}`;
  if (n.task?.includes('-')) return `/board/${n.task.split('-')[0]}?task=${n.task}`;
  if (n.review) return `/reviews/${n.review}`;
  if (n.agent) return `/agents/${n.agent}${n.type === 'quiet_failure' ? '?tab=health' : ''}`;
  if (n.type.startsWith('budget')) return '/costs?tab=budgets';
  if (n.type === 'webhook_disabled') return '/settings/webhooks';
  return '/activity';
}

export interface Address {
  address?: string;
  host?: string;
  signed?: boolean;
}

export interface Preferences {
  types: Record<string, string[]> | null;
  muted: boolean;
  /** Those that are set, with the list itself. */
  channels: string[];
  known_types: string[];
  email?: Address;
  webhook?: Address;
  slack?: Address;
  quiet_hours?: { from: string; to: string; time_zone?: string };
}

export const preferencesQuery = queryOptions({ queryKey: ['preferences'], queryFn: ({ signal }) => rest<Preferences>('/notifications/preferences', { signal }) });
export const changePreferences = (body: Record<string, unknown>) => rest<Preferences>('/notifications/preferences', { method: 'PUT', body });
export const testChannel = (channel: string) => rest<{ delivered: boolean; message: string }>('/notifications/test', { method: 'POST', body: { channel } });

export interface NoticeDelivery {
  id: string;
  channel: string;
  state: string;
  next?: string;
  log?: { at: string; error?: string }[];
  notification: { title: string; type: string; at: string };
}

export const noticeDeliveries = queryOptions({
  queryKey: ['notifications', 'deliveries'],
  queryFn: async ({ signal }) => (await rest<{ deliveries: NoticeDelivery[] }>('/notifications/deliveries', { query: { limit: 100 }, signal })).deliveries,
});
