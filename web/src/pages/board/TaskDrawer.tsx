import { ActionIcon, Button, Menu, Select, Tabs, Textarea, TextInput } from '@mantine/core';
import { IconArrowRight, IconDotsVertical, IconInfoCircle, IconPencil } from '@tabler/icons-react';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import { useState, type ReactNode } from 'react';
import { act, aroundQuery, costOf, costsQuery, historyQuery, taskQuery, useMe, usePeople, type Attempt, type Comment, type Deliverable, type Row, type TaskView } from '../../api/board.ts';
import { ApiError } from '../../api/http.ts';
import { useShortcuts } from '../../app/keys.ts';
import {
  AgentAvatar, BudgetBar, Duration, ErrorState, formatMoney, Inspector, JsonView, Markdown, MentionInput, Money, StatusBadge, statusText, TimeAgo,
} from '../../kit/index.ts';
import { board as s, common } from '../../strings/index.ts';
import { DeliverableView } from '../reviews/DeliverableView.tsx';
import type { Actions, Ask } from './actions.tsx';
import { PriorityMark } from './Card.tsx';
import { columnOf, type ColumnId } from './columns.ts';
import css from './Drawer.module.css';
import { Handoffs } from './Handoffs.tsx';
import type { Move } from './moves.ts';
import { changed } from './search.ts';
import { TaskMenuItems } from './TaskMenu.tsx';

interface DrawerProps {
  taskKey: string;
  row: Row | undefined;
  /** Keys of the cards beside it, for [ and ]. */
  neighbours: readonly string[];
  actions: Actions;
  ask: (a: Ask) => void;
  judge: (t: Row, to: ColumnId) => Move;
  onClose: () => void;
}

/** All of a task, beside the board; its address is ?task=WEB-12. */
export function TaskDrawer({ taskKey, row, neighbours, actions, ask, judge, onClose }: DrawerProps) {
  const view = useQuery(taskQuery(taskKey));
  const search = useSearch({ strict: false }) as { tab?: string };
  const navigate = useNavigate();
  const me = useMe();
  const tab = search.tab ?? 'overview';
  const go = (by: number) => {
    const next = neighbours[neighbours.indexOf(taskKey) + by];
    if (next) void navigate({ to: '.', search: changed({ task: next }), replace: true });
  };
  useShortcuts([
    { keys: ']', label: s.drawer.next, group: s.keys.group, run: () => go(1) },
    { keys: '[', label: s.drawer.previous, group: s.keys.group, run: () => go(-1) },
  ]);

  const v = view.data;
  const t: Row | undefined = v ? { ...row, ...v.task, ...(row?.card ? { card: row.card } : {}), gate: v.gate } : row;
  const count = v?.comments?.length ?? 0;
  return (
    <Inspector
      name="task"
      width={500}
      label={s.drawer.label(taskKey)}
      onClose={onClose}
      title={
        <span className={css.title}>
          <span className={`mono ${css.key}`}>{taskKey}</span>
          <span>{t?.title ?? ''}</span>
        </span>
      }
      head={
        t && (
          <>
            <div className={css.head}>
              <StatusBadge status={t.state} />
              <PriorityMark priority={t.priority} words />
              <span className={css.spacer} />
              {reviewOf(v) && <Button component={Link} to={`/reviews/${reviewOf(v)}`} variant="light">{s.drawer.review}</Button>}
              <Menu position="bottom-end" width={220}>
                <Menu.Target>
                  <ActionIcon aria-label={s.menu.open}><IconDotsVertical size={17} /></ActionIcon>
                </Menu.Target>
                <Menu.Dropdown><TaskMenuItems t={t} review={reviewOf(v)} ask={ask} actions={actions} judge={judge} /></Menu.Dropdown>
              </Menu>
            </div>
            <Tabs value={tab} onChange={(value) => void navigate({ to: '.', search: changed({ tab: value === 'overview' ? undefined : (value ?? undefined) }), replace: true })}>
              <Tabs.List>
                <Tabs.Tab value="overview">{s.drawer.tabs.overview}</Tabs.Tab>
                <Tabs.Tab value="work">{s.drawer.tabs.work}</Tabs.Tab>
                <Tabs.Tab value="comments">{s.drawer.tabs.comments}{count > 0 && <span className={`num ${css.count}`}>{count}</span>}</Tabs.Tab>
                <Tabs.Tab value="history">{s.drawer.tabs.history}</Tabs.Tab>
              </Tabs.List>
            </Tabs>
          </>
        )
      }
    >
      {view.isError ? (
        <ErrorState error={view.error} retry={() => void view.refetch()} />
      ) : !v || !t ? null : tab === 'work' ? (
        <Work v={v} />
      ) : tab === 'comments' ? (
        <Comments v={v} writes={me.writes(v.task.project)} />
      ) : tab === 'history' ? (
        <History taskKey={taskKey} />
      ) : (
        <Overview v={v} t={t} edits={me.edits(v.task.project, v.task)} />
      )}
    </Inspector>
  );
}

