import { Skeleton } from '@mantine/core';
import { useEffect, useRef, useState } from 'react';
import type { EditorView, Extension } from './lazy/editor.ts';
import css from './JsonEditor.module.css';

export interface JsonEditorProps {
  value: string;
  onChange?: (text: string) => void;
  label: string;
  /** A text of another kind: no colours of JSON, no check. */
  plain?: boolean;
  readOnly?: boolean;
  /** A CSS height; by default it grows with its text, within bounds. */
  height?: string;
  hint?: string;
  /** Takes the focus when it is there, in a dialog too. */
  autoFocus?: boolean;
  /** More of CodeMirror, as it is when the editor is made. */
  extensions?: (editor: typeof import('./lazy/editor.ts')) => Extension[];
  /** Hands out the editor, for commands such as "go to line". */
  onReady?: (view: EditorView, editor: typeof import('./lazy/editor.ts')) => void;
}

/** An editor for JSON. Its code is fetched when it is first shown. */
export function JsonEditor({ value, onChange, label, plain, readOnly, height, hint = '', autoFocus, extensions, onReady }: JsonEditorProps) {
  const parent = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  const [editor, setEditor] = useState<typeof import('./lazy/editor.ts') | null>(null);
  const latest = useRef({ value, onChange });
  useEffect(() => {
    latest.current = { value, onChange };
  });

  useEffect(() => {
    let gone = false;
    void import('./lazy/editor.ts').then((loaded) => {
      if (gone || !parent.current) return;
      view.current = loaded.createEditor({
        parent: parent.current,
        text: latest.current.value,
        label,
        json: !plain,
        readOnly: readOnly ?? onChange === undefined,
        hint,
        onChange: (text) => latest.current.onChange?.(text),
        more: [...(autoFocus ? [loaded.EditorView.contentAttributes.of({ 'data-autofocus': 'true' })] : []), ...(extensions?.(loaded) ?? [])],
      });
      setEditor(loaded);
      onReady?.(view.current, loaded);
    });
    return () => {
      gone = true;
      view.current?.destroy();
      view.current = null;
    };
    // Made once for each kind of editor; what changes goes through latest.
  }, [label, plain, readOnly]);

  useEffect(() => {
    if (view.current && editor) editor.replaceText(view.current, value);
  }, [value, editor]);

  useEffect(() => {
    if (editor && autoFocus) view.current?.focus();
  }, [editor, autoFocus]);

  return (
    <div className={css.editor} data-fixed={height ? true : undefined} style={height ? { height } : undefined}>
      {!editor && <Skeleton height={height ?? 120} />}
      <div ref={parent} className={css.parent} hidden={!editor} />
    </div>
  );
}
