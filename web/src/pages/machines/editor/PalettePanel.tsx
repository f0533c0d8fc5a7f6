import { draggable } from '@atlaskit/pragmatic-drag-and-drop/element/adapter';
import { Modal, SegmentedControl, TextInput } from '@mantine/core';
import { IconSearch } from '@tabler/icons-react';
import { useEffect, useId, useRef, useState } from 'react';
import type { PaletteEntry } from '../../../asl/palette.ts';
import { TypeIcon } from '../../../graph/TypeIcon.tsx';
import { common } from '../../../strings/index.ts';
import { editor as t } from '../../../strings/machines.ts';
import type { Dragged } from './Canvas.tsx';
import css from './Editor.module.css';

type Tab = PaletteEntry['tab'];

function matching(pieces: readonly PaletteEntry[], query: string): PaletteEntry[] {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  return pieces.filter((p) => words.every((w) => `${p.label} ${p.hint} ${p.id} ${p.type}`.toLowerCase().includes(w)));
}

/** What states can be made of: chosen by a click for after the selected one, or dragged to where they belong. */
export function PalettePanel({ pieces, onPick, disabled }: { pieces: readonly PaletteEntry[]; onPick: (p: PaletteEntry) => void; disabled: boolean }) {
  const [tab, setTab] = useState<Tab>('flow');
  const [query, setQuery] = useState('');
  const shown = query ? matching(pieces, query) : pieces.filter((p) => p.tab === tab);
  return (
    <aside className={css.palette} aria-label={t.palette}>
      <div className={css.paletteHead}>
        <TextInput value={query} onChange={(e) => setQuery(e.currentTarget.value)} placeholder={t.search} aria-label={`${t.search}: ${t.palette}`} leftSection={<IconSearch size={13} />} />
        <SegmentedControl fullWidth aria-label={t.palette} value={tab} onChange={(v) => { setTab(v as Tab); setQuery(''); }} data={(['flow', 'actions', 'patterns'] as const).map((v) => ({ value: v, label: t.paletteTabs[v] }))} />
      </div>
      <ul className={css.paletteList}>
        {shown.map((p) => <li key={p.id}><Entry piece={p} onPick={onPick} disabled={disabled} /></li>)}
        {shown.length === 0 && <li className={css.help}>{t.noPiece}</li>}
      </ul>
    </aside>
  );
}

function Entry({ piece, onPick, disabled }: { piece: PaletteEntry; onPick: (p: PaletteEntry) => void; disabled: boolean }) {
  const ref = useRef<HTMLButtonElement>(null);
  useEffect(() => draggable({ element: ref.current!, canDrag: () => !disabled, getInitialData: () => ({ lockstep: true, kind: 'piece', id: piece.id }) satisfies Dragged & { lockstep: true } }), [piece.id, disabled]);
  return (
    <button ref={ref} type="button" className={css.entry} disabled={disabled} title={piece.id.startsWith('arn:') ? piece.id : piece.hint} onClick={() => onPick(piece)}>
      <TypeIcon type={piece.type} size={16} />
      <span className={css.entryText}>
        <span className={css.entryLabel}>{piece.label}</span>
        <span className={css.entryHint}>{piece.hint}</span>
      </span>
    </button>
  );
}

interface Option {
  id: string;
  label: string;
  hint: string;
  type?: string;
}

/** A list that is searched by typing and chosen from by the arrow keys. */
export function Chooser({ opened, title, label, options, empty, onPick, onClose }: { opened: boolean; title: string; label: string; options: readonly Option[]; empty: string; onPick: (id: string) => void; onClose: () => void }) {
  return (
    <Modal opened={opened} onClose={onClose} title={title} size="md" yOffset="12vh" centered={false} closeButtonProps={{ 'aria-label': common.close }}>
      {opened && <ChooserList label={label} options={options} empty={empty} onPick={onPick} />}
    </Modal>
  );
}

function ChooserList({ label, options, empty, onPick }: { label: string; options: readonly Option[]; empty: string; onPick: (id: string) => void }) {
  const [query, setQuery] = useState('');
  const [at, setAt] = useState(0);
  const id = useId();
  const list = useRef<HTMLUListElement>(null);
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const rank = (o: Option) => (o.label.toLowerCase().startsWith(query.toLowerCase()) ? 0 : 1);
  const shown = options.filter((o) => words.every((w) => `${o.label} ${o.hint} ${o.id}`.toLowerCase().includes(w)));
  if (query) shown.sort((a, b) => rank(a) - rank(b));
  const chosen = Math.min(at, shown.length - 1);
  useEffect(() => {
    // With braces: some browsers return a promise here, and that is no clean-up.
    void list.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: 'nearest' });
  }, [chosen]);
  return (
    <>
      <TextInput
        data-autofocus
        role="combobox"
        aria-expanded
        aria-controls={id}
        aria-activedescendant={shown[chosen] ? `${id}-${chosen}` : undefined}
        aria-label={label}
        placeholder={t.search}
        leftSection={<IconSearch size={14} />}
        value={query}
        onChange={(e) => { setQuery(e.currentTarget.value); setAt(0); }}
        onKeyDown={(e) => {
          if (e.key === 'ArrowDown') setAt(Math.min(shown.length - 1, chosen + 1));
          else if (e.key === 'ArrowUp') setAt(Math.max(0, chosen - 1));
          else if (e.key === 'Enter' && shown[chosen]) onPick(shown[chosen].id);
          else return;
          e.preventDefault();
        }}
      />
      <ul ref={list} id={id} role="listbox" aria-label={label} className={css.chooser}>
        {shown.map((o, i) => (
          <li key={o.id} id={`${id}-${i}`} role="option" aria-selected={i === chosen} className={css.option} onClick={() => onPick(o.id)} onMouseMove={() => setAt(i)}>
            {o.type && <TypeIcon type={o.type} size={16} />}
            <span className={css.entryText}>
              <span className={css.entryLabel}>{o.label}</span>
              {o.hint && <span className={css.entryHint}>{o.hint}</span>}
            </span>
          </li>
        ))}
      </ul>
      {shown.length === 0 && <p className={css.help}>{empty}</p>}
    </>
  );
}
