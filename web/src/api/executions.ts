import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query';
import { aws, type HistoryEvent } from './aws.ts';
import { rest } from './http.ts';

export type ExecutionStatusName = 'RUNNING' | 'SUCCEEDED' | 'FAILED' | 'TIMED_OUT' | 'ABORTED' | 'PENDING_REDRIVE';

/** An execution as lists have it. Times are texts, durations milliseconds. */
export interface ExecutionRow {
  arn: string;
  name: string;
  status: ExecutionStatusName;
  machine: string;
  machine_arn: string;
  version?: number;
  alias?: string;
  type: 'STANDARD' | 'EXPRESS';
  started_at: string;
  stopped_at: string | null;
  duration_ms: number;
  redrives: number;
  redriven_at: string | null;
  events: number;
  /** Where it is, or where it failed. */
  state?: string;
  waiting_for?: WaitingFor;
  error?: string;
  /** Nano-USD; missing where nothing was used. */
  cost_nano?: number;
  cost_is_part?: boolean;
}

export type WaitingFor = 'timer' | 'callback' | 'task' | 'child' | 'activity' | 'map_run' | 'agent' | 'review';

/** A value as JSON; over 32 KB only its beginning, with the address of all of it. */
export interface Payload {
  text?: string;
  bytes: number;
  truncated?: boolean;
  url: string;
}

export interface Attempt {
  n: number;
  started_at: string;
  ended_at: string | null;
  status: 'running' | 'succeeded' | 'failed' | 'timed_out' | 'aborted';
  resource?: string;
  worker?: string;
  error?: string;
  cause?: string;
  timeout_seconds?: number;
  heartbeat_seconds?: number;
  redrive: number;
  /** That began it. */
  event: number;
}

/** One entry of a state: what happened from entering it to leaving it. */
export interface Visit {
  /** Of its StateEntered event. */
  id: number;
  /** "Each ticket#3/Enrich#2/Cool down": with iterations and branches. */
  path: string;
  /** The same in the definition, where all iterations are #0. */
  node: string;
  state: string;
  type: string;
  branch?: number;
  iteration?: number;
  entered_at: string;
  exited_at: string | null;
  status: 'running' | 'succeeded' | 'failed' | 'caught' | 'retrying' | 'waiting' | 'aborted';
  waiting_for?: WaitingFor;
  attempts: Attempt[];
  input?: Payload;
  output?: Payload;
  error?: string;
  cause?: string;
  cause_truncated?: boolean;
  cause_url?: string;
  first_event: number;
  last_event: number;
  redrive: number;
  map_run?: string;
  items?: number;
  child_execution?: string;
  cost_nano?: number;
  tokens?: number;
}

export interface ExecutionView extends ExecutionRow {
  input?: Payload;
  output?: Payload;
  cause?: string;
  redrive_status?: string;
  redrive_status_reason?: string;
  transitions: number;
  open_visits: number;
  tokens: number;
  failed?: Visit;
  parent_execution?: string;
  map_run?: string;
  item?: number;
  children: { arn: string; visit: number; state: string }[];
  map_runs: { arn: string; state: string; status: string; started_at: string; stopped_at: string | null }[];
  fork_of?: { arn: string; state: string; event: number; at: string };
  forks: { arn: string; state: string; event: number; at: string }[];
}

export interface StateTotals {
  state: string;
  type: string;
  node: string;
  visits: number;
  by_status: Record<string, number>;
  attempts: number;
  p50_ms: number | null;
  p95_ms: number | null;
  max_ms: number | null;
  errors: Record<string, number>;
}

export interface SearchPage {
  executions: ExecutionRow[];
  next_cursor?: string;
  looked_at: number;
  complete: boolean;
  looked_back_to?: string;
}

export type SearchFilter = Partial<Record<'status' | 'machine' | 'version' | 'alias' | 'type' | 'error' | 'from' | 'to' | 'min_duration_ms' | 'max_duration_ms' | 'name' | 'input', string>>;

/** Executions of all machines, newest first. */
export function searchQuery(filter: SearchFilter) {
  return infiniteQueryOptions({
    queryKey: ['executions', 'search', filter],
    queryFn: ({ pageParam, signal }) => rest<SearchPage>('/executions', { query: { ...filter, limit: 100, cursor: pageParam }, signal }),
    initialPageParam: '',
    getNextPageParam: (last) => last.next_cursor,
    maxPages: 50,
  });
}

export interface Bucket {
  from: string;
  to: string;
  running: number;
  succeeded: number;
  failed: number;
  timed_out: number;
  aborted: number;
}

/** Starts over time, by result. */
export function histogramQuery(filter: Pick<SearchFilter, 'machine' | 'type' | 'from' | 'to'>, buckets = 60) {
  return queryOptions({
    queryKey: ['executions', 'histogram', filter, buckets],
    queryFn: ({ signal }) => rest<{ buckets: Bucket[]; estimated: boolean; recent_only?: boolean }>('/executions/histogram', { query: { ...filter, buckets }, signal }),
    placeholderData: (old) => old,
  });
}

const at = (arn: string) => `/executions/${encodeURIComponent(arn)}`;

export function executionQuery(arn: string) {
  return queryOptions({ queryKey: ['execution', arn], queryFn: ({ signal }) => rest<ExecutionView>(at(arn), { signal }) });
}

/** Tasks of the board that states of an execution wait for, or have waited for. */
export function boundTasksQuery(arn: string) {
  return queryOptions({
    queryKey: ['tasks', 'execution', arn],
    queryFn: async ({ signal }) => (await rest<{ tasks?: { id: string; key: string; title: string; state: string; created_at: string; source?: { execution: string; state: string } }[] }>('/tasks', { query: { execution: arn, limit: 50 }, signal })).tasks ?? [],
  });
}

