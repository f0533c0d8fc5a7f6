import type { TestResult } from '../../api/teststate.ts';
import type { State } from '../../graph/definition.ts';
import type { Form } from './form.ts';

/** What a state is to make of something. */
export interface Case {
  id: string;
  name: string;
  state: string;
  form: Form;
  expect: Expected;
}

export interface Expected {
  status: TestResult['status'];
  nextState?: string;
  error?: string;
  output?: unknown;
}

const keyOf = (machine: string) => `lockstep.cases.${machine}`;

/** The cases of a state machine, from this browser. What cannot be read is not there. */
export function readCases(machine: string): Case[] {
  try {
    const list: unknown = JSON.parse(localStorage.getItem(keyOf(machine)) ?? '[]');
    return Array.isArray(list) ? list.filter((c): c is Case => typeof c?.name === 'string' && typeof c?.state === 'string' && typeof c?.form === 'object' && typeof c?.expect === 'object') : [];
  } catch {
    return [];
  }
}

export function writeCases(machine: string, cases: readonly Case[]): void {
  if (cases.length === 0) localStorage.removeItem(keyOf(machine));
  else localStorage.setItem(keyOf(machine), JSON.stringify(cases));
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** What is expected when a result is right. */
export function expectedOf(r: TestResult): Expected {
  return {
    status: r.status,
    ...(r.nextState === undefined ? {} : { nextState: r.nextState }),
    ...(r.error === undefined ? {} : { error: r.error }),
    ...(r.output === undefined ? {} : { output: parse(r.output) }),
  };
}

/** A value as text in which the order of members does not count. */
export function settled(value: unknown): string {
  return JSON.stringify(sorted(value), null, 2) ?? '';
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)).map(([k, v]) => [k, sorted(v)]));
}

export const meets = (expected: Expected, got: Expected): boolean => settled(expected) === settled(got);

/** Where a state can lead to. */
function targetsOf(source: Record<string, unknown>): string[] {
  const out = new Set<string>();
  const look = (v: unknown) => {
    if (typeof v === 'object' && v !== null && typeof (v as { Next?: unknown }).Next === 'string') out.add((v as { Next: string }).Next);
  };
  look(source);
  for (const list of [source.Choices, source.Catch]) if (Array.isArray(list)) list.forEach(look);
  if (typeof source.Default === 'string') out.add(source.Default);
  return [...out];
}

const given = 'Given variables';

/** A machine of a state alone: where it leads to, it ends. Variables are assigned before. */
function machineOf(definition: string, state: State, variables: Record<string, unknown> | undefined): Record<string, unknown> {
  const { QueryLanguage } = parse(definition) as { QueryLanguage?: string };
  const States: Record<string, unknown> = {};
  if (variables) States[given] = { Type: 'Pass', Assign: variables, Next: state.name };
  States[state.name] = state.source;
  for (const target of targetsOf(state.source)) if (target !== state.name) States[target] = { Type: 'Succeed' };
  return { ...(QueryLanguage ? { QueryLanguage } : {}), StartAt: variables ? given : state.name, States };
}

const json = (v: unknown): string => JSON.stringify(v);

/** A text that YAML takes for nothing else. */
const line = (text: string): string => json(text.replace(/\s+/g, ' '));

/**
 * The cases of one state as files for `lockstep test`, one for each set of
 * variables; JSON is YAML, too. A test of a retry cannot be said there: such cases
 * are counted in left.
 */
export function exportCases(definition: string, state: State, cases: readonly Case[]): { files: string[]; exported: number; left: number } {
  const usable = cases.filter((c) => c.expect.status !== 'RETRIABLE');
  const groups = new Map<string, Case[]>();
  for (const c of usable) {
    const key = c.form.variables.trim() ? settled(parse(c.form.variables)) : '';
    groups.set(key, [...(groups.get(key) ?? []), c]);
  }
  const files: string[] = [];
  for (const [variables, list] of groups) {
    const assigned = variables ? (JSON.parse(variables) as Record<string, unknown>) : undefined;
    const lines = [
      `# Cases of the state ${line(state.name)}, which stands alone here: the states it leads to end the execution.`,
      '# Run them with: lockstep test FILE',
      `machine: ${json(machineOf(definition, state, assigned))}`,
      'cases:',
    ];
    for (const c of list) {
      lines.push(`  - name: ${line(c.name)}`, `    input: ${json(parse(c.form.input.trim() || '{}'))}`);
      if (c.form.mock === 'result') lines.push('    mocks:', `      ${json(state.name)}: ${json({ return: parse(c.form.result.trim() || 'null') })}`);
      if (c.form.mock === 'error') lines.push('    mocks:', `      ${json(state.name)}: ${json({ error: c.form.error || 'States.TaskFailed', ...(c.form.cause ? { cause: c.form.cause } : {}) })}`);
      const { expect: e } = c;
      lines.push('    expect:');
      if (e.status === 'FAILED') lines.push('      status: FAILED', ...(e.error ? [`      error: ${json(e.error)}`] : []));
      else {
        if (e.output !== undefined) lines.push(`      output: ${json(e.output)}`);
        const path = [...(assigned ? [given] : []), state.name, ...(e.nextState ? [e.nextState] : [])];
        lines.push(`      path: ${json(path)}`);
      }
    }
    files.push(`${lines.join('\n')}\n`);
  }
  return { files, exported: usable.length, left: cases.length - usable.length };
}