function reviewOf(v: TaskView | undefined): string | undefined {
  return v?.reviews?.findLast((r) => r.status === 'pending')?.id;
}

function Section({ title, beside, children }: { title: string; beside?: ReactNode; children: ReactNode }) {
  return (
    <section className={css.section}>
      <div className={css.sectionHead}><h3>{title}</h3>{beside}</div>
      {children}
    </section>
  );
}

function Overview({ v, t, edits }: { v: TaskView; t: Row; edits: boolean }) {
  const people = usePeople();
  const costs = useQuery(costsQuery).data;
  const who = people.of(t.assignee);
  const cost = costOf(costs, t);
  return (
    <>
      <Why v={v} />
      {t.block && t.state === 'blocked' && (
        <div className={css.notice} data-meaning="handled">
          <strong>{s.drawer.block}: {t.block.reason}</strong>
          <div>{s.drawer.todo}: {t.block.action} ({people.of(t.block.owner).name})</div>
        </div>
      )}
      <dl className={css.facts}>
        <dt>{s.drawer.assignee}</dt>
        <dd>{t.assignee ? <span className={css.who}><AgentAvatar name={who.name} size={20} {...(who.person ? { person: true } : {})} {...(who.status ? { status: who.status } : {})} />{who.person ? who.name : <Link to={`/agents/${who.slug}`}>{who.name}</Link>}</span> : <span className="dim">{s.card.nobody}</span>}</dd>
        {t.labels && t.labels.length > 0 && <><dt>{s.drawer.labels}</dt><dd>{t.labels.join(', ')}</dd></>}
        {t.due_at && <><dt>{s.drawer.due}</dt><dd><TimeAgo at={t.due_at} absolute /></dd></>}
        {v.parent && <><dt>{s.drawer.parent}</dt><dd><Link to="." search={changed({ task: v.parent!.key })}>{v.parent.key} {v.parent.title}</Link></dd></>}
        {t.source && (
          <>
            <dt>{s.drawer.execution}</dt>
            <dd>
              <Link to={`/executions/${encodeURIComponent(t.source.execution)}`}>{t.source.execution.split(':').slice(6).join(' · ')}</Link>
              <div className="dim">{s.drawer.state} {t.source.state}{t.source.waiting ? `, ${s.drawer.stillWaits}` : ''}</div>
            </dd>
          </>
        )}
        <dt>{s.drawer.cost}</dt>
        <dd>{t.budget ? <BudgetBar used={cost?.nano ?? 0} limit={t.budget} label={s.drawer.ofBudget(t.key)} /> : cost ? <Money nano={cost.nano} included={cost.included} /> : <span className="dim">{s.drawer.noCost}</span>}</dd>
        <dt>{s.drawer.created}</dt>
        <dd><TimeAgo at={t.created_at} /> {s.drawer.by} {people.of(t.created_by).name}</dd>
      </dl>
      <Description v={v} edits={edits} />
      <Section title={s.drawer.criteria}>
        {v.task.acceptance_criteria?.length ? <ul className={css.criteria}>{v.task.acceptance_criteria.map((c, i) => <li key={i}>{c}</li>)}</ul> : <p className="dim">{s.drawer.noCriteria}</p>}
      </Section>
      <Handoffs v={v} />
      <Around taskKey={t.key} id={t.id} />
      {v.children && v.children.length > 0 && (
        <Section title={s.drawer.children}>
          <ul className={css.tasks}>
            {v.children.map((c) => (
              <li key={c.id}><StatusBadge status={c.state} size="sm" /><Link to="." search={changed({ task: c.key })}><span className="mono">{c.key}</span> {c.title}</Link></li>
            ))}
          </ul>
        </Section>
      )}
      <Deliverables v={v} />
      {v.task.summary && <Section title={s.drawer.summary}><Markdown text={v.task.summary} /></Section>}
      {v.task.output !== undefined && <Section title={s.drawer.output}><JsonView value={v.task.output} label={s.drawer.output} /></Section>}
      {v.task.input !== undefined && <Section title={s.drawer.input}><JsonView value={v.task.input} label={s.drawer.input} /></Section>}
    </>
  );
}

