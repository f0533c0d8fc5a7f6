import { ActionIcon, Button, Modal, MultiSelect, NumberInput, Radio, Select, SegmentedControl, TagsInput, Textarea, TextInput } from '@mantine/core';
import { IconX } from '@tabler/icons-react';
import { keepPreviousData, useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, useNavigate } from '@tanstack/react-router';
import { useState, type FormEvent, type ReactNode } from 'react';
import { act, aroundQuery, projectsQuery, useMe, usePeople, type Priority, type Row, type Task } from '../../api/board.ts';
import { rest } from '../../api/http.ts';
import { ErrorState } from '../../kit/index.ts';
import { common, board as s } from '../../strings/index.ts';
import type { Actions, Ask } from './actions.tsx';
import css from './Board.module.css';
import { PriorityMark } from './Card.tsx';
import { HandoffForm } from './HandoffForm.tsx';
import { changed } from './search.ts';

/** The dialog for whatever is asked. */
export function Dialogs({ ask, close, actions, project }: { ask: Ask | null; close: () => void; actions: Actions; project: string }) {
  const titles = ask && ask.kind !== 'create' ? {
    assign: s.form.assign(ask.task.key), submit: s.form.submit(ask.task.key), finish: s.form.finish(ask.task.key), approve: s.form.approve(ask.task.key, ask.task.round),
    changes: s.form.changes(ask.task.key), block: s.form.block(ask.task.key), unblock: s.form.unblock(ask.task.key), priority: s.form.priority(ask.task.key),
    depend: s.form.depend(ask.task.key), cancel: s.form.cancelTask(ask.task.key), handoff: s.form.handoff(ask.task.key),
  }[ask.kind] : s.newTask;
  return (
    <Modal opened={ask !== null} onClose={close} title={titles} size={ask?.kind === 'create' || ask?.kind === 'handoff' ? 'lg' : 'md'} closeButtonProps={{ 'aria-label': common.close }} returnFocus={false}>
      {ask && <Body key={ask.kind} ask={ask} close={close} actions={actions} project={project} />}
    </Modal>
  );
}

function Body({ ask, close, actions, project }: { ask: Ask; close: () => void; actions: Actions; project: string }) {
  if (ask.kind === 'create') return <NewTask project={project} parent={ask.parent} close={close} actions={actions} />;
  const t = ask.task;
  const end = (ok: boolean) => {
    if (!ok) return;
    close();
    ask.then?.();
  };
  switch (ask.kind) {
    case 'assign':
      return <AssignForm task={t} close={close} onAssign={(to, name) => void actions.assign(t, to, name).then(end)} />;
    case 'submit':
    case 'finish':
      return <TextForm label={s.form.summary} ok={s.form.ok[ask.kind]} required close={close} onSend={(text) => actions.submit(t, text).then(end)} />;
    case 'changes':
      return <TextForm label={s.form.changesLabel} ok={s.form.ok.changes} required close={close} onSend={(text) => actions.decideOn(t, 'changes_requested', text).then(end)} />;
    case 'unblock':
      return <TextForm label={s.form.note} ok={s.form.ok.unblock} close={close} onSend={(text) => actions.unblock(t, text).then(end)} />;
    case 'cancel':
      return <TextForm lead={s.form.cancelText} label={s.form.note} ok={s.form.ok.cancel} danger close={close} onSend={(text) => actions.cancel(t, text).then(end)} />;
    case 'approve':
      return (
        <div className={css.form}>
          <div>{s.form.approveText}</div>
          <div className={css.formActions}>
            {t.card?.review && <Button component={Link} to={`/reviews/${t.card.review}`} variant="default">{s.form.openReview}</Button>}
            <Button data-autofocus onClick={() => void actions.decideOn(t, 'approve').then(end)}>{s.form.ok.approve}</Button>
          </div>
        </div>
      );
    case 'priority':
      return (
        <Radio.Group aria-label={s.form.priority(t.key)} defaultValue={t.priority} onChange={(p) => void actions.priority(t, p as Priority).then(end)}>
          <div className={css.priorities}>
            {(['urgent', 'high', 'normal', 'low'] as const).map((p) => (
              <Radio key={p} value={p} label={<PriorityMark priority={p} words />} {...(p === t.priority ? { 'data-autofocus': true } : {})} />
            ))}
          </div>
        </Radio.Group>
      );
    case 'block':
      return <BlockForm close={close} onSend={(body) => actions.block(t, body).then(end)} />;
    case 'handoff':
      return <HandoffForm task={t} actions={actions} close={close} done={() => end(true)} />;
    case 'depend':
      return <DependForm task={t} actions={actions} />;
  }
}

