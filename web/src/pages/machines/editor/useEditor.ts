import { useCallback, useEffect, useMemo, useReducer, useRef } from 'react';
import { JsonError } from '../../../asl/cst.ts';
import { beginHistory, record, redo, undo, type History } from '../../../asl/history.ts';
import { readMachine, type Machine } from '../../../asl/machine.ts';
import type { Change } from '../../../asl/operations.ts';

/** The draft of a machine in this browser. */
export interface Draft {
  text: string;
  /** The definition that it began with. */
  base: string;
  at: number;
}

const draftKey = (name: string) => `lockstep.draft.${name}`;

export function readDraft(name: string): Draft | null {
  try {
    const draft = JSON.parse(localStorage.getItem(draftKey(name)) ?? 'null') as Draft | null;
    return draft && typeof draft.text === 'string' && typeof draft.base === 'string' ? draft : null;
  } catch {
    return null;
  }
}

export function writeDraft(name: string, draft: Draft | null): void {
  try {
    if (draft) localStorage.setItem(draftKey(name), JSON.stringify(draft));
    else localStorage.removeItem(draftKey(name));
  } catch {
    // A full storage: the text is still on the page.
  }
}

type Action = { do: 'record'; text: string; source: string } | { do: 'undo' | 'redo' } | { do: 'begin'; text: string };

function reduce(h: History, a: Action): History {
  if (a.do === 'record') return record(h, a.text, a.source, Date.now());
  if (a.do === 'begin') return beginHistory(a.text);
  return a.do === 'undo' ? undo(h) : redo(h);
}

export interface Editor {
  text: string;
  /** Of the last text that was JSON. */
  machine: Machine;
  /** Where the text is no JSON; the canvas shows the machine before. */
  broken: JsonError | undefined;
  canUndo: boolean;
  canRedo: boolean;
  undo: () => void;
  redo: () => void;
  /** A text as somebody typed it. */
  type: (text: string) => void;
  /** A change made elsewhere than in the text; of one source and within a second they are one step. */
  apply: (change: Change, source?: string) => void;
  begin: (text: string) => void;
}

const nothing = readMachine('{}');

/** The one document that canvas, form and code change. */
export function useEditor(first: string): Editor {
  const [history, act] = useReducer(reduce, first, beginHistory);
  const read = useMemo((): { machine?: Machine; broken?: JsonError } => {
    try {
      return { machine: readMachine(history.text) };
    } catch (err) {
      return { broken: err instanceof JsonError ? err : new JsonError(String(err), 0) };
    }
  }, [history.text]);
  const good = useRef<Machine>(nothing);
  useEffect(() => {
    if (read.machine) good.current = read.machine;
  }, [read.machine]);
  const machine = read.machine ?? good.current;
  return {
    text: history.text,
    machine,
    broken: read.broken,
    canUndo: history.past.length > 0,
    canRedo: history.future.length > 0,
    undo: useCallback(() => act({ do: 'undo' }), []),
    redo: useCallback(() => act({ do: 'redo' }), []),
    type: useCallback((text: string) => act({ do: 'record', text, source: 'code' }), []),
    apply: useCallback((change: Change, source = 'canvas') => act({ do: 'record', text: change.text, source }), []),
    begin: useCallback((text: string) => act({ do: 'begin', text }), []),
  };
}
