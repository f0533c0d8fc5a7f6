import { useEffect, useRef } from 'react';
import type { Diagnostic } from '../../../api/aws.ts';
import { offers } from '../../../asl/complete.ts';
import { locate, type Machine } from '../../../asl/machine.ts';
import { nodeAt } from '../../../asl/cst.ts';
import { JsonEditor } from '../../../kit/index.ts';
import type { EditorView } from '../../../kit/lazy/editor.ts';
import { editor as t } from '../../../strings/machines.ts';
import css from './Editor.module.css';
import type { Editor } from './useEditor.ts';

export interface CodeViewProps {
  editor: Editor;
  diagnostics: readonly Diagnostic[];
  resources: readonly string[];
  selected: string | undefined;
  /** The cursor is in another state. */
  onState: (id: string | undefined) => void;
  /** A place that somebody asked for; changes with each time. */
  goTo: { offset: number } | undefined;
}

/** The definition as text: the same document that the canvas changes. */
export function CodeView({ editor, diagnostics, resources, selected, goTo }: CodeViewProps) {
  const latest = useRef<{ editor: Editor; machine: Machine; diagnostics: readonly Diagnostic[]; resources: readonly string[] }>({ editor, machine: editor.machine, diagnostics, resources });
  useEffect(() => {
    latest.current = { editor, machine: editor.machine, diagnostics, resources };
  });
  const view = useRef<{ view: EditorView; kit: typeof import('../../../kit/lazy/editor.ts') } | null>(null);

  const refresh = useRef<import('@codemirror/state').StateEffectType<null> | null>(null);

  useEffect(() => {
    // A change of the text starts a check by itself; what the server says comes later.
    if (view.current && refresh.current) view.current.view.dispatch({ effects: refresh.current.of(null) });
  }, [diagnostics]);

  const show = (offset: number) => {
    const v = view.current?.view;
    if (!v || offset > v.state.doc.length) return;
    v.dispatch({ selection: { anchor: offset }, effects: view.current!.kit.EditorView.scrollIntoView(offset, { y: 'center' }) });
  };
  useEffect(() => {
    if (!view.current || view.current.view.hasFocus) return;
    const place = selected === undefined ? undefined : editor.machine.places.get(selected);
    const node = place && nodeAt(editor.machine.root, place.path);
    if (node && editor.broken === undefined) show(node.from);
    // Only when another state is chosen: not with each change of the text.
  }, [selected]);
  useEffect(() => {
    if (!goTo) return;
    show(goTo.offset);
    view.current?.view.focus();
  }, [goTo]);

  return (
    <div className={css.code}>
      <JsonEditor
        value={editor.text}
        onChange={editor.type}
        label={t.code}
        height="100%"
        onReady={(v, kit) => {
          view.current = { view: v, kit };
          const place = selected === undefined ? undefined : latest.current.machine.places.get(selected);
          const node = place && nodeAt(latest.current.machine.root, place.path);
          if (goTo) show(goTo.offset);
          else if (node) show(node.from);
        }}
        extensions={(kit) => {
          const refreshed = kit.StateEffect.define<null>();
          refresh.current = refreshed;
          return [
          // Undo is the page's, which knows what was changed on the canvas, too.
          kit.Prec.highest(
            kit.keymap.of([
              { key: 'Mod-z', run: () => (latest.current.editor.undo(), true), preventDefault: true },
              { key: 'Mod-Shift-z', run: () => (latest.current.editor.redo(), true), preventDefault: true },
              { key: 'Mod-y', run: () => (latest.current.editor.redo(), true), preventDefault: true },
            ]),
          ),
          kit.linter(
            (v) => {
              const { machine, diagnostics: list } = latest.current;
              // Places are those of the text that was checked; of a newer one they may be past its end.
              if (machine.text !== v.state.doc.toString()) return [];
              return list.map((d) => {
                const at = locate(machine, d.location);
                return { from: at.from, to: Math.max(at.from, at.to), severity: d.severity === 'ERROR' ? ('error' as const) : ('warning' as const), message: d.message, source: d.code };
              });
            },
            { delay: 200, needsRefresh: (u) => u.transactions.some((tr) => tr.effects.some((e) => e.is(refreshed))) },
          ),
          kit.EditorState.languageData.of(() => [
            {
              autocomplete: (c: import('../../../kit/lazy/editor.ts').CompletionContext) => {
                const { machine, resources: known } = latest.current;
                const found = offers(c.state.doc.toString(), c.pos, machine, known);
                if (!found || (!c.explicit && found.from === c.pos && c.state.sliceDoc(c.pos - 1, c.pos) !== '"')) return null;
                return { from: found.from, options: found.options.map((o) => ({ label: o.label, apply: o.insert, detail: o.kind })), validFor: /^[\w.$ :-]*$/ };
              },
            },
          ]),
          ];
        }}
      />
    </div>
  );
}
