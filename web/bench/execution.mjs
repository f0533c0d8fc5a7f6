// How soon a large execution can be seen, and how smoothly it scrolls:
//   LOCKSTEP_BIN=../bin/lockstep node bench/execution.mjs
import { aws, makeMachine, openPage, startBrowser, startServer, untilStatus } from '../e2e/harness.mjs';
import { mainThreadTasks, ms, perFrame, quantile, traced } from './trace.mjs';

const items = 4100; // each makes six events
const definition = {
  StartAt: 'Each',
  States: {
    Each: { Type: 'Map', MaxConcurrency: 40, ItemProcessor: { StartAt: 'Look', States: { Look: { Type: 'Pass', Next: 'Note' }, Note: { Type: 'Pass', End: true } } }, ResultPath: null, Next: 'Stop here' },
    'Stop here': { Type: 'Fail', Error: 'Bench.Failed', Cause: 'On purpose, after some 25,000 events.' },
  },
};

const server = await startServer();
const browser = await startBrowser();
try {
  const machine = await makeMachine(server.url, 'large', definition);
  const { executionArn } = await aws(server.url, 'StartExecution', { stateMachineArn: machine, name: 'large', input: JSON.stringify(Array.from({ length: items }, (_, i) => i)) });
  for (let i = 0; ; i++) {
    if ((await aws(server.url, 'DescribeExecution', { executionArn })).status !== 'RUNNING') break;
    if (i > 1200) throw new Error('the execution does not end');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  await untilStatus(server.url, executionArn, 'FAILED');
  const { events } = await aws(server.url, 'GetExecutionHistory', { executionArn, maxResults: 1, reverseOrder: true });
  console.log(`an execution of ${events[0].id} events`);
  const at = `/executions/${encodeURIComponent(executionArn)}?view=timeline`;

  const seen = { failed: [], rows: [] };
  const runs = Number(process.env.BENCH_RUNS ?? 6);
  for (let run = 0; run < runs; run++) {
    const page = await openPage(browser, server);
    await page.addInitScript(() => {
      window.seen = {};
      const look = () => {
        if (!window.seen.failed && document.querySelector('section[aria-label^="Failed in"]')) window.seen.failed = performance.now();
        // A row of the timeline has its state's name as a title.
        if (!window.seen.rows && document.querySelector('[role="group"][aria-label="Timeline"] [title]')) window.seen.rows = performance.now();
        if (!window.seen.failed || !window.seen.rows) requestAnimationFrame(look);
      };
      requestAnimationFrame(look);
    });
    await page.goto(at);
    await page.waitForFunction(() => window.seen.failed && window.seen.rows, undefined, { timeout: 60_000 });
    const got = await page.evaluate(() => window.seen);
    // The first warms the server and the browser's cache of code.
    if (run > 0) for (const key of ['failed', 'rows']) seen[key].push(got[key]);
    await page.context().close();
  }
  for (const key of ['failed', 'rows']) console.log(`${key === 'failed' ? 'failed state' : 'first timeline rows'} visible: median ${ms(quantile(seen[key], 0.5))}, slowest ${ms(Math.max(...seen[key]))} (is to be below 1000 ms)`);

  for (const view of ['timeline', 'table', 'events']) {
    const page = await openPage(browser, server);
    await page.goto(at.replace('timeline', view));
    await page.getByRole('heading', { level: 1 }).waitFor();
    await page.waitForFunction(() => document.querySelectorAll('#content tbody tr, #content [role="group"] [title]').length > 0);
    await page.waitForTimeout(3000);
    await page.mouse.move(700, 620);
    const trace = await traced(page, async () => {
      await page.evaluate(() => {
        const frame = () => requestAnimationFrame(frame);
        frame();
      });
      for (let i = 0; i < 90; i++) {
        await page.mouse.wheel(0, i < 60 ? 240 : -240);
        await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(resolve)));
      }
    });
    const tasks = mainThreadTasks(trace);
    const frames = perFrame(trace, tasks);
    console.log(`${view}: ${frames.length} scrolled frames, main thread per frame p50 ${ms(quantile(frames, 0.5))}, p95 ${ms(quantile(frames, 0.95))} (is to be below 12 ms), longest task ${ms(Math.max(...tasks.map((t) => t.took), 0))}`);
    await page.context().close();
  }
} finally {
  await browser.close();
  await server.close();
}
