// The console's end-to-end tests: node e2e/run.mjs [NAME…] runs those whose name
// contains one of the words. Files run side by side in one browser, each over a
// server of its own, LOCKSTEP_E2E_WORKERS at a time; the tests of a file run one
// after the other.
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { inTheme, openPage, shot, startBrowser, startServer, violations } from './harness.mjs';

const folder = join(dirname(fileURLToPath(import.meta.url)), 'tests');
const words = process.argv.slice(2);
const browser = await startBrowser();
let [passed, failed] = [0, 0];
const began = Date.now();

const waiting = [];
for (const file of readdirSync(folder).filter((name) => name.endsWith('.mjs')).sort()) {
  const { default: suite } = await import(pathToFileURL(join(folder, file)));
  const wanted = suite.tests.filter((t) => words.length === 0 || words.some((w) => `${file} ${t.name}`.includes(w)));
  if (wanted.length > 0) waiting.push({ file, suite, wanted });
}
// Files with most tests first, so that none is left for last that takes long.
waiting.sort((a, b) => b.wanted.length - a.wanted.length);
const workers = Number(process.env.LOCKSTEP_E2E_WORKERS) || Math.max(2, Math.min(4, availableParallelism()));
await Promise.all(
  Array.from({ length: workers }, async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) await runFile(next);
  }),
);

async function runFile({ file, suite, wanted }) {
  const server = await startServer(suite.args ?? [], suite.command);
  try {
    const seeded = await suite.seed?.(server.url);
    for (const test of wanted) {
      const from = Date.now();
      const pages = [];
      const problems = [];
      const tools = {
        server,
        seeded,
        /** A page at an address of the console, when its heading is there. */
        async open(path, options) {
          const page = await openPage(browser, server, options);
          pages.push(page);
          await page.goto(path);
          await page.getByRole('heading', { level: 1 }).waitFor();
          return page;
        },
        /** What axe finds counts as a problem; a picture is taken. */
        async look(page, name) {
          problems.push(...(await violations(page)).map((v) => `axe, ${name} ${page.theme}: ${v}`));
          await shot(page, name);
        },
        /** The same in both themes, of a page that is open. */
        async lookBoth(page, name) {
          const first = page.theme;
          await tools.look(page, name);
          await inTheme(page, first === 'dark' ? 'light' : 'dark');
          await tools.look(page, name);
          await inTheme(page, first);
        },
      };
      try {
        await test.run(tools);
      } catch (err) {
        problems.push(err.stack ?? String(err));
        for (const page of pages) await shot(page, `failed-${file.replace('.mjs', '')}-${test.name.replace(/\W+/g, '-')}`).catch(() => {});
      }
      for (const page of pages) {
        problems.push(...page.problems);
        await page.context().close();
      }
      const took = `${((Date.now() - from) / 1000).toFixed(1)} s`;
      if (problems.length === 0) {
        passed++;
        console.log(`ok    ${file.replace('.mjs', '')}: ${test.name} (${took})`);
      } else {
        failed++;
        console.log(`FAIL  ${file.replace('.mjs', '')}: ${test.name} (${took})\n${problems.map((p) => `        ${p.replaceAll('\n', '\n        ')}`).join('\n')}`);
      }
    }
    if (/panic|"level":"ERROR"|level=ERROR/.test(server.log())) {
      failed++;
      console.log(`FAIL  ${file}: the server's log has errors\n${server.log().slice(0, 3000)}`);
    }
  } catch (err) {
    failed++;
    console.log(`FAIL  ${file}: ${err.stack ?? err}`);
  } finally {
    await server.close();
  }
}
await browser.close();
console.log(`${passed} passed, ${failed} failed in ${((Date.now() - began) / 1000).toFixed(1)} s`);
process.exit(failed === 0 ? 0 : 1);
