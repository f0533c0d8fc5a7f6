import { ActionIcon, Button, Checkbox, Menu, Modal, Select, Textarea } from '@mantine/core';
import { IconDotsVertical } from '@tabler/icons-react';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useMemo, useRef, useState, type FormEvent, type ReactNode } from 'react';
import { act, costOf, costsQuery, projectsQuery, taskQuery, useMe, usePeople, type Comment, type Deliverable, type Review, type TaskView } from '../../api/board.ts';
import { decide, delegate, reviewQuery, snooze, type Decision, type ReviewDetail } from '../../api/reviews.ts';
import { useShortcuts } from '../../app/keys.ts';
import { AgentAvatar, DiffView, ErrorState, JsonEditor, JsonView, Kbd, Markdown, MentionInput, Money, StatusBadge, statusText, TimeAgo } from '../../kit/index.ts';
import { common, reviews as s } from '../../strings/index.ts';
import { DeliverableView, pretty, shapeOf } from './DeliverableView.tsx';
import { PeopleSelect } from '../board/Dialogs.tsx';
import css from './Reviews.module.css';

/** Says what was done, and how to take it back where that can be. */
type Done = (text: string, undo?: () => Promise<unknown>) => void;

interface PanelProps {
  id: string;
  narrow: boolean;
  /** A verdict was taken, or the review is gone from this inbox. */
  onDone: Done;
  back: ReactNode;
}

/** One review: what it is about, and what can be said to it. */
export function ReviewPanel({ id, onDone, narrow }: PanelProps) {
  const review = useQuery(reviewQuery(id));
  const key = review.data?.task_key;
  const task = useQuery({ ...taskQuery(key ?? ''), enabled: key !== undefined });
  if (review.isError) return <div className={css.alone}><ErrorState error={review.error} retry={() => void review.refetch()} /></div>;
  if (task.isError) return <div className={css.alone}><ErrorState error={task.error} retry={() => void task.refetch()} /></div>;
  if (!review.data || (key && !task.data)) return <div className={css.panel} aria-busy="true" />;
  return <Loaded r={review.data} v={task.data} onDone={onDone} narrow={narrow} />;
}

