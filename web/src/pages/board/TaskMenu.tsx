import { Menu } from '@mantine/core';
import { useNavigate } from '@tanstack/react-router';
import { useMe, type Row } from '../../api/board.ts';
import { board as s } from '../../strings/index.ts';
import type { Actions, Ask } from './actions.tsx';
import css from './Board.module.css';
import type { ColumnId } from './columns.ts';
import { canHandOff } from './HandoffForm.tsx';
import type { Move } from './moves.ts';

interface TaskMenuProps {
  t: Row;
  review: string | undefined;
  ask: (a: Ask) => void;
  actions: Actions;
  judge: (t: Row, to: ColumnId) => Move;
}

/** What can be done to a task now by whoever looks: the same beside the board and on a card. */
export function TaskMenuItems({ t, review, ask, actions, judge }: TaskMenuProps) {
  const me = useMe();
  const edits = me.edits(t.project, t);
  const mine = t.assignee === me.party;
  const can = (to: ColumnId) => !('refused' in judge(t, to));
  const ended = t.state === 'done' || t.state === 'failed' || t.state === 'cancelled';
  const navigate = useNavigate();
  const item = (label: string, run: () => void, danger?: boolean) => <Menu.Item onClick={run} {...(danger ? { color: 'var(--ls-failed)' } : {})}>{label}</Menu.Item>;
  return (
    <>
      {review && item(s.menu.review, () => void navigate({ to: '/reviews/$id', params: { id: review } }))}
      {(t.state === 'inbox' || t.state === 'assigned') && can('in_progress') && item(s.menu.claim, () => void actions.claim(t))}
      {(t.state === 'inbox' || t.state === 'assigned') && edits && item(s.menu.assign, () => ask({ kind: 'assign', task: t }))}
      {t.state === 'assigned' && edits && item(s.menu.unassign, () => void actions.unassign(t))}
      {t.state === 'in_progress' && mine && item(s.menu.submit, () => ask({ kind: t.review_mode === 'none' ? 'finish' : 'submit', task: t }))}
      {t.state === 'in_progress' && mine && item(s.menu.block, () => ask({ kind: 'block', task: t }))}
      {t.state === 'in_progress' && mine && item(s.menu.release, () => void actions.release(t))}
      {t.state === 'blocked' && edits && item(s.menu.unblock, () => ask({ kind: 'unblock', task: t }))}
      {t.state === 'review' && mine && item(s.menu.withdraw, () => void actions.withdraw(t))}
      {(edits || mine) && canHandOff(t) && item(s.menu.handoff, () => ask({ kind: 'handoff', task: t }))}
      {edits && item(s.menu.priority, () => ask({ kind: 'priority', task: t }))}
      {edits && !ended && item(s.menu.depend, () => ask({ kind: 'depend', task: t }))}
      {me.writes(t.project) && item(s.menu.subtask, () => ask({ kind: 'create', parent: t.key }))}
      {ended && edits && item(s.menu.reopen, () => void actions.reopen(t))}
      {!ended && edits && <Menu.Divider />}
      {!ended && edits && item(s.menu.cancel, () => ask({ kind: 'cancel', task: t }), true)}
    </>
  );
}

/** The menu of a card: one for all of them, where the card's button is. */
export function CardMenu({ at, onClose, ...more }: TaskMenuProps & { at: DOMRect; onClose: () => void }) {
  return (
    <Menu opened onClose={onClose} position="bottom-end" width={220}>
      <Menu.Target>
        <button type="button" className={css.anchor} style={{ left: at.right, top: at.bottom }} tabIndex={-1} aria-label={s.menu.of(more.t.key)} />
      </Menu.Target>
      <Menu.Dropdown><TaskMenuItems {...more} /></Menu.Dropdown>
    </Menu>
  );
}
