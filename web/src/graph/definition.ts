/** A state machine as the graph sees it: scopes of states, and the edges within each. */
export interface Scope {
  /** "" at the top, "Each ticket#0/" within. Ids of its states begin with it. */
  prefix: string;
  startAt: string;
  states: State[];
  edges: Edge[];
}

export interface State {
  /** Where it is: "Each ticket#0/Enrich#2/Cool down". The server's visits name it so, too. */
  id: string;
  name: string;
  type: string;
  comment?: string;
  resource?: string;
  /** Ends its scope when it succeeds. */
  end: boolean;
  /** A Map's processor, or the branches of a Parallel. */
  scopes: Scope[];
  /** The definition of the state. */
  source: Record<string, unknown>;
}

export type EdgeKind = 'next' | 'choice' | 'default' | 'catch';

export interface Edge {
  /** Ids of states. */
  from: string;
  to: string;
  kind: EdgeKind;
  label: string;
  /** Of a rule of a Choice, or of a catcher: which of its list it is. */
  index?: number;
}

interface Raw {
  StartAt?: unknown;
  States?: unknown;
}

const isObject = (v: unknown): v is Record<string, unknown> => typeof v === 'object' && v !== null && !Array.isArray(v);
const text = (v: unknown): string => (typeof v === 'string' ? v : '');
const list = (v: unknown): Record<string, unknown>[] => (Array.isArray(v) ? v.filter(isObject) : []);

const numbered = (v: unknown): [number, Record<string, unknown>][] => (Array.isArray(v) ? v.map((each, i): [number, unknown] => [i, each]).filter((e): e is [number, Record<string, unknown>] => isObject(e[1])) : []);

/** Deeper nesting is not followed: nobody could read it. */
const deepest = 12;

/** Reads a definition. What cannot be read is left out, so that a definition in the making has a graph too; null: it is no definition. */
export function readDefinition(definition: unknown): Scope | null {
  if (!isObject(definition) || !isObject(definition.States)) return null;
  return readScope(definition, '', 0);
}

/** Reads a definition's text; null if it is not JSON or no definition. */
export function parseDefinition(source: string): Scope | null {
  try {
    return readDefinition(JSON.parse(source));
  } catch {
    return null;
  }
}

function readScope(raw: Raw, prefix: string, depth: number): Scope {
  const scope: Scope = { prefix, startAt: prefix + text(raw.StartAt), states: [], edges: [] };
  const states = isObject(raw.States) ? raw.States : {};
  const known = (name: string) => Object.hasOwn(states, name);
  for (const [name, source] of Object.entries(states)) {
    if (!isObject(source)) continue;
    const id = prefix + name;
    const type = text(source.Type) || 'Unknown';
    const state: State = {
      id,
      name,
      type,
      end: source.End === true || type === 'Succeed' || type === 'Fail',
      scopes: [],
      source,
      ...(text(source.Comment) ? { comment: text(source.Comment) } : {}),
      ...(text(source.Resource) ? { resource: text(source.Resource) } : {}),
    };
    if (depth < deepest) {
      const processor = source.ItemProcessor ?? source.Iterator;
      if (type === 'Map' && isObject(processor) && isObject(processor.States)) state.scopes.push(readScope(processor, `${id}#0/`, depth + 1));
      if (type === 'Parallel') list(source.Branches).forEach((branch, i) => state.scopes.push(readScope(branch, `${id}#${i}/`, depth + 1)));
    }
    scope.states.push(state);

    const add = (kind: EdgeKind, to: string, label: string, index?: number) => {
      if (known(to)) scope.edges.push({ from: id, to: prefix + to, kind, label, ...(index === undefined ? {} : { index }) });
    };
    if (text(source.Next)) add('next', text(source.Next), '');
    numbered(source.Choices).forEach(([i, rule]) => add('choice', text(rule.Next), ruleLabel(rule), i));
    if (text(source.Default)) add('default', text(source.Default), 'Default');
    numbered(source.Catch).forEach(([i, handler]) => add('catch', text(handler.Next), errorsLabel(handler.ErrorEquals), i));
  }
  return scope;
}

function errorsLabel(errors: unknown): string {
  const names = Array.isArray(errors) ? errors.map(String) : [];
  if (names.length === 0) return 'Catch';
  const first = names[0]!.replace(/^States\./, '');
  return names.length > 1 ? `${first} +${names.length - 1}` : first;
}

const operators: readonly (readonly [RegExp, string])[] = [
  [/GreaterThanEquals/, '≥'],
  [/LessThanEquals/, '≤'],
  [/GreaterThan/, '>'],
  [/LessThan/, '<'],
  [/Equals/, '='],
  [/Matches/, 'matches'],
];

/** A rule of a Choice in a few characters: "$.score ≥ 0.8". */
export function ruleLabel(rule: Record<string, unknown>): string {
  if (typeof rule.Condition === 'string') return rule.Condition.replace(/^\{%\s*|\s*%\}$/g, '');
  if (Array.isArray(rule.And)) return list(rule.And).map(ruleLabel).join(' and ');
  if (Array.isArray(rule.Or)) return list(rule.Or).map(ruleLabel).join(' or ');
  if (isObject(rule.Not)) return `not ${ruleLabel(rule.Not)}`;
  const variable = text(rule.Variable);
  for (const [key, value] of Object.entries(rule)) {
    if (key === 'Variable' || key === 'Next' || key === 'Comment' || key === 'Assign' || key === 'Output') continue;
    const is = /^Is(\w+)$/.exec(key);
    if (is) return `${variable} is${value === false ? ' not' : ''} ${is[1]!.toLowerCase()}`;
    const operator = operators.find(([pattern]) => pattern.test(key));
    if (operator) return `${variable} ${operator[1]} ${typeof value === 'string' ? value : JSON.stringify(value)}`;
  }
  return variable;
}

/** All states of a definition, outer ones first. */
export function allStates(scope: Scope): State[] {
  return scope.states.flatMap((s) => [s, ...s.scopes.flatMap(allStates)]);
}
