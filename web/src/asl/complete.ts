// What can be written at a place of a definition that is being typed, and so is
// seldom valid.
import type { JsonPath } from './cst.ts';
import { languageOf, namesIn, ownerOf, variablesFor, type Machine } from './machine.ts';
import { nodeAt } from './cst.ts';

/** Where a cursor is in a text that may stop being JSON behind it. */
export interface Cursor {
  /** Of the object or value that it is in. */
  path: (string | number)[];
  where: 'key' | 'value' | 'none';
  /** In a string: where its content begins. */
  from: number;
  inString: boolean;
  /** The string's content before the cursor, or the word. */
  typed: string;
  /** Members that the innermost object already has before the cursor. */
  type: string | undefined;
}

/** Reads a text up to an offset, forgiving what is missing. */
export function cursorAt(text: string, offset: number): Cursor {
  interface Frame {
    array: boolean;
    key: string | number | undefined;
    wantsKey: boolean;
    type?: string;
  }
  const stack: Frame[] = [];
  let i = 0;
  let string: { from: number; key: boolean } | undefined;
  let last: string | undefined;
  while (i < offset) {
    const c = text[i]!;
    const top = stack.at(-1);
    if (c === '"') {
      const from = i + 1;
      let j = from;
      while (j < offset && text[j] !== '"' && text[j] !== '\n') j += text[j] === '\\' ? 2 : 1;
      const isKey = top !== undefined && !top.array && top.wantsKey;
      if (j >= offset || text[j] === '\n') {
        if (j >= offset) string = { from, key: isKey };
        i = j;
        continue;
      }
      last = text.slice(from, j);
      if (isKey) top.key = unescaped(last);
      else if (top && top.key === 'Type') top.type = last;
      i = j + 1;
      continue;
    }
    if (c === '{') stack.push({ array: false, key: undefined, wantsKey: true });
    else if (c === '[') stack.push({ array: true, key: 0, wantsKey: false });
    else if (c === '}' || c === ']') stack.pop();
    else if (c === ':' && top) top.wantsKey = false;
    else if (c === ',' && top) {
      if (top.array) top.key = (top.key as number) + 1;
      else {
        top.wantsKey = true;
        top.key = undefined;
      }
    }
    i++;
  }
  const top = stack.at(-1);
  const inKey = string ? string.key : top !== undefined && !top.array && top.wantsKey;
  const path = stack.map((f) => f.key).filter((k): k is string | number => k !== undefined);
  if (inKey && top?.key !== undefined) path.pop();
  const word = /[\w.$]*$/.exec(text.slice(0, offset))![0];
  return {
    path,
    where: top === undefined ? 'none' : inKey ? 'key' : 'value',
    from: string?.from ?? offset - word.length,
    inString: string !== undefined,
    typed: string ? text.slice(string.from, offset) : word,
    type: top?.type,
  };
}

function unescaped(s: string): string {
  try {
    return JSON.parse(`"${s}"`) as string;
  } catch {
    return s;
  }
}

const common = ['Type', 'Comment', 'QueryLanguage'];
const flowOn = ['Next', 'End', 'Assign'];
const errors = ['Retry', 'Catch'];
const pathsOf = ['InputPath', 'OutputPath', 'ResultPath'];

