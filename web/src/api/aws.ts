import { onServer } from '../app/base.ts';
import { send } from './http.ts';

export type ExecutionStatus = 'RUNNING' | 'SUCCEEDED' | 'FAILED' | 'TIMED_OUT' | 'ABORTED' | 'PENDING_REDRIVE';
export type MachineType = 'STANDARD' | 'EXPRESS';

/** Seconds since 1970, as the AWS API has times. */
export type Seconds = number;

export interface Machine {
  stateMachineArn: string;
  name: string;
  type: MachineType;
  creationDate: Seconds;
}

export interface MachineDetail extends Machine {
  status: 'ACTIVE' | 'DELETING';
  definition: string;
  roleArn: string;
  revisionId?: string;
  label?: string;
  description?: string;
  loggingConfiguration?: unknown;
  tracingConfiguration?: { enabled?: boolean };
}

export interface Execution {
  executionArn: string;
  stateMachineArn: string;
  name: string;
  status: ExecutionStatus;
  startDate: Seconds;
  stopDate?: Seconds;
  mapRunArn?: string;
  itemCount?: number;
  redriveCount?: number;
  redriveDate?: Seconds;
  stateMachineVersionArn?: string;
  stateMachineAliasArn?: string;
}

export interface ExecutionDetail extends Execution {
  input?: string;
  output?: string;
  error?: string;
  cause?: string;
  redriveStatus?: 'REDRIVABLE' | 'NOT_REDRIVABLE' | 'REDRIVABLE_BY_MAP_RUN';
  redriveStatusReason?: string;
}

export interface HistoryEvent {
  id: number;
  previousEventId?: number;
  timestamp: Seconds;
  type: string;
  /** Details under a name that depends on the type, such as stateEnteredEventDetails. */
  [details: string]: unknown;
}

export interface Diagnostic {
  severity: 'ERROR' | 'WARNING';
  code: string;
  message: string;
  location?: string;
}

/** What each action of the AWS API takes and answers with. Those that are not here take and give what AWS documents. */
export interface Actions {
  ListStateMachines: [{ maxResults?: number; nextToken?: string }, { stateMachines: Machine[]; nextToken?: string }];
  DescribeStateMachine: [{ stateMachineArn: string; includedData?: string }, MachineDetail];
  CreateStateMachine: [
    { name: string; definition: string; roleArn: string; type?: MachineType; publish?: boolean; versionDescription?: string },
    { stateMachineArn: string; creationDate: Seconds; stateMachineVersionArn?: string },
  ];
  UpdateStateMachine: [
    { stateMachineArn: string; definition?: string; roleArn?: string; publish?: boolean; versionDescription?: string },
    { updateDate: Seconds; revisionId?: string; stateMachineVersionArn?: string },
  ];
  DeleteStateMachine: [{ stateMachineArn: string }, Record<string, never>];
  ValidateStateMachineDefinition: [
    { definition: string; type?: MachineType; severity?: 'ERROR' | 'WARNING'; maxResults?: number },
    { result: 'OK' | 'FAIL'; diagnostics: Diagnostic[]; truncated?: boolean },
  ];
  ListStateMachineVersions: [
    { stateMachineArn: string; nextToken?: string },
    { stateMachineVersions: { stateMachineVersionArn: string; creationDate: Seconds }[]; nextToken?: string },
  ];
  ListStateMachineAliases: [
    { stateMachineArn: string; nextToken?: string },
    { stateMachineAliases: { stateMachineAliasArn: string; creationDate: Seconds }[]; nextToken?: string },
  ];
  StartExecution: [{ stateMachineArn: string; name?: string; input?: string }, { executionArn: string; startDate: Seconds }];
  StopExecution: [{ executionArn: string; error?: string; cause?: string }, { stopDate: Seconds }];
  RedriveExecution: [{ executionArn: string; clientToken?: string }, { redriveDate: Seconds }];
  ListExecutions: [
    { stateMachineArn?: string; mapRunArn?: string; statusFilter?: ExecutionStatus; maxResults?: number; nextToken?: string; redriveFilter?: string },
    { executions: Execution[]; nextToken?: string },
  ];
  DescribeExecution: [{ executionArn: string; includedData?: string }, ExecutionDetail];
  DescribeStateMachineForExecution: [{ executionArn: string }, Omit<MachineDetail, 'status' | 'type' | 'creationDate'> & { mapRunArn?: string }];
  GetExecutionHistory: [
    { executionArn: string; includeExecutionData?: boolean; maxResults?: number; nextToken?: string; reverseOrder?: boolean },
    { events: HistoryEvent[]; nextToken?: string },
  ];
}

/** Calls an action of the AWS API: aws('ListStateMachines', {}). Throws an ApiError with AWS's error name as its code. */
export async function aws<A extends keyof Actions>(action: A, input: Actions[A][0], signal?: AbortSignal): Promise<Actions[A][1]>;
export async function aws(action: string, input: object, signal?: AbortSignal): Promise<unknown>;
export async function aws(action: string, input: object, signal?: AbortSignal): Promise<unknown> {
  const text = await send(onServer('/'), {
    method: 'POST',
    headers: { 'Content-Type': 'application/x-amz-json-1.0', 'X-Amz-Target': `AWSStepFunctions.${action}` },
    body: JSON.stringify(input),
    signal: signal ?? null,
  });
  return text === '' ? {} : JSON.parse(text);
}

/** The last part of an ARN: the name of a machine or an execution. */
export function nameOf(arn: string): string {
  const parts = arn.split(':');
  const kind = parts[5];
  if (kind === 'express') return parts[7] ?? arn;
  return parts[parts.length - 1] ?? arn;
}

/** The name of the machine that an execution's ARN is of. */
export function machineOf(executionArn: string): string {
  return executionArn.split(':')[6] ?? executionArn;
}

/** The ARN of a machine by name, beside another ARN of the same account. */
export function machineArnOf(executionArn: string): string {
  const p = executionArn.split(':');
  return [...p.slice(0, 5), 'stateMachine', p[6]].join(':');
}
