import { Button, TextInput } from '@mantine/core';
import { IconArrowRight, IconCheck, IconClock, IconX } from '@tabler/icons-react';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { act, aroundQuery, historyQuery, useMe, usePeople, type Handoff, type Happening, type TaskView } from '../../api/board.ts';
import { AgentAvatar, ErrorState, Markdown, TimeAgo } from '../../kit/index.ts';
import { board as s, common } from '../../strings/index.ts';
import css from './Drawer.module.css';
import { changed } from './search.ts';

/** The hand-offs of a task as a thread, the newest first: who to whom, why, and what became of it. */
export function Handoffs({ v }: { v: TaskView }) {
  const all = [...(v.handoffs ?? [])].sort((a, b) => (a.id < b.id ? 1 : -1));
  // Who answered, and why not, is told by what happened.
  const history = useQuery({ ...historyQuery(v.task.key), enabled: all.length > 0 }).data ?? [];
  if (all.length === 0) return null;
  const answerOf = (h: Handoff) => history.find((e) => e.data?.handoff === h.id && e.type !== 'task.handoff_offered');
  return (
    <section className={css.section}>
      <div className={css.sectionHead}><h3>{s.drawer.handoffs}</h3></div>
      <ol className={css.handoffs}>{all.map((h) => <HandoffRow key={h.id} h={h} v={v} answer={answerOf(h)} />)}</ol>
    </section>
  );
}

const icons = { offered: IconClock, accepted: IconCheck, declined: IconX, expired: IconX };

function HandoffRow({ h, v, answer }: { h: Handoff; v: TaskView; answer: Happening | undefined }) {
  const people = usePeople();
  const me = useMe();
  const [from, to] = [people.of(h.from), people.of(h.to)];
  const open = h.state === 'offered';
  const Icon = icons[h.state] ?? IconClock;
  const files = (h.deliverables ?? []).map((id) => v.deliverables?.find((d) => d.id === id)).filter((d) => d !== undefined);
  const words = h.mode === 'transfer' ? (h.state === 'accepted' ? s.drawer.handoffTook : s.drawer.handoffOffers) : h.state === 'accepted' ? s.drawer.handoffAfter : s.drawer.handoffAsks;
  const note = typeof answer?.data?.note === 'string' ? answer.data.note : '';
  return (
    <li data-state={h.state}>
      <div className={css.handoffHead}>
        <span className={css.handoffWho} aria-hidden="true">
          <AgentAvatar name={from.name} size={20} {...(from.person ? { person: true } : {})} />
          <IconArrowRight size={14} />
          <AgentAvatar name={to.name} size={20} {...(to.person ? { person: true } : {})} />
        </span>
        <strong>{words(from.name, to.name)}</strong>
        {h.capability && <span className="dim">{s.drawer.handoffAble(h.capability)}</span>}
        <span className={css.spacer} />
        <TimeAgo at={h.created_at} />
      </div>
      <Markdown text={h.summary} />
      {files.length > 0 && <div className="dim">{s.drawer.deliverables}: {files.map((d) => `${d.title} ${s.drawer.versionOf(d.number)}`).join(', ')}</div>}
      {h.follow_up && <FollowUp taskKey={v.task.key} id={h.follow_up} />}
      <div className={css.handoffState} data-state={h.state}>
        <Icon size={14} aria-hidden="true" />
        <span>{s.drawer.handoffStates[h.state]}{answer?.by && h.state === 'declined' ? ` ${s.drawer.handoffBy(people.of(answer.by).name)}` : ''}{note ? `: ${note}` : ''}</span>
        {open && h.expires_at && <span className="dim">{s.drawer.handoffUntil} <TimeAgo at={h.expires_at} absolute /></span>}
      </div>
      {open && (me.manages(v.task.project) ? <Answer h={h} taskKey={v.task.key} /> : <p className="dim">{s.drawer.handoffWaits(to.name)}</p>)}
    </li>
  );
}

/** The task that follows; it depends on this one, so it is among those around it. */
function FollowUp({ taskKey, id }: { taskKey: string; id: string }) {
  const b = useQuery(aroundQuery(taskKey)).data?.tasks.find((t) => t.id === id);
  if (!b) return null;
  return <div>{s.drawer.handoffNew}: <Link to="." search={changed({ task: b.key })}><span className="mono">{b.key}</span> {b.title}</Link></div>;
}

/** Accepts an offer or declines it, in place of the agent that it is made to. */
function Answer({ h, taskKey }: { h: Handoff; taskKey: string }) {
  const client = useQueryClient();
  const [declining, setDeclining] = useState(false);
  const [note, setNote] = useState('');
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const send = async (work: () => Promise<unknown>) => {
    setBusy(true);
    setError(null);
    try {
      await work();
    } catch (err) {
      setError(err);
    } finally {
      setBusy(false);
      await client.invalidateQueries({ queryKey: ['task', taskKey] });
    }
  };
  return (
    <>
      {error !== null && <ErrorState error={error} title={s.drawer.handoffAnswered} />}
      {declining ? (
        <form className={css.handoffAnswer} onSubmit={(e) => { e.preventDefault(); void send(() => act.declineHandoff(h.id, note.trim())); }}>
          <TextInput
            aria-label={s.drawer.declineWhy}
            placeholder={s.drawer.declineWhy}
            value={note}
            onChange={(e) => setNote(e.currentTarget.value)}
            onKeyDown={(e) => { if (e.key === 'Escape') { e.stopPropagation(); e.nativeEvent.stopImmediatePropagation(); setDeclining(false); } }}
            maxLength={1000}
            autoFocus
          />
          <Button variant="default" onClick={() => setDeclining(false)}>{common.cancel}</Button>
          <Button type="submit" loading={busy}>{s.drawer.decline}</Button>
        </form>
      ) : (
        <div className={css.handoffAnswer}>
          <Button loading={busy} onClick={() => void send(() => act.acceptHandoff(h.id))}>{s.drawer.accept}</Button>
          <Button variant="default" disabled={busy} onClick={() => setDeclining(true)}>{s.drawer.decline}</Button>
        </div>
      )}
    </>
  );
}
