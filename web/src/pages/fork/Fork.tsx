import { Button } from '@mantine/core';
import { IconArrowFork, IconFlask } from '@tabler/icons-react';
import { Link, useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import type { ExecutionView, Visit } from '../../api/executions.ts';
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

/** What can be done from a visit: begin a new execution there, or test its state with what it had. */
export function VisitActions({ execution: x, visit, state }: { execution: ExecutionView; visit?: Visit | undefined; state: string }) {
  const search = visit ? { run: x.arn, visit: String(visit.id) } : {};
  return (
    <div className={css.actions}>
      {visit && <NewFromHere execution={x} visit={visit} />}
      <Button
        variant="default"
        leftSection={<IconFlask size={14} />}
        renderRoot={(props) => <Link {...props} to="/machines/$name/test/$state" params={{ name: x.machine.split('/')[0]!, state }} search={search as never} />}
      >
        {t.test}
      </Button>
    </div>
  );
}

/** What an execution is a fork of and which forks there are of it, each with a way to compare; as terms of a list of facts. */
export function ForkFacts({ execution: x, className }: { execution: ExecutionView; className?: string | undefined }) {
  return (
    <>
      {x.fork_of && <div className={className}><dt>{t.forkOf}</dt><dd><Tie me={x.arn} other={x.fork_of} origin /></dd></div>}
      {x.forks.length > 0 && (
        <div className={className}>
          <dt>{t.forks}</dt>
          <dd>
            {x.forks.slice(0, 2).map((f) => <Tie key={f.arn} me={x.arn} other={f} />)}
            {x.forks.length > 2 && <span className="dim num">+{x.forks.length - 2}</span>}
          </dd>
        </div>
      )}
    </>
  );
}

function Tie({ me, other, origin }: { me: string; other: ExecutionView['forks'][number]; origin?: boolean }) {
  const [a, b] = origin ? [other.arn, me] : [me, other.arn];
  return (
    <span>
      <Link to="/executions/$id" params={{ id: other.arn }}>{other.arn.split(':').at(-1)}</Link>{' '}
      <span className="dim">{t.at(other.state)} · </span>
      <Link to="/executions/compare" search={{ a, b } as never}>{t.compare}</Link>
    </span>
  );
}
