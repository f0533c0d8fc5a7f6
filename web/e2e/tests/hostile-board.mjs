import assert from 'node:assert/strict';
import { agent } from '../board-seed.mjs';
import { rest, until } from '../harness.mjs';

const run = "window.__hostile=(window.__hostile||0)+1;top.__hostile=1";
const img = `<img src=x onerror="${run}">`;
const script = `<script>${run}</script>`;
const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40" onload="${run}"><script>${run}</script><rect width="40" height="40" fill="red"/></svg>`;
const html = `<!doctype html><body onload="${run}"><h1>An offer</h1>${script}${img}<form action="https://example.invalid"><button>Go</button></form><a href="javascript:${run}" target=_top>x</a></body>`;
const markdown = `# Hello ${script}\n\n[link](javascript:${encodeURIComponent(run)}) ${img}\n\n![x](x" onerror="${run})\n\n<iframe srcdoc="${script}"></iframe>`;

/** Waits until a page had time to do what it must not, and says that it did not. */
async function quiet(page, where) {
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 60))));
  assert.equal(await page.evaluate(() => window.__hostile), undefined, `a script ran: ${where}`);
  assert.equal(await page.locator('main script, main iframe:not([sandbox=""]), main [onerror], main [onload], main a[href^="javascript:"]').count(), 0, where);
}

// What a sandbox stops, the browser tells on its console.
const told = (page) => {
  page.problems.splice(0, page.problems.length, ...page.problems.filter((p) => !/sandboxed|Content Security Policy|Blocked script|violates the following/.test(p)));
};

export default {
  async seed(url) {
    await rest(url, 'POST', '/projects', { key: 'WEB', name: `Site ${img}` });
    const writer = await agent(url, 'writer', { name: `Writer ${img}` });
    await rest(url, 'POST', '/tasks', { project: 'WEB', title: `Draft ${script}${img}`, assignee: '@writer', description: markdown, labels: [img], acceptance_criteria: [`No ${img}`] });
    const lease = await writer.claim('WEB-1');
    await writer.call('POST', '/tasks/WEB-1/progress', { note: `note ${img}` }, lease);
    await rest(url, 'POST', '/tasks/WEB-1/comments', { body: markdown });
    const add = (d) => writer.call('POST', '/tasks/WEB-1/deliverables', d, lease);
    await add({ kind: 'text', title: 'page.html', media_type: 'text/html', content: html });
    await add({ kind: 'text', title: 'mark.svg', media_type: 'image/svg+xml', content: svg });
    await add({ kind: 'text', title: 'notes.md', media_type: 'text/markdown', content: markdown });
    await add({ kind: 'json', title: 'data.json', content: JSON.stringify({ [img]: script }) });
    await add({ kind: 'url', title: 'where', url: `javascript:${run}` });
    const { blob } = await fetch(`${url}/api/v1/blobs`, { method: 'POST', headers: { ...writer.headers, 'Content-Type': 'application/octet-stream' }, body: html }).then((r) => r.json());
    await add({ kind: 'file', title: `../../${img}.html`, media_type: 'text/html', blob });
    const { review } = await writer.call('POST', '/tasks/WEB-1/submit', { summary: markdown, output: { text: script, [img]: img } }, lease);
    return { review };
  },
  tests: [
    {
      name: 'names, labels, notes and titles on the board stay text',
      async run({ open }) {
        const page = await open('/board/WEB?group=agent');
        await page.getByRole('link', { name: /^Draft <script>/ }).waitFor();
        await quiet(page, 'the board');
      },
    },
    {
      name: 'description, comments, run log and output in the drawer do nothing',
      async run({ open }) {
        for (const tab of ['overview', 'work', 'comments', 'history']) {
          const page = await open(`/board/WEB?task=WEB-1&tab=${tab}`);
          await page.getByRole('complementary', { name: 'Task WEB-1' }).getByRole('tab', { selected: true }).waitFor();
          await page.getByText(tab === 'work' ? /note <img/ : tab === 'history' ? /deliverable created/ : /Hello/).first().waitFor();
          await quiet(page, `the drawer, ${tab}`);
        }
      },
    },
    ...[
      ['page.html', 'HTML is shown in a sandbox without scripts', async (page) => {
        const frame = page.locator('iframe[title="Preview of page.html"]');
        await frame.waitFor();
        assert.equal(await frame.getAttribute('sandbox'), '');
        await page.frameLocator('iframe[title="Preview of page.html"]').getByRole('heading', { name: 'An offer' }).waitFor();
      }],
      ['mark.svg', 'SVG is a picture', async (page) => {
        const picture = page.getByRole('img', { name: 'mark.svg' });
        await until(() => picture.evaluate((el) => el.complete && el.naturalWidth > 0), 'the picture is there');
        assert.match(await picture.getAttribute('src'), /^data:image\/svg\+xml;base64,/);
      }],
      ['notes.md', 'Markdown is sanitised', async (page) => {
        await page.getByRole('heading', { name: /^Hello/ }).last().waitFor();
      }],
      ['data.json', 'JSON is a tree of texts', async (page) => {
        await page.getByText('<script>').first().waitFor();
      }],
      ['where', 'an address that is a script is no link', async (page) => {
        await page.getByText('javascript:window').waitFor();
        assert.equal(await page.getByRole('link', { name: /javascript/ }).count(), 0);
      }],
      ['.html', 'a hostile file name is a text, and the file is a download', async (page) => {
        const link = page.getByRole('link', { name: 'Download' });
        await link.waitFor();
        assert.doesNotMatch(await link.getAttribute('download'), /[<>/]/);
      }],
    ].map(([title, name, check]) => ({
      name: `deliverable: ${name}`,
      async run({ open, seeded }) {
        const page = await open(`/reviews/${seeded.review.id}`);
        const files = page.getByRole('group', { name: 'Deliverables' });
        await files.getByRole('button', { name: title === '.html' ? /\.\.\/\.\.\// : title, exact: true }).click();
        await check(page);
        await quiet(page, title);
        told(page);
      },
    })),
  ],
};
