import { Button, Checkbox, Tabs, Tooltip } from '@mantine/core';
import { useMediaQuery, useSessionStorage } from '@mantine/hooks';
import { notifications } from '@mantine/notifications';
import { IconArrowLeft, IconChecklist, IconClockExclamation } from '@tabler/icons-react';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, useNavigate, useParams, useSearch } from '@tanstack/react-router';
import { useEffect, useState } from 'react';
import { costOf, costsQuery, usePeople, type Review } from '../../api/board.ts';
import { decideAll, decidedQuery, inboxQuery, type Waiting } from '../../api/reviews.ts';
import { useShortcuts } from '../../app/keys.ts';
import { Page } from '../../app/Page.tsx';
import { AgentAvatar, EmptyState, ErrorState, Money, StatusBadge, TimeAgo } from '../../kit/index.ts';
import { reviews as s } from '../../strings/index.ts';
import { Callbacks } from './Callbacks.tsx';
import css from './Reviews.module.css';
import { ReviewPanel } from './ReviewPanel.tsx';

/** What waits for a decision: /reviews, /reviews/ID, and callbacks under ?tab=callbacks. */
export function ReviewsPage() {
  const { id } = useParams({ strict: false }) as { id?: string };
  const search = useSearch({ strict: false }) as { tab?: string };
  const navigate = useNavigate();
  const tab = id ? 'reviews' : (search.tab ?? 'reviews');
  const narrow = useMediaQuery('(max-width: 900px)', window.innerWidth <= 900, { getInitialValueInEffect: false });
  const inbox = useQuery(inboxQuery);
  const count = inbox.data?.rows.length ?? 0;
  const tabs = (
    <Tabs value={tab} onChange={(t) => void navigate({ to: '/reviews', search: t === 'reviews' ? {} : { tab: t ?? undefined } })}>
      <Tabs.List aria-label={s.tabsLabel}>
        <Tabs.Tab value="reviews">{s.tabs.reviews}{count > 0 && <span className={`num ${css.count}`}>{count}</span>}</Tabs.Tab>
        <Tabs.Tab value="callbacks">{s.tabs.callbacks}</Tabs.Tab>
        <Tabs.Tab value="decided">{s.tabs.decided}</Tabs.Tab>
      </Tabs.List>
    </Tabs>
  );
  return (
    <Page fill title={s.title} {...(narrow && id ? {} : { below: tabs })} {...(narrow && id ? { crumbs: [{ label: s.back, to: '/reviews' }] } : {})}>
      <div className={css.body}>{tab === 'callbacks' ? <Callbacks narrow={narrow} /> : tab === 'decided' ? <Decided /> : <Inbox id={id} narrow={narrow} />}</div>
    </Page>
  );
}

