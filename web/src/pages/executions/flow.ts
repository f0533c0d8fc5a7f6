import type { Flow } from '../../api/executions.ts';
import { pretty, type Step } from '../teststate/flow.ts';

export interface FlowRow {
  step: Step;
  recorded: boolean;
  /** Bytes of all of it, where only its beginning is here. */
  cut?: number;
  url?: string;
}

const made = new Set(['result', 'afterResultSelector']);

/** The steps of a flow, each with the one that it came of. What is only a beginning is not compared. */
export function flowRows(flow: Flow): FlowRow[] {
  const rows: FlowRow[] = [];
  const find = (...names: string[]) => names.map((n) => rows.find((r) => r.step.name === n)).find((r) => r !== undefined);
  for (const s of flow.steps) {
    let from: FlowRow | undefined;
    if (s.name === 'afterResultSelector') from = find('result');
    else if (s.name === 'afterResultPath') from = find('afterInputPath', 'input'); // the result is put into it
    else if (s.name === 'output') from = find('afterResultPath', 'afterResultSelector', 'result', 'afterInputPath', 'input');
    else if (s.name !== 'result') from = rows.findLast((r) => !made.has(r.step.name));
    const whole = !s.payload.truncated;
    rows.push({
      step: {
        name: s.name,
        text: whole ? pretty(s.payload.text ?? '') : (s.payload.text ?? ''),
        ...(from && whole && from.cut === undefined ? { from: { name: from.step.name, text: from.step.text } } : {}),
      },
      recorded: s.recorded,
      ...(whole ? {} : { cut: s.payload.bytes }),
      ...(s.payload.url ? { url: s.payload.url } : {}),
    });
  }
  return rows;
}

export interface VariableRow {
  name: string;
  before?: string;
  after?: string;
  is: 'new' | 'changed' | 'same';
  state: string;
  /** Only the beginning of one of them is here. */
  cut: boolean;
}

/** Variables before and after a visit, those that it set first. */
export function variableRows(flow: Flow, ended: boolean): VariableRow[] {
  const before = new Map(flow.variables_before.map((v) => [v.name, v]));
  const after = new Map(flow.variables_after.map((v) => [v.name, v]));
  const rows = [...new Set([...after.keys(), ...before.keys()])].map((name): VariableRow => {
    const [a, b] = [before.get(name), after.get(name)];
    const is = b?.changed ? (a ? 'changed' : 'new') : 'same';
    return {
      name,
      ...(a ? { before: pretty(a.payload.text ?? '') } : {}),
      ...(b && ended ? { after: pretty(b.payload.text ?? '') } : {}),
      is,
      state: (b ?? a)!.state,
      cut: a?.payload.truncated === true || b?.payload.truncated === true,
    };
  });
  const rank = { new: 0, changed: 0, same: 1 };
  return rows.sort((a, b) => rank[a.is] - rank[b.is] || a.name.localeCompare(b.name));
}
