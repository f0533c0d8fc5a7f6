import { usePeople } from '../../api/board.ts';
import type { MachineRow } from '../../api/machines.ts';
import { AgentAvatar, TimeAgo } from '../../kit/index.ts';
import { machines as t } from '../../strings/machines.ts';
import css from './Machines.module.css';

/** When a machine was last changed, and by whom where the server knows that; short leaves the name to the hint. */
export function EditedBy({ row, short }: { row: MachineRow; short?: boolean }) {
  const people = usePeople();
  const who = row.updated_by ? people.of(row.updated_by) : undefined;
  if (!who) return <TimeAgo at={row.updated_at} />;
  return (
    <span className={css.edited}>
      {short && <AgentAvatar name={who.name} size={18} {...(who.person ? { person: true } : {})} />}
      <TimeAgo at={row.updated_at} />
      {!short && <span>{t.editedBy(who.name)}</span>}
    </span>
  );
}
