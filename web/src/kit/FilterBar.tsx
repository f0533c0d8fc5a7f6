import { Autocomplete } from '@mantine/core';
import { IconFilter, IconX } from '@tabler/icons-react';
import { useRef, useState } from 'react';
import { useShortcuts } from '../app/keys.ts';
import { kit, shell } from '../strings/index.ts';
import css from './FilterBar.module.css';
import { formatFilter, formatTerm, parseFilter, type Term } from './filters.ts';

export interface FilterField {
  /** As it is typed: "status". One that ends in "." takes any path below it: "input.". */
  name: string;
  label: string;
  values?: readonly string[];
  /** An example, for those without fixed values. */
  hint?: string;
}

export interface FilterBarProps {
  /** The filter as text; it belongs in the address. */
  value: string;
  onChange: (value: string) => void;
  fields: readonly FilterField[];
  placeholder?: string;
}

/** A filter as text with chips: type status:failed and Enter; Backspace takes the last one back. */
export function FilterBar({ value, onChange, fields, placeholder = kit.filterHelp }: FilterBarProps) {
  const [text, setText] = useState('');
  const [problem, setProblem] = useState('');
  const input = useRef<HTMLInputElement>(null);
  const terms = parseFilter(value);
  useShortcuts([{ keys: '/', label: shell.keys.filter, group: shell.keys.lists, run: () => input.current?.focus() }]);

  const known = (t: Term) => t.name === '' || fields.some((f) => f.name === t.name || (f.name.endsWith('.') && t.name.startsWith(f.name)));
  const add = (typed: string) => {
    const added = parseFilter(typed);
    const wrong = added.find((t) => !known(t));
    if (wrong) {
      setProblem(kit.unknownFilter(wrong.name));
      return;
    }
    setProblem('');
    setText('');
    if (added.length > 0) onChange(formatFilter([...terms.filter((t) => !added.some((a) => formatTerm(a) === formatTerm(t))), ...added]));
  };
  const remove = (i: number) => onChange(formatFilter(terms.filter((_, j) => j !== i)));

  return (
    <div className={css.bar} role="search" aria-label={kit.filter}>
      <IconFilter size={15} aria-hidden="true" className={css.icon} />
      {terms.map((t, i) => (
        <span key={i} className={css.chip}>
          {t.name && <span className={css.name}>{t.name}:</span>}
          <span className="truncate">{t.value}</span>
          <button type="button" className={css.remove} onClick={() => remove(i)} aria-label={kit.removeFilter(formatTerm(t))}>
            <IconX size={12} />
          </button>
        </span>
      ))}
      <Autocomplete
        ref={input}
        className={css.input!}
        variant="unstyled"
        aria-label={kit.filter}
        placeholder={terms.length === 0 ? placeholder : ''}
        value={text}
        error={problem || undefined}
        errorProps={{ role: 'alert', className: css.problem! }}
        onChange={(v) => { setText(v); setProblem(''); }}
        onOptionSubmit={(v) => {
          if (v.endsWith(':') || v.endsWith('.')) setTimeout(() => { setText(v); input.current?.focus(); });
          else { add(v); setTimeout(() => setText('')); }
        }}
        onKeyDown={(e) => {
          if (e.key === 'Enter' && !e.defaultPrevented) add(text);
          if (e.key === 'Backspace' && text === '' && terms.length > 0) remove(terms.length - 1);
          if (e.key === 'Escape') input.current?.blur();
        }}
        onBlur={() => add(text)}
        data={suggestions(text, fields)}
        filter={({ options }) => options}
        comboboxProps={{ width: 260, position: 'bottom-start', shadow: 'md' }}
        selectFirstOptionOnChange={false}
      />
    </div>
  );
}

function suggestions(text: string, fields: readonly FilterField[]): string[] {
  const [name, value] = text.includes(':') ? [text.slice(0, text.indexOf(':')), text.slice(text.indexOf(':') + 1)] : [text, undefined];
  if (value === undefined) {
    return fields.filter((f) => f.name.startsWith(name.toLowerCase()) && f.name !== name).map((f) => (f.name.endsWith('.') ? f.name : `${f.name}:`));
  }
  const field = fields.find((f) => f.name === name);
  return (field?.values ?? []).filter((v) => v.toLowerCase().startsWith(value.toLowerCase())).slice(0, 12).map((v) => formatTerm({ name, value: v }));
}
