/** The texts that a definition has had, for undo and redo over all views. */
export interface History {
  past: readonly string[];
  text: string;
  future: readonly string[];
  /** Of the last change: who made it and when, so that what is typed at one go is undone at one go. */
  last: { source: string; at: number };
}

/** So many steps can be undone, and so many characters are kept for it. */
const mostSteps = 500;
const mostText = 40_000_000;

export function beginHistory(text: string): History {
  return { past: [], text, future: [], last: { source: '', at: 0 } };
}

/** A new text. Changes of one source that follow each other within a second are one step. */
export function record(h: History, text: string, source: string, now: number): History {
  if (text === h.text) return h;
  const together = source !== 'canvas' && h.last.source === source && now - h.last.at < 1000 && h.past.length > 0;
  let past = together ? h.past : [...h.past, h.text];
  let size = past.reduce((n, t) => n + t.length, 0);
  while (past.length > mostSteps || (size > mostText && past.length > 1)) {
    size -= past[0]!.length;
    past = past.slice(1);
  }
  return { past, text, future: [], last: { source, at: now } };
}

export function undo(h: History): History {
  const before = h.past.at(-1);
  return before === undefined ? h : { past: h.past.slice(0, -1), text: before, future: [h.text, ...h.future], last: { source: '', at: 0 } };
}

export function redo(h: History): History {
  const [next, ...rest] = h.future;
  return next === undefined ? h : { past: [...h.past, h.text], text: next, future: rest, last: { source: '', at: 0 } };
}