/** The fields of a type of state, in a query language. */
export function fieldsOf(type: string, language: string): string[] {
  const a = language === 'JSONata';
  const io = a ? ['Output'] : ['InputPath', 'OutputPath'];
  switch (type) {
    case 'Task':
      return [...common, 'Resource', ...(a ? ['Arguments', 'Output'] : ['Parameters', 'ResultSelector', ...pathsOf, 'TimeoutSecondsPath', 'HeartbeatSecondsPath']), 'TimeoutSeconds', 'HeartbeatSeconds', 'Credentials', ...flowOn, ...errors];
    case 'Parallel':
      return [...common, 'Branches', ...(a ? ['Arguments', 'Output'] : ['Parameters', 'ResultSelector', ...pathsOf]), ...flowOn, ...errors];
    case 'Map':
      return [...common, 'ItemProcessor', 'ItemSelector', 'MaxConcurrency', 'ItemReader', 'ItemBatcher', 'ResultWriter', 'ToleratedFailurePercentage', 'ToleratedFailureCount', 'Label', ...(a ? ['Items', 'Output'] : ['ItemsPath', 'ResultSelector', 'MaxConcurrencyPath', 'ToleratedFailurePercentagePath', 'ToleratedFailureCountPath', ...pathsOf]), ...flowOn, ...errors];
    case 'Pass':
      return [...common, ...(a ? ['Output'] : ['Result', 'Parameters', ...pathsOf]), ...flowOn];
    case 'Wait':
      return [...common, 'Seconds', 'Timestamp', ...(a ? [] : ['SecondsPath', 'TimestampPath']), ...io, ...flowOn];
    case 'Choice':
      return [...common, 'Choices', 'Default', 'Assign', ...io];
    case 'Succeed':
      return [...common, ...io];
    case 'Fail':
      return [...common, 'Error', 'Cause', ...(a ? [] : ['ErrorPath', 'CausePath'])];
    default:
      return common;
  }
}

export const stateTypes = ['Task', 'Pass', 'Choice', 'Wait', 'Parallel', 'Map', 'Succeed', 'Fail'] as const;

const intrinsics = ['Format', 'StringToJson', 'JsonToString', 'Array', 'ArrayPartition', 'ArrayContains', 'ArrayRange', 'ArrayGetItem', 'ArrayLength', 'ArrayUnique', 'Base64Encode', 'Base64Decode', 'Hash', 'JsonMerge', 'MathRandom', 'MathAdd', 'StringSplit', 'UUID'].map((n) => `States.${n}()`);
const functions = ['$uuid()', '$now()', '$millis()', '$parse()', '$partition()', '$range()', '$hash()', '$random()', '$string()', '$number()', '$boolean()', '$count()', '$sum()', '$max()', '$min()', '$average()', '$map()', '$filter()', '$reduce()', '$merge()', '$keys()', '$lookup()', '$exists()', '$append()', '$sort()', '$distinct()', '$join()', '$split()', '$contains()', '$replace()', '$substring()', '$lowercase()', '$uppercase()', '$trim()', '$length()', '$not()', '$type()', '$toMillis()', '$fromMillis()', '$formatNumber()', '$round()', '$floor()', '$ceil()', '$base64encode()', '$base64decode()'];
const retrierFields = ['ErrorEquals', 'IntervalSeconds', 'MaxAttempts', 'BackoffRate', 'MaxDelaySeconds', 'JitterStrategy', 'Comment'];
const errorNames = ['States.ALL', 'States.TaskFailed', 'States.Timeout', 'States.HeartbeatTimeout', 'States.Permissions', 'States.DataLimitExceeded', 'States.ItemReaderFailed', 'States.ResultWriterFailed', 'States.ExceedToleratedFailureThreshold', 'States.QueryEvaluationError', 'States.IntrinsicFailure', 'States.Http.Socket', 'Agent.TaskFailed', 'Review.Rejected', 'Task.Cancelled'];
const comparisons = ['String', 'Numeric', 'Timestamp'].flatMap((t) => ['Equals', 'LessThan', 'GreaterThan', 'LessThanEquals', 'GreaterThanEquals'].map((o) => t + o));
const ruleFields = ['Variable', 'And', 'Or', 'Not', 'Next', ...comparisons, 'BooleanEquals', 'StringMatches', 'IsPresent', 'IsNull', 'IsString', 'IsNumeric', 'IsBoolean', 'IsTimestamp', 'Comment', 'Assign'];

export interface Offer {
  /** What replaces the text from here to the cursor. */
  from: number;
  options: { label: string; insert: string; kind: string }[];
}

