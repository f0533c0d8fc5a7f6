import type { Piece } from './operations.ts';
import type { QueryLanguage } from './machine.ts';

/** An entry of the palette. */
export interface PaletteEntry extends Piece {
  /** Stable, for drag and drop and tests. */
  id: string;
  tab: 'actions' | 'flow' | 'patterns';
  /** What people look for it by. */
  label: string;
  hint: string;
  group?: string;
}

type Make = (language: QueryLanguage) => Record<string, unknown>;

/** The field of what a task is given, in either language. */
const given = (language: QueryLanguage, value: Record<string, unknown>) => ({ [language === 'JSONata' ? 'Arguments' : 'Parameters']: language === 'JSONata' ? value : toPath(value) });

/** From {% $states.input.x %} to "x.$": "$.x". */
function toPath(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(toPath);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([k, v]) => {
      const found = typeof v === 'string' ? /^\{% \$states\.(input|context)(.*) %\}$/.exec(v) : null;
      return found ? [`${k}.$`, (found[1] === 'input' ? '$' : '$$') + found[2]] : [k, toPath(v)];
    }),
  );
}

const task = (resource: string, args: Record<string, unknown>, more: Record<string, unknown> = {}): Make => (l) => ({ Type: 'Task', Resource: resource, ...given(l, args), ...more });

/** What is known of resources by more than their names: how people call them, and a beginning for what they take. */
const known: Record<string, { label: string; hint: string; args: Record<string, unknown> }> = {
  'arn:aws:states:::lambda:invoke': { label: 'Invoke a function', hint: 'Lambda, or a function of this server', args: { FunctionName: 'my-function', Payload: '{% $states.input %}' } },
  'arn:aws:states:::bedrock:invokeModel': { label: 'Ask a model', hint: 'Bedrock, or a model behind this server', args: { ModelId: 'my-model', Body: { messages: [{ role: 'user', content: '{% $states.input.prompt %}' }], max_tokens: 500 } } },
  'arn:aws:states:::http:invoke': { label: 'Call an HTTP API', hint: 'Any HTTPS endpoint, by a connection', args: { Method: 'GET', ApiEndpoint: 'https://example.com/', Authentication: { ConnectionArn: 'arn:aws:events:us-east-1:123456789012:connection/my-connection/id' } } },
  'arn:aws:states:::agent:runTask.sync': { label: 'Let an agent do a task', hint: 'A task on the board; waits until it is done', args: { Project: 'MAIN', Title: 'What is to be done', Assignee: '@writer', Input: '{% $states.input %}' } },
  'arn:aws:states:::agent:createTask': { label: 'Put a task on the board', hint: 'Does not wait for it', args: { Project: 'MAIN', Title: 'What is to be done' } },
  'arn:aws:states:::review:request.sync': { label: 'Ask a person', hint: 'A review; waits for the decision', args: { Project: 'MAIN', Title: 'Is this good?', Payload: '{% $states.input %}' } },
  'arn:aws:states:::states:startExecution.sync:2': { label: 'Run another state machine', hint: 'Waits for its output', args: { StateMachineArn: 'arn:aws:states:us-east-1:123456789012:stateMachine:my-machine', Input: '{% $states.input %}' } },
  'arn:aws:states:::states:startExecution': { label: 'Start another state machine', hint: 'Does not wait for it', args: { StateMachineArn: 'arn:aws:states:us-east-1:123456789012:stateMachine:my-machine', Input: '{% $states.input %}' } },
  'arn:aws:states:::sqs:sendMessage': { label: 'Send a message to a queue', hint: 'SQS', args: { QueueUrl: 'https://sqs.us-east-1.amazonaws.com/123456789012/my-queue', MessageBody: '{% $states.input %}' } },
  'arn:aws:states:::sns:publish': { label: 'Publish to a topic', hint: 'SNS', args: { TopicArn: 'arn:aws:sns:us-east-1:123456789012:my-topic', Message: '{% $states.input.message %}' } },
  'arn:aws:states:::dynamodb:getItem': { label: 'Get an item', hint: 'DynamoDB', args: { TableName: 'my-table', Key: { id: { S: '{% $states.input.id %}' } } } },
  'arn:aws:states:::dynamodb:putItem': { label: 'Put an item', hint: 'DynamoDB', args: { TableName: 'my-table', Item: { id: { S: '{% $states.input.id %}' } } } },
  'arn:aws:states:::events:putEvents': { label: 'Put an event', hint: 'EventBridge', args: { Entries: [{ Source: 'my.app', DetailType: 'Something happened', Detail: {}, EventBusName: 'default' }] } },
  'arn:aws:states:::aws-sdk:s3:getObject': { label: 'Read an object', hint: 'S3', args: { Bucket: 'my-bucket', Key: '{% $states.input.key %}' } },
  'arn:aws:states:::aws-sdk:s3:putObject': { label: 'Write an object', hint: 'S3', args: { Bucket: 'my-bucket', Key: '{% $states.input.key %}', Body: '{% $states.input.body %}' } },
};

/** The resources that the palette shows when the server says nothing else. */
export const usualResources: readonly string[] = Object.keys(known);

/** A short name for a resource: "lambda:invoke". */
export function shortResource(arn: string): string {
  const match = /^arn:[^:]*:states:[^:]*:[^:]*:(.+)$/.exec(arn);
  return match ? match[1]! : arn.split(':').at(-1) ?? arn;
}

const pass = (more: Record<string, unknown> = {}): Record<string, unknown> => ({ Type: 'Pass', ...more });

