import type { Row, State } from '../../api/board.ts';

export type ColumnId = 'inbox' | 'assigned' | 'in_progress' | 'review' | 'done' | 'failed' | 'cancelled';

/** The columns of a board with the states that they show, in order. */
export const columns: readonly { id: ColumnId; states: readonly State[]; ended?: boolean }[] = [
  { id: 'inbox', states: ['inbox'] },
  { id: 'assigned', states: ['assigned'] },
  { id: 'in_progress', states: ['in_progress', 'blocked'] },
  { id: 'review', states: ['review'] },
  { id: 'done', states: ['done'], ended: true },
  { id: 'failed', states: ['failed'], ended: true },
  { id: 'cancelled', states: ['cancelled'], ended: true },
];

/** The column that a task in a state is in. */
export function columnOf(state: State): ColumnId {
  return state === 'blocked' ? 'in_progress' : state;
}

/** How rows of a column are ordered: as people put them; what has ended, the last first. */
export function compareIn(column: ColumnId): (a: Row, b: Row) => number {
  const text = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
  if (columns.find((c) => c.id === column)?.ended) return (a, b) => text(b.updated_at, a.updated_at) || text(a.id, b.id);
  return (a, b) => text(`${a.rank ?? ''}/${a.id}`, `${b.rank ?? ''}/${b.id}`);
}