function Inbox({ id, narrow }: { id: string | undefined; narrow: boolean }) {
  const navigate = useNavigate();
  const client = useQueryClient();
  const inbox = useQuery(inboxQuery);
  const [opened, setOpened] = useSessionStorage<string[]>({ key: 'lockstep.reviews.opened', defaultValue: [], getInitialValueInEffect: false });
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const [said, say] = useState('');
  const rows = inbox.data?.rows ?? [];
  const at = rows.findIndex((w) => w.review.id === id);
  const go = (to: string | undefined, replace = false) => void (to ? navigate({ to: '/reviews/$id', params: { id: to }, replace }) : navigate({ to: '/reviews', replace }));

  // Where there is room for it, one is always open.
  const first = rows[0]?.review.id;
  useEffect(() => {
    if (!id && first && !narrow) void navigate({ to: '/reviews/$id', params: { id: first }, replace: true });
  }, [id, first, narrow, navigate]);
  useEffect(() => {
    if (id && !opened.includes(id)) setOpened((old) => [...old.slice(-200), id]);
  }, [id, opened, setOpened]);

  const step = (by: number) => {
    const next = rows[at < 0 ? 0 : at + by];
    if (next) go(next.review.id);
  };
  const toggle = (rid: string) => setSelected((old) => {
    const next = new Set(old);
    if (!next.delete(rid)) next.add(rid);
    return next;
  });
  const can = (w: Waiting) => opened.includes(w.review.id) && (w.review.kind === 'deliverable' || w.review.kind === 'plan');
  useShortcuts([
    { keys: 'j', label: s.keys.next, group: s.keys.group, run: () => step(1) },
    { keys: 'ArrowDown', label: s.keys.next, group: s.keys.group, run: () => step(1) },
    { keys: ']', label: s.keys.next, group: s.keys.group, run: () => step(1) },
    { keys: 'k', label: s.keys.previous, group: s.keys.group, run: () => step(-1) },
    { keys: 'ArrowUp', label: s.keys.previous, group: s.keys.group, run: () => step(-1) },
    { keys: '[', label: s.keys.previous, group: s.keys.group, run: () => step(-1) },
    { keys: 'x', label: s.keys.select, group: s.keys.group, run: () => at >= 0 && can(rows[at]!) && toggle(rows[at]!.review.id) },
  ]);

  /** After a verdict the next one opens, or the list if there is none. */
  const onDone = (text: string, undo?: () => Promise<unknown>) => {
    const next = rows[at + 1] ?? rows[at - 1];
    client.setQueryData(inboxQuery.queryKey, (old) => old && { ...old, rows: old.rows.filter((w) => w.review.id !== id) });
    void client.invalidateQueries({ queryKey: ['reviews'] });
    say(`${text}. ${next ? s.done.next : s.done.none}`);
    notifications.show(undo ? { ...undoable(text, undo), autoClose: 8000, withCloseButton: false } : { message: text });
    go(next?.review.id, true);
  };
  const undoable = (text: string, undo: () => Promise<unknown>) => {
    const toast = `done-${id}`;
    const title = rows[at]?.review.title ?? '';
    const back = () => {
      notifications.hide(toast);
      undo().then(
        async () => { await client.invalidateQueries({ queryKey: ['reviews'] }); say(s.done.back(title)); go(id); },
        (err: unknown) => notifications.show({ color: 'red', title: s.undoFailed, message: err instanceof Error ? err.message : String(err) }),
      );
    };
    return { id: toast, message: <span className={css.undo}>{text}<Button variant="default" onClick={back}>{s.undo}</Button></span> };
  };
  const bulk = async () => {
    const ids = [...selected];
    try {
      const { results } = await decideAll(ids.map((review) => ({ review, verdict: 'approve' })));
      const refused = results.filter((r) => r.error);
      const text = s.done.bulk(results.length - refused.length);
      say(text);
      notifications.show({ message: text });
      if (refused.length > 0) notifications.show({ color: 'red', title: s.done.bulkFailed(refused.length), message: refused.map((r) => r.error!.message).join(' ') });
      setSelected(new Set());
      await client.invalidateQueries({ queryKey: ['reviews'] });
      if (id && ids.includes(id)) go(rows.find((w) => !ids.includes(w.review.id))?.review.id, true);
    } catch (err) {
      notifications.show({ color: 'red', title: s.failed, message: err instanceof Error ? err.message : String(err) });
    }
  };

  const live = <div className="sr-only" role="status" aria-live="polite" aria-label={s.title}>{said}</div>;
  if (inbox.isError) return <div className={css.alone}><ErrorState error={inbox.error} retry={() => void inbox.refetch()} /></div>;
  if (inbox.data && rows.length === 0 && !id) {
    return (
      <div className={css.alone}>
        {live}
        <EmptyState icon={<IconChecklist size={26} />} title={s.empty.title} text={s.empty.text}><Link to="/board">{s.empty.board}</Link></EmptyState>
      </div>
    );
  }
  const ready = [...selected].filter((rid) => rows.some((w) => w.review.id === rid));
  return (
    <>
      {live}
      {(!narrow || !id) && (
        <nav className={css.list} aria-label={s.inbox}>
          {ready.length > 0 && <div className={css.bulk}><Button fullWidth onClick={() => void bulk()}>{s.approveSelected(ready.length)}</Button></div>}
          <ul>
            {rows.map((w) => (
              <li key={w.review.id} data-active={w.review.id === id || undefined}>
                <Tooltip label={s.openFirst} disabled={can(w)} position="right">
                  <Checkbox className={css.check!} size="xs" checked={selected.has(w.review.id)} disabled={!can(w)} onChange={() => toggle(w.review.id)} aria-label={s.select(`${w.task?.key ?? ''} ${w.review.title}`.trim())} />
                </Tooltip>
                <Entry w={w} active={w.review.id === id} seen={opened.includes(w.review.id)} />
              </li>
            ))}
          </ul>
          {inbox.data?.more && <p className={css.hint}>{s.more}</p>}
        </nav>
      )}
      {id ? (
        <ReviewPanel key={id} id={id} narrow={narrow} onDone={onDone} back={narrow ? <Link to="/reviews" className={css.back}><IconArrowLeft size={15} />{s.back}</Link> : null} />
      ) : (
        !narrow && <div className={css.alone}>{inbox.data && <EmptyState title={s.choose} text={s.chooseText} />}</div>
      )}
    </>
  );
}

