import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query';
import { aws, type ExecutionStatus } from './aws.ts';
import type { ExecutionRow, ExecutionStatusName } from './executions.ts';
import { rest } from './http.ts';

export interface Counts {
  pending: number;
  running: number;
  succeeded: number;
  failed: number;
  timed_out: number;
  aborted: number;
  total: number;
  results_written: number;
}

/** How far a Map Run is; an event maprun.counts has the same. */
export interface MapRun {
  arn: string;
  /** The state that runs it. */
  state: string;
  execution: string;
  status: 'RUNNING' | 'SUCCEEDED' | 'FAILED' | 'ABORTED' | 'PENDING_REDRIVE';
  type: 'STANDARD' | 'EXPRESS';
  started_at: string;
  stopped_at: string | null;
  redrives: number;
  /** 0: no limit. */
  max_concurrency: number;
  tolerated_failure_count: number | null;
  tolerated_failure_percentage: number | null;
  items: Counts;
  executions: Counts;
}

export type Bucket = Pick<Counts, 'running' | 'succeeded' | 'failed' | 'timed_out' | 'aborted'>;

export interface Cells {
  total: number;
  /** A letter for each execution, by its index. */
  cells?: string;
  /** Of a large run: sums over groups of executions next to each other. */
  buckets?: Bucket[];
  recent_only?: boolean;
}

export interface Failure {
  error: string;
  cause: string;
  status: ExecutionStatusName;
  count: number;
  examples: string[];
  indexes: number[];
}

export interface Failures {
  failures: Failure[];
  looked_at: number;
  complete: boolean;
}

export interface Pace {
  from: string;
  to: string;
  pace: { at: string; running: number; ended: number; failed: number }[];
  complete: boolean;
  recent_only: boolean;
}

const at = (arn: string, what: string) => `/mapruns/${encodeURIComponent(arn)}/${what}`;

/** Kept fresh by maprun.counts, which has all of it. */
export const countsKey = (arn: string) => ['mapruncounts', arn] as const;

export const countsQuery = (arn: string) => queryOptions({ queryKey: countsKey(arn), queryFn: ({ signal }) => rest<MapRun>(at(arn, 'counts'), { signal }) });

/** What is read again less often than the counts: the kind of key is ['maprunparts', arn, …]. */
export const partsKey = (arn: string) => ['maprunparts', arn] as const;

export const cellsQuery = (arn: string) =>
  queryOptions({ queryKey: [...partsKey(arn), 'cells'], queryFn: ({ signal }) => rest<Cells>(at(arn, 'cells'), { signal }), placeholderData: (old) => old });

export const failuresQuery = (arn: string) =>
  queryOptions({ queryKey: [...partsKey(arn), 'failures'], queryFn: ({ signal }) => rest<Failures>(at(arn, 'failures'), { signal }), placeholderData: (old) => old });

export const paceQuery = (arn: string) =>
  queryOptions({ queryKey: [...partsKey(arn), 'pace'], queryFn: ({ signal }) => rest<Pace>(at(arn, 'pace'), { signal }), placeholderData: (old) => old });

/** One execution of a Map Run by its place. */
export const cellQuery = (arn: string, index: number) =>
  queryOptions({ queryKey: [...partsKey(arn), 'cell', index], queryFn: ({ signal }) => rest<ExecutionRow>(at(arn, 'cells'), { query: { index }, signal }), retry: false });

/** The executions of a Map Run, newest first. */
export const childrenQuery = (arn: string, status: string) =>
  infiniteQueryOptions({
    queryKey: [...partsKey(arn), 'children', status],
    queryFn: ({ pageParam, signal }) =>
      aws('ListExecutions', { mapRunArn: arn, maxResults: 100, ...(status ? { statusFilter: status as ExecutionStatus } : {}), ...(pageParam ? { nextToken: pageParam } : {}) }, signal),
    initialPageParam: '',
    getNextPageParam: (last) => last.nextToken,
    maxPages: 50,
  });

export interface MapRunSettings {
  maxConcurrency?: number;
  toleratedFailureCount?: number;
  toleratedFailurePercentage?: number;
}

export const updateMapRun = (mapRunArn: string, settings: MapRunSettings) => aws('UpdateMapRun', { mapRunArn, ...settings });
