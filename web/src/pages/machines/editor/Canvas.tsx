import { draggable, dropTargetForElements, monitorForElements } from '@atlaskit/pragmatic-drag-and-drop/element/adapter';
import { Button, Tooltip } from '@mantine/core';
import { IconPlus } from '@tabler/icons-react';
import { useEffect, useMemo, useRef, useState, type ReactNode } from 'react';
import type { Machine } from '../../../asl/machine.ts';
import * as op from '../../../asl/operations.ts';
import type { PaletteEntry } from '../../../asl/palette.ts';
import type { Edge, Scope } from '../../../graph/definition.ts';
import { GraphView, type GraphEdit } from '../../../graph/GraphView.tsx';
import { EmptyState } from '../../../kit/index.ts';
import { editor as t } from '../../../strings/machines.ts';
import css from './Editor.module.css';

export interface CanvasProps {
  machine: Machine;
  frozen: boolean;
  selected: string | undefined;
  onSelect: (id: string | undefined) => void;
  /** Somebody wants to put something there. */
  onSlot: (slot: op.Slot) => void;
  onMove: (id: string, slot: op.Slot) => void;
  onPiece: (piece: string, slot: op.Slot) => void;
  pieces: readonly PaletteEntry[];
  overlay?: ReactNode;
}

/** What is dragged: a state, or an entry of the palette. */
export type Dragged = { kind: 'state'; id: string } | { kind: 'piece'; id: string };

function scopesOf(scope: Scope, into = new Map<string, Scope>()): Map<string, Scope> {
  into.set(scope.prefix, scope);
  for (const s of scope.states) for (const inner of s.scopes) scopesOf(inner, into);
  return into;
}

function slotOf(edge: Edge): op.Slot {
  if (edge.kind === 'choice' || edge.kind === 'catch') return { kind: edge.kind, from: edge.from, index: edge.index ?? 0 };
  return { kind: edge.kind, from: edge.from };
}