export function totalsQuery(arn: string) {
  return queryOptions({
    queryKey: ['totals', arn],
    queryFn: ({ signal }) => rest<{ status: ExecutionStatusName; last_event: number; by_status: Record<string, number>; states: StateTotals[] }>(`${at(arn)}/totals`, { signal }),
  });
}

/** The definition that an execution was started with. */
export function definitionQuery(arn: string) {
  return queryOptions({
    queryKey: ['definition', arn],
    queryFn: async ({ signal }) => (await aws('DescribeStateMachineForExecution', { executionArn: arn }, signal)).definition,
    staleTime: Infinity,
  });
}

export interface VisitPage {
  visits: Visit[];
  last_event: number;
  status: ExecutionStatusName;
  next_cursor?: string;
}

export interface VisitFilter {
  state?: string;
  status?: string;
  path?: string;
  order?: 'first' | 'newest' | 'failed_first';
  changed_since?: number;
  payloads?: 'none' | 'preview';
  limit?: number;
  cursor?: string;
}

export function fetchVisits(arn: string, filter: VisitFilter, signal?: AbortSignal): Promise<VisitPage> {
  return rest<VisitPage>(`${at(arn)}/visits`, { query: { ...filter }, signal });
}

/** One visit with its input and output. */
export function visitQuery(arn: string, visit: Pick<Visit, 'id' | 'path' | 'last_event'>) {
  return queryOptions({
    queryKey: ['visit', arn, visit.id, visit.last_event],
    queryFn: async ({ signal }) => {
      // Of one path the visits come one after the other, so this is the first that has changed since.
      const page = await fetchVisits(arn, { path: visit.path, changed_since: visit.last_event - 1, payloads: 'preview', limit: 20 }, signal);
      return page.visits.find((v) => v.id === visit.id) ?? null;
    },
    staleTime: 60_000,
    placeholderData: (old, query) => (query?.queryKey[2] === visit.id ? old : undefined),
  });
}

/** A point on the way of the data through a visit. */
export interface FlowStep {
  name: string;
  /** From the history, not worked out again. */
  recorded: boolean;
  payload: Payload;
}

export interface FlowVariable {
  name: string;
  payload: Payload;
  /** That assigned it. */
  event: number;
  state: string;
  /** By this visit. */
  changed: boolean;
}

export interface Flow {
  steps: FlowStep[];
  variables_before: FlowVariable[];
  variables_after: FlowVariable[];
  problem?: string;
  differs?: boolean;
}

/** The way of the data through a visit, and its variables. */
export function flowQuery(arn: string, visit: Pick<Visit, 'id' | 'last_event'>) {
  return queryOptions({
    queryKey: ['visit', arn, visit.id, visit.last_event, 'flow'],
    queryFn: ({ signal }) => rest<Flow>(`${at(arn)}/visits/${visit.id}/flow`, { signal }),
    staleTime: Infinity,
  });
}

export interface VisitEvent {
  id: number;
  previous: number;
  type: string;
  at: string;
  name?: string;
  resource?: string;
  error?: string;
  cause?: string;
  index?: number;
  payload?: Payload;
  which?: 'input' | 'output';
  assigned?: string[];
  visit?: number;
}

/** The events of one visit, page by page. */
export function visitEventsQuery(arn: string, visit: Pick<Visit, 'id' | 'last_event'>) {
  return infiniteQueryOptions({
    queryKey: ['visit', arn, visit.id, visit.last_event, 'events'],
    queryFn: ({ pageParam, signal }) => rest<{ events: VisitEvent[]; next?: number }>(`${at(arn)}/events`, { query: { visit: visit.id, from: pageParam, limit: 50 }, signal }),
    initialPageParam: 1,
    getNextPageParam: (last) => last.next,
    staleTime: Infinity,
  });
}

/** So many events are put into one file. */
export const mostExported = 30_000;

/** The whole history as the AWS API tells it. */
export async function wholeHistory(arn: string, onMore: (events: number) => void, signal: AbortSignal): Promise<{ events: HistoryEvent[]; complete: boolean }> {
  const events: HistoryEvent[] = [];
  let nextToken: string | undefined;
  do {
    const page = await aws('GetExecutionHistory', { executionArn: arn, maxResults: 1000, ...(nextToken ? { nextToken } : {}) }, signal);
    events.push(...page.events);
    nextToken = page.nextToken;
    onMore(events.length);
  } while (nextToken && events.length < mostExported);
  return { events, complete: nextToken === undefined };
}

/** The events of an execution, in pages of a hundred. */
export function historyQuery(arn: string, newestFirst: boolean) {
  return infiniteQueryOptions({
    queryKey: ['history', arn, newestFirst],
    queryFn: ({ pageParam, signal }) => aws('GetExecutionHistory', { executionArn: arn, maxResults: 200, reverseOrder: newestFirst, ...(pageParam ? { nextToken: pageParam } : {}) }, signal),
    initialPageParam: '',
    getNextPageParam: (last) => last.nextToken,
  });
}

/** What an event has besides its id, type and time. */
export function eventDetails(event: HistoryEvent): Record<string, unknown> {
  const name = Object.keys(event).find((k) => k.endsWith('Details'));
  return name ? (event[name] as Record<string, unknown>) : {};
}

export function stopExecution(arn: string, why: { error?: string; cause?: string }): Promise<unknown> {
  return aws('StopExecution', { executionArn: arn, ...why });
}

export function redriveExecution(arn: string): Promise<unknown> {
  return aws('RedriveExecution', { executionArn: arn });
}

export async function startExecution(machineArn: string, input: string, name: string): Promise<string> {
  const started = await aws('StartExecution', { stateMachineArn: machineArn, input, ...(name ? { name } : {}) });
  return started.executionArn;
}
