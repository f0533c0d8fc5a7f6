import { Button, Skeleton } from '@mantine/core';
import { IconExternalLink } from '@tabler/icons-react';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { costOf, costsQuery, taskQuery, usePeople, type Attempt } from '../../api/board.ts';
import { boundTasksQuery, flowQuery, visitEventsQuery, type ExecutionView, type Visit, type VisitEvent } from '../../api/executions.ts';
import { onServer } from '../../app/base.ts';
import { AgentAvatar, DiffView, Duration, EmptyState, ErrorState, formatBytes, JsonView, Money, StatusBadge, TimeAgo, useDelayed } from '../../kit/index.ts';
import { common } from '../../strings/index.ts';
import { executions as t } from '../../strings/executions.ts';
import { StepList, StepRow } from '../teststate/StepRow.tsx';
import { flowRows, variableRows } from './flow.ts';
import css from './VisitInspector.module.css';

interface Props {
  execution: ExecutionView;
  visit: Visit;
}

/** What became of the data, step by step. */
export function FlowTab({ execution: x, visit: v }: Props) {
  const flow = useQuery(flowQuery(x.arn, v));
  const late = useDelayed(flow.isPending);
  if (flow.isError) return <ErrorState error={flow.error} retry={() => void flow.refetch()} />;
  if (!flow.data) return late ? <Skeleton height={220} /> : null;
  return (
    <>
      <p className={css.hint}>{t.flow.text}</p>
      {flow.data.problem && <p className={css.notice} role="status">{t.flow.problem} {flow.data.problem}</p>}
      {flow.data.differs && <p className={css.notice} role="status">{t.flow.differs}</p>}
      <StepList>
        {flowRows(flow.data).map((row) => (
          <StepRow
            key={`${v.id} ${row.step.name}`}
            step={row.step}
            note={
              <>
                {!row.recorded && <span className={css.worked}>{t.flow.workedOut}</span>}
                {row.cut !== undefined && <p className="dim">{t.truncated(formatBytes(row.cut))} {row.url && <a href={onServer(row.url)} download>{t.flow.download}</a>}</p>}
              </>
            }
          />
        ))}
      </StepList>
    </>
  );
}

/** Variables when the state was entered, and after it. */
export function VariablesTab({ execution: x, visit: v }: Props) {
  const flow = useQuery(flowQuery(x.arn, v));
  const late = useDelayed(flow.isPending);
  if (flow.isError) return <ErrorState error={flow.error} retry={() => void flow.refetch()} />;
  if (!flow.data) return late ? <Skeleton height={120} /> : null;
  const rows = variableRows(flow.data, v.exited_at !== null);
  if (rows.length === 0) return <EmptyState title={t.variables.none} text={t.variables.noneText} />;
  return (
    <ul className={css.variables}>
      {rows.map((r) => (
        <li key={r.name}>
          <div className={css.variableHead}>
            <code>${r.name}</code>
            <span className={css.is} data-is={r.is}>{t.variables.is[r.is]}</span>
            {r.is === 'same' && <span className="dim">{t.variables.setBy(r.state)}</span>}
          </div>
          {r.is === 'changed' && r.before !== undefined && r.after !== undefined && !r.cut ? (
            <DiffView before={r.before} after={r.after} label={`$${r.name}`} beforeLabel={t.variables.before} afterLabel={t.variables.after} />
          ) : (
            <JsonView value={undefined} text={r.after ?? r.before ?? ''} label={`$${r.name}`} depth={1} plain />
          )}
          {r.cut && <p className="dim">{t.variables.cut}</p>}
        </li>
      ))}
    </ul>
  );
}

/** The events that the history has of the visit. */
export function EventsTab({ execution: x, visit: v, onAll }: Props & { onAll: () => void }) {
  const events = useInfiniteQuery(visitEventsQuery(x.arn, v));
  const late = useDelayed(events.isPending);
  if (events.isError) return <ErrorState error={events.error} retry={() => void events.refetch()} />;
  const list = events.data?.pages.flatMap((p) => p.events) ?? [];
  if (events.isPending) return late ? <Skeleton height={160} /> : null;
  return (
    <>
      <ol className={css.events}>{list.map((e) => <EventRow key={e.id} event={e} since={list[0]!.at} />)}</ol>
      <div className={css.acts}>
        {events.hasNextPage && <Button variant="default" loading={events.isFetchingNextPage} onClick={() => void events.fetchNextPage()}>{common.more}</Button>}
        <Button variant="subtle" onClick={onAll}>{t.visitEvents.all}</Button>
      </div>
    </>
  );
}

