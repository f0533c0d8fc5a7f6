// State machines and executions that show what the console has to show.
import { aws, makeMachine, untilStatus } from './harness.mjs';

const mapping = {
  Comment: 'Orders that are checked one by one',
  StartAt: 'Read the order',
  States: {
    'Read the order': { Type: 'Pass', Next: 'Check each line' },
    'Check each line': {
      Type: 'Map',
      ItemsPath: '$.lines',
      MaxConcurrency: 2,
      ItemProcessor: {
        StartAt: 'In stock?',
        States: {
          'In stock?': { Type: 'Choice', Choices: [{ Variable: '$.count', NumericGreaterThan: 100, Next: 'Too many' }], Default: 'Reserve' },
          Reserve: { Type: 'Pass', Result: { reserved: true }, End: true },
          'Too many': { Type: 'Fail', Error: 'Stock.TooMany', Cause: 'There are not that many.' },
        },
      },
      Next: 'Both',
      Catch: [{ ErrorEquals: ['Stock.Empty'], Next: 'Apologise' }],
    },
    Both: {
      Type: 'Parallel',
      Branches: [
        { StartAt: 'Send invoice', States: { 'Send invoice': { Type: 'Pass', Result: 'sent', End: true } } },
        { StartAt: 'Pack', States: { Pack: { Type: 'Wait', Seconds: 0, Next: 'Ship' }, Ship: { Type: 'Pass', End: true } } },
      ],
      Next: 'Paid?',
    },
    'Paid?': { Type: 'Choice', Choices: [{ Variable: '$[0]', StringEquals: 'sent', Next: 'Done' }], Default: 'Remind' },
    Remind: { Type: 'Wait', Seconds: 1, Next: 'Paid?' },
    Apologise: { Type: 'Pass', Next: 'Done' },
    Done: { Type: 'Succeed' },
  },
};

const retrying = {
  StartAt: 'Ask the supplier',
  States: {
    'Ask the supplier': {
      Type: 'Task',
      Resource: 'arn:aws:states:::activity',
      TimeoutSeconds: 3600,
      Retry: [{ ErrorEquals: ['States.ALL'], IntervalSeconds: 1, MaxAttempts: 1, BackoffRate: 1 }],
      Next: 'Note the answer',
    },
    'Note the answer': { Type: 'Pass', End: true },
  },
};

const waiting = {
  StartAt: 'Prepare',
  States: {
    Prepare: { Type: 'Pass', Next: 'Wait for the courier' },
    'Wait for the courier': { Type: 'Task', Resource: 'arn:aws:states:::activity', TimeoutSeconds: 3600, Next: 'Hand over' },
    'Hand over': { Type: 'Pass', End: true },
  },
};

/** Makes them all, and waits until each stands where it is to stand. */
export async function seed(url) {
  const activity = await aws(url, 'CreateActivity', { name: 'courier' });
  waiting.States['Wait for the courier'].Resource = activity.activityArn;
  retrying.States['Ask the supplier'].Resource = (await aws(url, 'CreateActivity', { name: 'supplier' })).activityArn;
  const orders = await makeMachine(url, 'orders', mapping);
  const supplier = await makeMachine(url, 'ask-supplier', retrying);
  const courier = await makeMachine(url, 'courier', waiting);
  const start = async (stateMachineArn, name, input) => (await aws(url, 'StartExecution', { stateMachineArn, name, input: JSON.stringify(input) })).executionArn;

  const lines = (n, bad) => Array.from({ length: n }, (_, i) => ({ sku: `A-${i}`, count: bad.includes(i) ? 500 : i + 1 }));
  const ok = await start(orders, 'order-1001', { id: 1001, customer: { id: 42, name: 'Ada' }, lines: lines(12, []) });
  const failedMap = await start(orders, 'order-1002', { id: 1002, customer: { id: 7, name: 'Grace' }, lines: lines(9, [4]) });
  const failed = await start(supplier, 'supplier-1', { id: 1002 });
  const live = await start(courier, 'parcel-1', { parcel: 77 });
  for (let i = 0; i < 6; i++) await start(orders, `order-11${i}`, { id: 1100 + i, lines: lines(3, i === 4 ? [1] : []) });
  for (let attempt = 0; attempt < 2; attempt++) {
    const { taskToken } = await aws(url, 'GetActivityTask', { activityArn: retrying.States['Ask the supplier'].Resource });
    await aws(url, 'SendTaskFailure', { taskToken, error: 'Supplier.Closed', cause: JSON.stringify({ errorMessage: 'Nobody answers on Sundays', errorType: 'Closed' }) });
  }
  await untilStatus(url, ok, 'SUCCEEDED');
  await untilStatus(url, failedMap, 'FAILED');
  await untilStatus(url, failed, 'FAILED');
  return { ok, failedMap, failed, live, activity: activity.activityArn };
}
