import { ActionIcon, Autocomplete, NumberInput, Select, Textarea, TextInput, Tooltip } from '@mantine/core';
import { IconTrash } from '@tabler/icons-react';
import { useEffect, useRef, useState, type ReactNode } from 'react';
import { parseJson, type JsonPath } from '../../../asl/cst.ts';
import { nodeAt } from '../../../asl/cst.ts';
import type { Machine } from '../../../asl/machine.ts';
import { read, setField } from '../../../asl/operations.ts';
import { format, Raw, reindent } from '../../../asl/patch.ts';
import { editor as t } from '../../../strings/machines.ts';
import css from './Editor.module.css';
import type { Editor } from './useEditor.ts';

export interface FieldProps {
  editor: Editor;
  path: JsonPath;
  label: string;
  hint?: string;
  after?: string;
}

const source = (path: JsonPath) => `form:${path.join('/')}`;

/** What somebody types here is taken over as they type, and what comes from elsewhere is shown when they do not. */
function useTyped(text: string): [string, (t: string) => void, { onFocus: () => void; onBlur: () => void }] {
  const [typed, setTyped] = useState(text);
  const focused = useRef(false);
  useEffect(() => {
    if (!focused.current) setTyped(text);
  }, [text]);
  return [
    typed,
    setTyped,
    {
      onFocus: () => (focused.current = true),
      onBlur: () => {
        focused.current = false;
        setTyped(text);
      },
    },
  ];
}

const textOf = (m: Machine, path: JsonPath): string => {
  const v = read(m, path);
  return typeof v === 'string' ? v : v === undefined ? '' : JSON.stringify(v);
};

/** A text; empty takes the member away. */
export function TextField({ editor, path, label, hint, after, mono, data }: FieldProps & { mono?: boolean; data?: string[] }) {
  const value = textOf(editor.machine, path);
  const [typed, setTyped, focus] = useTyped(value);
  const change = (text: string) => {
    setTyped(text);
    editor.apply(setField(editor.machine, path, text === '' ? undefined : text, after), source(path));
  };
  const shared = { label, value: typed, onChange: change, disabled: editor.broken !== undefined, classNames: mono ? { input: css.mono! } : {}, ...focus, ...(hint ? { placeholder: hint } : {}) };
  if (data) return <Autocomplete size="xs" {...shared} data={data} limit={40} comboboxProps={{ shadow: 'md' }} />;
  return <TextInput {...shared} onChange={(e) => change(e.currentTarget.value)} />;
}

/** A number, or an expression where the language has them. */
export function NumberField({ editor, path, label, hint, after, min = 0 }: FieldProps & { min?: number }) {
  const value = textOf(editor.machine, path);
  const [typed, setTyped, focus] = useTyped(value);
  const number = typed.trim() !== '' && Number.isFinite(Number(typed));
  const bad = typed !== '' && !number && !typed.startsWith('{%');
  return (
    <TextInput
      label={label}
      value={typed}
      {...(hint ? { placeholder: hint } : {})}
      {...(bad || (number && Number(typed) < min) ? { error: hint ?? t.expression } : {})}
      disabled={editor.broken !== undefined}
      inputMode="numeric"
      onChange={(e) => {
        const text = e.currentTarget.value;
        setTyped(text);
        const v = text.trim() === '' ? undefined : Number.isFinite(Number(text)) ? new Raw(String(Number(text))) : text.startsWith('{%') ? text : null;
        if (v !== null) editor.apply(setField(editor.machine, path, v, after), source(path));
      }}
      {...focus}
    />
  );
}

/** Any JSON, as it is written. A text that begins with {% is an expression and needs no quotes. */
export function JsonField({ editor, path, label, hint, after, rows = 2 }: FieldProps & { rows?: number }) {
  const node = nodeAt(editor.machine.root, path);
  const raw = node ? editor.machine.text.slice(node.from, node.to) : '';
  const value = node?.kind === 'string' && /^\{%[^]*%\}$/.test(String(node.value)) ? String(node.value) : raw.length > 50 && !raw.includes('\n') ? format(raw).trimEnd() : reindent(raw, '');
  const [typed, setTyped, focus] = useTyped(value);
  const bad = typed.trim() !== '' && !isJson(typed);
  return (
    <Textarea
      label={label}
      value={typed}
      placeholder={hint ?? ''}
      autosize
      minRows={rows}
      maxRows={14}
      spellCheck={false}
      classNames={{ input: css.mono! }}
      disabled={editor.broken !== undefined}
      {...(bad ? { error: t.badJson } : {})}
      onChange={(e) => {
        const text = e.currentTarget.value;
        setTyped(text);
        if (text.trim() === '') editor.apply(setField(editor.machine, path, undefined), source(path));
        else if (/^\s*\{%[^]*%\}\s*$/.test(text)) editor.apply(setField(editor.machine, path, text.trim(), after), source(path));
        else if (isJson(text)) editor.apply(setField(editor.machine, path, new Raw(text.trim()), after), source(path));
      }}
      {...focus}
    />
  );
}

function isJson(text: string): boolean {
  if (/^\s*\{%[^]*%\}\s*$/.test(text)) return true;
  try {
    parseJson(text);
    return true;
  } catch {
    return false;
  }
}

/** One of some values; null: none of them. */
export function ChoiceField({ editor, path, label, data, none, after }: FieldProps & { data: { value: string; label: string }[]; none?: string }) {
  const value = read(editor.machine, path);
  return (
    <Select
      label={label}
      value={typeof value === 'string' ? value : null}
      data={data}
      disabled={editor.broken !== undefined}
      allowDeselect={false}
      clearable={none !== undefined}
      {...(none === undefined ? {} : { placeholder: none })}
      onChange={(v) => editor.apply(setField(editor.machine, path, v ?? undefined, after))}
    />
  );
}

/** A whole number of a retrier. */
export function CountField({ editor, path, label, usual, min, step = 1 }: FieldProps & { usual: number | undefined; min: number; step?: number }) {
  const value = read(editor.machine, path);
  return (
    <NumberInput
      label={label}
      value={typeof value === 'number' ? value : ''}
      placeholder={usual === undefined ? '' : String(usual)}
      min={min}
      step={step}
      disabled={editor.broken !== undefined}
      hideControls
      onChange={(v) => editor.apply(setField(editor.machine, path, typeof v === 'number' ? v : undefined), source(path))}
    />
  );
}

/** Part of a list, with a button that takes it away. */
export function Part({ title, onRemove, removeLabel, actions, children }: { title: string; onRemove?: () => void; removeLabel?: string; actions?: ReactNode; children: ReactNode }) {
  return (
    <section className={css.part} aria-label={title}>
      <div className={css.partHead}>
        <h4 className={css.partTitle}>{title}</h4>
        {actions}
        {onRemove && (
          <Tooltip label={removeLabel ?? t.remove}>
            <ActionIcon onClick={onRemove} aria-label={`${removeLabel ?? t.remove}: ${title}`} size={24}><IconTrash size={14} /></ActionIcon>
          </Tooltip>
        )}
      </div>
      {children}
    </section>
  );
}
