import assert from 'node:assert/strict';
import { deflateSync, crc32 } from 'node:zlib';
import { agent } from '../board-seed.mjs';
import { rest, until } from '../harness.mjs';

const inbox = (page) => page.getByRole('navigation', { name: 'Reviews that wait for you' });
const heading = (page, name) => page.getByRole('heading', { level: 2, name });

/** A PNG of one colour with a white band across it. */
function png(width, height, [r, g, b], band) {
  const rows = [];
  for (let y = 0; y < height; y++) {
    const row = Buffer.alloc(1 + width * 3);
    for (let x = 0; x < width; x++) row.set(y >= band && y < band + 40 ? [255, 255, 255] : [r, g, b], 1 + x * 3);
    rows.push(row);
  }
  const chunk = (type, data) => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const out = Buffer.alloc(body.length + 8);
    out.writeUInt32BE(data.length);
    body.copy(out, 4);
    out.writeUInt32BE(crc32(body) >>> 0, body.length + 4);
    return out;
  };
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width);
  head.writeUInt32BE(height, 4);
  head.set([8, 2, 0, 0, 0], 8);
  return Buffer.concat([Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]), chunk('IHDR', head), chunk('IDAT', deflateSync(Buffer.concat(rows))), chunk('IEND', Buffer.alloc(0))]);
}