function Entry({ w, active, seen }: { w: Waiting; active: boolean; seen: boolean }) {
  const people = usePeople();
  const costs = useQuery(costsQuery).data;
  const r = w.review;
  const who = people.of(r.author);
  const cost = w.task && costOf(costs, w.task);
  const overdue = r.due_at !== undefined && Date.parse(r.due_at) < Date.now();
  return (
    <Link to="/reviews/$id" params={{ id: r.id }} className={css.entry} aria-current={active ? 'true' : undefined} data-seen={seen || undefined}>
      <span className={css.entryTop}>
        <span>{s.kinds[r.kind] ?? r.kind}{r.round > 1 && `, ${s.round(r.round)}`}</span>
        {w.task && <span className="mono">{w.task.key}</span>}
        <span className={css.spacer} />
        <TimeAgo at={r.created_at} />
      </span>
      <span className={css.entryTitle}>{r.title}</span>
      <span className={css.entryFoot}>
        <AgentAvatar name={who.name} size={16} {...(who.person ? { person: true } : {})} />
        <span className="truncate">{who.name}</span>
        <span className={css.spacer} />
        {cost && <Money nano={cost.nano} included={cost.included} />}
      </span>
      {(overdue || r.due_at || w.behind > 0) && (
        <span className={css.entryFoot}>
          {overdue ? <span className={css.overdue}><IconClockExclamation size={13} aria-hidden="true" />{s.overdue}</span> : r.due_at && <span>{s.due} <TimeAgo at={r.due_at} /></span>}
          {w.behind > 0 && <span>{s.behind(w.behind)}</span>}
        </span>
      )}
    </Link>
  );
}

function Decided() {
  const decided = useQuery(decidedQuery);
  if (decided.isError) return <div className={css.alone}><ErrorState error={decided.error} retry={() => void decided.refetch()} /></div>;
  return (
    <nav className={`${css.list} ${css.wide}`} aria-label={s.tabs.decided}>
      <ul>
        {[...(decided.data ?? [])].reverse().map((r: Review) => (
          <li key={r.id}>
            <Link to="/reviews/$id" params={{ id: r.id }} className={css.entry}>
              <span className={css.entryTop}><span>{s.kinds[r.kind] ?? r.kind}, {s.round(r.round)}</span><span className={css.spacer} /><TimeAgo at={r.decided_at} /></span>
              <span className={css.entryTitle}>{r.title}</span>
              <span className={css.entryFoot}><StatusBadge status={r.status} size="sm" /></span>
            </Link>
          </li>
        ))}
      </ul>
    </nav>
  );
}
