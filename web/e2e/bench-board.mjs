// How long the board takes from an input to the next paint, with 500 cards:
//   LOCKSTEP_BIN=../bin/lockstep node e2e/bench-board.mjs [--reduced-motion] [CONSOLE-DIR…]
// Folders with built consoles are measured one after the other, '' is the one in
// the program. It is no test: what it says depends on the machine.
import { openPage, rest, startBrowser, startServer } from './harness.mjs';

const reducedMotion = process.argv.includes('--reduced-motion') ? 'reduce' : 'no-preference';
const given = process.argv.slice(2).filter((a) => !a.startsWith('--'));
const dirs = given.length > 0 ? given : [''];
const browser = await startBrowser();
try {
  for (const dir of dirs) {
    if (dir) process.env.LOCKSTEP_CONSOLE_DIR = dir;
    else delete process.env.LOCKSTEP_CONSOLE_DIR;
    console.log(dir || 'the console in the program');
    const server = await startServer();
    try {
      await bench(server);
    } finally {
      await server.close();
    }
  }
} finally {
  await browser.close();
}

async function bench(server) {
  await rest(server.url, 'POST', '/projects', { key: 'WEB', name: 'Web site' });
  await rest(server.url, 'POST', '/agents', { slug: 'writer', projects: ['WEB'] });
  for (let i = 0; i < 500; i++) {
    const t = await rest(server.url, 'POST', '/tasks', { project: 'WEB', title: `Task number ${i} with a title of some length`, labels: ['copy', 'launch'], ...(i % 2 ? { assignee: '@local' } : {}) });
    if (i % 8 === 1) await rest(server.url, 'POST', `/tasks/${t.key}/claim`);
  }
  const page = await openPage(browser, server, { width: 1440, height: 900 });
  await page.emulateMedia({ reducedMotion });
  await page.goto('/board/WEB');
  await page.getByRole('list', { name: 'Inbox' }).waitFor();
  for (;;) {
    const more = page.getByRole('button', { name: /^Show \d+ more/ });
    if ((await more.count()) === 0) break;
    const before = await page.locator('[data-card]').count();
    await more.first().click();
    await page.waitForFunction((n) => document.querySelectorAll('[data-card]').length > n, before, { timeout: 30_000 });
  }
  const cards = await page.locator('[data-card]').count();
  // From the event's time stamp to the frame after the one in which it was handled.
  await page.evaluate(() => {
    window.__took = [];
    const hear = (e) => e.key === 'Shift' || window.__deaf || requestAnimationFrame(() => setTimeout(() => window.__took.push(performance.now() - e.timeStamp)));
    window.addEventListener('keydown', hear, true);
    window.addEventListener('pointerup', hear, true);
  });
  // What the page's main thread worked for it, which other work on the machine does not change.
  const cdp = await page.context().newCDPSession(page);
  await cdp.send('Performance.enable', { timeDomain: 'threadTicks' });
  const worked = async () => (await cdp.send('Performance.getMetrics')).metrics.find((m) => m.name === 'TaskDuration').value * 1000;
  const measure = async (name, times, act, settle = 0) => {
    await page.evaluate(() => (window.__took.length = 0));
    const before = await worked();
    for (let i = 0; i < times; i++) {
      await act(i);
      await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 30))));
      // What an act sets going belongs to it: answers of the server, and what the stream then tells.
      if (settle) await page.evaluate((ms) => new Promise((done) => setTimeout(done, ms)), settle);
    }
    const work = ((await worked()) - before) / times;
    const took = (await page.evaluate(() => window.__took)).sort((a, b) => a - b);
    const at = (share) => took[Math.min(took.length - 1, Math.floor(took.length * share))].toFixed(0);
    console.log(`${name.padEnd(28)} ${String(took.length).padStart(4)} inputs  p50 ${at(0.5)} ms  p95 ${at(0.95)} ms  max ${at(1)} ms  work ${work.toFixed(0)} ms each`);
  };
  console.log(`${cards} cards`);
  await page.keyboard.press('j');
  await measure('walk down with j', 60, () => page.keyboard.press('j'));
  await measure('across with arrows', 40, (i) => page.keyboard.press(i % 2 ? 'ArrowLeft' : 'ArrowRight'));
  await measure('reorder with Shift+down', 30, () => page.keyboard.press('Shift+ArrowDown'), 250);
  // Assigned to whoever moves it: it is begun, and given back.
  await page.locator('[data-column=assigned] [data-focus]').first().focus();
  await measure('move with Shift+arrows', 20, (i) => page.keyboard.press(i % 2 ? 'Shift+ArrowLeft' : 'Shift+ArrowRight'), 500);
  await measure('open and close a task', 30, (i) => page.keyboard.press(i % 2 ? 'Escape' : 'Enter'));
  await measure('type a filter', 30, async (i) => {
    if (i === 0) await page.keyboard.press('/');
    await page.keyboard.press('abcdefghij'[i % 10]);
  });
  for (let i = 0; i < 30; i++) await page.keyboard.press('Backspace');
  await measure('set and clear a filter', 30, async (i) => {
    if (i % 2) return page.keyboard.press('Backspace');
    await page.evaluate(() => (window.__deaf = true));
    await page.keyboard.type('label:copy');
    await page.evaluate(() => (window.__deaf = false));
    return page.keyboard.press('Enter');
  }, 400);
}
