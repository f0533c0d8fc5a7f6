import type { TestRequest } from '../../api/teststate.ts';
import { allStates, parseDefinition, type State } from '../../graph/definition.ts';
import { teststate as t } from '../../strings/teststate.ts';

/** What somebody fills in to test a state. Texts are JSON as it was typed. */
export interface Form {
  input: string;
  variables: string;
  context: string;
  roleArn: string;
  level: 'INFO' | 'DEBUG' | 'TRACE';
  reveal: boolean;
  mock: 'none' | 'result' | 'error';
  result: string;
  error: string;
  cause: string;
  validation: 'STRICT' | 'PRESENT' | 'NONE';
  retries: number;
  causedBy: string;
  failureCount: number;
  readerData: string;
}

export const emptyForm: Form = {
  input: '{}', variables: '', context: '', roleArn: '', level: 'DEBUG', reveal: false, mock: 'none', result: '{}', error: '', cause: '', validation: 'STRICT', retries: 0, causedBy: '', failureCount: 0, readerData: '',
};

const formKey = (name: string) => `lockstep.test.${name}`;

/** What was filled in the last time; {} if nothing was, or it cannot be read any more. */
export function keptForm(name: string): Partial<Form> {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(formKey(name)) ?? '{}');
    if (typeof kept !== 'object' || kept === null) return {};
    return Object.fromEntries(Object.entries(kept).filter(([k, v]) => k in emptyForm && typeof v === typeof emptyForm[k as keyof Form]));
  } catch {
    return {};
  }
}

/** Keeps a form in this browser, as far as there is room. Secrets are not shown again by themselves. */
export function keepForm(name: string, form: Form): void {
  try {
    localStorage.setItem(formKey(name), JSON.stringify({ ...form, reveal: false }));
  } catch {
    // Without room it is there as long as the page is.
  }
}

/** The states of a definition, those within others too. Names are unique in a state machine. */
export function statesOf(definition: string): State[] {
  const scope = parseDefinition(definition);
  return scope ? allStates(scope) : [];
}

export const mayMock = (type: string): boolean => type === 'Task' || type === 'Map' || type === 'Parallel';
export const mustMock = (type: string): boolean => type === 'Map' || type === 'Parallel';

/** What is wrong with a form before anything is asked; '' when nothing is. */
export function fault(form: Form): string {
  const checks: [string, string, boolean][] = [
    [t.input, form.input, false],
    [t.variables, form.variables, true],
    ...(form.mock === 'none' ? [] : [[t.context, form.context, true] as [string, string, boolean]]),
    ...(form.mock === 'result' ? [[t.mockResult, form.result, false] as [string, string, boolean]] : []),
  ];
  for (const [label, text, object] of checks) {
    if (text.trim() === '') continue;
    try {
      const value: unknown = JSON.parse(text);
      if (object && (typeof value !== 'object' || value === null || Array.isArray(value))) return t.badObject(label);
    } catch {
      return t.badJson(label);
    }
  }
  return '';
}

/** What TestState is asked for. */
export function requestOf(definition: string, state: Pick<State, 'name' | 'type'>, form: Form): TestRequest {
  const mock = mayMock(state.type) ? form.mock : 'none';
  const config = {
    ...(form.retries > 0 ? { retrierRetryCount: form.retries } : {}),
    ...(form.causedBy && mock === 'error' ? { errorCausedByState: form.causedBy } : {}),
    ...(form.failureCount > 0 && mock !== 'none' ? { mapIterationFailureCount: form.failureCount } : {}),
    ...(form.readerData ? { mapItemReaderData: form.readerData } : {}),
  };
  return {
    definition,
    stateName: state.name,
    input: form.input.trim() || '{}',
    inspectionLevel: form.level,
    ...(form.variables.trim() ? { variables: form.variables } : {}),
    ...(form.roleArn.trim() && state.type === 'Task' ? { roleArn: form.roleArn.trim() } : {}),
    ...(form.reveal && form.level === 'TRACE' && mock === 'none' ? { revealSecrets: true } : {}),
    ...(mock !== 'none' && form.context.trim() ? { context: form.context } : {}),
    ...(mock === 'result' ? { mock: { result: form.result.trim() || 'null', fieldValidationMode: form.validation } } : {}),
    ...(mock === 'error' ? { mock: { errorOutput: { ...(form.error ? { error: form.error } : {}), ...(form.cause ? { cause: form.cause } : {}) }, fieldValidationMode: form.validation } } : {}),
    ...(Object.keys(config).length > 0 ? { stateConfiguration: config } : {}),
  };
}