function Form({ children, onSubmit }: { children: ReactNode; onSubmit: () => unknown }) {
  const send = (e: FormEvent) => {
    e.preventDefault();
    void onSubmit();
  };
  return <form className={css.form} onSubmit={send}>{children}</form>;
}

function TextForm({ label, lead, ok, required, danger, close, onSend }: { label: string; lead?: string; ok: string; required?: boolean; danger?: boolean; close: () => void; onSend: (text: string) => Promise<unknown> }) {
  const [text, setText] = useState('');
  const [busy, setBusy] = useState(false);
  const send = () => {
    if (required && text.trim() === '') return;
    setBusy(true);
    void onSend(text.trim()).finally(() => setBusy(false));
  };
  return (
    <Form onSubmit={send}>
      {lead && <div>{lead}</div>}
      <Textarea
        label={label}
        value={text}
        onChange={(e) => setText(e.currentTarget.value)}
        autosize
        minRows={3}
        maxRows={12}
        required={required ?? false}
        data-autofocus
        onKeyDown={(e) => { if (e.key === 'Enter' && (e.ctrlKey || e.metaKey)) { e.preventDefault(); send(); } }}
      />
      <div className={css.formActions}>
        <Button variant="default" onClick={close}>{common.cancel}</Button>
        <Button type="submit" loading={busy} {...(danger ? { color: 'red.9' } : {})}>{ok}</Button>
      </div>
    </Form>
  );
}

interface PeopleSelectProps {
  label: string;
  description?: string;
  value: string | null;
  onChange: (party: string | null, name: string) => void;
  /** The id of a project: agents of others are left out. */
  agentsOf?: string | undefined;
  /** Leaves out whom it says no to. */
  only?: (party: string, person: boolean) => boolean;
  /** What is said when nobody is left. */
  none?: string;
  autoFocus?: boolean;
}

/** Agents and people to choose from. */
export function PeopleSelect({ label, description, value, onChange, agentsOf, only, none, autoFocus }: PeopleSelectProps) {
  const people = usePeople();
  const fits = people.all.filter((p) => (only?.(p.party, p.person) ?? true) && (p.person || !agentsOf || people.agents.some((a) => `agent:${a.id}` === p.party && a.projects.includes(agentsOf))));
  return (
    <Select
      label={label}
      {...(description ? { description } : {})}
      placeholder={s.form.toSomebody}
      searchable
      {...(autoFocus ? { 'data-autofocus': true } : {})}
      data={fits.map((p) => ({ value: p.party, label: p.name === p.slug ? `@${p.slug}` : `${p.name} (@${p.slug})` }))}
      value={value}
      onChange={(v) => onChange(v, people.of(v ?? '').name)}
      nothingFoundMessage={fits.length === 0 ? (none ?? common.none) : common.none}
    />
  );
}

function AssignForm({ task, close, onAssign }: { task: Row; close: () => void; onAssign: (to: string, name: string) => void }) {
  const [to, setTo] = useState<{ party: string; name: string } | null>(null);
  return (
    <Form onSubmit={() => to && onAssign(to.party, to.name)}>
      <PeopleSelect label={s.form.to} value={to?.party ?? null} onChange={(party, name) => setTo(party ? { party, name } : null)} agentsOf={task.project} autoFocus />
      <div className={css.formActions}>
        <Button variant="default" onClick={close}>{common.cancel}</Button>
        <Button type="submit" disabled={!to}>{s.form.ok.assign}</Button>
      </div>
    </Form>
  );
}

function BlockForm({ close, onSend }: { close: () => void; onSend: (body: { kind: string; reason: string; owner: string; action: string }) => Promise<unknown> }) {
  const me = useMe();
  const [kind, setKind] = useState('external');
  const [reason, setReason] = useState('');
  const [owner, setOwner] = useState<string | null>(me.party);
  const [action, setAction] = useState('');
  return (
    <Form onSubmit={() => owner && onSend({ kind, reason, owner, action })}>
      <Select label={s.form.kind} value={kind} onChange={(v) => setKind(v ?? 'external')} allowDeselect={false} data={Object.entries(s.form.kinds).map(([value, label]) => ({ value, label }))} />
      <Textarea label={s.form.reason} value={reason} onChange={(e) => setReason(e.currentTarget.value)} required autosize minRows={2} data-autofocus />
      <PeopleSelect label={s.form.owner} value={owner} onChange={setOwner} />
      <TextInput label={s.form.action} value={action} onChange={(e) => setAction(e.currentTarget.value)} required />
      <div className={css.formActions}>
        <Button variant="default" onClick={close}>{common.cancel}</Button>
        <Button type="submit">{s.form.ok.block}</Button>
      </div>
    </Form>
  );
}

