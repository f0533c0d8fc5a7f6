import { useEffect, useRef, useSyncExternalStore } from 'react';

/** A keyboard shortcut, as the sheet of shortcuts shows it. */
export interface Shortcut {
  /** "g m" (one after the other), "Ctrl k", "Shift x", "/", "ArrowDown". */
  keys: string;
  label: string;
  group: string;
  run: (event: KeyboardEvent) => void;
  /** Works while somebody types, too. Only for keys that type nothing. */
  whileTyping?: boolean;
}

const shortcuts: Shortcut[] = [];
const watchers = new Set<() => void>();
let listed: readonly Shortcut[] = [];
let pending = '';
let pendingTimer: ReturnType<typeof setTimeout> | undefined;

const singleKeysOff = 'lockstep.single-keys-off';
let singleKeys = localStorage.getItem(singleKeysOff) === null;

function changed(): void {
  listed = [...shortcuts];
  for (const watch of watchers) watch();
}

function watch(then: () => void): () => void {
  watchers.add(then);
  return () => watchers.delete(then);
}

/** What can be pressed now, for the sheet. */
export function useShortcutList(): readonly Shortcut[] {
  return useSyncExternalStore(watch, () => listed);
}

/** Whether keys without Ctrl do anything; some people's tools type by themselves. */
export function useSingleKeys(): [boolean, (on: boolean) => void] {
  const on = useSyncExternalStore(watch, () => singleKeys);
  return [
    on,
    (to) => {
      singleKeys = to;
      if (to) localStorage.removeItem(singleKeysOff);
      else localStorage.setItem(singleKeysOff, '1');
      changed();
    },
  ];
}

/** Offers shortcuts as long as the component is there. Of two with the same keys the one that came last counts. */
export function useShortcuts(list: readonly Shortcut[], enabled = true): void {
  const latest = useRef(list);
  useEffect(() => {
    latest.current = list;
  });
  const key = enabled ? list.map((s) => `${s.group}|${s.keys}|${s.label}`).join('\n') : '';
  useEffect(() => {
    if (key === '') return;
    const added = latest.current.map((s, i): Shortcut => ({ ...s, run: (e) => latest.current[i]?.run(e) }));
    shortcuts.push(...added);
    changed();
    return () => {
      for (const s of added) shortcuts.splice(shortcuts.indexOf(s), 1);
      changed();
    };
  }, [key]);
}

/** The name of a pressed key in the form that shortcuts have it. */
export function nameOfKey(e: KeyboardEvent): string {
  const named = e.key.length > 1;
  const parts: string[] = [];
  if (e.ctrlKey || e.metaKey) parts.push('Ctrl');
  if (e.altKey) parts.push('Alt');
  // Of a character such as ? Shift is a part, and not said.
  if (e.shiftKey && (named || /^[a-z]$/i.test(e.key))) parts.push('Shift');
  parts.push(named ? e.key : e.key.toLowerCase());
  return parts.join(' ');
}

function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName) && !/^(checkbox|radio|button)$/.test((target as HTMLInputElement).type ?? '');
}

function inDialog(target: EventTarget | null): boolean {
  return target instanceof Element && target.closest('[role="dialog"],[role="menu"],[role="listbox"]') !== null;
}

function onKeyDown(e: KeyboardEvent): void {
  if (e.defaultPrevented || e.isComposing || /^(Control|Shift|Alt|Meta)$/.test(e.key)) return;
  const name = nameOfKey(e);
  const typing = isTyping(e.target);
  const held = e.ctrlKey || e.metaKey || e.altKey;
  const sequence = pending ? `${pending} ${name}` : name;
  const find = (keys: string) => shortcuts.findLast((s) => s.keys === keys && (s.whileTyping || (!typing && (held || (singleKeys && !inDialog(e.target))))));
  const found = find(sequence) ?? find(name);
  clearTimeout(pendingTimer);
  pending = '';
  if (found) {
    e.preventDefault();
    found.run(e);
    return;
  }
  if (!typing && !held && singleKeys && shortcuts.some((s) => s.keys.startsWith(`${sequence} `))) {
    pending = sequence;
    pendingTimer = setTimeout(() => (pending = ''), 1200);
  }
}

window.addEventListener('keydown', onKeyDown);
