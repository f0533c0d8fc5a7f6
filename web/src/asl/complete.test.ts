import { expect, test } from 'vitest';
import { cursorAt, fieldsOf, offers } from './complete.ts';
import { readMachine } from './machine.ts';

const good = JSON.stringify({ StartAt: 'A', QueryLanguage: 'JSONata', States: { A: { Type: 'Task', Resource: 'x', Assign: { total: 1 }, Next: 'B' }, B: { Type: 'Pass', End: true } } }, null, 2);
const machine = readMachine(good);
const labels = (text: string, mark = '|') => {
  const at = text.indexOf(mark);
  return offers(text.replace(mark, ''), at, machine, ['arn:aws:states:::lambda:invoke'])?.options.map((o) => o.label) ?? [];
};

test('finds where it is in a text that stops', () => {
  expect(cursorAt('{"States": {"A": {"Type": "Task", "Ret', 38)).toMatchObject({ path: ['States', 'A'], where: 'key', inString: true, typed: 'Ret', type: 'Task' });
  expect(cursorAt('{"States": {"A": {"Retry": [{}, {"Err', 37)).toMatchObject({ path: ['States', 'A', 'Retry', 1], where: 'key' });
  expect(cursorAt('{"a": "x", "b": ', 16)).toMatchObject({ path: ['b'], where: 'value', inString: false });
});

test('offers states where one is named', () => {
  expect(labels('{"States": {"A": {"Type": "Task", "Next": "|"')).toEqual(['A', 'B']);
  expect(labels('{"StartAt": "|')).toEqual(['A', 'B']);
});

test('offers the fields of a type', () => {
  expect(labels('{"States": {"New": {"Type": "Wait", "|')).toEqual(fieldsOf('Wait', 'JSONata'));
  expect(labels('{"States": {"New": {"Type": "Wait", |')).toContain('Seconds');
});

test('offers variables, $states and functions within an expression', () => {
  const list = labels('{"States": {"B": {"Type": "Pass", "Output": "{% $|');
  expect(list).toContain('$total');
  expect(list).toContain('$states.input');
  expect(list).toContain('$uuid()');
  expect(labels('{"States": {"B": {"Type": "Pass", "Parameters": {"x.$": "St|')).toContain('States.Format()');
});

test('offers resources', () => {
  expect(labels('{"States": {"A": {"Resource": "|')).toEqual(['arn:aws:states:::lambda:invoke']);
});