function Loaded({ r, v, onDone, narrow }: { r: ReviewDetail; v: TaskView | undefined; onDone: Done; narrow: boolean }) {
  const client = useQueryClient();
  const people = usePeople();
  const costs = useQuery(costsQuery).data;
  const projects = useQuery(projectsQuery).data;
  const [comment, setComment] = useState('');
  const [problem, setProblem] = useState('');
  const [busy, setBusy] = useState('');
  const [dialog, setDialog] = useState<'reject' | 'delegate' | null>(null);
  // Which text is in the editor, and what was typed into each, by what it is of.
  const [editing, setEditing] = useState<{ what: string; texts: Readonly<Record<string, string>> } | null>(null);
  const [refused, setRefused] = useState<unknown>(null);
  const [error, setError] = useState<unknown>(null);
  const panel = useRef<HTMLDivElement>(null);
  const field = useRef<HTMLTextAreaElement>(null);
  const pending = r.status === 'pending';
  const allowed = pending && r.may_decide ? r.allowed : [];
  const can = (verdict: string) => allowed.includes(verdict);
  const who = people.of(r.author);
  const project = projects?.find((p) => p.id === r.project)?.key ?? r.project;
  const cost = v && costOf(costs, v.task);

  const pinned = useMemo(() => (r.pinned ?? []).map((p) => v?.deliverables?.find((d) => d.id === p.deliverable)).filter((d) => d !== undefined), [r.pinned, v]);
  const earlier = (v?.reviews ?? []).filter((o) => o.id !== r.id && o.kind === r.kind && o.round < r.round).sort((a, b) => b.round - a.round);
  const editable = [...pinned.filter((d) => d.kind === 'text' || d.kind === 'json'), ...(r.output !== undefined || (!v && r.payload !== undefined) ? ['output' as const] : [])];

  const send = async (verdict: string, more: Partial<Decision> = {}) => {
    const text = comment.trim();
    const chosen = more.comment ?? text;
    if ((verdict === 'changes_requested' || verdict === 'reject') && chosen === '') return need(s.commentNeeded);
    if ((verdict === 'answer' || verdict === 'respond') && chosen === '' && more.response === undefined) return need(s.answerNeeded);
    setBusy(verdict);
    setError(null);
    setRefused(null);
    try {
      const decided = await decide(r.id, { verdict, ...(chosen ? { comment: chosen } : {}), ...more }, r.version);
      setDialog(null);
      setEditing(null);
      const text = s.done.decided(v ? `${v.task.key} ${r.title}` : r.title, decided.status === 'pending' ? s.done.stillNeeds : statusText(decided.status));
      void client.invalidateQueries({ queryKey: ['review', r.id] });
      onDone(text);
    } catch (err) {
      setDialog(null);
      // What was refused is said where it was asked for: the edit is still there.
      if (editing) setRefused(err);
      else setError(err);
      void client.invalidateQueries({ queryKey: ['review', r.id] });
    } finally {
      setBusy('');
    }
  };
  const need = (why: string) => {
    setProblem(why);
    setDialog(null);
    field.current?.focus();
  };
  const yes = can('approve') ? 'approve' : can('accept') ? 'accept' : '';
  const canEdit = can('edit') || (can('approve') && r.kind === 'deliverable' && editable.length > 0);
  const whole = (can('edit') ? r.payload : (r.output ?? r.payload)) ?? null;
  const original = (what: string) => {
    const d = pinned.find((p) => p.id === what);
    if (!d) return JSON.stringify(whole, null, 2);
    return d.kind === 'json' ? pretty(d.content ?? '') : (d.content ?? '');
  };
  const beginEdit = () => {
    const first = can('edit') ? 'output' : editable[0];
    if (!first) return;
    setRefused(null);
    setEditing({ what: first === 'output' ? 'output' : first.id, texts: {} });
  };
  const edited = editing ? Object.entries(editing.texts).filter(([what, text]) => text !== original(what)) : [];
  const saveEdit = () => {
    if (edited.length === 0) return;
    let output: unknown;
    const deliverables: NonNullable<NonNullable<Decision['edited']>['deliverables']> = [];
    for (const [what, text] of edited) {
      const d = pinned.find((p) => p.id === what);
      if (!d || d.kind === 'json') {
        try {
          const value: unknown = JSON.parse(text);
          if (!d) output = value;
        } catch {
          setRefused(new Error(s.notJson(d?.title ?? s.output)));
          return;
        }
      }
      if (d) deliverables.push({ kind: d.kind, title: d.title, series: d.series, content: text, ...(d.media_type ? { media_type: d.media_type } : {}) });
    }
    if (can('edit')) void send('edit', { response: output });
    else void send('approve', { edited: { ...(output === undefined ? {} : { output }), ...(deliverables.length > 0 ? { deliverables } : {}) } });
  };
  const answer = can('answer') ? 'answer' : can('respond') ? 'respond' : '';
  const sleep = (ms: number) =>
    void snooze(r.id, new Date(Date.now() + ms)).then(() => onDone(s.done.snoozed(r.title), () => snooze(r.id, new Date(0))), (err: unknown) => setError(err));
  const change = (by: number) => {
    const all = [...(panel.current?.querySelectorAll<HTMLElement>('[data-change]') ?? [])];
    const top = (panel.current?.getBoundingClientRect().top ?? 0) + 60;
    const next = by > 0 ? all.find((el) => el.getBoundingClientRect().top > top + 4) : all.findLast((el) => el.getBoundingClientRect().top < top - 4);
    next?.scrollIntoView({ block: 'start' });
    if (next && panel.current) panel.current.scrollTop -= 60;
  };
  useShortcuts([
    ...(yes ? [{ keys: 'a', label: s.keys.approve, group: s.keys.group, run: () => void send(yes) }] : []),
    ...(can('changes_requested') ? [{ keys: 'r', label: s.keys.changes, group: s.keys.group, run: () => (comment.trim() ? void send('changes_requested') : need('')) }] : []),
    ...(canEdit ? [{ keys: 'e', label: s.keys.edit, group: s.keys.group, run: () => beginEdit() }] : []),
    ...(answer ? [{ keys: 'w', label: s.keys.answer, group: s.keys.group, run: () => field.current?.focus() }] : []),
    ...(allowed.length > 0 ? [{ keys: 'd', label: s.keys.delegate, group: s.keys.group, run: () => setDialog('delegate') }] : []),
    ...(pending ? [{ keys: 's', label: s.keys.snooze, group: s.keys.group, run: () => sleep(3_600_000) }] : []),
    { keys: 'n', label: s.keys.nextChange, group: s.keys.group, run: () => change(1) },
    { keys: 'p', label: s.keys.previousChange, group: s.keys.group, run: () => change(-1) },
  ]);

  return (
    <section className={css.detail} aria-label={r.title}>
      <div className={css.panel} ref={panel} tabIndex={0} role="group" aria-label={r.title}>
        <header className={css.head}>
          <div className={css.headTop}>
            <StatusBadge status={pending ? 'waiting_for_person' : r.status} label={pending ? `${s.kinds[r.kind]}${r.round > 1 ? `, ${s.round(r.round)}` : ''}` : statusText(r.status)} />
            {v && <Link to="/board/$project" params={{ project }} search={{ task: v.task.key }} className="mono">{v.task.key}</Link>}
            <span className={css.headWho}><AgentAvatar name={who.name} size={18} {...(who.person ? { person: true } : {})} />{s.asks(who.name)}</span>
            <span className="dim">{s.since} <TimeAgo at={r.created_at} /></span>
            {r.due_at && <span className={Date.parse(r.due_at) < Date.now() ? css.overdue : 'dim'}>{s.due} <TimeAgo at={r.due_at} /></span>}
          </div>
          <h2 className={css.headTitle}>{r.title}</h2>
          <div className={css.headFacts}>
            {cost && <span>{s.cost} <Money nano={cost.nano} included={cost.included} /></span>}
            {r.behind > 0 && <span>{s.behind(r.behind)}</span>}
            {r.required_approvals > 1 && <span>{s.required(r.required_approvals)}</span>}
            {r.delegations?.at(-1) && <span>{s.passedOn(people.of(r.delegations.at(-1)!.from).name, people.of(r.delegations.at(-1)!.to).name)}</span>}
            {r.source && <span>{s.fromState} <Link to={`/executions/${encodeURIComponent(r.source.execution)}`}>{r.source.state}</Link></span>}
            {v?.task.source && <span>{s.fromState} <Link to={`/executions/${encodeURIComponent(v.task.source.execution)}`}>{v.task.source.state}</Link></span>}
          </div>
        </header>
        {r.summary && <Part title={s.note}><Markdown text={r.summary} /></Part>}
        {r.payload !== undefined && <Part title={s.payload}>{typeof r.payload === 'string' ? <Markdown text={r.payload} /> : <div className={css.paper}><JsonView value={r.payload} label={s.payload} /></div>}</Part>}
        {v && (r.kind === 'deliverable' || pinned.length > 0) && <Pinned r={r} v={v} pinned={pinned} lastRound={earlier[0]} writes={pending} />}
        {r.output !== undefined && (
          <Part title={s.output}>
            {earlier[0]?.output !== undefined
              ? <DiffView label={s.diffOf(s.output)} before={JSON.stringify(earlier[0].output, null, 2)} after={JSON.stringify(r.output, null, 2)} beforeLabel={s.round(earlier[0].round)} afterLabel={s.round(r.round)} />
              : <div className={css.paper}><JsonView value={r.output} label={s.output} /></div>}
          </Part>
        )}
        {v?.task.acceptance_criteria && v.task.acceptance_criteria.length > 0 && r.kind === 'deliverable' && (
          <Part title={s.criteria} beside={<span className="dim">{s.criteriaHelp}</span>}>
            <div className={css.criteria}>{v.task.acceptance_criteria.map((c, i) => <Checkbox key={i} label={c} size="sm" />)}</div>
          </Part>
        )}
        {r.kind === 'deliverable' && pending && (
          <Part title={s.starts}>
            {r.starts.length === 0 ? <p className="dim">{s.startsNothing}</p> : (
              <ul className={css.plain}>{r.starts.map((b) => <li key={b.id}><Link to="/board/$project" params={{ project: b.key.split('-')[0]! }} search={{ task: b.key }}><span className="mono">{b.key}</span> {b.title}</Link></li>)}</ul>
            )}
          </Part>
        )}
        <Verdicts r={r} earlier={earlier} />
        {v && <Thread v={v} />}
      </div>
      <footer className={css.actions}>
        {error !== null && <ErrorState error={error} title={s.failed} />}
        {!pending ? (
          <div className={css.closed}><StatusBadge status={r.status} />{s.closed(statusText(r.status))}</div>
        ) : !r.may_decide ? (
          <div className={css.closed}>{s.notYours}</div>
        ) : (
          <>
            {r.choices && r.choices.length > 0 && (
              <div className={css.choices}>{r.choices.map((c) => <Button key={c} variant="default" loading={busy !== ''} onClick={() => void send(answer || yes, { comment: c })}>{c}</Button>)}</div>
            )}
            <div className={css.actionRow}>
              <Textarea
                ref={field}
                className={css.comment!}
                aria-label={s.comment}
                placeholder={answer ? s.answerNeeded : s.commentHelp}
                value={comment}
                error={problem || undefined}
                errorProps={{ role: 'alert' }}
                onChange={(e) => { setComment(e.currentTarget.value); setProblem(''); }}
                onKeyDown={(e) => { if (e.key === 'Escape') field.current?.blur(); }}
                autosize
                minRows={1}
                maxRows={narrow ? 4 : 8}
              />
              <div className={css.buttons}>
                {can('reject') && <Button variant="default" className={css.reject!} onClick={() => (comment.trim() ? setDialog('reject') : need(s.commentNeeded))}>{s.verdicts.reject}</Button>}
                {can('ignore') && <Button variant="default" loading={busy === 'ignore'} onClick={() => void send('ignore')}>{s.verdicts.ignore}</Button>}
                {can('changes_requested') && <Button variant="default" loading={busy === 'changes_requested'} onClick={() => void send('changes_requested')}>{s.verdicts.changes_requested}</Button>}
                {canEdit && !narrow && <Button variant="default" onClick={() => beginEdit()}>{can('edit') ? s.verdicts.edit : s.editApprove}</Button>}
                {answer && <Button {...(yes ? { variant: 'default' } : {})} loading={busy === answer} onClick={() => void send(answer)}>{s.verdicts[answer]}</Button>}
                {yes && <Button loading={busy === yes} onClick={() => void send(yes)}>{s.verdicts[yes]}</Button>}
                <Menu position="top-end">
                  <Menu.Target><ActionIcon aria-label={s.moreActions} size={30}><IconDotsVertical size={17} /></ActionIcon></Menu.Target>
                  <Menu.Dropdown>
                    {canEdit && narrow && <Menu.Item onClick={() => beginEdit()}>{can('edit') ? s.verdicts.edit : s.editApprove}</Menu.Item>}
                    <Menu.Item onClick={() => setDialog('delegate')}>{s.delegate}</Menu.Item>
                    <Menu.Label>{s.snooze}</Menu.Label>
                    <Menu.Item onClick={() => sleep(3_600_000)}>{s.snoozeFor.hour}</Menu.Item>
                    <Menu.Item onClick={() => sleep(4 * 3_600_000)}>{s.snoozeFor.afternoon}</Menu.Item>
                    <Menu.Item onClick={() => sleep(tomorrow() - Date.now())}>{s.snoozeFor.tomorrow}</Menu.Item>
                    <Menu.Item onClick={() => sleep(7 * 86_400_000)}>{s.snoozeFor.week}</Menu.Item>
                  </Menu.Dropdown>
                </Menu>
              </div>
            </div>
          </>
        )}
      </footer>
      <Modal opened={dialog === 'reject'} onClose={() => setDialog(null)} title={s.rejectTitle(r.title)} closeButtonProps={{ 'aria-label': common.close }}>
        <p className={css.quiet}>{s.rejectText}</p>
        <blockquote className={css.quote}>{comment}</blockquote>
        <div className={css.modalActions}>
          <Button variant="default" onClick={() => setDialog(null)}>{common.cancel}</Button>
          <Button color="red.9" loading={busy === 'reject'} onClick={() => void send('reject')} data-autofocus>{s.verdicts.reject}</Button>
        </div>
      </Modal>
      <DelegateDialog open={dialog === 'delegate'} r={r} close={() => setDialog(null)} onDone={onDone} />
      {/* Escape is the way out of the editor, so it does not take away what was typed. */}
      <Modal opened={editing !== null} onClose={() => setEditing(null)} size="xl" title={can('edit') ? s.verdicts.edit : s.editApprove} closeButtonProps={{ 'aria-label': common.close }} closeOnEscape={edited.length === 0} closeOnClickOutside={edited.length === 0}>
        {editing && (
          <div
            className={css.editing}
            onKeyDownCapture={(e) => {
              if (e.key !== 'Enter' || !(e.ctrlKey || e.metaKey)) return;
              e.preventDefault();
              e.stopPropagation();
              saveEdit();
            }}
          >
            {editable.length > 1 && !can('edit') && (
              <Select
                label={s.editWhat}
                value={editing.what}
                allowDeselect={false}
                onChange={(what) => what && setEditing({ ...editing, what })}
                data={editable.map((d) => {
                  const [value, label] = d === 'output' ? ['output', s.output] : [d.id, d.title];
                  return { value, label: edited.some(([what]) => what === value) ? s.edited(label) : label };
                })}
              />
            )}
            {refused !== null && <ErrorState error={refused} title={s.failed} />}
            <JsonEditor
              key={editing.what}
              label={s.editing(pinned.find((d) => d.id === editing.what)?.title ?? (can('edit') ? s.payload : s.output))}
              value={editing.texts[editing.what] ?? original(editing.what)}
              onChange={(text) => setEditing((old) => old && { ...old, texts: { ...old.texts, [old.what]: text } })}
              autoFocus
              height="46vh"
              plain={editing.what !== 'output' && pinned.find((d) => d.id === editing.what)?.kind !== 'json'}
            />
            <div className={css.modalActions}>
              <span className={`dim ${css.editHint}`}>{edited.length === 0 ? s.nothingEdited : <><Kbd keys="Ctrl Enter" /> {s.editKey}</>}</span>
              <Button variant="default" onClick={() => setEditing(null)}>{common.cancel}</Button>
              <Button loading={busy !== ''} disabled={edited.length === 0} onClick={saveEdit}>{can('edit') ? s.verdicts.edit : s.saveApprove}</Button>
            </div>
          </div>
        )}
      </Modal>
    </section>
  );
}