const flow: PaletteEntry[] = [
  { id: 'Pass', tab: 'flow', type: 'Pass', name: 'Pass', label: 'Pass', hint: 'Shapes data, does nothing else', make: () => pass() },
  { id: 'Choice', tab: 'flow', type: 'Choice', name: 'Choice', label: 'Choice', hint: 'Goes one way or another', make: () => ({ Type: 'Choice' }) },
  { id: 'Wait', tab: 'flow', type: 'Wait', name: 'Wait', label: 'Wait', hint: 'For some time, or until a time', make: () => ({ Type: 'Wait', Seconds: 60 }) },
  { id: 'Parallel', tab: 'flow', type: 'Parallel', name: 'Parallel', label: 'Parallel', hint: 'Several branches at once', make: () => ({ Type: 'Parallel', Branches: [{ StartAt: 'Left', States: { Left: pass({ End: true }) } }, { StartAt: 'Right', States: { Right: pass({ End: true }) } }] }) },
  { id: 'Map', tab: 'flow', type: 'Map', name: 'Map', label: 'Map', hint: 'The same for every item', make: (l) => ({ Type: 'Map', ...(l === 'JSONata' ? { Items: '{% $states.input.items %}' } : { ItemsPath: '$.items' }), ItemProcessor: { ProcessorConfig: { Mode: 'INLINE' }, StartAt: 'Each item', States: { 'Each item': pass({ End: true }) } } }) },
  { id: 'Succeed', tab: 'flow', type: 'Succeed', name: 'Success', label: 'Succeed', hint: 'Ends well', make: () => ({ Type: 'Succeed' }) },
  { id: 'Fail', tab: 'flow', type: 'Fail', name: 'Fail', label: 'Fail', hint: 'Ends with an error', make: () => ({ Type: 'Fail', Error: 'MyError', Cause: 'What went wrong' }) },
];

const patterns: PaletteEntry[] = [
  {
    id: 'pattern-distributed', tab: 'patterns', type: 'Map', name: 'Process a file', label: 'Process a large file', hint: 'A distributed Map over the rows of a CSV in S3',
    make: (l) => ({
      Type: 'Map',
      ItemReader: { Resource: 'arn:aws:states:::s3:getObject', ReaderConfig: { InputType: 'CSV', CSVHeaderLocation: 'FIRST_ROW' }, ...given(l, { Bucket: 'my-bucket', Key: 'items.csv' }) },
      ItemProcessor: { ProcessorConfig: { Mode: 'DISTRIBUTED', ExecutionType: 'STANDARD' }, StartAt: 'Each row', States: { 'Each row': pass({ End: true }) } },
      MaxConcurrency: 100,
      ToleratedFailurePercentage: 5,
    }),
  },
  {
    id: 'pattern-retry', tab: 'patterns', type: 'Task', name: 'Call with retries', label: 'Call with retries', hint: 'Tries again with growing pauses and jitter',
    make: (l) => ({ ...task('arn:aws:states:::lambda:invoke', known['arn:aws:states:::lambda:invoke']!.args)(l), TimeoutSeconds: 60, Retry: [{ ErrorEquals: ['States.TaskFailed', 'States.Timeout'], IntervalSeconds: 1, MaxAttempts: 4, BackoffRate: 2, MaxDelaySeconds: 30, JitterStrategy: 'FULL' }] }),
  },
  {
    id: 'pattern-callback', tab: 'patterns', type: 'Task', name: 'Wait for an answer', label: 'Wait for an answer', hint: 'Sends a token, and waits until somebody sends it back',
    make: (l) => ({ ...task('arn:aws:states:::lambda:invoke.waitForTaskToken', { FunctionName: 'my-function', Payload: { token: '{% $states.context.Task.Token %}' } })(l), TimeoutSeconds: 86400 }),
  },
  {
    id: 'pattern-scatter', tab: 'patterns', type: 'Parallel', name: 'Ask two models', label: 'Ask two models at once', hint: 'One branch for each model',
    make: (l) => {
      const ask = (model: string): Record<string, unknown> => ({ ...task('arn:aws:states:::bedrock:invokeModel', { ModelId: model, Body: { messages: [{ role: 'user', content: '{% $states.input.prompt %}' }], max_tokens: 500 } })(l), End: true });
      return { Type: 'Parallel', Branches: [{ StartAt: 'First model', States: { 'First model': ask('model-a') } }, { StartAt: 'Second model', States: { 'Second model': ask('model-b') } }] };
    },
  },
  {
    id: 'pattern-agent-review', tab: 'patterns', type: 'Task', name: 'Write and review', label: 'An agent works, a person reviews', hint: 'The task comes back until the review is approved',
    make: (l) => ({ ...task('arn:aws:states:::agent:runTask.sync', { Project: 'MAIN', Title: 'What is to be done', Assignee: '@writer', ReviewMode: 'human', Input: '{% $states.input %}' })(l), Retry: [{ ErrorEquals: ['Agent.TaskFailed'], MaxAttempts: 2 }], HeartbeatSeconds: 1800 }),
  },
];

/** Everything that can be put into a machine; actions are the resources given. */
export function pieces(resources: readonly string[]): PaletteEntry[] {
  const list = [...new Set([...usualResources, ...resources])];
  const actions = list.map((arn): PaletteEntry => {
    const about = known[arn];
    const short = shortResource(arn);
    return {
      id: arn,
      tab: 'actions',
      type: 'Task',
      name: about?.label ?? titleOf(short),
      label: about?.label ?? titleOf(short),
      hint: about?.hint ?? short,
      make: task(arn, about?.args ?? {}),
    };
  });
  return [...actions, ...flow, ...patterns];
}

/** "sqs:sendMessage" in words: "Send message". */
function titleOf(short: string): string {
  const words = (short.split(':').at(-1) ?? short).replace(/\.(sync|waitForTaskToken).*$/, '').replace(/([a-z])([A-Z])/g, '$1 $2').toLowerCase();
  return words.charAt(0).toUpperCase() + words.slice(1);
}
