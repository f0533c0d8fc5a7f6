import { queryOptions } from '@tanstack/react-query';
import type { Party } from './board.ts';
import { ApiError, rest } from './http.ts';
import { aws, type Diagnostic, type Machine, type MachineDetail, type MachineType } from './aws.ts';

/** At most so many pages of a list are fetched to have all of it. */
const mostPages = 10;

/** All state machines, by name. */
export const machinesQuery = queryOptions({
  queryKey: ['machines', 'all'],
  queryFn: async ({ signal }): Promise<Machine[]> => {
    const all: Machine[] = [];
    let nextToken: string | undefined;
    for (let i = 0; i < mostPages; i++) {
      const page = await aws('ListStateMachines', nextToken ? { maxResults: 1000, nextToken } : { maxResults: 1000 }, signal);
      all.push(...page.stateMachines);
      nextToken = page.nextToken;
      if (!nextToken) break;
    }
    return all.sort((a, b) => a.name.localeCompare(b.name));
  },
});

/** Counts of executions by result. */
export interface Runs {
  from: string;
  to: string;
  running: number;
  succeeded: number;
  failed: number;
  timed_out: number;
  aborted: number;
}

/** A machine as the list has it, with how it does. */
export interface MachineRow {
  name: string;
  arn: string;
  type: MachineType;
  query_language: string;
  status: 'ACTIVE' | 'DELETING';
  created_at: string;
  updated_at: string;
  /** Whoever made the current definition; a server that is older does not know. */
  updated_by?: Party;
  versions: number;
  latest_version?: number;
  aliases: number;
  runs: Runs[];
  estimated?: boolean;
  recent_only?: boolean;
  success_rate: number | null;
  p50_ms: number | null;
  p95_ms: number | null;
  running: number;
  cost_nano: number;
}

/** All machines with how they do. */
export const machineRowsQuery = queryOptions({
  queryKey: ['machines', 'rows'],
  queryFn: async ({ signal }): Promise<MachineRow[]> => {
    const all: MachineRow[] = [];
    let cursor: string | undefined;
    for (let i = 0; i < mostPages; i++) {
      const page = await rest<{ machines: MachineRow[]; next_cursor?: string }>('/machines', { query: { limit: 100, cursor }, signal });
      all.push(...page.machines);
      cursor = page.next_cursor;
      if (!cursor) break;
    }
    return all;
  },
});

/** One machine with how it does. */
export function machineRowQuery(name: string) {
  return queryOptions({
    queryKey: ['machines', 'row', name],
    queryFn: async ({ signal }): Promise<MachineRow> => {
      const page = await rest<{ machines: MachineRow[] }>('/machines', { query: { name }, signal });
      const found = page.machines[0];
      if (!found) throw new ApiError(404, 'not_found', `There is no state machine called ${name}.`);
      return found;
    },
  });
}

/** A machine with its definition; arn may be that of a version. */
export function machineQuery(arn: string | undefined) {
  return queryOptions({
    queryKey: ['machine', arn],
    queryFn: ({ signal }) => aws('DescribeStateMachine', { stateMachineArn: arn! }, signal),
    enabled: arn !== undefined,
  });
}

export interface StateStats {
  state: string;
  type: string;
  node: string;
  visits: number;
  failed: number;
  caught: number;
  attempts: number;
  failure_rate: number;
  p50_ms: number | null;
  p95_ms: number | null;
  errors: Record<string, number>;
}

/** The states of a machine over its last executions. */
export function machineStatsQuery(name: string) {
  return queryOptions({
    queryKey: ['machines', 'stats', name],
    queryFn: ({ signal }) => rest<{ machine: string; executions: number; complete: boolean; states: StateStats[] }>(`/machines/${encodeURIComponent(name)}/stats`, { signal }),
  });
}

export interface Version {
  stateMachineVersionArn: string;
  creationDate: number;
}

export interface Alias {
  stateMachineAliasArn: string;
  name: string;
  description?: string;
  routingConfiguration: { stateMachineVersionArn: string; weight: number }[];
}

/** The number in a version's ARN. */
export function versionOf(arn: string): string {
  return arn.split(':').at(-1) ?? arn;
}

export function versionsQuery(arn: string) {
  return queryOptions({
    queryKey: ['machine', arn, 'versions'],
    queryFn: async ({ signal }): Promise<Version[]> => (await aws('ListStateMachineVersions', { stateMachineArn: arn }, signal)).stateMachineVersions,
  });
}

export function aliasesQuery(arn: string) {
  return queryOptions({
    queryKey: ['machine', arn, 'aliases'],
    queryFn: async ({ signal }): Promise<Alias[]> => {
      const list = (await aws('ListStateMachineAliases', { stateMachineArn: arn }, signal)).stateMachineAliases;
      return Promise.all(list.slice(0, 50).map(async (a) => (await aws('DescribeStateMachineAlias', { stateMachineAliasArn: a.stateMachineAliasArn }, signal)) as unknown as Alias));
    },
  });
}

/** The server's own check of a definition: the same that it does before it takes one. */
export function diagnosticsQuery(definition: string, type: MachineType, key: string) {
  return queryOptions({
    queryKey: ['diagnostics', type, key],
    queryFn: async ({ signal }): Promise<Diagnostic[]> => (await aws('ValidateStateMachineDefinition', { definition, type, severity: 'WARNING', maxResults: 100 }, signal)).diagnostics,
    staleTime: Infinity,
    gcTime: 60_000,
    placeholderData: (old) => old,
  });
}

/** A role that machines get here; this server asks no AWS for it. */
export const usualRole = 'arn:aws:iam::123456789012:role/lockstep';

/** A definition that the server has ready. */
export interface Example {
  name: string;
  title: string;
  description: string;
  definition: string;
  input: unknown;
  /** Activities to be made first. */
  activities?: string[];
  needs: string[];
}

export const examplesQuery = queryOptions({
  queryKey: ['examples'],
  queryFn: async ({ signal }): Promise<Example[]> => (await rest<{ examples: Example[] }>('/examples', { signal })).examples,
  staleTime: Infinity,
});

/** What the palette of the editor can offer besides what everybody has: resources that this server can call. */
export const resourcesQuery = queryOptions({
  queryKey: ['resources'],
  queryFn: async ({ signal }): Promise<string[]> => (await rest<{ resources: string[] }>('/resources', { signal })).resources,
  staleTime: Infinity,
});

/** Deletes a machine with its versions and aliases. */
export async function deleteMachine(arn: string): Promise<void> {
  await aws('DeleteStateMachine', { stateMachineArn: arn });
}

/** A name that no machine has yet. */
export function freeName(wanted: string, taken: ReadonlySet<string>): string {
  if (!taken.has(wanted)) return wanted;
  for (let i = 2; ; i++) if (!taken.has(`${wanted}-${i}`)) return `${wanted}-${i}`;
}

export type { MachineDetail };