function tomorrow(): number {
  const d = new Date();
  d.setDate(d.getDate() + 1);
  d.setHours(9, 0, 0, 0);
  return d.getTime();
}

function DelegateDialog({ open, r, close, onDone }: { open: boolean; r: Review; close: () => void; onDone: Done }) {
  return (
    <Modal opened={open} onClose={close} title={s.delegateTitle} closeButtonProps={{ 'aria-label': common.close }}>
      <DelegateForm r={r} close={close} onDone={onDone} />
    </Modal>
  );
}

function DelegateForm({ r, close, onDone }: { r: Review; close: () => void; onDone: Done }) {
  const me = useMe();
  const people = usePeople();
  const [to, setTo] = useState<{ party: string; name: string } | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  // An agent decides as a lead, and never about its own work.
  const leads = new Set(people.agents.filter((a) => a.role === 'lead').map((a) => `agent:${a.id}`));
  const may = (party: string, person: boolean) => party !== me.party && party !== r.author && (person || leads.has(party));
  const send = (e: FormEvent) => {
    e.preventDefault();
    if (!to) return;
    setBusy(true);
    setError(null);
    delegate(r.id, to.party)
      .then(() => { close(); onDone(s.done.delegated(r.title, to.name)); }, (err: unknown) => setError(err))
      .finally(() => setBusy(false));
  };
  return (
    <form className={css.editing} onSubmit={send}>
      {error !== null && <ErrorState error={error} title={s.delegateFailed} />}
      <PeopleSelect label={s.delegateTo} value={to?.party ?? null} onChange={(party, name) => setTo(party ? { party, name } : null)} agentsOf={r.project} only={may} none={s.delegateNobody} autoFocus />
      <div className={css.modalActions}>
        <Button variant="default" onClick={close}>{common.cancel}</Button>
        <Button type="submit" disabled={!to} loading={busy}>{s.delegateOk}</Button>
      </div>
    </form>
  );
}

