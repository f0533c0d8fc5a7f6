// What the main thread did, from a trace of the browser's.

/** Records a trace while something is done, and answers with its events. */
export async function traced(page, run) {
  const session = await page.context().newCDPSession(page);
  const events = [];
  session.on('Tracing.dataCollected', ({ value }) => events.push(...value));
  await session.send('Tracing.start', { transferMode: 'ReportEvents', traceConfig: { includedCategories: ['disabled-by-default-devtools.timeline', 'devtools.timeline', 'devtools.timeline.frame'] } });
  await run();
  const done = new Promise((resolve) => session.once('Tracing.tracingComplete', resolve));
  await session.send('Tracing.end');
  await done;
  await session.detach();
  return events;
}

/** Tasks of the busiest renderer's main thread: when each began and how long it took, in milliseconds. */
export function mainThreadTasks(events) {
  const names = new Set(events.filter((e) => e.name === 'thread_name' && e.args?.name === 'CrRendererMain').map((e) => `${e.pid}/${e.tid}`));
  const by = new Map();
  for (const e of events) {
    const thread = `${e.pid}/${e.tid}`;
    if (!/RunTask$/.test(e.name) || e.ph !== 'X' || (names.size > 0 && !names.has(thread))) continue;
    if (!by.has(thread)) by.set(thread, []);
    by.get(thread).push({ at: e.ts / 1000, took: (e.dur ?? 0) / 1000, thread });
  }
  let best = [];
  const sum = (list) => list.reduce((n, t) => n + t.took, 0);
  for (const list of by.values()) if (sum(list) > sum(best)) best = list;
  return best.sort((a, b) => a.at - b.at);
}

/** Main-thread time of each frame: what ran between one beginning of a frame and the next. */
export function perFrame(events, tasks) {
  const thread = tasks[0]?.thread;
  const of = (name) => events.filter((e) => e.name === name && `${e.pid}/${e.tid}` === thread).map((e) => e.ts / 1000).sort((a, b) => a - b);
  // Without a screen frames are not always said to begin; then it is where their callbacks ran.
  const begun = of('BeginMainThreadFrame');
  const starts = begun.length > 10 ? begun : of('FireAnimationFrame');
  const out = [];
  let i = 0;
  for (let f = 0; f + 1 < starts.length; f++) {
    let sum = 0;
    while (i < tasks.length && tasks[i].at < starts[f]) i++;
    // The task that a frame begins in began before it.
    for (let j = Math.max(0, i - 1); j < tasks.length && tasks[j].at < starts[f + 1]; j++) {
      const [from, to] = [Math.max(tasks[j].at, starts[f]), Math.min(tasks[j].at + tasks[j].took, starts[f + 1])];
      if (to > from) sum += to - from;
    }
    out.push(sum);
  }
  return out;
}

export function quantile(list, q) {
  if (list.length === 0) return 0;
  const sorted = [...list].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))];
}

export const ms = (n) => `${n.toFixed(1)} ms`;
