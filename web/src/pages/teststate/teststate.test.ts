import { expect, it } from 'vitest';
import { exportCases, expectedOf, meets, readCases, writeCases, type Case } from './cases.ts';
import { stepsOf } from './flow.ts';
import { emptyForm, fault, keepForm, keptForm, requestOf, statesOf } from './form.ts';

const definition = JSON.stringify({
  QueryLanguage: 'JSONata',
  StartAt: 'Charge',
  States: {
    Charge: { Type: 'Task', Resource: 'arn:aws:states:::lambda:invoke', Catch: [{ ErrorEquals: ['States.ALL'], Next: 'Apologise' }], Next: 'Done' },
    Apologise: { Type: 'Pass', Next: 'Done' },
    Done: { Type: 'Succeed' },
  },
});
const charge = statesOf(definition)[0]!;

it('asks for what was filled in, and for no more', () => {
  expect(requestOf(definition, charge, { ...emptyForm, input: '{"a":1}' })).toEqual({ definition, stateName: 'Charge', input: '{"a":1}', inspectionLevel: 'DEBUG' });
  const full = requestOf(definition, charge, { ...emptyForm, mock: 'error', error: 'Card.Busy', context: '{}', retries: 2, roleArn: ' arn:x ', level: 'TRACE', reveal: true });
  expect(full).toMatchObject({ mock: { errorOutput: { error: 'Card.Busy' }, fieldValidationMode: 'STRICT' }, context: '{}', roleArn: 'arn:x', stateConfiguration: { retrierRetryCount: 2 } });
  expect(full.revealSecrets, 'a mock has no secrets').toBeUndefined();
  // What calls nothing has no mock, whatever the form still has of another state.
  expect(requestOf(definition, { name: 'Done', type: 'Succeed' }, { ...emptyForm, mock: 'result' }).mock).toBeUndefined();
});

it('keeps what was filled in, without secrets, and takes no more than it knows', () => {
  keepForm('orders/Charge', { ...emptyForm, input: '{"a":1}', reveal: true });
  expect(keptForm('orders/Charge')).toMatchObject({ input: '{"a":1}', reveal: false });
  localStorage.setItem('lockstep.test.orders/Charge', '{"input":7,"level":"TRACE","other":1}');
  expect(keptForm('orders/Charge')).toEqual({ level: 'TRACE' });
  localStorage.setItem('lockstep.test.orders/Charge', '{');
  expect(keptForm('orders/Charge')).toEqual({});
});

it('says what is no JSON', () => {
  expect(fault({ ...emptyForm, input: '{' })).toBe('Input is not JSON.');
  expect(fault({ ...emptyForm, variables: '[]' })).toBe('Variables must be an object.');
  expect(fault({ ...emptyForm, result: '{' })).toBe('');
});

it('follows the data', () => {
  const steps = stepsOf({ status: 'SUCCEEDED', output: '{"a":1,"r":2}', inspectionData: { input: '{"a":1}', afterInputPath: '{"a":1}', afterParameters: '{"b":1}', result: '2', afterResultSelector: '2', afterResultPath: '{"a":1,"r":2}' } }, '', '');
  expect(steps.map((s) => [s.name, s.from?.name])).toEqual([
    ['input', undefined], ['afterInputPath', 'input'], ['afterParameters', 'afterInputPath'], ['result', undefined], ['afterResultSelector', 'result'], ['afterResultPath', 'afterInputPath'], ['output', 'afterResultPath'],
  ]);
});

it('compares what came without minding order', () => {
  expect(meets({ status: 'SUCCEEDED', output: { a: 1, b: [2] } }, expectedOf({ status: 'SUCCEEDED', output: '{"b":[2],"a":1}' }))).toBe(true);
  expect(meets({ status: 'SUCCEEDED', output: [1, 2] }, expectedOf({ status: 'SUCCEEDED', output: '[2,1]' }))).toBe(false);
});

it('keeps cases in this browser, and minds no rubbish', () => {
  const one: Case = { id: '1', name: 'paid', state: 'Charge', form: emptyForm, expect: { status: 'SUCCEEDED' } };
  writeCases('orders', [one]);
  expect(readCases('orders')).toEqual([one]);
  localStorage.setItem('lockstep.cases.orders', '{"no":1}');
  expect(readCases('orders')).toEqual([]);
});

it('exports a machine of the state alone', () => {
  const of = (name: string, more: Partial<Case['form']>, expected: Case['expect']): Case => ({ id: name, name, state: 'Charge', form: { ...emptyForm, ...more }, expect: expected });
  const { files, exported, left } = exportCases(definition, charge, [
    of('paid: "yes"', { mock: 'result', result: '{"ok":true}' }, { status: 'SUCCEEDED', nextState: 'Done', output: { ok: true } }),
    of('busy', { mock: 'error', error: 'Card.Busy' }, { status: 'CAUGHT_ERROR', nextState: 'Apologise', error: 'Card.Busy' }),
    of('again', { mock: 'error' }, { status: 'RETRIABLE' }),
    of('with variables', { variables: '{"x":1}', mock: 'result' }, { status: 'SUCCEEDED', nextState: 'Done', output: {} }),
  ]);
  expect([files.length, exported, left]).toEqual([2, 3, 1]);
  expect(files[0]).toContain('name: "paid: \\"yes\\""');
  expect(files[0]).toContain('"Done":{"Type":"Succeed"}');
  expect(files[0]).toContain('path: ["Charge","Apologise"]');
  expect(files[1]).toContain('"StartAt":"Given variables"');
});