function Part({ title, beside, children }: { title: string; beside?: ReactNode; children: ReactNode }) {
  return (
    <section className={css.part}>
      <div className={css.partHead}><h3>{title}</h3>{beside}</div>
      {children}
    </section>
  );
}

/** What was handed in, version by version. */
function Pinned({ r, v, pinned, lastRound, writes }: { r: ReviewDetail; v: TaskView; pinned: Deliverable[]; lastRound: Review | undefined; writes: boolean }) {
  const [name, setName] = useState(pinned[0]?.series ?? '');
  const d = pinned.find((p) => p.series === name) ?? pinned[0];
  const versions = d ? (v.deliverables ?? []).filter((o) => o.series === d.series && o.number < d.number).sort((a, b) => b.number - a.number) : [];
  const shown = lastRound?.pinned?.find((p) => p.series === d?.series)?.deliverable;
  const usual = versions.find((o) => o.id === shown) ?? versions[0];
  const [base, setBase] = useState<string | null>(null);
  const previous = base === 'none' ? undefined : (versions.find((o) => o.id === base) ?? usual);
  useShortcuts(
    [
      {
        keys: ',',
        label: s.keys.version,
        group: s.keys.group,
        run: () => {
          const all = [...versions.map((o) => o.id), 'none'];
          setBase(all[(all.indexOf(previous?.id ?? 'none') + 1) % all.length]!);
        },
      },
    ],
    versions.length > 0,
  );
  const [line, setLine] = useState<number | null>(null);
  const notes = useMemo(() => {
    const map = new Map<number, ReactNode>();
    if (!d) return map;
    const at = new Map<number, Comment[]>();
    for (const c of v.comments ?? []) if (c.anchor?.deliverable === d.id) at.set(c.anchor.line, [...(at.get(c.anchor.line) ?? []), c]);
    for (const n of new Set([...at.keys(), ...(line ? [line] : [])])) {
      map.set(n, (
        <>
          {at.get(n)?.map((c) => <Said key={c.id} c={c} />)}
          {line === n && <LineComment task={v.task.key} deliverable={d.id} line={n} close={() => setLine(null)} />}
        </>
      ));
    }
    return map;
  }, [v, d, line]);
  return (
    <Part
      title={s.deliverables}
      beside={d && versions.length > 0 && (
        <span className={css.compare}>
          <span className="dim">{s.versionCompared(d.number)}</span>
          <Select
            aria-label={s.comparedWith}
            w={210}
            allowDeselect={false}
            value={previous?.id ?? 'none'}
            onChange={setBase}
            data={[...versions.map((o) => ({ value: o.id, label: o.id === shown ? s.lastRound(o.number) : s.version(o.number) })), { value: 'none', label: s.nothingElse }]}
          />
        </span>
      )}
    >
      {pinned.length === 0 && <p className="dim">{s.noDeliverables}</p>}
      {pinned.length > 1 && (
        <div className={css.files} role="group" aria-label={s.deliverables}>
          {pinned.map((p) => (
            <button key={p.id} type="button" aria-pressed={p.series === d?.series} onClick={() => { setName(p.series); setBase(null); setLine(null); }}>
              <span className="truncate">{p.title}</span>
            </button>
          ))}
        </div>
      )}
      {pinned.length === 1 && d && <div className={css.oneFile}>{d.title}</div>}
      {d && <DeliverableView key={d.id} deliverable={d} previous={shapeOf(d) === 'url' ? undefined : previous} notes={notes} {...(writes ? { onLine: setLine } : {})} />}
      {r.pinned && r.pinned.length > pinned.length && <p className="dim">{s.contentFailed}</p>}
    </Part>
  );
}

