// What a page that is left open costs while much goes on:
//   LOCKSTEP_BIN=../bin/lockstep node bench/live.mjs [minutes, default 10]
import { aws, makeMachine, openPage, startBrowser, startServer } from '../e2e/harness.mjs';
import { mainThreadTasks, ms, quantile, traced } from './trace.mjs';

const minutes = Number(process.argv[2] ?? 10);
const executions = Number(process.env.BENCH_EXECUTIONS ?? 2000);
// Each goes around in so many seconds, with six events: together they make 200 events a second.
const around = Math.round((executions * 6) / 200);
const definition = {
  StartAt: 'Wait',
  States: {
    Wait: { Type: 'Wait', Seconds: around, Next: 'Note' },
    Note: { Type: 'Pass', Next: 'Enough?' },
    'Enough?': { Type: 'Choice', Choices: [{ Variable: '$.enough', IsPresent: true, Next: 'Done' }], Default: 'Wait' },
    Done: { Type: 'Succeed' },
  },
};

const server = await startServer();
const browser = await startBrowser();
const sleep = (t) => new Promise((resolve) => setTimeout(resolve, t));
try {
  const machine = await makeMachine(server.url, 'beat', definition);
  const names = [];
  for (let i = 0; i < executions; i += 10) {
    // Spread over one time around, so that it stays even.
    const from = Date.now();
    names.push(...(await Promise.all(Array.from({ length: 10 }, (_, j) => aws(server.url, 'StartExecution', { stateMachineArn: machine, name: `beat-${i + j}`, input: '{}' })))));
    await sleep(Math.max(0, (around * 10_000) / executions - (Date.now() - from)));
  }
  const first = names[0].executionArn;
  const newest = async () => (await aws(server.url, 'GetExecutionHistory', { executionArn: first, maxResults: 1, reverseOrder: true })).events[0].id;
  const pages = {
    'the list': await openPage(browser, server),
    'an execution': await openPage(browser, server),
  };
  await pages['the list'].goto('/executions?q=status:running');
  await pages['an execution'].goto(`/executions/${encodeURIComponent(first)}?view=timeline`);
  const began = Date.now();
  const beganAt = await newest();
  const sessions = {};
  for (const [name, page] of Object.entries(pages)) {
    await page.getByRole('heading', { level: 1 }).waitFor();
    await page.evaluate(() => {
      window.long = [];
      new PerformanceObserver((list) => list.getEntries().forEach((e) => window.long.push(e.duration))).observe({ type: 'longtask' });
    });
    sessions[name] = await page.context().newCDPSession(page);
    await sessions[name].send('HeapProfiler.enable');
  }
  const heaps = {};
  const heap = async (name) => {
    await sessions[name].send('HeapProfiler.collectGarbage');
    return (await sessions[name].send('Runtime.getHeapUsage')).usedSize;
  };
  const tasks = {};
  const end = began + minutes * 60_000;
  const mark = began + minutes * 12_000; // a fifth of the time, two minutes of ten
  let marked = false;
  while (Date.now() < end) {
    for (const [name, page] of Object.entries(pages)) {
      await page.bringToFront();
      const trace = await traced(page, () => sleep(Math.min(10_000, Math.max(1000, end - Date.now()))));
      (tasks[name] ??= []).push(...mainThreadTasks(trace).map((t) => t.took));
    }
    if (!marked && Date.now() >= mark) {
      marked = true;
      for (const name of Object.keys(pages)) heaps[name] = await heap(name);
    }
  }
  const spent = (Date.now() - began) / 60_000;
  console.log(`${executions} executions running, ${(((await newest()) - beganAt) * executions / (spent * 60)).toFixed(0)} events/s, ${spent.toFixed(1)} min`);
  for (const [name, page] of Object.entries(pages)) {
    const long = await page.evaluate(() => window.long);
    const last = await heap(name);
    const grown = (last / heaps[name] - 1) * 100;
    console.log(
      `${name}: tasks p99 ${ms(quantile(tasks[name], 0.99))} (below 100), longest ${ms(Math.max(...tasks[name]))}; ${(long.length / spent).toFixed(1)} long tasks a minute (at most 5); ` +
        `heap ${(heaps[name] / 1e6).toFixed(1)} MB, at the end ${(last / 1e6).toFixed(1)} MB: ${grown >= 0 ? '+' : ''}${grown.toFixed(1)} % (at most 10)`,
    );
  }
} finally {
  await browser.close();
  await server.close();
}