/** What can be written at an offset; null: nothing that is known. machine is the last one that could be read. */
export function offers(text: string, offset: number, machine: Machine, resources: readonly string[]): Offer | null {
  const c = cursorAt(text, offset);
  const quote = (labels: readonly string[], kind: string, suffix = ''): Offer => {
    const closed = c.inString && text[offset] === '"';
    return { from: c.from, options: labels.map((label) => ({ label, kind, insert: c.inString ? label + (closed ? '' : `"${suffix}`) : `"${label}"${suffix}` })) };
  };
  const states = c.path.lastIndexOf('States');
  const statePath: JsonPath = states >= 0 && c.path.length > states + 1 ? c.path.slice(0, states + 2) : [];
  const scope = states >= 0 ? c.path.slice(0, states) : [];
  const rest = c.path.slice(statePath.length);
  const language = languageOf(machine.root, statePath);

  if (c.where === 'key') {
    const has = new Set((nodeAt(machine.root, c.path)?.members ?? []).map((m) => m.name));
    const fields = (list: string[]) => quote(list.filter((f) => !has.has(f) || f === c.typed), 'property', ': ');
    if (c.path.length === 0) return fields(['StartAt', 'States', 'Comment', 'QueryLanguage', 'TimeoutSeconds', 'Version']);
    if (statePath.length > 0 && rest.length === 0) {
      const type = c.type ?? nodeAt(machine.root, [...statePath, 'Type'])?.value;
      return fields(typeof type === 'string' ? fieldsOf(type, language) : common);
    }
    if (rest[0] === 'Retry' && rest.length === 2) return fields(retrierFields);
    if (rest[0] === 'Catch' && rest.length === 2) return fields(['ErrorEquals', 'Next', 'Comment', 'Assign', language === 'JSONata' ? 'Output' : 'ResultPath']);
    if (rest[0] === 'Choices' && rest.length >= 2) return fields(language === 'JSONata' ? ['Condition', 'Next', 'Assign', 'Output', 'Comment'] : ruleFields);
    if (rest.at(-1) === 'ProcessorConfig') return fields(['Mode', 'ExecutionType']);
    if (rest.at(-1) === 'ItemProcessor') return fields(['ProcessorConfig', 'StartAt', 'States', 'Comment', 'QueryLanguage']);
    return null;
  }
  if (c.where !== 'value') return null;
  const key = c.path.findLast((p) => typeof p === 'string') as string | undefined;
  if (c.inString && (c.typed.includes('{%') || key?.endsWith('.$'))) {
    const word = /\$?[\w.$]*$/.exec(c.typed)![0];
    const owner = ownerOf(machine, c.path);
    const variables = (owner === undefined ? [] : variablesFor(machine, owner)).map((v) => `$${v}`);
    const jsonata = c.typed.includes('{%');
    const known = jsonata ? ['$states.input', '$states.context', '$states.result', '$states.errorOutput', '$states.context.Execution.Id', '$states.context.Execution.Name', '$states.context.Map.Item.Value', '$states.context.Map.Item.Index', '$states.context.Task.Token'] : ['$$.Execution.Id', '$$.Execution.Name', '$$.Execution.Input', '$$.Map.Item.Value', '$$.Map.Item.Index', '$$.Task.Token', '$$.State.Name'];
    const list = [...variables.map((label) => ({ label, kind: 'variable' })), ...known.map((label) => ({ label, kind: 'constant' })), ...(jsonata ? functions : intrinsics).map((label) => ({ label, kind: 'function' }))];
    return { from: offset - word.length, options: list.map((o) => ({ ...o, insert: o.label })) };
  }
  if (key === 'Next' || key === 'Default') return quote(namesIn(machine.root, scope), 'state');
  if (key === 'StartAt') return quote(namesIn(machine.root, c.path.slice(0, -1)), 'state');
  if (key === 'Type' && rest.length === 1) return quote(stateTypes, 'type');
  if (key === 'Resource') return quote(resources, 'resource');
  if (key === 'QueryLanguage') return quote(['JSONPath', 'JSONata'], 'constant');
  if (key === 'ErrorEquals') return quote(errorNames, 'constant');
  if (key === 'JitterStrategy') return quote(['FULL', 'NONE'], 'constant');
  if (key === 'Mode') return quote(['INLINE', 'DISTRIBUTED'], 'constant');
  if (key === 'ExecutionType') return quote(['STANDARD', 'EXPRESS'], 'constant');
  if (key === 'InputType') return quote(['CSV', 'JSON', 'JSONL', 'PARQUET', 'MANIFEST'], 'constant');
  return null;
}