function LineComment({ task, deliverable, line, close }: { task: string; deliverable: string; line: number; close: () => void }) {
  const client = useQueryClient();
  const people = usePeople();
  const [text, setText] = useState('');
  const [error, setError] = useState<unknown>(null);
  const send = () =>
    void act.comment(task, text, { deliverable, line }).then(
      async () => { await client.invalidateQueries({ queryKey: ['task', task] }); close(); },
      (err: unknown) => setError(err),
    );
  return (
    <div className={css.lineComment}>
      {error !== null && <ErrorState error={error} title={s.addComment} />}
      <MentionInput label={s.lineComment(line)} value={text} onChange={setText} onSubmit={send} minRows={2} who={people.all.map((p) => ({ slug: p.slug, name: p.name, ...(p.person ? { person: true } : {}), ...(p.status ? { status: p.status } : {}) }))} />
      <div className={css.modalActions}>
        <Button variant="default" onClick={close}>{common.cancel}</Button>
        <Button disabled={text.trim() === ''} onClick={send}>{s.addComment}</Button>
      </div>
    </div>
  );
}

function Said({ c }: { c: Comment }) {
  const people = usePeople();
  const who = people.of(c.by);
  return (
    <div className={css.said}>
      <div className={css.saidHead}><AgentAvatar name={who.name} size={18} {...(who.person ? { person: true } : {})} /><strong>{who.name}</strong><TimeAgo at={c.created_at} /></div>
      <Markdown text={c.body} />
    </div>
  );
}

