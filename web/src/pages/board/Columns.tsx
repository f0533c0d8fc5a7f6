import { dropTargetForElements } from '@atlaskit/pragmatic-drag-and-drop/element/adapter';
import { Button, Skeleton } from '@mantine/core';
import { IconBan } from '@tabler/icons-react';
import { memo, useCallback, useEffect, useRef, useState, type ReactNode } from 'react';
import type { Project, Row, State, usePeople, Who } from '../../api/board.ts';
import { AgentAvatar, useDelayed } from '../../kit/index.ts';
import { board as s } from '../../strings/index.ts';
import css from './Board.module.css';
import { Card } from './Card.tsx';
import type { ColumnId } from './columns.ts';
import type { Move } from './moves.ts';
import type { Board } from './useBoard.ts';

export type GroupBy = 'none' | 'agent' | 'project' | 'parent';

export interface CardInfo {
  who: (t: Row) => Who | undefined;
  cost: (t: Row) => { nano: number; included: boolean } | undefined;
}

interface ColumnsProps {
  board: Board;
  group: GroupBy;
  info: CardInfo;
  open: string | undefined;
  judge: (t: Row, to: ColumnId) => Move;
  onDrop: (t: Row, to: ColumnId, index: number, rows: readonly Row[]) => void;
  onOpen: (key: string) => void;
  onMenu: (key: string, at: DOMRect) => void;
  say: (text: string) => void;
  projects: readonly Project[];
  people: ReturnType<typeof usePeople>;
  limit: Partial<Record<State, number>>;
  filtered: boolean;
}

/** The columns of a board, in groups if that is wanted. */
export function Columns({ board, group, info, open, judge, onDrop, onOpen, onMenu, say, projects, people, limit }: ColumnsProps) {
  const [dragged, setDragged] = useState<Row | null>(null);
  const slow = useDelayed(board.loading);
  const sayOnce = useRef(say);
  sayOnce.current = say;
  const onDrag = useCallback((t: Row | null) => {
    setDragged(t);
    if (t) sayOnce.current(s.announced.dragging(t.key));
  }, []);
  const groups = groupRows(board, group, projects, people);
  const cell = (id: ColumnId, rows: readonly Row[], last: boolean, group: string) => {
    const column = board.columns.find((c) => c.id === id)!;
    return (
      <Cell
        key={id}
        id={id}
        group={group}
        rows={rows}
        info={info}
        open={open}
        dragged={dragged}
        verdict={dragged ? judge(dragged, id) : undefined}
        onDrag={onDrag}
        onOpen={onOpen}
        onMenu={onMenu}
        onDrop={onDrop}
        skeleton={slow && board.loading}
        empty={!board.loading}
        more={last && column.hasMore ? <Button className={css.more} variant="default" fullWidth loading={column.loadingMore} onClick={column.loadMore}>{column.count ? s.more(Math.min(50, column.count - column.rows.length)) : s.moreUnknown}</Button> : null}
      />
    );
  };
  return (
    <div className={css.board} tabIndex={-1} data-testid="board">
      <div className={css.heads}>
        {board.columns.map((c) => {
          const most = limit[c.id];
          const working = c.id === 'in_progress' ? (board.inProgress ?? c.rows.filter((r) => r.state === 'in_progress').length) : (c.count ?? c.rows.length);
          const over = most !== undefined && working >= most;
          return (
            <div key={c.id} className={css.head}>
              <h2 className={css.name} id={`column-${c.id}`}>{s.columns[c.id]}</h2>
              <span className={`num ${css.count}`} data-over={over || undefined} title={over ? s.overLimit : undefined}>
                {c.count ?? `${c.rows.length}+`}{most !== undefined && ` · ${s.columnCount(working, most)}`}
              </span>
            </div>
          );
        })}
      </div>
      {groups.map((g, i) => (
        <section key={g.id} className={g.label ? css.group : css.whole} aria-label={g.name || undefined}>
          {g.label && <h3 className={css.groupName}>{g.label}<span className={`num ${css.count}`}>{g.rows.length}</span></h3>}
          <div className={css.grid}>{board.columns.map((c) => cell(c.id, group === 'none' ? c.rows : c.rows.filter((r) => g.ids.has(r.id)), i === groups.length - 1, g.name))}</div>
        </section>
      ))}
    </div>
  );
}

interface Group {
  id: string;
  name: string;
  label: ReactNode;
  rows: Row[];
  ids: Set<string>;
}

