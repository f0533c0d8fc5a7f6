// The editor of state machines.
import assert from 'node:assert/strict';
import { aws, makeMachine, rest, until } from '../harness.mjs';

const hostile = '<img src=x onerror="window.hacked=1">';

const machine = async (url, name) => aws(url, 'DescribeStateMachine', { stateMachineArn: `arn:aws:states:us-east-1:123456789012:stateMachine:${name}` });
const notHacked = async (page) => assert.equal(await page.evaluate(() => window.hacked), undefined);

/** What the problems panel says, as texts; it is settled when it does not check. */
async function problems(page) {
  const panel = page.getByRole('region', { name: 'Problems' });
  await until(async () => !(await panel.getByRole('status').textContent()).includes('Checking'), 'the check is done');
  return panel.getByRole('listitem').allTextContents();
}

export default {
  tests: [
    {
      name: 'a workflow is built and published by keyboard alone',
      async run({ server, open, look }) {
        const page = await open('/machines/new');
        const canvas = page.getByRole('group', { name: 'Canvas' });
        await page.getByRole('textbox', { name: 'Name' }).waitFor();
        await page.keyboard.type('by-keyboard');
        // Out of the fields, so that single keys are keys.
        await until(async () => {
          await page.keyboard.press('Tab');
          return page.evaluate(() => document.activeElement?.textContent === 'Add the first state');
        }, 'the focus is on the button');
        const insert = async (words, key = 'a') => {
          await page.keyboard.press(key);
          await page.getByRole('combobox', { name: 'Insert a state' }).waitFor();
          await page.keyboard.type(words);
          await page.keyboard.press('Enter');
          await page.getByRole('combobox', { name: 'Insert a state' }).waitFor({ state: 'detached' });
        };
        await insert('pass', 'Enter');
        await canvas.getByRole('button', { name: /^Pass/, pressed: true }).waitFor();
        await insert('wait');
        await canvas.getByRole('button', { name: /^Wait/, pressed: true }).waitFor();
        await insert('succeed');
        await canvas.getByRole('button', { name: /^Success/, pressed: true }).waitFor();
        await page.keyboard.press('ArrowUp');
        await canvas.getByRole('button', { name: /^Wait/, pressed: true }).waitFor();
        await page.keyboard.press('w');
        await canvas.getByRole('button', { name: /^Parallel/, pressed: true }).waitFor();
        await page.keyboard.press('Control+z');
        await canvas.getByRole('button', { name: /^Parallel/ }).waitFor({ state: 'detached' });
        await page.keyboard.press('Control+Shift+z');
        await canvas.getByRole('button', { name: /^Parallel/ }).first().waitFor();
        assert.deepEqual(await problems(page), []);
        await look(page, 'editor-keyboard');
        await page.keyboard.press('Control+Shift+s');
        const dialog = page.getByRole('dialog', { name: 'Publish by-keyboard' });
        await dialog.waitFor();
        await look(page, 'editor-publish');
        await page.keyboard.type('The first one');
        await page.keyboard.press('Tab');
        await page.keyboard.press('Tab');
        await page.keyboard.press('Enter');
        await page.waitForURL(/\/machines\/by-keyboard$/);
        const made = JSON.parse((await machine(server.url, 'by-keyboard')).definition);
        assert.equal(made.StartAt, 'Pass');
        assert.deepEqual(Object.keys(made.States), ['Pass', 'Parallel', 'Success']);
        assert.equal(made.States.Parallel.Branches[0].States.Wait.Seconds, 60);
        assert.equal(made.States.Parallel.Next, 'Success');
      },
    },
    {
      name: 'the problems are those of the server, and broken text freezes the canvas',
      async run({ server, open, look }) {
        const text = JSON.stringify({ StartAt: 'A', States: { A: { Type: 'Task', Resource: 'arn:aws:states:::lambda:invoke', Next: 'Gone' }, B: { Type: 'Wait', Seconds: 1, End: true } } }, null, 2);
        await makeMachine(server.url, 'broken', { StartAt: 'A', States: { A: { Type: 'Pass', End: true } } });
        const page = await open('/machines/broken/edit?view=split');
        const code = page.getByRole('textbox', { name: 'Definition' });
        await code.waitFor();
        await code.click();
        await page.keyboard.press('Control+a');
        await page.evaluate((t) => document.execCommand('insertText', false, t), text);
        const want = (await aws(server.url, 'ValidateStateMachineDefinition', { definition: text, severity: 'WARNING' })).diagnostics;
        assert.ok(want.length > 0);
        const panel = page.getByRole('region', { name: 'Problems' });
        await panel.getByText(want[0].message).first().waitFor();
        const got = await problems(page);
        assert.equal(got.length, want.length);
        want.forEach((d, i) => assert.ok(got[i].includes(d.message) && got[i].includes(d.code) && got[i].includes(d.location ?? ''), `${got[i]} says ${d.message}`));
        for (const part of got) assert.match(part, /line \d+/);
        // The same are marked in the text.
        await page.locator('.cm-lintRange-error').first().waitFor();
        await look(page, 'editor-problems');
        await panel.getByRole('button').nth(1).click();
        await code.click();
        await page.keyboard.press('Control+End');
        await page.keyboard.type('x');
        await page.getByText('The text is not valid JSON right now').waitFor();
        await page.getByRole('button', { name: /^B/ }).waitFor();
        await page.keyboard.press('Control+z');
        await page.getByText('The text is not valid JSON right now').waitFor({ state: 'detached' });
        // The draft is there when somebody comes back.
        await until(() => page.evaluate(() => localStorage.getItem('lockstep.draft.broken')?.includes('Gone')), 'the draft is kept');
        await page.reload();
        await page.getByText(/Your unpublished changes/).waitFor();
        await page.getByRole('button', { name: 'Discard changes' }).click();
        await page.getByRole('button', { name: /^B/ }).waitFor({ state: 'detached' });
      },
    },
    {
      name: 'states are dragged, changed in the form, tested, and published over a conflict',
      async run({ server, open, look }) {
        const source = '{\n    "StartAt": "First",\n    "States": {\n        "First": {"Type": "Pass",   "Next": "Second"},\n        "Second": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Parameters": {"FunctionName": "f", "n": 1.50}, "Next": "Third", "X": 1},\n        "Third": {"Type": "Succeed"}\n    }\n}';
        const arn = (await aws(server.url, 'CreateStateMachine', { name: 'dragged', definition: source.replace(', "X": 1', ''), roleArn: 'arn:aws:iam::123456789012:role/any' })).stateMachineArn;
        const before = (await machine(server.url, 'dragged')).definition;
        const page = await open('/machines/dragged/edit');
        const wait = page.getByRole('complementary', { name: 'Palette' }).getByRole('button', { name: /^Wait/ });
        await page.getByRole('button', { name: /^Second/ }).waitFor();
        // By hand: a drag is under way, and over its target, before it is let go.
        const target = page.getByRole('button', { name: 'Insert between First and Second' });
        await wait.hover();
        await page.mouse.down();
        await target.hover();
        await until(async () => {
          const box = await target.boundingBox();
          await page.mouse.move(box.x + box.width / 2 + (Date.now() % 2), box.y + box.height / 2);
          return page.locator('[data-over]').count();
        }, 'the drag is over its target');
        await page.mouse.up();
        await page.getByRole('button', { name: /^Wait.*Wait/s, pressed: true }).waitFor();
        // Moved by keys: to the end of the way.
        await page.keyboard.press('m');
        await page.getByRole('combobox', { name: 'Where to' }).fill('between Second and Third');
        await page.keyboard.press('Enter');
        await page.getByRole('button', { name: 'Insert between Second and Wait' }).waitFor();
        const form = page.getByRole('complementary', { name: 'State' });
        await form.getByLabel('State name').fill(`Pause ${hostile}`);
        await page.keyboard.press('Enter');
        await page.getByRole('heading', { name: 'Pause' }).waitFor();
        await form.getByLabel('Seconds').last().fill('5');
        await notHacked(page);
        await page.getByRole('button', { name: /^Second/ }).first().click();
        await form.getByRole('tab', { name: 'Errors' }).click();
        await form.getByRole('button', { name: 'Add retrier' }).click();
        await form.getByRole('img', { name: /3 retries/ }).waitFor();
        await look(page, 'editor-retry');
        await page.getByRole('button', { name: /^First/ }).first().click();
        await page.keyboard.press('Control+Enter');
        await form.getByRole('textbox', { name: 'Input' }).fill('{"a": 1}');
        await page.keyboard.press('Control+Enter');
        await form.getByText('Next state').waitFor();
        await look(page, 'editor-test');
        // Somebody else publishes meanwhile.
        await aws(server.url, 'UpdateStateMachine', { stateMachineArn: arn, definition: before.replace('"n": 1.50', '"n": 2') });
        await page.getByRole('button', { name: 'Publish' }).click();
        const dialog = page.getByRole('dialog');
        await dialog.getByText('Somebody changed this state machine meanwhile').waitFor();
        await look(page, 'editor-conflict');
        await dialog.getByLabel('Publish over it').check();
        await dialog.getByRole('button', { name: 'Publish', exact: true }).click();
        await page.getByText('Published', { exact: true }).waitFor();
        const after = (await machine(server.url, 'dragged')).definition;
        assert.ok(after.includes('"First": {"Type": "Pass",   "Next": "Second"}'), after);
        assert.ok(after.includes('"n": 1.50'));
        assert.equal(JSON.parse(after).States[`Pause ${hostile}`].Seconds, 5);
      },
    },
    {
      name: 'the Test tab tests what is being edited, with mocks, steps and cases, and is the page of the same name',
      async run({ server, open, look, lookBoth }) {
        await makeMachine(server.url, 'tested', { QueryLanguage: 'JSONata', StartAt: 'Ask', States: { Ask: { Type: 'Task', Resource: 'arn:aws:states:::lambda:invoke', Arguments: { FunctionName: 'f', Payload: '{% $states.input %}' }, Output: '{% $states.result.Payload.n + 1 %}', Next: 'End' }, End: { Type: 'Succeed' } } });
        const page = await open('/machines/tested/edit?state=Ask&tab=test');
        const form = page.getByRole('complementary', { name: 'State' });
        await form.getByRole('textbox', { name: 'Input' }).fill('{"q": 1}');
        await form.getByRole('group', { name: 'Mock' }).or(form.getByRole('radiogroup', { name: 'Mock' })).getByText('Result').click();
        await form.getByRole('textbox', { name: 'Mocked result' }).fill('{"Payload": {"n": 41}}');
        await page.keyboard.press('Control+Enter');
        await form.getByRole('status').getByText('Next state').waitFor();
        await form.getByText('42').first().waitFor();
        await form.getByText('Arguments').first().waitFor();
        await lookBoth(page, 'editor-test-mock');
        // What is edited is what is tested, though nobody has published it.
        await form.getByRole('tab', { name: 'Data' }).click();
        await form.getByRole('tab', { name: 'Test' }).click();
        await form.getByText('{"q": 1}').waitFor();
        await form.getByRole('button', { name: 'Save as case' }).waitFor();
        await page.keyboard.press('Control+Enter');
        await form.getByRole('status').getByText('Next state').waitFor();
        await form.getByRole('button', { name: 'Save as case' }).click();
        const dialog = page.getByRole('dialog');
        await dialog.getByRole('textbox').fill('The answer');
        await page.keyboard.press('Enter');
        await form.getByRole('button', { name: 'Load The answer' }).waitFor();
        await page.goto('/machines/tested/test/Ask');
        await page.getByRole('button', { name: 'Load The answer' }).waitFor();
        await page.getByText('{"q": 1}').first().waitFor();
        await page.getByRole('button', { name: 'Run all' }).click();
        await page.getByText('Passed', { exact: true }).waitFor();
        const phone = await open('/machines/tested/edit?state=Ask&tab=test', { width: 1024 });
        await phone.getByRole('complementary', { name: 'State' }).getByRole('textbox', { name: 'Input' }).waitFor();
        await look(phone, 'editor-test-1024');
      },
    },
    {
      name: 'the editor in both themes and on small screens',
      async run({ server, open, look }) {
        const { examples } = await rest(server.url, 'GET', '/examples');
        await makeMachine(server.url, 'moderator', JSON.parse(examples[0].definition));
        for (const [theme, width] of [['light', 1440], ['dark', 1440], ['light', 1024], ['dark', 1024], ['light', 390], ['dark', 390]]) {
          const page = await open(`/machines/moderator/edit${width === 1440 ? '?state=IsItHurtful' : ''}`, { theme, width });
          await page.getByRole('button', { name: /^ScoreComment/ }).waitFor();
          await problems(page);
          await look(page, width === 1440 ? 'editor' : `editor-${width}`);
        }
        const split = await open('/machines/moderator/edit?view=split&state=AskPerson', { theme: 'dark' });
        await split.getByRole('textbox', { name: 'Definition' }).waitFor();
        await split.getByRole('button', { name: 'Format' }).click();
        await look(split, 'editor-split');
        await split.keyboard.press('Escape');
        await split.keyboard.press('3');
        await split.getByRole('button', { name: /^ScoreComment/ }).waitFor({ state: 'detached' });
        await split.getByRole('heading', { level: 1 }).click();
        await split.keyboard.press('?');
        await split.getByText('Insert a state after this one').waitFor();
      },
    },
  ],
};