/** Why a task has not started or does not move, in words, with parties by name. */
function Why({ v }: { v: TaskView }) {
  const people = usePeople();
  const open = ['inbox', 'assigned', 'review'].includes(v.task.state);
  if (!open || !v.why || v.why.length === 0) return null;
  const named = (text: string) => text.replace(/\b(?:user|agent):[0-9a-z]{20,}\b/g, (p) => `@${people.of(p).slug}`).replace(/[[\]]/g, '');
  const who = people.of(v.task.assignee);
  return (
    <div className={css.notice} role="note" aria-label={s.drawer.why}>
      <div className={css.noticeHead}><IconInfoCircle size={15} aria-hidden="true" /><strong>{s.drawer.why}</strong></div>
      <ul>{v.why.map((w, i) => <li key={i}>{sentence(named(w))}</li>)}</ul>
      {v.task.state === 'assigned' && v.gate.open && !who.person && who.slug && <Wake slug={who.slug} name={who.name} task={v.task.key} />}
    </div>
  );
}

const sentence = (text: string) => (text.charAt(0).toUpperCase() + text.slice(1)).trim();

function Wake({ slug, name, task }: { slug: string; name: string; task: string }) {
  const [state, setState] = useState<'no' | 'sent' | string>('no');
  if (state === 'sent') return <div className="dim" role="status">{s.done.wake(name)}</div>;
  return (
    <div>
      <Button variant="default" onClick={() => void act.wake(slug, task).then(() => setState('sent'), (err: Error) => setState(err.message))}>{s.drawer.wake}</Button>
      {state !== 'no' && <div role="alert">{state}</div>}
    </div>
  );
}

function Description({ v, edits }: { v: TaskView; edits: boolean }) {
  const client = useQueryClient();
  const [draft, setDraft] = useState<{ title: string; text: string; criteria: string; version: number } | null>(null);
  const [error, setError] = useState<unknown>(null);
  const t = v.task;
  const begin = () => {
    setError(null);
    setDraft({ title: t.title, text: t.description ?? '', criteria: (t.acceptance_criteria ?? []).join('\n'), version: t.version });
  };
  const save = async () => {
    if (!draft) return;
    try {
      await act.update(t.key, { title: draft.title.trim(), description: draft.text, acceptance_criteria: draft.criteria.split('\n').map((c) => c.trim()).filter(Boolean) }, draft.version);
      setDraft(null);
      await client.invalidateQueries({ queryKey: ['task', t.key] });
    } catch (err) {
      setError(err);
      if (err instanceof ApiError && err.code === 'version_conflict') {
        await client.invalidateQueries({ queryKey: ['task', t.key] });
        setDraft({ ...draft, version: (client.getQueryData<TaskView>(taskQuery(t.key).queryKey)?.task.version ?? draft.version) });
      }
    }
  };
  if (draft) {
    return (
      <Section title={s.drawer.description}>
        {error !== null && <ErrorState error={error instanceof ApiError && error.code === 'version_conflict' ? new ApiError(409, error.code, s.drawer.changed) : error} title={s.failed(t.key)} />}
        <div className={css.edit} onKeyDown={(e) => {
          if (e.key === 'Escape') { e.stopPropagation(); e.nativeEvent.stopImmediatePropagation(); setDraft(null); }
          if (e.key === 'Enter' && (e.ctrlKey || e.metaKey)) void save();
        }}>
          <TextInput label={s.form.titleLabel} value={draft.title} onChange={(e) => setDraft({ ...draft, title: e.currentTarget.value })} />
          <Textarea label={s.drawer.description} value={draft.text} onChange={(e) => setDraft({ ...draft, text: e.currentTarget.value })} autosize minRows={5} maxRows={24} autoFocus />
          <Textarea label={s.form.criteria} value={draft.criteria} onChange={(e) => setDraft({ ...draft, criteria: e.currentTarget.value })} autosize minRows={2} maxRows={12} />
          <div className={css.editActions}>
            <Button variant="default" onClick={() => setDraft(null)}>{common.cancel}</Button>
            <Button onClick={() => void save()}>{s.drawer.save}</Button>
          </div>
        </div>
      </Section>
    );
  }
  return (
    <Section title={s.drawer.description} beside={edits && <ActionIcon aria-label={`${s.drawer.edit}: ${s.drawer.description}`} onClick={begin}><IconPencil size={15} /></ActionIcon>}>
      {t.description ? <Markdown text={t.description} /> : <p className="dim">{s.drawer.noDescription}</p>}
    </Section>
  );
}

