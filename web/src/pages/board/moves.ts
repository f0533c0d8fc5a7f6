import type { Me, Row } from '../../api/board.ts';
import { board as s } from '../../strings/index.ts';
import { columnOf, type ColumnId } from './columns.ts';

/** What moving a card to a column would do; refused says why it cannot be done. */
export type Move = { refused: string } | { event: 'order' | 'assign' | 'unassign' | 'claim' | 'release' | 'unblock' | 'submit' | 'finish' | 'approve' | 'changes' | 'withdraw' | 'reopen' };

export interface Around {
  me: Me;
  /** Tasks that are in progress, and how many may be; undefined: as many as like. */
  inProgress: number;
  limit: number | undefined;
  /** The name of whoever has the task. */
  assignee: string;
  /** Who holds the task that is in progress: its assignee. */
}

/**
 * Says what would happen if a card were dropped on a column: an event of the
 * transition table, or why there is none. The server decides in the end; this is
 * so that nobody has to try.
 */
export function moveTo(t: Row, to: ColumnId, at: Around): Move {
  const from = columnOf(t.state);
  const refused = (why: string): Move => ({ refused: why });
  const edits = at.me.edits(t.project, t);
  const mine = t.assignee === at.me.party;
  if (from === to) {
    if (to === 'done' || to === 'failed' || to === 'cancelled') return refused(s.refused.sorted);
    return edits ? { event: 'order' } : refused(s.refused.right);
  }
  switch (`${from}>${to}`) {
    case 'inbox>assigned':
      return edits ? { event: 'assign' } : refused(s.refused.right);
    case 'assigned>inbox':
      return edits ? { event: 'unassign' } : refused(s.refused.right);
    case 'inbox>in_progress':
    case 'assigned>in_progress':
      if (!at.me.writes(t.project)) return refused(s.refused.right);
      if (t.assignee && !mine) return refused(s.refused.another(at.assignee));
      if (t.gate && !t.gate.open) return refused(t.gate.reason === 'upstream_failed' ? s.refused.upstream(t.gate.waiting_on ?? []) : s.refused.gate(t.gate.waiting_on ?? []));
      if (at.limit !== undefined && at.inProgress >= at.limit) return refused(s.refused.wip(at.limit));
      return { event: 'claim' };
    case 'in_progress>assigned':
      if (t.state === 'blocked') return edits ? { event: 'unblock' } : refused(s.refused.right);
      return mine ? { event: 'release' } : refused(s.refused.holder(at.assignee));
    case 'in_progress>review':
      if (t.state === 'blocked') return refused(s.refused.blocked);
      if (!mine) return refused(s.refused.holder(at.assignee));
      return t.review_mode === 'none' ? refused(s.refused.noReview) : { event: 'submit' };
    case 'in_progress>done':
      if (t.state === 'blocked') return refused(s.refused.blocked);
      if (!mine) return refused(s.refused.holder(at.assignee));
      return t.review_mode === 'none' ? { event: 'finish' } : refused(s.refused.review);
    case 'review>done':
      return { event: 'approve' };
    case 'review>assigned':
      return { event: 'changes' };
    case 'done>inbox':
    case 'failed>inbox':
    case 'cancelled>inbox':
      if (!edits) return refused(s.refused.right);
      return t.assignee ? refused(s.refused.backTo(s.columns.assigned)) : { event: 'reopen' };
    case 'done>assigned':
    case 'failed>assigned':
    case 'cancelled>assigned':
      if (!edits) return refused(s.refused.right);
      return t.assignee ? { event: 'reopen' } : refused(s.refused.backTo(s.columns.inbox));
    default:
      if (t.state === 'review' && to === 'inbox') return refused(s.refused.viaAssigned);
      return refused(s.refused.none(s.columns[from], s.columns[to]));
  }
}
