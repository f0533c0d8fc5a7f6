import { ActionIcon, Alert, Badge, Button, SegmentedControl, Select, TextInput, Tooltip } from '@mantine/core';
import { useMediaQuery } from '@mantine/hooks';
import { notifications } from '@mantine/notifications';
import { IconArrowBackUp, IconArrowForwardUp, IconSettings } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { useCallback, useEffect, useMemo, useState } from 'react';
import type { MachineDetail, MachineType } from '../../../api/aws.ts';
import { diagnosticsQuery, machineRowQuery, resourcesQuery } from '../../../api/machines.ts';
import { copyText } from '../../../app/clipboard.ts';
import { useShortcuts } from '../../../app/keys.ts';
import { Page } from '../../../app/Page.tsx';
import * as op from '../../../asl/operations.ts';
import { format } from '../../../asl/patch.ts';
import { pieces as piecesOf, shortResource, usualResources } from '../../../asl/palette.ts';
import { hash } from '../../../graph/useLayout.ts';
import { formatTime } from '../../../kit/index.ts';
import { editor as t, machines } from '../../../strings/machines.ts';
import { Canvas, saySlot } from './Canvas.tsx';
import { CodeView } from './CodeView.tsx';
import { EditedBy } from '../EditedBy.tsx';
import css from './Editor.module.css';
import { Chooser, PalettePanel } from './PalettePanel.tsx';
import { Problems } from './Problems.tsx';
import { PublishDialog } from './PublishDialog.tsx';
import { MachineForm, StateForm } from './StateForm.tsx';
import { readDraft, useEditor, writeDraft, type Draft } from './useEditor.ts';

/** What a new machine begins with. */
export const blank = '{\n  "QueryLanguage": "JSONata",\n  "StartAt": "",\n  "States": {}\n}\n';

type View = 'canvas' | 'split' | 'code';

/** What was copied, for all editors of this tab. */
let clipboard: op.Copied | undefined;

const validName = /^[A-Za-z0-9_-]{1,80}$/;

/** A slow text that follows a quick one. */
function useSettled<T>(value: T, ms: number): T {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), ms);
    return () => clearTimeout(timer);
  }, [value, ms]);
  return settled;
}