/** Finds tasks by key or words. */
function useTaskSearch(project: string | undefined, q: string) {
  return useQuery({
    queryKey: ['tasks', 'search', project, q],
    staleTime: 5000,
    placeholderData: keepPreviousData,
    queryFn: async ({ signal }) => (await rest<{ tasks: Task[] }>('/tasks', { query: { project, q, sort: 'updated', limit: 30 }, signal })).tasks,
  });
}

function DependForm({ task, actions }: { task: Row; actions: Actions }) {
  const client = useQueryClient();
  const [q, setQ] = useState('');
  const [until, setUntil] = useState('approved');
  const [on, setOn] = useState<string | null>(null);
  const around = useQuery(aroundQuery(task.key));
  const found = useTaskSearch(undefined, q);
  const waits = (around.data?.edges ?? []).filter((e) => e.task === task.id);
  const fresh = () => void client.invalidateQueries({ queryKey: ['task', task.key] });
  return (
    <Form onSubmit={() => { if (on) return actions.depend(task, on, until).then((ok) => { if (ok) { setOn(null); setQ(''); fresh(); } }); return undefined; }}>
      {waits.length === 0 ? <div className="dim">{s.form.noDependencies}</div> : (
        <ul className={css.deps}>
          {waits.map((e) => {
            const up = around.data?.tasks.find((b) => b.id === e.depends_on);
            return up && (
              <li key={up.id}>
                <span className="mono">{up.key}</span><span className="truncate">{up.title}</span><span className="dim">{s.form.untils[e.until as 'approved']}</span>
                <span className={css.spacer} />
                <ActionIcon aria-label={s.form.remove(up.key)} onClick={() => void actions.undepend(task, up.key).then(fresh)}><IconX size={15} /></ActionIcon>
              </li>
            );
          })}
        </ul>
      )}
      <Select
        label={s.form.dependOn}
        description={s.form.dependHelp}
        data-autofocus
        searchable
        searchValue={q}
        onSearchChange={setQ}
        value={on}
        onChange={setOn}
        filter={({ options }) => options}
        data={(found.data ?? []).filter((t) => t.key !== task.key).map((t) => ({ value: t.key, label: `${t.key} ${t.title}` }))}
        nothingFoundMessage={common.none}
      />
      <Select label={s.form.until} value={until} onChange={(v) => setUntil(v ?? 'approved')} allowDeselect={false} data={Object.entries(s.form.untils).map(([value, label]) => ({ value, label }))} />
      <div className={css.formActions}><Button type="submit" disabled={!on}>{s.form.ok.depend}</Button></div>
    </Form>
  );
}

