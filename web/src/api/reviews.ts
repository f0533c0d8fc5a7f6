import { queryOptions } from '@tanstack/react-query';
import type { Brief, Party, Review, Task } from './board.ts';
import { ApiError, rest } from './http.ts';

/** How many reviews wait for whoever is signed in; what the bell and the navigation show. */
export const waitingReviews = queryOptions({
  queryKey: ['reviews', 'count'],
  staleTime: 30_000,
  queryFn: async ({ signal }): Promise<number> => {
    try {
      const page = await rest<{ reviews?: unknown[] }>('/reviews', { query: { mine: 1, limit: 100 }, signal });
      return page.reviews?.length ?? 0;
    } catch (err) {
      if (err instanceof ApiError && err.status === 403) return 0;
      throw err;
    }
  },
});

export interface Waiting {
  review: Review;
  task?: Task;
  behind: number;
}

export interface ReviewDetail extends Review {
  task_key?: string;
  allowed: string[];
  may_decide: boolean;
  deciders: Party[];
  starts: Brief[];
  behind: number;
}

/** What this caller is asked to decide, in the order of the server: overdue first, then by what waits behind, then the oldest. */
export const inboxQuery = queryOptions({
  queryKey: ['reviews', 'inbox'],
  queryFn: async ({ signal }) => {
    const page = await rest<{ reviews: Waiting[]; next_cursor?: string }>('/reviews', { query: { mine: 1, limit: 200 }, signal });
    return { rows: page.reviews, more: page.next_cursor !== undefined };
  },
});

export const decidedQuery = queryOptions({
  queryKey: ['reviews', 'closed'],
  queryFn: async ({ signal }) => (await rest<{ reviews: Review[] }>('/reviews', { query: { status: 'closed', limit: 50 }, signal })).reviews,
});

export const reviewQuery = (id: string) =>
  queryOptions({ queryKey: ['review', id], queryFn: ({ signal }) => rest<ReviewDetail>(`/reviews/${encodeURIComponent(id)}`, { signal }) });

export interface Decision {
  verdict: string;
  comment?: string;
  edited?: { output?: unknown; deliverables?: { kind: string; title: string; series: string; content: string; media_type?: string }[] };
  response?: unknown;
  follow_ups?: string[];
}

const at = (id: string, verb: string) => `/reviews/${encodeURIComponent(id)}/${verb}`;

export const decide = (id: string, body: Decision, version?: number) => rest<Review>(at(id, 'decision'), { method: 'POST', body, ...(version === undefined ? {} : { version }) });
export const delegate = (id: string, to: Party) => rest(at(id, 'delegate'), { method: 'POST', body: { to } });
export const snooze = (id: string, until: Date) => rest(at(id, 'snooze'), { method: 'POST', body: { until: until.toISOString() } });
export const decideAll = (decisions: (Decision & { review: string })[]) =>
  rest<{ results: { review: string; status?: string; error?: { code: string; message: string } }[] }>('/reviews/decisions', { method: 'POST', body: { decisions } });

/** A task of an execution that waits for a token. */
export interface Callback {
  id: string;
  execution: string;
  machine: string;
  state: string;
  resource: string;
  input: unknown;
  since: string;
  timeout_at?: string;
  heartbeat_by?: string;
}

export const callbacksPage = (cursor: string | undefined, signal?: AbortSignal) =>
  rest<{ callbacks: Callback[]; next_cursor?: string }>('/callbacks', { query: { limit: 50, cursor }, signal });
export const succeed = (id: string, output: unknown) => rest(`/callbacks/${encodeURIComponent(id)}/success`, { method: 'POST', body: { output } });
export const fail = (id: string, error: string, cause: string) => rest(`/callbacks/${encodeURIComponent(id)}/failure`, { method: 'POST', body: { error, cause } });