export default {
  async seed(url) {
    await rest(url, 'POST', '/projects', { key: 'WEB', name: 'Web site' });
    const writer = await agent(url, 'writer');
    await agent(url, 'chief', { role: 'lead' });
    await agent(url, 'coder');
    const task = (title) => rest(url, 'POST', '/tasks', { project: 'WEB', title, assignee: '@writer' });
    const seeded = { writer };

    await task('Draft the page');
    seeded.draft = await writer.finish('WEB-1', [{ kind: 'text', title: 'page.md', media_type: 'text/markdown', content: '# Hello\n\nIt is teh best.\n' }, { kind: 'json', title: 'meta.json', content: '{"words":4}' }], 'As asked.', { words: 4 });
    await task('Deploy the page');
    const lease = await writer.claim('WEB-2');
    seeded.action = await writer.call('POST', '/reviews', { task: 'WEB-2', kind: 'action', title: 'Deploy to production', payload: { command: 'deploy', target: 'production' }, lease_token: lease }, lease);
    for (const title of ['Pass me on', 'Not now', 'Next week']) {
      const t = await task(title);
      seeded[title] = await writer.finish(t.key, [{ kind: 'text', title: 'text.md', content: `# ${title}\n` }], 'As asked.');
    }

    const t = await task('Draw the banner');
    const draw = async (colour, band) => {
      const answer = await fetch(`${url}/api/v1/blobs`, { method: 'POST', headers: { ...writer.headers, 'Content-Type': 'application/octet-stream' }, body: png(640, 280, colour, band) });
      return { kind: 'file', title: 'banner.png', media_type: 'image/png', series: 'banner', blob: (await answer.json()).blob };
    };
    const first = await writer.finish(t.key, [await draw([30, 100, 180], 40)], 'A banner.');
    await rest(url, 'POST', `/reviews/${first.id}/decision`, { verdict: 'changes_requested', comment: 'Green, please, and the band lower' });
    seeded.banner = await writer.finish(t.key, [await draw([30, 140, 70], 190)], 'Green now.');
    return seeded;
  },
  tests: [
    {
      name: 'two versions of a picture are compared with a slider, by keyboard and by pointer',
      async run({ open, look, seeded }) {
        for (const theme of ['light', 'dark']) {
          const page = await open(`/reviews/${seeded.banner.id}`, { theme });
          const before = page.getByRole('img', { name: 'banner.png, earlier version' });
          await before.waitFor();
          await page.getByRole('img', { name: 'banner.png, this version' }).waitFor();
          const slider = page.getByRole('slider', { name: 'How much of the earlier version is shown' });
          assert.equal(await slider.getAttribute('aria-valuetext'), '50 % earlier version');
          await look(page, 'review-picture');
          await slider.focus();
          await page.keyboard.press('ArrowRight');
          await page.keyboard.press('ArrowUp');
          assert.equal(await slider.getAttribute('aria-valuetext'), '52 % earlier version');
          assert.match(page.url(), new RegExp(seeded.banner.id), 'the arrows move the slider, not the list');
          await page.keyboard.press('Home');
          assert.match(await before.getAttribute('style'), /inset\(0px 100% 0px 0px\)|inset\(0 100% 0 0\)/);
          await page.keyboard.press('End');
          assert.equal(await slider.getAttribute('aria-valuetext'), '100 % earlier version');
          const box = await before.boundingBox();
          assert.ok(box.width > 300, 'the picture has a size to compare');
          await page.mouse.move(box.x + box.width * 0.9, box.y + 30);
          await page.mouse.down();
          await page.mouse.move(box.x + box.width * 0.25, box.y + 30, { steps: 4 });
          await page.mouse.up();
          assert.equal(await slider.getAttribute('aria-valuetext'), '25 % earlier version');
          // With nothing to compare there is the picture alone.
          await page.getByRole('heading', { level: 2 }).click();
          await page.keyboard.press(',');
          await page.getByRole('img', { name: 'banner.png', exact: true }).waitFor();
          assert.equal(await slider.count(), 0);
        }
        for (const width of [1024, 390]) {
          const page = await open(`/reviews/${seeded.banner.id}`, { width });
          await page.getByRole('img', { name: 'banner.png, earlier version' }).waitFor();
          await look(page, `review-picture-${width}`);
          assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), true, 'nothing is wider than the page');
        }
      },
    },
    {
      name: 'edit and approve, by keyboard alone: texts, JSON and output in one verdict',
      async run({ open, look, server, seeded }) {
        const page = await open(`/reviews/${seeded.draft.id}`);
        await heading(page, 'Draft the page').waitFor();
        await page.keyboard.press('e');
        const dialog = page.getByRole('dialog', { name: 'Edit and approve' });
        const editor = dialog.getByRole('textbox', { name: 'Your version of page.md' });
        await editor.waitFor();
        await until(() => editor.evaluate((el) => el.contains(document.activeElement)), 'the editor has the focus');
        const approve = dialog.getByRole('button', { name: 'Approve with this edit' });
        assert.equal(await approve.isDisabled(), true, 'nothing is edited yet');
        await page.keyboard.press('Control+Home');
        await page.keyboard.press('ArrowDown');
        await page.keyboard.press('ArrowDown');
        await page.keyboard.press('End');
        await page.keyboard.type(' Of all.');
        await look(page, 'review-edit');
        // Escape is how one leaves an editor by keyboard; it takes nothing away.
        await page.keyboard.press('Escape');
        assert.equal(await editor.textContent().then((t) => t.includes('Of all.')), true);
        await page.keyboard.press('Tab');
        assert.equal(await editor.evaluate((el) => el.contains(document.activeElement)), false);

        const choose = async (name) => {
          await dialog.getByRole('combobox', { name: 'What to edit' }).click();
          await page.getByRole('option', { name }).click();
        };
        await choose('meta.json');
        const meta = dialog.getByRole('textbox', { name: 'Your version of meta.json' });
        await meta.waitFor();
        await meta.focus();
        await page.keyboard.press('Control+a');
        await page.keyboard.insertText('{"words":');
        await page.keyboard.press('Control+Enter');
        await dialog.getByText('meta.json is not JSON yet.').waitFor();
        await look(page, 'review-edit-refused');
        await meta.focus();
        await page.keyboard.press('Control+a');
        await page.keyboard.insertText('{"words":7}');
        await choose('Output');
        const output = dialog.getByRole('textbox', { name: 'Your version of Output' });
        await output.waitFor();
        await output.focus();
        await page.keyboard.press('Control+a');
        await page.keyboard.insertText('{"words":7}');
        await choose('page.md (edited)');
        await dialog.getByText('It is teh best. Of all.').waitFor();
        await page.keyboard.press('Control+Enter');
        const decided = await until(async () => {
          const r = await rest(server.url, 'GET', `/reviews/${seeded.draft.id}`);
          return r.status === 'approved' && r;
        }, 'it is approved');
        assert.deepEqual(decided.output, { words: 7 });
        const { task, deliverables } = await rest(server.url, 'GET', '/tasks/WEB-1');
        assert.equal(task.state, 'done');
        const pinned = decided.pinned.map((p) => deliverables.find((d) => d.id === p.deliverable));
        assert.deepEqual(pinned.map((d) => [d.title, d.number, d.by.split(':')[0], d.content]), [
          ['page.md', 2, 'user', '# Hello\n\nIt is teh best. Of all.\n'],
          ['meta.json', 2, 'user', '{"words":7}'],
        ]);
        await dialog.waitFor({ state: 'detached' });
      },
    },
    {
      name: 'an action is edited and accepted; what the server refuses is said in the form',
      async run({ open, server, seeded }) {
        const page = await open(`/reviews/${seeded.action.id}`, { mayFailToo: [/\/decision$/] });
        await page.getByRole('button', { name: 'Edit and accept' }).click();
        const dialog = page.getByRole('dialog', { name: 'Edit and accept' });
        const editor = dialog.getByRole('textbox', { name: 'Your version of What it is about' });
        await editor.waitFor();
        await editor.focus();
        await page.keyboard.press('Control+a');
        await page.keyboard.insertText('{"command":"deploy","target":"staging"}');
        // Somebody else is faster.
        await page.route('**/decision', (route) => route.fulfill({ status: 409, contentType: 'application/json', body: '{"error":{"code":"version_conflict","message":"somebody else changed it"}}' }), { times: 1 });
        await dialog.getByRole('button', { name: 'Edit and accept' }).click();
        await dialog.getByRole('alert').getByText('somebody else changed it').waitFor();
        await dialog.getByRole('button', { name: 'Edit and accept' }).click();
        const decided = await until(async () => {
          const r = await rest(server.url, 'GET', `/reviews/${seeded.action.id}`);
          return r.status !== 'pending' && r;
        }, 'it is decided');
        assert.deepEqual(decided.verdicts.map((v) => [v.verdict, v.edited]), [['edit', { command: 'deploy', target: 'staging' }]]);
      },
    },
    {
      name: 'pass a review on to a lead, by keyboard alone',
      async run({ open, look, server, seeded }) {
        const id = seeded['Pass me on'].id;
        const page = await open(`/reviews/${id}`);
        await heading(page, 'Pass me on').waitFor();
        await page.keyboard.press('d');
        const dialog = page.getByRole('dialog', { name: 'Pass this review on' });
        const field = dialog.getByRole('combobox', { name: 'To whom' });
        await field.waitFor();
        await field.click();
        // Agents that are no leads, whoever did the work, and oneself are not asked.
        await page.getByRole('option').first().waitFor();
        assert.deepEqual(await page.getByRole('option').allTextContents(), ['Chief (@chief)']);
        await look(page, 'review-delegate');
        await page.keyboard.type('chi');
        await page.keyboard.press('ArrowDown');
        await page.keyboard.press('Enter');
        await dialog.getByRole('button', { name: 'Pass it on' }).focus();
        await page.keyboard.press('Enter');
        await dialog.waitFor({ state: 'detached' });
        await page.getByRole('status', { name: 'Reviews' }).getByText('Pass me on is passed on to Chief').waitFor();
        await inbox(page).getByRole('link', { name: /Pass me on/ }).waitFor({ state: 'detached' });
        const r = await rest(server.url, 'GET', `/reviews/${id}`);
        const { agents } = await rest(server.url, 'GET', '/agents');
        assert.ok(r.reviewers.includes(`agent:${agents.find((a) => a.slug === 'chief').id}`));
        assert.equal((await rest(server.url, 'GET', '/reviews?mine=1')).reviews.some((w) => w.review.id === id), false);
        // Whoever opens it later sees where it went.
        await page.goto(`/reviews/${id}`);
        await page.getByText('passed it on to Chief').waitFor();
      },
    },
    {
      name: 'snooze a review by one key, take it back, and hide it until next week',
      async run({ open, look, server, seeded }) {
        const id = seeded['Not now'].id;
        const page = await open(`/reviews/${id}`);
        const entry = inbox(page).getByRole('link', { name: /Not now/ });
        await entry.waitFor();
        await heading(page, 'Not now').waitFor();
        const mine = async () => (await rest(server.url, 'GET', '/reviews?mine=1')).reviews.map((w) => w.review.title);
        await page.keyboard.press('s');
        await entry.waitFor({ state: 'detached' });
        assert.equal((await mine()).includes('Not now'), false);
        assert.equal((await rest(server.url, 'GET', `/reviews/${id}`)).status, 'pending');
        await look(page, 'review-snoozed');
        await page.getByRole('button', { name: 'Undo' }).focus();
        await page.keyboard.press('Enter');
        await entry.waitFor();
        await heading(page, 'Not now').waitFor();
        assert.equal((await mine()).includes('Not now'), true);

        await inbox(page).getByRole('link', { name: /Next week/ }).click();
        await heading(page, 'Next week').waitFor();
        await page.getByRole('button', { name: 'More actions' }).focus();
        await page.keyboard.press('Enter');
        await page.getByRole('menuitem', { name: 'For a week' }).waitFor();
        await look(page, 'review-more');
        await page.getByRole('menuitem', { name: 'For a week' }).focus();
        await page.keyboard.press('Enter');
        await inbox(page).getByRole('link', { name: /Next week/ }).waitFor({ state: 'detached' });
        const until_ = Object.values((await rest(server.url, 'GET', `/reviews/${seeded['Next week'].id}`)).snoozed);
        assert.ok(until_.every((at) => Date.parse(at) > Date.now() + 6 * 86_400_000));
        assert.equal((await mine()).includes('Next week'), false);
      },
    },
  ],
};
