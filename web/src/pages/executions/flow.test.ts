import { describe, expect, it } from 'vitest';
import type { Flow, FlowVariable } from '../../api/executions.ts';
import { flowRows, variableRows } from './flow.ts';

const step = (name: string, text: string, recorded = false) => ({ name, recorded, payload: { text, bytes: text.length, url: '' } });
const variable = (name: string, text: string, changed: boolean): FlowVariable => ({ name, payload: { text, bytes: text.length, url: '' }, event: 1, state: 'S', changed });

describe('flowRows', () => {
  it('compares each step with the one that it came of', () => {
    const flow: Flow = {
      steps: [step('input', '{}', true), step('afterInputPath', '1'), step('afterParameters', '2'), step('result', '3', true), step('afterResultSelector', '4'), step('afterResultPath', '5'), step('output', '6', true)],
      variables_before: [], variables_after: [],
    };
    expect(flowRows(flow).map((r) => [r.step.name, r.step.from?.name])).toEqual([
      ['input', undefined], ['afterInputPath', 'input'], ['afterParameters', 'afterInputPath'], ['result', undefined], ['afterResultSelector', 'result'], ['afterResultPath', 'afterInputPath'], ['output', 'afterResultPath'],
    ]);
  });
  it('does not compare with a beginning', () => {
    const cut = { name: 'input', recorded: true, payload: { text: '"aa', bytes: 99, truncated: true, url: '/x' } };
    const rows = flowRows({ steps: [cut, step('output', '1', true)], variables_before: [], variables_after: [] });
    expect(rows[0]).toMatchObject({ cut: 99, url: '/x' });
    expect(rows[1]!.step.from).toBeUndefined();
  });
});

describe('variableRows', () => {
  it('has those that the visit set first', () => {
    const flow: Flow = { steps: [], variables_before: [variable('a', '1', false), variable('b', '2', false)], variables_after: [variable('a', '1', false), variable('b', '3', true), variable('c', '4', true)] };
    expect(variableRows(flow, true).map((r) => [r.name, r.is, r.before, r.after])).toEqual([['b', 'changed', '2', '3'], ['c', 'new', undefined, '4'], ['a', 'same', '1', '1']]);
  });
});
