// Map Runs as a console has to show them: ended with failures, under way, large.
import { aws, makeMachine, rest, until, untilStatus } from './harness.mjs';

export const hostile = '<img src=x onerror="window.hacked=1"> ‮gnp.exe';

/** A distributed Map whose items say what becomes of them. */
export function mapping(label, more = {}) {
  return {
    StartAt: 'Check each page',
    States: {
      'Check each page': {
        Type: 'Map',
        Label: label,
        ItemsPath: '$.pages',
        ItemProcessor: {
          ProcessorConfig: { Mode: 'DISTRIBUTED', ExecutionType: 'STANDARD' },
          StartAt: 'Read it',
          States: {
            'Read it': {
              Type: 'Choice',
              Choices: [
                { Variable: '$.is', StringEquals: 'gone', Next: 'Gone' },
                { Variable: '$.is', StringEquals: 'odd', Next: 'Odd' },
                { Variable: '$.is', StringEquals: 'slow', Next: 'Take time' },
              ],
              Default: 'Fine',
            },
            Gone: { Type: 'Fail', Error: 'Page.Gone', Cause: 'The server answered 410.' },
            Odd: { Type: 'Fail', Error: 'Page.Odd', Cause: hostile },
            'Take time': { Type: 'Wait', Seconds: 3600, Next: 'Fine' },
            Fine: { Type: 'Succeed' },
          },
        },
        End: true,
        ...more,
      },
    },
  };
}

export const pages = (n, is) => ({ pages: Array.from({ length: n }, (_, i) => ({ page: i, is: is(i) })) });

/** The Map Run of an execution, once there is one. */
export const mapRunOf = (url, executionArn) => until(async () => (await aws(url, 'ListMapRuns', { executionArn })).mapRuns[0]?.mapRunArn, 'a Map Run has begun');

export const countsOf = (url, run) => rest(url, 'GET', `/mapruns/${encodeURIComponent(run)}/counts`);

export async function startWith(url, stateMachineArn, name, input) {
  return (await aws(url, 'StartExecution', { stateMachineArn, name, input: JSON.stringify(input) })).executionArn;
}

export async function seed(url) {
  const strict = await makeMachine(url, 'check-pages', mapping('pages', { ToleratedFailurePercentage: 3, MaxConcurrency: 40 }));
  const kind = await makeMachine(url, 'crawl', mapping('crawl', { ToleratedFailureCount: 12, MaxConcurrency: 24 }));
  const failed = await startWith(url, strict, 'nightly', pages(600, (i) => (i % 41 === 7 ? 'gone' : i % 97 === 3 ? 'odd' : 'fine')));
  const live = await startWith(url, kind, 'crawl-1', pages(150, (i) => (i >= 96 ? 'slow' : i % 30 === 4 ? 'gone' : 'fine')));
  await untilStatus(url, failed, 'FAILED');
  const [failedRun, liveRun] = [await mapRunOf(url, failed), await mapRunOf(url, live)];
  await until(async () => (await countsOf(url, liveRun)).executions.running === 24, 'as many run as may');
  return { failed, failedRun, live, liveRun };
}