function EventRow({ event: e, since }: { event: VisitEvent; since: string }) {
  const bad = /Failed|TimedOut|Aborted/.test(e.type);
  const ms = Date.parse(e.at) - Date.parse(since);
  const more = e.payload || e.cause || e.resource || (e.assigned?.length ?? 0) > 0;
  const head = (
    <>
      <span className={`${css.eventId} num`}>{e.id}</span>
      <span className={css.eventType} data-bad={bad || undefined}>{e.type}{e.index !== undefined && ` ${t.iteration(e.index)}`}</span>
      <span className="dim num" title={e.at}>{ms === 0 ? '' : `+${ms < 1000 ? `${ms} ms` : `${(ms / 1000).toFixed(1)} s`}`}</span>
    </>
  );
  if (!more) return <li className={css.event}><div className={css.eventHead}>{head}</div></li>;
  return (
    <li className={css.event}>
      <details>
        <summary className={css.eventHead}>{head}</summary>
        <div className={css.eventBody}>
          {e.resource && <div className="mono dim truncate" title={e.resource}>{e.resource}</div>}
          {e.error && <code className={css.eventError}>{e.error}</code>}
          {e.cause && <pre className={css.cause}>{e.cause}</pre>}
          {e.assigned && e.assigned.length > 0 && <div className="dim">{t.visitEvents.assigned} {e.assigned.map((n) => `$${n}`).join(', ')}</div>}
          {e.payload && <JsonView value={undefined} text={e.payload.text ?? ''} label={`${e.id} ${e.which === 'input' ? t.input : t.output}`} depth={2} plain />}
          {e.payload?.truncated && <p className="dim">{t.truncated(formatBytes(e.payload.bytes))} <a href={onServer(e.payload.url)} download>{t.flow.download}</a></p>}
        </div>
      </details>
    </li>
  );
}

/** Whether a visit hands its work to the board. */
export const isAgentRun = (v: Pick<Visit, 'waiting_for' | 'attempts'>, resource: unknown): boolean =>
  v.waiting_for === 'agent' || v.waiting_for === 'review' || (typeof resource === 'string' && /:::(agent|review):/.test(resource));

/** The task on the board that a visit waits for or has waited for: its attempts with their notes, and what they cost. */
export function AgentTab({ execution: x, visit: v }: Props) {
  const tasks = useQuery(boundTasksQuery(x.arn));
  const ended = v.exited_at ? Date.parse(v.exited_at) : Infinity;
  const mine = (tasks.data ?? []).filter((task) => task.source?.state === v.state);
  const within = mine.filter((task) => Date.parse(task.created_at) >= Date.parse(v.entered_at) - 1000 && Date.parse(task.created_at) <= ended);
  const late = useDelayed(tasks.isPending);
  if (tasks.isError) return <ErrorState error={tasks.error} retry={() => void tasks.refetch()} />;
  if (!tasks.data) return late ? <Skeleton height={160} /> : null;
  if (within.length === 0) return <EmptyState title={t.agent.none} text={t.agent.noneText} />;
  return <>{within.map((task) => <TaskRun key={task.id} task={task.key} />)}</>;
}

function TaskRun({ task: key }: { task: string }) {
  const view = useQuery(taskQuery(key));
  const costs = useQuery(costsQuery);
  const people = usePeople();
  if (view.isError) return <ErrorState error={view.error} retry={() => void view.refetch()} />;
  if (!view.data) return <Skeleton height={120} />;
  const { task, attempts = [], reviews = [] } = view.data;
  const who = people.of(task.assignee);
  const cost = costOf(costs.data, task);
  return (
    <section className={css.run} aria-label={task.key}>
      <div className={css.runHead}>
        <Link to="/board/$project" params={{ project: task.key.replace(/-\d+$/, '') }} search={{ task: task.key } as never}>{task.key}</Link>
        <StatusBadge status={task.state} size="sm" />
        {cost && <Money nano={cost.nano} included={cost.included} />}
        <IconExternalLink size={13} aria-hidden="true" className="dim" />
      </div>
      <strong className={css.runTitle}>{task.title}</strong>
      {task.assignee && <div className={css.who}><AgentAvatar name={who.name} size={22} /> {who.name}</div>}
      {view.data.why?.map((w) => <p key={w} className="dim">{w}</p>)}
      <h3 className={css.sub}>{t.agent.attempts(task.spent ?? attempts.length, task.max_attempts)}</h3>
      {attempts.length === 0 ? <p className="dim">{t.agent.noAttempts}</p> : <ol className={css.attempts}>{[...attempts].sort((a, b) => b.number - a.number).map((a) => <RunAttempt key={a.id} attempt={a} by={people.of(a.by).name} />)}</ol>}
      {reviews.length > 0 && (
        <>
          <h3 className={css.sub}>{t.agent.reviews}</h3>
          <ul className={css.attempts}>
            {reviews.map((r) => (
              <li key={r.id} className={css.attempt}>
                <div className={css.attemptHead}><Link to={`/reviews/${r.id}` as '/'}>{r.title}</Link><StatusBadge status={r.status} size="sm" /></div>
              </li>
            ))}
          </ul>
        </>
      )}
    </section>
  );
}

function RunAttempt({ attempt: a, by }: { attempt: Attempt; by: string }) {
  return (
    <li className={css.attempt}>
      <div className={css.attemptHead}>
        <strong>{t.attemptNo(a.number)}</strong>
        <StatusBadge status={a.status} size="sm" />
        <Duration from={a.created_at} to={a.ended_at} />
        <span className="dim">{by}</span>
      </div>
      {a.error && (
        <div className={css.attemptError}>
          <code>{a.error.code ?? a.error.category}</code>
          <pre className={css.cause}>{a.error.message}</pre>
        </div>
      )}
      {a.notes && a.notes.length > 0 && <ul className={css.notes}>{a.notes.map((n, i) => <li key={i}><TimeAgo at={n.at} /> <span>{n.text}</span></li>)}</ul>}
    </li>
  );
}