/** The words for where a slot is: "between A and B". */
export function saySlot(m: Machine, slot: op.Slot): string {
  const name = (id: string) => m.places.get(id)?.name ?? id;
  if (slot.kind === 'start') {
    const owner = slot.prefix.replace(/#\d+\/$/, '');
    const branch = /#(\d+)\/$/.exec(slot.prefix)?.[1];
    const place = m.places.get(owner);
    return t.slots.start(slot.prefix === '' ? '' : place?.type === 'Map' ? place.name : t.branch(name(owner), Number(branch) + 1));
  }
  const to = op.targetOf(m, slot) ?? '';
  const from = name(slot.from);
  if (slot.kind === 'choice') return t.slots.choice(from, slot.index + 1, to);
  if (slot.kind === 'catch') return t.slots.catch(from, slot.index + 1, to);
  if (slot.kind === 'default') return t.slots.default(from, to);
  return to ? t.slots.next(from, to) : t.slots.end(from);
}

/** The graph with what changes it: a + on every edge, and states that can be dragged to where they may go. */
export function Canvas({ machine, frozen, selected, onSelect, onSlot, onMove, onPiece, pieces, overlay }: CanvasProps) {
  const [dragged, setDragged] = useState<Dragged | null>(null);
  const latest = useRef({ machine, onMove, onPiece });
  useEffect(() => {
    latest.current = { machine, onMove, onPiece };
  });
  const legal = useMemo(() => {
    if (!dragged) return null;
    const type = dragged.kind === 'state' ? machine.places.get(dragged.id)?.type : pieces.find((p) => p.id === dragged.id)?.type;
    return new Set(op.slotsFor(machine, { ...(dragged.kind === 'state' ? { id: dragged.id } : {}), type: type ?? 'Pass' }).map(op.slotKey));
  }, [dragged, machine, pieces]);

  useEffect(
    () =>
      monitorForElements({
        canMonitor: ({ source }) => source.data.lockstep === true,
        onDragStart: ({ source }) => setDragged(source.data as unknown as Dragged),
        onDrop: ({ source, location }) => {
          setDragged(null);
          const slot = location.current.dropTargets[0]?.data.slot as op.Slot | undefined;
          if (!slot) return;
          const what = source.data as unknown as Dragged;
          if (what.kind === 'state') latest.current.onMove(what.id, slot);
          else latest.current.onPiece(what.id, slot);
        },
      }),
    [],
  );

  const edit = useMemo((): GraphEdit | undefined => {
    if (frozen || !machine.scope) return undefined;
    const scopes = scopesOf(machine.scope);
    const starts = new Map([...scopes.values()].filter((s) => s.prefix !== '').map((s) => [s.startAt, s.prefix]));
    const plus = (slot: op.Slot) => {
      const key = op.slotKey(slot);
      if (legal && !legal.has(key)) return null;
      return <Plus key={key} slot={slot} label={t.insertAt(saySlot(machine, slot))} target={legal !== null} onClick={() => onSlot(slot)} />;
    };
    return {
      onEdge: (edge, index) => {
        if (index === undefined) return plus({ kind: 'start', prefix: '' });
        const place = machine.places.get(edge.from);
        const known = place && scopes.get(place.prefix)?.edges[index];
        // A layout may be of the text before; its edges may be gone.
        return known && known.from === edge.from && known.to === edge.to ? plus(slotOf(known)) : null;
      },
      around: (node, where) => {
        if (!machine.places.has(node.id)) return null;
        if (where === 'above') {
          const prefix = starts.get(node.id);
          return prefix === undefined ? null : plus({ kind: 'start', prefix });
        }
        const slot = op.slotsAfter(machine, node.id)[0];
        return slot && (slot.kind === 'end' || slot.kind === 'next' || slot.kind === 'default') && op.targetOf(machine, slot) === undefined ? plus(slot) : null;
      },
      element: (id, element) => draggable({ element, getInitialData: () => ({ lockstep: true, kind: 'state', id }) satisfies Dragged & { lockstep: true } }),
    };
  }, [machine, frozen, legal, onSlot]);

  const empty = !machine.scope || machine.scope.states.length === 0;
  return (
    <div className={css.canvas} data-dragging={dragged ? true : undefined} data-frozen={frozen || undefined}>
      {empty ? (
        <DropFrame>
          <EmptyState title={t.emptyCanvas} text={t.emptyCanvasText} action={<Button onClick={() => onSlot({ kind: 'start', prefix: '' })} disabled={frozen}>{t.addFirst}</Button>} />
        </DropFrame>
      ) : (
        <GraphView definition={machine.text} scope={machine.scope!} label={t.canvas} selected={selected} onSelect={onSelect} focus={selected} {...(edit ? { edit } : {})} overlay={overlay} />
      )}
    </div>
  );
}

/** An empty canvas takes what is dropped anywhere on it. */
function DropFrame({ children }: { children: ReactNode }) {
  const ref = useRef<HTMLDivElement>(null);
  useEffect(() => dropTargetForElements({ element: ref.current!, getData: () => ({ slot: { kind: 'start', prefix: '' } satisfies op.Slot }) }), []);
  return <div ref={ref} className={css.emptyCanvas}>{children}</div>;
}

function Plus({ slot, label, target, onClick }: { slot: op.Slot; label: string; target: boolean; onClick: () => void }) {
  const ref = useRef<HTMLButtonElement>(null);
  const [over, setOver] = useState(false);
  const key = op.slotKey(slot);
  useEffect(
    () => dropTargetForElements({ element: ref.current!, getData: () => ({ slot }), onDragEnter: () => setOver(true), onDragLeave: () => setOver(false), onDrop: () => setOver(false) }),
    [key],
  );
  return (
    <Tooltip label={label} disabled={target} position="right">
      <button ref={ref} type="button" className={`${css.plus} nopan nodrag`} data-target={target || undefined} data-over={over || undefined} data-slot={key} aria-label={label} onClick={(e) => { e.stopPropagation(); onClick(); }}>
        <span className={css.plusMark}><IconPlus size={12} stroke={2.4} aria-hidden="true" /></span>
      </button>
    </Tooltip>
  );
}
