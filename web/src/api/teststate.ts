import { aws } from './aws.ts';

export interface InspectionData {
  input?: string;
  afterInputPath?: string;
  afterParameters?: string;
  afterArguments?: string;
  afterItemsPath?: string;
  afterItemsPointer?: string;
  afterItemSelector?: string;
  afterItemBatcher?: string;
  result?: string;
  afterResultSelector?: string;
  afterResultPath?: string;
  variables?: string;
  toleratedFailureCount?: number;
  toleratedFailurePercentage?: number;
  maxConcurrency?: number;
  errorDetails?: { catchIndex?: number; retryIndex?: number; retryBackoffIntervalSeconds?: number };
  request?: { protocol?: string; method?: string; url?: string; headers?: string; body?: string };
  response?: { protocol?: string; statusCode?: string; statusMessage?: string; headers?: string; body?: string };
}

export interface TestResult {
  status: 'SUCCEEDED' | 'FAILED' | 'RETRIABLE' | 'CAUGHT_ERROR';
  output?: string;
  error?: string;
  cause?: string;
  nextState?: string;
  inspectionData?: InspectionData;
}

/** What TestState takes, as AWS documents it. */
export interface TestRequest {
  definition: string;
  stateName?: string;
  input?: string;
  variables?: string;
  context?: string;
  roleArn?: string;
  inspectionLevel?: 'INFO' | 'DEBUG' | 'TRACE';
  revealSecrets?: boolean;
  mock?: { result?: string; errorOutput?: { error?: string; cause?: string }; fieldValidationMode?: 'STRICT' | 'PRESENT' | 'NONE' };
  stateConfiguration?: { retrierRetryCount?: number; errorCausedByState?: string; mapIterationFailureCount?: number; mapItemReaderData?: string };
}

export const testState = (request: TestRequest, signal?: AbortSignal) => aws('TestState', request, signal) as Promise<TestResult>;
