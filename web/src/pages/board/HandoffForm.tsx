import { Button, Checkbox, SegmentedControl, Select, Textarea, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useMemo, useState, type FormEvent } from 'react';
import { agentsQuery, projectsQuery, taskQuery, useMe, usePeople, type Deliverable, type Handoff, type Row } from '../../api/board.ts';
import { ApiError } from '../../api/http.ts';
import { EmptyState, ErrorState } from '../../kit/index.ts';
import { board as s, common } from '../../strings/index.ts';
import type { Actions } from './actions.tsx';
import css from './Board.module.css';

type Mode = Handoff['mode'];

/** Whether a task can be handed off at all: its work can go on, here or after it. */
export function canHandOff(t: Row): boolean {
  return t.state !== 'failed' && t.state !== 'cancelled';
}

/** Only what has begun to be somebody's is passed on itself. */
const transferable = (t: Row) => t.state === 'assigned' || t.state === 'in_progress';

/** Hands work to another agent: the task itself, or a new one that follows it. */
export function HandoffForm({ task: t, actions, close, done }: { task: Row; actions: Actions; close: () => void; done: () => void }) {
  const me = useMe();
  const people = usePeople();
  const agents = useQuery(agentsQuery);
  const policies = useQuery(projectsQuery).data?.find((p) => p.id === t.project)?.policies;
  const view = useQuery(taskQuery(t.key));
  const [mode, setMode] = useState<Mode>(transferable(t) ? 'transfer' : 'follow_up');
  const [to, setTo] = useState<string | null>(null);
  const [title, setTitle] = useState('');
  const [summary, setSummary] = useState('');
  const [files, setFiles] = useState<string[] | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);

  // Who has the task cannot be handed it; it may well do what follows.
  const others = useMemo(
    () => (agents.data ?? []).filter((a) => a.projects.includes(t.project) && a.admin !== 'retired' && `agent:${a.id}` !== me.party && !(mode === 'transfer' && `agent:${a.id}` === t.assignee)),
    [agents.data, t.project, t.assignee, mode, me.party],
  );
  const skills = useMemo(() => [...new Set(others.flatMap((a) => a.capabilities ?? []))].sort(), [others]);
  const latest = useMemo(() => newest(view.data?.deliverables ?? []), [view.data]);
  const chosen = files ?? latest.map((d) => d.id);
  // The task goes on while somebody fills this in.
  const passable = transferable(view.data?.task ?? t);
  const holder = t.state === 'in_progress' ? people.of(t.assignee).name : '';

  if (agents.isError) return <ErrorState error={agents.error} retry={() => void agents.refetch()} />;
  if (agents.data && others.length === 0 && mode === (transferable(t) ? 'transfer' : 'follow_up')) {
    return (
      <EmptyState title={s.form.handoffNone} text={s.form.handoffNoneText}>
        <Link to="/agents/connect">{s.empty.connect}</Link>
      </EmptyState>
    );
  }
  const send = async (e: FormEvent) => {
    e.preventDefault();
    if (!to || summary.trim() === '') return;
    setBusy(true);
    setError(null);
    const able = to.startsWith(skill) ? to.slice(skill.length) : '';
    const refused = await actions.handOff(
      t,
      { mode, summary: summary.trim(), ...(able ? { capability: able } : { to }), ...(chosen.length > 0 ? { deliverables: chosen } : {}), ...(mode === 'follow_up' && title.trim() ? { title: title.trim() } : {}) },
      (party) => people.of(party).name,
    );
    setBusy(false);
    if (refused === undefined) done();
    else setError(refused instanceof ApiError && refused.code === 'invalid_transition' ? new ApiError(409, refused.code, s.form.handoffMoved) : refused);
  };
  return (
    <form className={css.form} onSubmit={(e) => void send(e)} onKeyDown={(e) => { if (e.key === 'Enter' && (e.ctrlKey || e.metaKey)) { e.preventDefault(); e.currentTarget.requestSubmit(); } }}>
      {error !== null && <ErrorState error={error} title={s.form.handoffFailed} />}
      <div>
        <SegmentedControl
          fullWidth
          aria-label={s.form.handoffMode}
          value={mode}
          onChange={(m) => { setMode(m as Mode); if (m === 'transfer' && to === t.assignee) setTo(null); }}
          data={(['transfer', 'follow_up'] as const).map((m) => ({ value: m, label: s.form.handoffModes[m], disabled: m === 'transfer' && !passable }))}
        />
        <p className={css.formHelp}>{mode === 'transfer' ? s.form.transferHelp(holder) : passable ? s.form.followUpHelp : `${s.form.transferNot} ${s.form.followUpHelp}`}</p>
      </div>
      <Select
        label={s.form.handoffTo}
        placeholder={s.form.toSomebody}
        required
        searchable
        data-autofocus
        value={to}
        onChange={setTo}
        nothingFoundMessage={s.form.handoffNobody}
        data={[
          { group: s.form.handoffAgents, items: others.map((a) => ({ value: `agent:${a.id}`, label: a.name && a.name !== a.slug ? `${a.name} (@${a.slug})` : `@${a.slug}` })) },
          ...(skills.length > 0 ? [{ group: s.form.handoffAble, items: skills.map((c) => ({ value: `${skill}${c}`, label: s.form.handoffWith(c) })) }] : []),
        ]}
      />
      {mode === 'follow_up' && <TextInput label={s.form.handoffTitle} placeholder={s.form.handoffTitleEmpty(t.key, t.title)} maxLength={500} value={title} onChange={(e) => setTitle(e.currentTarget.value)} />}
      <Textarea label={s.form.handoffSummary} description={s.form.handoffSummaryHelp} required value={summary} onChange={(e) => setSummary(e.currentTarget.value)} autosize minRows={4} maxRows={14} />
      {latest.length > 0 && (
        <Checkbox.Group label={s.form.handoffFiles} value={chosen} onChange={setFiles}>
          <div className={css.files}>{latest.map((d) => <Checkbox key={d.id} value={d.id} label={<span>{d.title} <span className="dim">{s.drawer.versionOf(d.number)}</span></span>} />)}</div>
        </Checkbox.Group>
      )}
      {policies?.approve_handoffs && <p className={css.formHelp}>{s.form.handoffApproval}</p>}
      <div className={css.formActions}>
        <Button variant="default" onClick={close}>{common.cancel}</Button>
        <Button type="submit" loading={busy} disabled={!to || summary.trim() === ''}>{s.form.ok.handoff}</Button>
      </div>
    </form>
  );
}

/** Before the name of a skill, in the list of whom work can go to. */
const skill = 'skill:';

/** The newest version of each deliverable. */
function newest(all: readonly Deliverable[]): Deliverable[] {
  const by = new Map<string, Deliverable>();
  for (const d of all) if ((by.get(d.series)?.number ?? 0) < d.number) by.set(d.series, d);
  return [...by.values()];
}
