import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap, type CompletionContext, type CompletionResult } from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap, indentWithTab } from '@codemirror/commands';
import { json, jsonParseLinter } from '@codemirror/lang-json';
import { bracketMatching, foldGutter, foldKeymap, HighlightStyle, indentOnInput, indentUnit, syntaxHighlighting } from '@codemirror/language';
import { linter, lintGutter, lintKeymap, setDiagnostics, type Diagnostic } from '@codemirror/lint';
import { highlightSelectionMatches, searchKeymap } from '@codemirror/search';
import { Compartment, EditorState, Prec, StateEffect, type Extension } from '@codemirror/state';
import { drawSelection, EditorView, highlightActiveLine, highlightActiveLineGutter, keymap, lineNumbers, placeholder } from '@codemirror/view';
import { tags as t } from '@lezer/highlight';

export type { CompletionContext, CompletionResult, Diagnostic, Extension };
export { Compartment, EditorState, EditorView, keymap, linter, Prec, setDiagnostics, StateEffect };

/** CodeMirror in the colours of the token layer, for both themes. */
const look = EditorView.theme({
  '&': { backgroundColor: 'var(--ls-surface)', color: 'var(--ls-text)', fontSize: '12.5px', height: '100%' },
  '.cm-scroller': { fontFamily: 'var(--ls-mono)', lineHeight: '1.6', fontVariantLigatures: 'none' },
  '.cm-content': { caretColor: 'var(--ls-accent)' },
  '.cm-cursor': { borderLeftColor: 'var(--ls-accent)', borderLeftWidth: '2px' },
  '&.cm-focused': { outline: 'none' },
  '&.cm-focused .cm-selectionBackground, .cm-selectionBackground': { backgroundColor: 'var(--ls-selected) !important' },
  // Important, since a browser that replaces a marked text may leave the mark's colour in the line's own style.
  '.cm-activeLine': { backgroundColor: 'color-mix(in srgb, var(--ls-hover) 60%, transparent) !important' },
  '.cm-gutters': { backgroundColor: 'var(--ls-surface)', color: 'var(--ls-dim)', borderRight: '1px solid var(--ls-border)' },
  '.cm-activeLineGutter': { backgroundColor: 'var(--ls-hover)', color: 'var(--ls-text)' },
  '.cm-matchingBracket': { backgroundColor: 'var(--ls-selected) !important', outline: '1px solid var(--ls-border-strong)' },
  '.cm-tooltip, .cm-panels': { backgroundColor: 'var(--ls-surface)', color: 'var(--ls-text)', border: '1px solid var(--ls-border-strong)', borderRadius: '6px' },
  '.cm-tooltip-autocomplete ul li[aria-selected]': { backgroundColor: 'var(--ls-selected)', color: 'var(--ls-text)' },
  '.cm-diagnostic-error': { borderLeftColor: 'var(--ls-failed)' },
  '.cm-diagnostic-warning': { borderLeftColor: 'var(--ls-handled)' },
  '.cm-searchMatch': { backgroundColor: 'var(--ls-handled-tint)', outline: '1px solid var(--ls-handled)' },
  '.cm-placeholder': { color: 'var(--ls-dim)' },
  '.cm-foldPlaceholder': { backgroundColor: 'var(--ls-sunken)', border: '1px solid var(--ls-border)', color: 'var(--ls-dim)' },
});

const colours = HighlightStyle.define([
  { tag: t.propertyName, color: 'var(--ls-code-key)' },
  { tag: t.string, color: 'var(--ls-code-string)' },
  { tag: t.number, color: 'var(--ls-code-number)' },
  { tag: [t.bool, t.null, t.keyword], color: 'var(--ls-code-word)' },
  { tag: [t.punctuation, t.separator, t.bracket, t.comment], color: 'var(--ls-dim)' },
]);

export interface EditorOptions {
  parent: HTMLElement;
  text: string;
  label: string;
  json: boolean;
  readOnly: boolean;
  hint: string;
  onChange: (text: string) => void;
  more: Extension[];
}

/** Makes an editor. Escape and then Tab leaves it, since Tab indents. */
export function createEditor(o: EditorOptions): EditorView {
  return new EditorView({
    parent: o.parent,
    state: EditorState.create({
      doc: o.text,
      extensions: [
        o.more,
        lineNumbers(), highlightActiveLineGutter(), foldGutter(), history(), drawSelection(), indentOnInput(), bracketMatching(), closeBrackets(),
        autocompletion({ icons: false }), highlightActiveLine(), highlightSelectionMatches(), indentUnit.of('  '), EditorView.lineWrapping,
        o.json ? [json(), linter(jsonParseLinter(), { delay: 300 }), lintGutter()] : [],
        syntaxHighlighting(colours), look,
        keymap.of([...closeBracketsKeymap, ...defaultKeymap, ...searchKeymap, ...historyKeymap, ...foldKeymap, ...completionKeymap, ...lintKeymap, indentWithTab]),
        EditorState.readOnly.of(o.readOnly), EditorView.editable.of(!o.readOnly),
        o.hint ? placeholder(o.hint) : [],
        EditorView.contentAttributes.of({ 'aria-label': o.label, tabindex: '0', ...(o.readOnly ? { role: 'textbox', 'aria-readonly': 'true', 'aria-multiline': 'true' } : {}) }),
        EditorView.updateListener.of((u) => {
          if (u.docChanged) o.onChange(u.state.doc.toString());
        }),
      ],
    }),
  });
}

/** Replaces the text of an editor, and keeps the cursor near where it was. */
export function replaceText(view: EditorView, text: string): void {
  const old = view.state.doc.toString();
  if (old === text) return;
  let from = 0;
  while (from < old.length && from < text.length && old[from] === text[from]) from++;
  let [endOld, endNew] = [old.length, text.length];
  while (endOld > from && endNew > from && old[endOld - 1] === text[endNew - 1]) {
    endOld--;
    endNew--;
  }
  view.dispatch({ changes: { from, to: endOld, insert: text.slice(from, endNew) } });
}