function NewTask({ project, parent, close, actions }: { project: string; parent: string | undefined; close: () => void; actions: Actions }) {
  const projects = useQuery(projectsQuery).data ?? [];
  const navigate = useNavigate();
  const client = useQueryClient();
  const [more, setMore] = useState(parent !== undefined);
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const [q, setQ] = useState('');
  const [form, setForm] = useState({
    project: project || (projects[0]?.key ?? ''), title: '', description: '', criteria: '', assignee: null as string | null, priority: 'normal', labels: [] as string[], review_mode: '', due: '', parent: parent ?? null as string | null, waits: [] as string[], budget: '' as number | string,
  });
  const set = (change: Partial<typeof form>) => setForm((old) => ({ ...old, ...change }));
  const found = useTaskSearch(form.project, q);
  const options = (found.data ?? []).map((t) => ({ value: t.key, label: `${t.key} ${t.title}` }));
  const withChosen = (chosen: (string | null)[]) => [...options, ...chosen.filter((c): c is string => !!c && !options.some((o) => o.value === c)).map((c) => ({ value: c, label: c }))];
  const send = async () => {
    if (form.title.trim() === '') return;
    setBusy(true);
    setError(null);
    const criteria = form.criteria.split('\n').map((c) => c.trim()).filter(Boolean);
    try {
      const made = await act.create({
        project: form.project, title: form.title.trim(), description: form.description, priority: form.priority,
        ...(criteria.length ? { acceptance_criteria: criteria } : {}), ...(form.assignee ? { assignee: form.assignee } : {}), ...(form.labels.length ? { labels: form.labels } : {}),
        ...(form.review_mode ? { review_mode: form.review_mode } : {}), ...(form.due ? { due_at: new Date(form.due).toISOString() } : {}), ...(form.parent ? { parent: form.parent } : {}),
        ...(form.waits.length ? { depends_on: form.waits.map((task) => ({ task, pass_deliverables: true })) } : {}), ...(Number(form.budget) > 0 ? { budget: Math.round(Number(form.budget) * 1e9) } : {}),
      });
      actions.say(s.done.create(made.key));
      void client.invalidateQueries({ queryKey: ['board'] });
      close();
      void navigate({ to: '.', search: changed({ task: made.key }) });
    } catch (err) {
      setError(err);
    } finally {
      setBusy(false);
    }
  };
  const projectId = projects.find((p) => p.key === form.project)?.id;
  return (
    <Form onSubmit={send}>
      {error !== null && <ErrorState error={error} title={s.newTask} />}
      <TextInput label={s.form.titleLabel} value={form.title} onChange={(e) => set({ title: e.currentTarget.value })} required maxLength={500} data-autofocus />
      <Textarea label={s.form.description} description={s.form.descriptionHelp} value={form.description} onChange={(e) => set({ description: e.currentTarget.value })} autosize minRows={3} maxRows={12} />
      <div className={css.formRow}>
        <PeopleSelect label={s.form.to} value={form.assignee} onChange={(assignee) => set({ assignee })} agentsOf={projectId} />
        <Select label={s.project} value={form.project} onChange={(v) => set({ project: v ?? form.project })} allowDeselect={false} data={projects.map((p) => ({ value: p.key, label: `${p.key} ${p.name}` }))} />
      </div>
      <div>
        <div className={css.fieldLabel} aria-hidden="true">{s.form.priorityLabel}</div>
        <SegmentedControl fullWidth aria-label={s.form.priorityLabel} value={form.priority} onChange={(priority) => set({ priority })} data={(['urgent', 'high', 'normal', 'low'] as const).map((p) => ({ value: p, label: s.card.priority[p] }))} />
      </div>
      {more ? (
        <>
          <Textarea label={s.form.criteria} value={form.criteria} onChange={(e) => set({ criteria: e.currentTarget.value })} autosize minRows={2} maxRows={10} />
          <div className={css.formRow}>
            <TagsInput label={s.form.labels} value={form.labels} onChange={(labels) => set({ labels })} size="xs" />
            <Select label={s.form.reviewMode} value={form.review_mode} onChange={(v) => set({ review_mode: v ?? '' })} allowDeselect={false} data={Object.entries(s.form.reviewModes).map(([value, label]) => ({ value, label }))} />
          </div>
          <div className={css.formRow}>
            <MultiSelect label={s.form.waitsFor} searchable searchValue={q} onSearchChange={setQ} filter={({ options: o }) => o} value={form.waits} onChange={(waits) => set({ waits })} data={withChosen(form.waits)} nothingFoundMessage={common.none} />
            <Select label={s.form.parent} searchable clearable value={form.parent} onChange={(v) => set({ parent: v })} data={withChosen([form.parent])} nothingFoundMessage={common.none} />
          </div>
          <div className={css.formRow}>
            <TextInput type="datetime-local" label={s.form.due} value={form.due} onChange={(e) => set({ due: e.currentTarget.value })} />
            <NumberInput label={s.form.budget} min={0} decimalScale={2} value={form.budget} onChange={(budget) => set({ budget })} />
          </div>
        </>
      ) : (
        <div><Button variant="subtle" onClick={() => setMore(true)} px={0}>{s.form.more}</Button></div>
      )}
      <div className={css.formActions}>
        <Button variant="default" onClick={close}>{common.cancel}</Button>
        <Button type="submit" loading={busy}>{s.form.ok.create}</Button>
      </div>
    </Form>
  );
}

/** The first project of a server. */
export function NewProject({ onMade }: { onMade: (key: string) => void }) {
  const client = useQueryClient();
  const [key, setKey] = useState('');
  const [name, setName] = useState('');
  const [error, setError] = useState<unknown>(null);
  const send = async () => {
    try {
      const made = await act.project(key.trim(), name.trim());
      await client.invalidateQueries({ queryKey: ['projects'] });
      void client.invalidateQueries({ queryKey: ['session'] });
      onMade(made.key);
    } catch (err) {
      setError(err);
    }
  };
  return (
    <div style={{ width: 'min(380px, 100%)', textAlign: 'left' }}>
      <Form onSubmit={send}>
        {error !== null && <ErrorState error={error} title={s.form.createProject} />}
        <TextInput label={s.form.name} value={name} onChange={(e) => setName(e.currentTarget.value)} required />
        <TextInput label={s.form.key} description={s.form.keyHelp} value={key} onChange={(e) => setKey(e.currentTarget.value.toUpperCase())} required pattern="[A-Z][A-Z0-9]{1,9}" />
        <div className={css.formActions}><Button type="submit">{s.form.createProject}</Button></div>
      </Form>
    </div>
  );
}