/** Palette, canvas, code, form and problems around one definition. */
export function Workbench({ name: given, base: first }: { name: string; base: MachineDetail | undefined }) {
  const [base, setBase] = useState(first);
  const published = base?.definition ?? blank;
  const draftName = given || '\u0000new';
  const [found, setFound] = useState<Draft | null>(() => {
    const draft = readDraft(draftName);
    return draft && draft.text !== published ? draft : null;
  });
  const editor = useEditor(found?.text ?? published);
  const [name, setName] = useState(given);
  const [type, setType] = useState<MachineType>(base?.type ?? 'STANDARD');
  const search = useSearch({ strict: false }) as { view?: string; state?: string; tab?: string };
  const navigate = useNavigate();
  const small = useMediaQuery('(max-width: 760px)', window.innerWidth <= 760, { getInitialValueInEffect: false }) ?? false;
  const wide = useMediaQuery('(min-width: 1200px)', window.innerWidth >= 1200, { getInitialValueInEffect: false }) ?? true;
  const view: View = search.view === 'code' || search.view === 'split' ? search.view : 'canvas';
  const selected = search.state !== undefined && editor.machine.places.has(search.state) ? search.state : undefined;
  const place = selected === undefined ? undefined : editor.machine.places.get(selected)!;
  const [slot, setSlot] = useState<op.Slot | null>(null);
  const [moving, setMoving] = useState<string | null>(null);
  const [finding, setFinding] = useState(false);
  const [publishing, setPublishing] = useState(false);
  const [settings, setSettings] = useState(false);
  const [said, setSaid] = useState('');
  const [goTo, setGoTo] = useState<{ offset: number } | undefined>(undefined);
  const changed = editor.text !== published;

  const known = useQuery({ ...resourcesQuery, retry: false });
  const resources = useMemo(() => [...new Set([...usualResources, ...(known.data ?? [])])], [known.data]);
  const pieces = useMemo(() => piecesOf(resources), [resources]);

  const settled = useSettled(editor.text, 350);
  const checked = useQuery({ ...diagnosticsQuery(settled, type, hash(settled)), enabled: settled.trim() !== '' });
  const diagnostics = checked.data ?? [];
  const checking = settled !== editor.text || checked.isFetching;
  const errors = diagnostics.filter((d) => d.severity === 'ERROR').length;

  const go = useCallback(
    (to: { view?: string; state?: string | undefined; tab?: string }) => void navigate({ to: '.', search: (old: Record<string, string | undefined>) => ({ ...old, ...to }), replace: true } as never),
    [navigate],
  );
  const select = useCallback((id: string | undefined) => go({ state: id }), [go]);

  // The draft is kept while somebody works; what is as it is published needs none.
  useEffect(() => {
    const timer = setTimeout(() => writeDraft(draftName, changed ? { text: editor.text, base: published, at: Date.now() } : null), 400);
    return () => clearTimeout(timer);
  }, [editor.text, published, changed, draftName]);

  const attempt = useCallback(
    (make: () => op.Change, words?: string) => {
      try {
        const change = make();
        editor.apply(change);
        if ('select' in change || words) select(change.select);
        if (words) setSaid(words);
      } catch (err) {
        if (!(err instanceof op.Refused)) throw err;
        notifications.show({ title: t.refused, message: err.message, color: 'orange' });
      }
    },
    [editor, select],
  );
  const m = editor.machine;
  const insertPiece = (id: string, at: op.Slot) => {
    const piece = pieces.find((p) => p.id === id);
    if (piece) attempt(() => op.insert(m, at, piece), t.inserted(piece.name, saySlot(m, at)));
  };
  /** Behind the selected state; with none selected at the end of the main way, where people go on building. */
  const here = (): op.Slot => {
    if (place) return op.mainSlot(m, place.id) ?? { kind: 'start', prefix: place.prefix };
    const ends = [...m.places.values()].filter((p) => p.prefix === '' && op.slotsAfter(m, p.id)[0]?.kind === 'end');
    const last = ends.at(-1);
    return last ? { kind: 'end', from: last.id } : { kind: 'start', prefix: '' };
  };
  const move = (id: string, to: op.Slot) => attempt(() => op.move(m, id, to), t.moved(m.places.get(id)?.name ?? id, saySlot(m, to)));

  const act = (what: string) => {
    if (editor.broken) return;
    if (what === 'insert') return setSlot(here());
    if (what === 'paste') {
      const copied = clipboard;
      if (copied) attempt(() => op.paste(m, here(), copied), t.inserted(copied.name, saySlot(m, here())));
      return;
    }
    if (!place) return;
    const id = place.id;
    if (what === 'wrap') attempt(() => op.wrap(m, id, 'Parallel'), t.wrapped(place.name, 'Parallel'));
    if (what === 'wrapMap') attempt(() => op.wrap(m, id, 'Map'), t.wrapped(place.name, 'Map'));
    if (what === 'remove') attempt(() => op.remove(m, id), t.removed(place.name));
    if (what === 'move') setMoving(id);
    if (what === 'setStart') attempt(() => op.setStart(m, id));
    if (what === 'duplicate') attempt(() => op.duplicate(m, id), t.inserted(place.name, saySlot(m, here())));
    if (what === 'copy' || what === 'cut') {
      clipboard = op.copy(m, id);
      void copyText(JSON.stringify({ [clipboard.name]: JSON.parse(clipboard.text) as unknown }, null, 2));
      setSaid(t.copied(place.name));
    }
    if (what === 'cut') attempt(() => op.remove(m, id), t.removed(place.name));
  };

  /** Along edges, or to a neighbour that the same state leads to; into a container and out of it. */
  const walk = (way: 'down' | 'up' | 'left' | 'right') => {
    const scopes = new Map<string, NonNullable<typeof m.scope>>();
    const collect = (s: NonNullable<typeof m.scope>): void => {
      scopes.set(s.prefix, s);
      s.states.forEach((x) => x.scopes.forEach(collect));
    };
    if (m.scope) collect(m.scope);
    if (!place) {
      if (m.scope) select(m.scope.startAt);
      return;
    }
    const scope = scopes.get(place.prefix);
    if (!scope) return;
    const out = scope.edges.filter((e) => e.from === place.id);
    const into = scope.edges.filter((e) => e.to === place.id);
    const inner = scope.states.find((s) => s.id === place.id)?.scopes[0];
    const owner = place.prefix.replace(/#\d+\/$/, '');
    if (way === 'down') return void (out[0] && select(out[0].to));
    if (way === 'up') return void (into[0] ? select(into[0].from) : place.prefix && select(owner));
    const siblings = into[0] ? [...new Set(scope.edges.filter((e) => e.from === into[0]!.from).map((e) => e.to))] : [];
    const i = siblings.indexOf(place.id);
    const next = siblings[i + (way === 'right' ? 1 : -1)];
    if (i >= 0 && next !== undefined) return select(next);
    const branch = /#(\d+)\/$/.exec(place.prefix);
    const beside = branch && scopes.get(`${owner}#${Number(branch[1]) + (way === 'right' ? 1 : -1)}/`);
    if (beside?.startAt) return select(beside.startAt);
    if (way === 'right' && inner) select(inner.startAt);
    if (way === 'left' && place.prefix) select(owner);
  };

  const publish = () => {
    if (!base && !validName.test(name)) {
      document.getElementById('machine-name')?.focus();
      return;
    }
    setPublishing(true);
  };
  const save = () => {
    writeDraft(draftName, changed ? { text: editor.text, base: published, at: Date.now() } : null);
    notifications.show({ message: t.saved, autoClose: 1800 });
  };
  const copyOr = (what: 'copy' | 'cut') => {
    const text = window.getSelection()?.toString();
    if (text) void copyText(text);
    else act(what);
  };
  const k = t.keysOf;
  const group = t.keys;
  const setView = (v: View) => go({ view: v === 'canvas' ? '' : v });
  useShortcuts([
    { keys: 'Ctrl z', label: t.undo, group, run: () => { editor.undo(); setSaid(t.undone); } },
    { keys: 'Ctrl Shift z', label: t.redo, group, run: () => { editor.redo(); setSaid(t.redone); } },
    { keys: 'Ctrl y', label: t.redo, group, run: () => { editor.redo(); setSaid(t.redone); } },
    { keys: 'Ctrl s', label: t.save, group, run: save, whileTyping: true },
    { keys: 'Ctrl Shift s', label: t.publish, group, run: publish, whileTyping: true },
    { keys: '1', label: k.canvas, group, run: () => setView('canvas') },
    { keys: '2', label: k.split, group, run: () => setView('split') },
    { keys: '3', label: k.code, group, run: () => setView('code') },
    { keys: 'a', label: k.insert, group, run: () => act('insert') },
    { keys: 'Ctrl v', label: k.paste, group, run: () => act('paste') },
    { keys: 'Ctrl f', label: k.find, group, run: () => setFinding(true) },
    { keys: 'ArrowDown', label: k.walkDown, group, run: () => walk('down') },
    { keys: 'ArrowUp', label: k.walkUp, group, run: () => walk('up') },
    { keys: 'ArrowLeft', label: k.walkLeft, group, run: () => walk('left') },
    { keys: 'ArrowRight', label: k.walkRight, group, run: () => walk('right') },
  ]);
  useShortcuts(
    [
      { keys: 'w', label: k.wrap, group, run: () => act('wrap') },
      { keys: 'Shift w', label: k.wrapMap, group, run: () => act('wrapMap') },
      { keys: 'm', label: k.move, group, run: () => act('move') },
      { keys: 'Delete', label: k.remove, group, run: () => act('remove') },
      { keys: 'Backspace', label: k.remove, group, run: () => act('remove') },
      { keys: 'Ctrl c', label: k.copy, group, run: () => copyOr('copy') },
      { keys: 'Ctrl x', label: k.cut, group, run: () => copyOr('cut') },
      { keys: 'Ctrl d', label: k.duplicate, group, run: () => act('duplicate') },
      { keys: 'Ctrl Enter', label: k.test, group, run: () => go({ tab: 'test' }), whileTyping: true },
      { keys: 'F2', label: k.rename, group, run: () => { go({ tab: 'config' }); requestAnimationFrame(() => document.querySelector<HTMLInputElement>(`[aria-label="${t.form}"] input`)?.focus()); } },
    ],
    place !== undefined,
  );

  const slots = moving === null ? [] : op.slotsFor(m, { id: moving, type: m.places.get(moving)?.type ?? 'Pass' });
  const onSlot = useCallback((s: op.Slot) => setSlot(s), []);
  const row = useQuery({ ...machineRowQuery(base?.name ?? ''), enabled: base !== undefined }).data;
  const title = base ? t.title(name) : t.newTitle;
  const showCanvas = view !== 'code';
  const showCode = view !== 'canvas' && !(small && view === 'split');
  const formShown = showCanvas && (place !== undefined || settings);
  // Three panes are too many on a narrow screen: what is chosen comes before what could be.
  const showPalette = showCanvas && !small && (wide || !formShown) && !(view === 'split' && formShown);

  const head = (
    <div className={css.headActions}>
      <Tooltip label={t.undo}><ActionIcon onClick={editor.undo} disabled={!editor.canUndo} aria-label={t.undo}><IconArrowBackUp size={17} /></ActionIcon></Tooltip>
      <Tooltip label={t.redo}><ActionIcon onClick={editor.redo} disabled={!editor.canRedo} aria-label={t.redo}><IconArrowForwardUp size={17} /></ActionIcon></Tooltip>
      <Tooltip label={t.machineForm}><ActionIcon onClick={() => { setSettings(!settings || place !== undefined); select(undefined); }} aria-label={t.machineForm} aria-pressed={settings && !place}><IconSettings size={17} /></ActionIcon></Tooltip>
      {showCode && <Tooltip label={t.formatText}><Button variant="default" disabled={editor.broken !== undefined} onClick={() => editor.apply({ text: format(editor.text), patches: [] })}>{t.format}</Button></Tooltip>}
      <SegmentedControl aria-label={t.view} value={view} onChange={(v) => setView(v as View)} data={(small ? (['canvas', 'code'] as const) : (['canvas', 'split', 'code'] as const)).map((v) => ({ value: v, label: t.views[v] }))} />
      <Button onClick={publish} disabled={(base !== undefined && !changed) || editor.broken !== undefined}>{t.publish}</Button>
    </div>
  );
  return (
    <Page
      title={title}
      heading={base ? undefined : t.newTitle}
      crumbs={[{ label: machines.title, to: '/machines' }, ...(base ? [{ label: name, to: `/machines/${encodeURIComponent(name)}` }] : [])]}
      beside={
        <>
          <Badge variant="light" color={changed ? 'accent' : 'gray'} radius="sm" tt="none" fw={500}>{!base ? t.draft : changed ? t.unpublished : t.same}</Badge>
          {row && !small && <span className={css.editedAt}><EditedBy row={row} /></span>}
        </>
      }
      actions={head}
      fill
      below={
        <>
          {!base && (
            <div className={css.newFields}>
              <TextInput id="machine-name" label={t.name} description={t.nameText} value={name} onChange={(e) => setName(e.currentTarget.value)} error={name !== '' && !validName.test(name)} required withAsterisk={false} autoFocus />
              <Select label={t.type} description="&nbsp;" allowDeselect={false} value={type} onChange={(v) => v && setType(v as MachineType)} data={Object.entries(machines.types).map(([value, label]) => ({ value, label }))} />
            </div>
          )}
          {found && (
            <Alert className={css.notice!} color="accent" variant="light" withCloseButton closeButtonLabel={t.dismiss} onClose={() => setFound(null)}>
              <span className={css.lineOf}>
                {t.draftFound(formatTime(found.at))}
                <Button variant="subtle" onClick={() => { editor.begin(published); writeDraft(draftName, null); setFound(null); }}>{t.discard}</Button>
              </span>
            </Alert>
          )}
        </>
      }
    >
      <div className={css.bench}>
        <div className={css.panes}>
          {showPalette && <PalettePanel pieces={pieces} onPick={(p) => insertPiece(p.id, here())} disabled={editor.broken !== undefined} />}
          {showCanvas && (
            <div className={css.pane}>
              {editor.broken && <div className={css.frozen} role="status">{t.frozen}</div>}
              <Canvas machine={m} frozen={editor.broken !== undefined} selected={selected} onSelect={select} onSlot={onSlot} onMove={move} onPiece={insertPiece} pieces={pieces} />
            </div>
          )}
          {showCode && <div className={css.pane}><CodeView editor={editor} diagnostics={diagnostics} resources={resources} selected={selected} onState={select} goTo={goTo} /></div>}
          {showCanvas && place && <StateForm editor={editor} place={place} tab={search.tab ?? 'config'} onTab={(tab) => go({ tab })} onSelect={select} act={act} attempt={attempt} resources={resources} machine={base?.name ?? ''} draft={base?.name ?? name} />}
          {showCanvas && !place && settings && <MachineForm editor={editor} onClose={() => setSettings(false)} />}
        </div>
        <Problems
          editor={editor}
          diagnostics={diagnostics}
          checking={checking}
          error={checked.error}
          onGo={(state, offset) => {
            select(state);
            setGoTo({ offset });
            if (editor.broken && view === 'canvas') setView('split');
          }}
        />
      </div>
      <div className="sr-only" role="status" aria-live="polite">{said}</div>
      <Chooser
        opened={slot !== null}
        title={slot ? t.insertAt(safely(() => saySlot(m, slot))) : t.insertTitle}
        label={t.insertTitle}
        empty={t.noPiece}
        options={slot ? pieces.filter((p) => op.allowed(m, slot, p.type)).map((p) => ({ id: p.id, label: p.label, hint: p.tab === 'actions' ? `${p.hint} · ${shortResource(p.id)}` : p.hint, type: p.type })) : []}
        onPick={(id) => {
          const at = slot!;
          setSlot(null);
          insertPiece(id, at);
        }}
        onClose={() => setSlot(null)}
      />
      <Chooser
        opened={moving !== null}
        title={t.moveTitle(moving === null ? '' : (m.places.get(moving)?.name ?? ''))}
        label={t.moveTo}
        empty={t.noSlots}
        options={slots.map((s) => ({ id: op.slotKey(s), label: saySlot(m, s), hint: '' }))}
        onPick={(key) => {
          const to = slots.find((s) => op.slotKey(s) === key);
          const id = moving!;
          setMoving(null);
          if (to) move(id, to);
        }}
        onClose={() => setMoving(null)}
      />
      <Chooser
        opened={finding}
        title={t.findTitle}
        label={t.findTitle}
        empty={t.noPiece}
        options={[...m.places.values()].map((p) => ({ id: p.id, label: p.name, hint: p.prefix.slice(0, -1), type: p.type }))}
        onPick={(id) => {
          setFinding(false);
          select(id);
        }}
        onClose={() => setFinding(false)}
      />
      {publishing && (
        <PublishDialog
          name={name}
          type={type}
          text={editor.text}
          base={base}
          errors={checking ? 0 : errors}
          onClose={() => setPublishing(false)}
          onPublished={(machine) => {
            setPublishing(false);
            setFound(null);
            writeDraft(draftName, null);
            setBase(machine);
            if (!base) void navigate({ to: '/machines/$name', params: { name: machine.name } });
          }}
          onTheirs={(machine) => {
            setPublishing(false);
            writeDraft(draftName, null);
            setBase(machine);
            editor.begin(machine.definition);
          }}
        />
      )}
    </Page>
  );
}

/** What a slot is called whose state has just gone: nothing. */
function safely(make: () => string): string {
  try {
    return make();
  } catch {
    return '';
  }
}
