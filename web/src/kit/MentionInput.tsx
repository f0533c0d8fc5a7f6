import { Textarea } from '@mantine/core';
import { useId, useLayoutEffect, useRef, useState } from 'react';
import { kit } from '../strings/index.ts';
import { AgentAvatar } from './AgentAvatar.tsx';
import css from './MentionInput.module.css';

export interface Mentionable {
  /** What stands after the @. */
  slug: string;
  name: string;
  person?: boolean;
  status?: string;
}

export interface MentionInputProps {
  value: string;
  onChange: (text: string) => void;
  who: readonly Mentionable[];
  label: string;
  placeholder?: string;
  /** Ctrl Enter. */
  onSubmit?: () => void;
  minRows?: number;
}

/** A text in which @ offers agents and people. */
export function MentionInput({ value, onChange, who, label, placeholder = kit.mentionHint, onSubmit, minRows = 3 }: MentionInputProps) {
  const area = useRef<HTMLTextAreaElement>(null);
  const [at, setAt] = useState<{ from: number; query: string } | null>(null);
  const [index, setIndex] = useState(0);
  const list = useId();
  // Where the caret goes once the text is there: before anything more is typed.
  const caret = useRef<number | null>(null);
  useLayoutEffect(() => {
    if (caret.current === null) return;
    area.current?.focus();
    area.current?.setSelectionRange(caret.current, caret.current);
    caret.current = null;
  }, [value]);
  const offered = at ? who.filter((w) => w.slug.toLowerCase().includes(at.query) || w.name.toLowerCase().includes(at.query)).slice(0, 8) : [];
  const open = offered.length > 0;

  const look = (text: string, cursor: number) => {
    const found = /(?:^|[\s(])@([\w.-]*)$/.exec(text.slice(0, cursor));
    setAt(found ? { from: cursor - found[1]!.length, query: found[1]!.toLowerCase() } : null);
    setIndex(0);
  };
  const take = (who: Mentionable) => {
    if (!at) return;
    const cursor = at.from + at.query.length;
    const inserted = `${who.slug} `;
    onChange(value.slice(0, at.from) + inserted + value.slice(cursor));
    setAt(null);
    caret.current = at.from + inserted.length;
  };
  return (
    <div className={css.mention}>
      <Textarea
        ref={area}
        autosize
        minRows={minRows}
        maxRows={14}
        label={label}
        placeholder={placeholder}
        value={value}
        aria-haspopup="listbox"
        aria-autocomplete="list"
        aria-controls={open ? list : undefined}
        aria-activedescendant={open ? `${list}-${index}` : undefined}
        onChange={(e) => {
          onChange(e.currentTarget.value);
          look(e.currentTarget.value, e.currentTarget.selectionStart);
        }}
        onKeyDown={(e) => {
          if (e.key === 'Enter' && (e.ctrlKey || e.metaKey)) {
            e.preventDefault();
            onSubmit?.();
            return;
          }
          if (!open) return;
          if (e.key === 'ArrowDown') setIndex((index + 1) % offered.length);
          else if (e.key === 'ArrowUp') setIndex((index + offered.length - 1) % offered.length);
          else if (e.key === 'Enter' || e.key === 'Tab') take(offered[index]!);
          else if (e.key === 'Escape') setAt(null);
          else return;
          e.preventDefault();
          e.stopPropagation();
        }}
        onBlur={() => setTimeout(() => setAt(null), 150)}
      />
      {open && (
        <ul id={list} role="listbox" aria-label={kit.people} className={css.list}>
          {offered.map((w, i) => (
            <li key={w.slug} id={`${list}-${i}`} role="option" aria-selected={i === index} className={css.option} onMouseDown={(e) => { e.preventDefault(); take(w); }}>
              <AgentAvatar name={w.name} size={20} {...(w.person ? { person: true } : {})} {...(w.status ? { status: w.status } : {})} />
              <span>{w.name}</span>
              <span className="dim mono">@{w.slug}</span>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
