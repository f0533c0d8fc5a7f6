// What each end-to-end test stands on: the real binary over an empty folder, a
// browser that minds every error, calls of the public APIs, axe, and pictures.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const here = dirname(fileURLToPath(import.meta.url));
const axe = readFileSync(join(here, '../node_modules/axe-core/axe.min.js'), 'utf8');

/** Where pictures go; the folder is not part of the repository. */
export const shots = process.env.LOCKSTEP_SHOTS ?? join(here, 'shots');

/** Starts `lockstep dev`, or serve, over an empty folder; close() ends it, by its process id, and removes the folder. */
export async function startServer(args = [], command = 'dev') {
  const data = mkdtempSync(join(tmpdir(), 'lockstep-e2e-'));
  const binary = process.env.LOCKSTEP_BIN;
  if (!binary) throw new Error('LOCKSTEP_BIN names the binary to test, such as ../bin/lockstep');
  const child = spawn(binary, [command, '--listen', '127.0.0.1:0', '--data', data, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  child.stderr.on('data', (text) => (log += text));
  const ended = new Promise((resolve) => child.on('exit', resolve));
  let out = '';
  const url = await new Promise((resolve, reject) => {
    child.stdout.on('data', (text) => {
      out += text;
      const found = /ready at (http:\S+)/.exec(out);
      if (found) resolve(found[1]);
    });
    child.on('exit', (code) => reject(new Error(`lockstep ${command} ended with ${code}: ${log}`)));
  });
  return {
    url,
    data,
    log: () => log,
    /** What it has printed, as soon as that fits a pattern. */
    said: (pattern) => until(() => pattern.exec(out)?.[0], `the server says ${pattern}`),
    async close() {
      child.kill('SIGTERM');
      await ended;
      rmSync(data, { recursive: true, force: true });
    },
  };
}

/** Calls an action of the AWS API. */
export async function aws(url, action, input, headers = {}) {
  const answer = await fetch(`${url}/`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/x-amz-json-1.0', 'X-Amz-Target': `AWSStepFunctions.${action}`, ...headers },
    body: JSON.stringify(input),
  });
  const said = await answer.json();
  if (!answer.ok) throw new Error(`${action}: ${JSON.stringify(said)}`);
  return said;
}

/** Calls the control plane: rest(url, 'POST', '/tasks', {…}). */
export async function rest(url, method, path, body, headers = {}) {
  const answer = await fetch(`${url}/api/v1${path}`, {
    method,
    headers: { ...(body === undefined ? {} : { 'Content-Type': 'application/json' }), ...headers },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
  return text ? JSON.parse(text) : undefined;
}

const role = 'arn:aws:iam::123456789012:role/any';

/** Makes a state machine and returns its ARN. */
export async function makeMachine(url, name, definition, more = {}) {
  const made = await aws(url, 'CreateStateMachine', { name, definition: JSON.stringify(definition), roleArn: role, ...more });
  return made.stateMachineArn;
}

/** Waits until an execution has one of the statuses. */
export async function untilStatus(url, executionArn, ...statuses) {
  return untilStatusAs({}, url, executionArn, ...statuses);
}

/** The same for a caller who says who they are. */
export async function untilStatusAs(headers, url, executionArn, ...statuses) {
  return until(async () => {
    const x = await aws(url, 'DescribeExecution', { executionArn }, headers);
    return statuses.includes(x.status) ? x : undefined;
  }, `${executionArn} is ${statuses.join(' or ')}`);
}

/** Waits for something that can only be asked for. */
export async function until(ask, what, most = 10_000) {
  const deadline = Date.now() + most;
  for (;;) {
    const got = await ask();
    if (got !== undefined && got !== false) return got;
    if (Date.now() > deadline) throw new Error(`waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

export async function startBrowser() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    headless: true,
    args: [
      '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync',
    ],
  });
}

/** Requests that may fail, by a part of their address: a part of the server that a build may lack. */
const mayFail = [];

/** A page of the console, in one theme. Errors on its console and requests that fail end up in problems. */
export async function openPage(browser, server, { theme = 'light', width = 1440, height = 900, mayFailToo = [] } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, baseURL: server.url, reducedMotion: 'reduce', colorScheme: theme, timezoneId: 'Europe/Berlin', locale: 'en-GB' });
  context.setDefaultTimeout(12_000);
  const page = await context.newPage();
  const problems = [];
  const excused = (url) => [...mayFail, ...mayFailToo].some((p) => p.test(url));
  page.on('pageerror', (err) => problems.push(`error: ${err.message}`));
  page.on('console', (message) => {
    if (message.type() !== 'error' && message.type() !== 'warning') return;
    if (excused(message.location().url ?? '')) return;
    problems.push(`console ${message.type()}: ${message.text()} (${message.location().url})`);
  });
  page.on('requestfailed', (request) => {
    const why = request.failure()?.errorText ?? '';
    if (!/ERR_ABORTED/.test(why) && !excused(request.url())) problems.push(`request failed: ${request.url()} ${why}`);
  });
  page.on('response', (response) => {
    if (response.status() >= 400 && !excused(response.url())) problems.push(`status ${response.status()}: ${response.request().method()} ${response.url()}`);
  });
  page.problems = problems;
  page.theme = theme;
  return page;
}

/** Turns a page that is open into another theme, as the system's setting does. */
export async function inTheme(page, theme) {
  await page.emulateMedia({ colorScheme: theme });
  await page.locator(`html[data-mantine-color-scheme=${theme}]`).waitFor({ state: 'attached' });
  page.theme = theme;
}

/** What axe finds on a page; [] is what it should be. */
export async function violations(page) {
  // A hint that is just fading is in no landmark. By way of the debugger, since the page's policy allows no scripts but its own.
  await page.evaluate(axe);
  const found = await page.evaluate(async () => {
    const { violations } = await window.axe.run({ exclude: ['[role=tooltip]'] }, { resultTypes: ['violations'], runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] });
    // A menu or a list that is open stands outside the landmarks, where it cannot be cut off.
    const open = '[role=menu], [role=listbox]';
    const inPopup = (n) => n.target.some((t) => document.querySelector(t)?.matches(`[data-portal], [data-portal] *`) && document.querySelector(t).closest('[data-portal]').querySelector(open));
    return violations.map((v) => ({ ...v, nodes: v.id === 'region' ? v.nodes.filter((n) => !inPopup(n)) : v.nodes })).filter((v) => v.nodes.length > 0);
  });
  return found.map((v) => `${v.id} (${v.impact}): ${v.nodes.slice(0, 4).map((n) => `${n.target.join(' ')} ${n.any[0]?.message ?? n.failureSummary ?? ''}`).join('; ')}`);
}

/** Writes a picture of the page: shots/<name>-<theme>.png. */
export async function shot(page, name, options = {}) {
  mkdirSync(shots, { recursive: true });
  await page.screenshot({ path: join(shots, `${name}-${page.theme}.png`), ...options });
}