function Around({ taskKey, id }: { taskKey: string; id: string }) {
  const { data: g } = useQuery(aroundQuery(taskKey));
  if (!g || g.edges.length === 0) return null;
  const by = new Map(g.tasks.map((t) => [t.id, t]));
  const side = (ids: string[]) => ids.map((i) => by.get(i)).filter((b) => b !== undefined);
  const before = side(g.edges.filter((e) => e.task === id).map((e) => e.depends_on));
  const after = side(g.edges.filter((e) => e.depends_on === id).map((e) => e.task));
  const nodes = (list: typeof before, label: string) => (
    <div className={css.side}>
      <h4>{label}</h4>
      {list.length === 0 ? <span className="dim">{common.none}</span> : (
        <ul>
          {list.map((b) => (
            <li key={b.id}>
              <Link to="." search={changed({ task: b.key })} className={css.node}>
                <span className={css.nodeTop}><span className="mono">{b.key}</span><StatusBadge status={b.state} size="sm" /></span>
                <span className="truncate">{b.title}</span>
              </Link>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
  return (
    <Section title={s.drawer.dependencies}>
      <div className={css.around}>
        {nodes(before, s.drawer.waitsFor)}
        <div className={css.middle} aria-hidden="true"><IconArrowRight size={15} /><span className="mono">{taskKey}</span><IconArrowRight size={15} /></div>
        {nodes(after, s.drawer.waiting)}
      </div>
    </Section>
  );
}

function Deliverables({ v }: { v: TaskView }) {
  const series = [...new Set((v.deliverables ?? []).map((d) => d.series))];
  const [open, setOpen] = useState<string | null>(null);
  return (
    <Section title={s.drawer.deliverables}>
      {series.length === 0 ? <p className="dim">{s.drawer.noDeliverables}</p> : (
        <ul className={css.deliverables}>
          {series.map((name) => {
            const versions = (v.deliverables ?? []).filter((d) => d.series === name).sort((a, b) => b.number - a.number);
            return <DeliverableRow key={name} versions={versions} approved={v.task.approved ?? []} open={open === name} toggle={() => setOpen(open === name ? null : name)} />;
          })}
        </ul>
      )}
    </Section>
  );
}

function DeliverableRow({ versions, approved, open, toggle }: { versions: Deliverable[]; approved: string[]; open: boolean; toggle: () => void }) {
  const [number, setNumber] = useState(versions[0]!.number);
  const d = versions.find((x) => x.number === number) ?? versions[0]!;
  const previous = versions.find((x) => x.number < d.number);
  return (
    <li>
      <div className={css.deliverable}>
        <button type="button" className={css.link} aria-expanded={open} onClick={toggle}>{d.title}</button>
        {approved.includes(d.id) && <StatusBadge status="approved" size="sm" />}
        <span className={css.spacer} />
        {versions.length > 1 ? (
          <Select aria-label={`${s.drawer.version}: ${d.title}`} w={86} value={String(d.number)} allowDeselect={false} onChange={(n) => setNumber(Number(n))} data={versions.map((x) => ({ value: String(x.number), label: s.drawer.versionOf(x.number) }))} />
        ) : <span className="dim">{s.drawer.versionOf(d.number)}</span>}
        <TimeAgo at={d.created_at} />
      </div>
      {open && <DeliverableView deliverable={d} previous={previous} />}
    </li>
  );
}

function Work({ v }: { v: TaskView }) {
  const attempts = [...(v.attempts ?? [])].sort((a, b) => b.number - a.number);
  return (
    <Section title={s.drawer.runs} beside={v.task.spent ? <span className="dim num">{s.drawer.attemptsSpent(v.task.spent, v.task.max_attempts)}</span> : undefined}>
      {attempts.length === 0 ? <p className="dim">{s.drawer.noRuns}</p> : <ol className={css.attempts}>{attempts.map((a) => <AttemptRow key={a.id} a={a} />)}</ol>}
    </Section>
  );
}

function AttemptRow({ a }: { a: Attempt }) {
  const people = usePeople();
  return (
    <li className={css.attempt}>
      <div className={css.attemptHead}>
        <strong>{s.drawer.attempt(a.number)}</strong>
        <StatusBadge status={a.status} size="sm" />
        <span>{people.of(a.by).name}</span>
        <span className={css.spacer} />
        <TimeAgo at={a.created_at} /> · <Duration from={a.created_at} to={a.ended_at} />
      </div>
      {a.error && (
        <div className={css.error}>
          <strong>{a.error.category}{a.error.code ? `: ${a.error.code}` : ''}</strong>
          <div className={css.pre}>{a.error.message}</div>
          {a.error.detail && <div className={`${css.pre} mono`}>{a.error.detail}</div>}
          {(a.error.last_tool || a.error.model) && <div className="dim">{[a.error.last_tool, a.error.model].filter(Boolean).join(' · ')}</div>}
        </div>
      )}
      {a.notes && a.notes.length > 0 && (
        <ul className={css.notes}>{a.notes.map((n, i) => <li key={i}><TimeAgo at={n.at} /><span className={css.pre}>{n.text}</span></li>)}</ul>
      )}
    </li>
  );
}

function Comments({ v, writes }: { v: TaskView; writes: boolean }) {
  const people = usePeople();
  const client = useQueryClient();
  const [text, setText] = useState('');
  const [error, setError] = useState<unknown>(null);
  const send = async () => {
    if (text.trim() === '') return;
    try {
      await act.comment(v.task.key, text);
      setText('');
      setError(null);
      await client.invalidateQueries({ queryKey: ['task', v.task.key] });
    } catch (err) {
      setError(err);
    }
  };
  return (
    <>
      {(v.comments ?? []).length === 0 && <p className="dim">{s.drawer.noComments}</p>}
      <ol className={css.thread}>{(v.comments ?? []).map((c) => <CommentRow key={c.id} c={c} deliverables={v.deliverables ?? []} />)}</ol>
      {writes && (
        <div className={css.compose}>
          {error !== null && <ErrorState error={error} title={s.drawer.addComment} />}
          <MentionInput label={s.drawer.comment} value={text} onChange={setText} onSubmit={() => void send()} who={people.all.map((p) => ({ slug: p.slug, name: p.name, ...(p.person ? { person: true } : {}), ...(p.status ? { status: p.status } : {}) }))} />
          <div className={css.editActions}><Button onClick={() => void send()} disabled={text.trim() === ''}>{s.drawer.addComment}</Button></div>
        </div>
      )}
    </>
  );
}

export function CommentRow({ c, deliverables }: { c: Comment; deliverables: readonly Deliverable[] }) {
  const people = usePeople();
  const client = useQueryClient();
  const who = people.of(c.by);
  const at = c.anchor && deliverables.find((d) => d.id === c.anchor!.deliverable);
  return (
    <li className={css.comment}>
      <div className={css.commentHead}>
        <AgentAvatar name={who.name} size={20} {...(who.person ? { person: true } : {})} />
        <strong>{who.name}</strong>
        {c.anchor && at && <span className="dim">{at.title} {s.drawer.versionOf(at.number)}, {s.drawer.line(c.anchor.line)}</span>}
        <span className={css.spacer} />
        <TimeAgo at={c.created_at} />
      </div>
      <Markdown text={c.body} />
      {c.mentions?.some((m) => m.held) && (
        <div className={css.notice} data-meaning="handled">
          {s.drawer.held} <button type="button" className={css.link} onClick={() => void act.releaseMentions(c.id).then(() => client.invalidateQueries({ queryKey: ['task'] }))}>{s.drawer.letGo}</button>
        </div>
      )}
    </li>
  );
}

function History({ taskKey }: { taskKey: string }) {
  const history = useQuery(historyQuery(taskKey));
  const people = usePeople();
  if (history.isError) return <ErrorState error={history.error} retry={() => void history.refetch()} />;
  return (
    <ol className={css.history}>
      {(history.data ?? []).map((e) => (
        <li key={e.seq}>
          <TimeAgo at={e.at} />
          <span><strong>{people.of(e.by).name}</strong> {words(e.type)}{detail(e.data, people)}</span>
        </li>
      ))}
    </ol>
  );
}

/** "task.changes_requested" as words. */
function words(type: string): string {
  return type.replace(/^task\./, '').replace(/[._]/g, ' ');
}

function detail(data: Record<string, unknown> | undefined, people: ReturnType<typeof usePeople>): string {
  const text = (k: string) => (typeof data?.[k] === 'string' ? (data[k] as string) : '');
  const who = text('assignee');
  const parts = [
    text('from') && text('to') && columnOf(text('from') as 'inbox') !== columnOf(text('to') as 'inbox') ? `${statusText(text('from'))} → ${statusText(text('to'))}` : '',
    who ? people.of(who).name : '',
    text('note') || text('title'),
    typeof data?.cost === 'number' ? formatMoney(data.cost) : '',
  ].filter(Boolean);
  return parts.length ? `: ${parts.join(', ')}` : '';
}

