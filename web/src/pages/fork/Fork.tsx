import { Button } from '@mantine/core';
import { IconArrowFork } from '@tabler/icons-react';
import { Link, useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import type { ExecutionView, Visit } from '../../api/executions.ts';
import { TimeAgo } from '../../kit/index.ts';
import { fork as t } from '../../strings/fork.ts';
import { ForkDialog, mayFork } from './ForkDialog.tsx';
import css from './fork.module.css';

/** The button "New from here" of a visit, with its dialog; nothing for executions that cannot be forked. */
export function NewFromHere({ execution, visit }: { execution: ExecutionView; visit?: Visit | undefined }) {
  const [open, setOpen] = useState(false);
  const navigate = useNavigate();
  if (!mayFork(execution)) return null;
  return (
    <>
      <Button variant="default" leftSection={<IconArrowFork size={14} />} onClick={() => setOpen(true)}>{t.action}</Button>
      {open && <ForkDialog execution={execution} visit={visit} onClose={() => setOpen(false)} onStarted={(arn) => { setOpen(false); void navigate({ to: '/executions/$id', params: { id: arn } }); }} />}
    </>
  );
}

/** What an execution is a fork of and which forks there are of it, each with a way to compare. */
export function ForkLinks({ execution: x }: { execution: ExecutionView }) {
  if (!x.fork_of && x.forks.length === 0) return null;
  return (
    <dl className={css.links}>
      {x.fork_of && <div><dt>{t.forkOf}</dt><dd><Tie me={x.arn} other={x.fork_of} origin /></dd></div>}
      {x.forks.length > 0 && <div><dt>{t.forks}</dt>{x.forks.map((f) => <dd key={f.arn}><Tie me={x.arn} other={f} /></dd>)}</div>}
    </dl>
  );
}

function Tie({ me, other, origin }: { me: string; other: ExecutionView['forks'][number]; origin?: boolean }) {
  const [a, b] = origin ? [other.arn, me] : [me, other.arn];
  return (
    <>
      <Link to="/executions/$id" params={{ id: other.arn }}>{other.arn.split(':').at(-1)}</Link>{' '}
      <span className="dim">{t.at(other.state)} · <TimeAgo at={other.at} /> · </span>
      <Link to={'/executions/compare' as '/'} search={{ a, b } as never}>{t.compare}</Link>
    </>
  );
}
