import type { TestResult } from '../../api/teststate.ts';

/** One step of what becomes of the data. */
export interface Step {
  name: string;
  /** JSON, set out in lines. */
  text: string;
  /** The step that it is compared with, where it came of one. */
  from?: { name: string; text: string };
}

const before = ['input', 'afterInputPath', 'afterParameters', 'afterArguments', 'afterItemsPath', 'afterItemsPointer', 'afterItemSelector', 'afterItemBatcher'] as const;
const after = ['result', 'afterResultSelector'] as const;

export function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

/** The way of the data through a state: what it was made of, step by step. */
export function stepsOf(result: TestResult, input: string, variables: string): Step[] {
  const data = result.inspectionData ?? {};
  const steps: Step[] = [];
  const add = (name: string, text: string | undefined, from: Step | undefined) => {
    if (text === undefined) return undefined;
    const step: Step = { name, text: pretty(text), ...(from ? { from: { name: from.name, text: from.text } } : {}) };
    steps.push(step);
    return step;
  };
  let last: Step | undefined;
  for (const name of before) last = add(name, name === 'input' ? (data.input ?? (input || '{}')) : data[name], last) ?? last;
  const effective = steps.find((s) => s.name === 'afterInputPath') ?? steps[0];
  let made: Step | undefined;
  for (const name of after) made = add(name, data[name], made) ?? made;
  // ResultPath puts the result into the input, so that is what it changes.
  const put = add('afterResultPath', data.afterResultPath, effective);
  add('output', result.output, put ?? made ?? effective);
  if (data.variables !== undefined) {
    const given: Step = { name: 'variables', text: pretty(variables.trim() || '{}') };
    steps.push({ name: 'variables', text: pretty(data.variables), from: given });
  }
  return steps;
}