/** What was said to this round, and to those before it. */
function Verdicts({ r, earlier }: { r: ReviewDetail; earlier: readonly Review[] }) {
  const people = usePeople();
  const rounds = [...((r.verdicts?.length ?? 0) > 0 ? [r] : []), ...earlier];
  if (rounds.length === 0) return null;
  return (
    <Part title={s.earlierRounds}>
      <ul className={css.rounds}>
        {rounds.map((o) => (
          <li key={o.id}>
            <div className={css.saidHead}><strong>{s.round(o.round)}</strong><StatusBadge status={o.status} size="sm" /><span className={css.spacer} />{o.id !== r.id && <Link to="/reviews/$id" params={{ id: o.id }}>{s.earlier}</Link>}</div>
            {o.summary && o.id !== r.id && <div className="dim"><Markdown text={o.summary} /></div>}
            {o.verdicts?.map((d, i) => (
              <div key={i} className={css.said}>
                <div className={css.saidHead}><strong>{people.of(d.by).name}</strong><span className="dim">{s.verdicts[d.verdict] ?? d.verdict}</span><TimeAgo at={d.at} /></div>
                {d.comment && <Markdown text={d.comment} />}
              </div>
            ))}
          </li>
        ))}
      </ul>
    </Part>
  );
}

function Thread({ v }: { v: TaskView }) {
  const comments = (v.comments ?? []).filter((c) => !c.anchor);
  if (comments.length === 0) return null;
  return <Part title={s.comments}>{comments.map((c) => <Said key={c.id} c={c} />)}</Part>;
}