function groupRows(board: Board, by: GroupBy, projects: readonly Project[], people: ReturnType<typeof usePeople>): Group[] {
  const all = board.columns.flatMap((c) => c.rows);
  if (by === 'none') return [{ id: '', name: '', label: null, rows: all, ids: new Set() }];
  const groups = new Map<string, Group>();
  for (const t of all) {
    const id = by === 'agent' ? (t.assignee ?? '') : by === 'project' ? t.project : (t.parent ?? '');
    let g = groups.get(id);
    if (!g) {
      const who = people.of(id);
      const p = projects.find((p) => p.id === id);
      const name = by === 'agent' ? (id ? who.name : s.noAgent) : by === 'project' ? (p ? `${p.key} ${p.name}` : id) : t.card?.parent ? `${t.card.parent.key} ${t.card.parent.title}` : s.noParent;
      g = { id: id || 'none', name, label: <>{by === 'agent' && id && <AgentAvatar name={who.name} size={20} {...(who.person ? { person: true } : {})} {...(who.status ? { status: who.status } : {})} />}<span className="truncate">{name}</span></>, rows: [], ids: new Set() };
      groups.set(id, g);
    }
    g.rows.push(t);
    g.ids.add(t.id);
  }
  return [...groups.values()].sort((a, b) => (a.id === 'none' ? 1 : b.id === 'none' ? -1 : a.name.localeCompare(b.name)));
}

interface CellProps {
  id: ColumnId;
  group: string;
  rows: readonly Row[];
  info: CardInfo;
  open: string | undefined;
  dragged: Row | null;
  verdict: Move | undefined;
  onDrag: (t: Row | null) => void;
  onOpen: (key: string) => void;
  onMenu: (key: string, at: DOMRect) => void;
  onDrop: (t: Row, to: ColumnId, index: number, rows: readonly Row[]) => void;
  skeleton: boolean;
  empty: boolean;
  more: ReactNode;
}

function Cell({ id, group, rows, info, open, dragged, verdict, onDrag, onOpen, onMenu, onDrop, skeleton, empty, more }: CellProps) {
  const element = useRef<HTMLDivElement>(null);
  const marker = useRef<HTMLDivElement>(null);
  const [over, setOver] = useState(false);
  const latest = useRef({ dragged, verdict, rows, onDrop });
  latest.current = { dragged, verdict, rows, onDrop };
  const refused = verdict && 'refused' in verdict ? verdict.refused : undefined;

  useEffect(() => {
    const el = element.current;
    if (!el) return;
    // Where among the cards the pointer is.
    const indexAt = (y: number) => {
      const items = [...el.querySelectorAll<HTMLElement>('[data-card]')];
      const found = items.findIndex((item) => {
        const box = item.getBoundingClientRect();
        return y < box.top + box.height / 2;
      });
      return { index: found < 0 ? items.length : found, items };
    };
    const mark = (y: number | undefined) => {
      const m = marker.current;
      if (!m) return;
      const v = latest.current.verdict;
      if (y === undefined || !v || 'refused' in v) {
        m.hidden = true;
        return;
      }
      const { index, items } = indexAt(y);
      const frame = el.getBoundingClientRect();
      const at = items[index]?.getBoundingClientRect().top ?? (items.at(-1)?.getBoundingClientRect().bottom ?? frame.top + 6) + 6;
      m.hidden = false;
      m.style.top = `${at - frame.top - 5}px`;
    };
    return dropTargetForElements({
      element: el,
      canDrop: () => latest.current.verdict !== undefined && !('refused' in latest.current.verdict),
      onDragEnter: ({ location }) => {
        setOver(true);
        mark(location.current.input.clientY);
      },
      onDrag: ({ location }) => mark(location.current.input.clientY),
      onDragLeave: () => {
        setOver(false);
        mark(undefined);
      },
      onDrop: ({ location }) => {
        setOver(false);
        mark(undefined);
        const { dragged: t, rows: shown, onDrop: drop } = latest.current;
        if (t) drop(t, id, indexAt(location.current.input.clientY).index, shown);
      },
    });
  }, [id]);

  return (
    <div ref={element} className={css.column} data-column={id} data-drop={dragged && !refused ? 'yes' : undefined} data-over={over ? 'yes' : undefined}>
      <Cards rows={rows} info={info} open={rows.some((r) => r.key === open) ? open : undefined} onDrag={onDrag} onOpen={onOpen} onMenu={onMenu} label={group ? `${s.columns[id]}, ${group}` : s.columns[id]} />
      {rows.length === 0 && empty && !group && <div className={css.none}>{s.emptyColumn}</div>}
      {skeleton && <div className={css.skeletons} aria-hidden="true">{[0, 1, 2].map((i) => <Skeleton key={i} height={84} radius={7} />)}</div>}
      {more}
      <div ref={marker} className={css.marker} hidden />
      {dragged && refused && (
        <div className={css.refusal}>
          <div className={css.refusalText}><IconBan size={15} aria-hidden="true" />{refused}</div>
        </div>
      )}
    </div>
  );
}

/** The cards of a column; not drawn again while one is dragged over it. */
const Cards = memo(function Cards({ rows, info, open, onDrag, onOpen, onMenu, label }: { rows: readonly Row[]; info: CardInfo; open: string | undefined; onDrag: (t: Row | null) => void; onOpen: (key: string) => void; onMenu: (key: string, at: DOMRect) => void; label: string }) {
  if (rows.length === 0) return null;
  return (
    <ul className={css.list} aria-label={label}>
      {rows.map((t) => (
        <li key={t.id} className={css.item}>
          <Card task={t} who={info.who(t)} cost={info.cost(t)} open={open === t.key} onDrag={onDrag} onOpen={onOpen} onMenu={onMenu} />
        </li>
      ))}
    </ul>
  );
});
