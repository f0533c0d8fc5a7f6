import { draggable } from '@atlaskit/pragmatic-drag-and-drop/element/adapter';
import { Tooltip } from '@mantine/core';
import { IconAlertTriangle, IconArrowsSplit2, IconChevronDown, IconChevronUp, IconChevronsUp, IconDots, IconLock, IconMessage, IconUser } from '@tabler/icons-react';
import { memo, useEffect, useRef, useSyncExternalStore } from 'react';
import type { Row, Who } from '../../api/board.ts';
import { basePath } from '../../app/base.ts';
import { AgentAvatar, BudgetBar, Money, StatusBadge } from '../../kit/index.ts';
import { board as s } from '../../strings/index.ts';
import css from './Board.module.css';

export interface CardProps {
  task: Row;
  who: Who | undefined;
  cost: { nano: number; included: boolean } | undefined;
  open: boolean;
  onDrag: (task: Row | null) => void;
  onOpen: (key: string) => void;
  onMenu: (key: string, at: DOMRect) => void;
}

/**
 * A card: all that a board tells of a task. Its title is the link to it, and what
 * has the focus. It is no Link of the router: five hundred of those are worked
 * out anew with each change of the address.
 */
export const Card = memo(function Card({ task: t, who, cost, open, onDrag, onOpen, onMenu }: CardProps) {
  const element = useRef<HTMLElement>(null);
  const latest = useRef({ t, onDrag });
  latest.current = { t, onDrag };
  useEffect(() => {
    const el = element.current;
    if (!el) return;
    return draggable({
      element: el,
      getInitialData: () => ({ task: latest.current.t.id }),
      onDragStart: () => latest.current.onDrag(latest.current.t),
      onDrop: () => latest.current.onDrag(null),
    });
  }, []);

  const waits = t.gate && !t.gate.open ? (t.gate.waiting_on ?? []) : [];
  return (
    <article ref={element} className={css.card} data-card={t.key} data-state={t.state} data-open={open || undefined}>
      <div className={css.cardTop}>
        <span className={`mono ${css.key}`}>{t.key}</span>
        <PriorityMark priority={t.priority} />
        <span className={css.spacer} />
        <span className={css.age} title={s.card.inColumn}><Age since={t.state_since} /></span>
        {/* By keyboard the key . opens it: five hundred more stops for Tab help nobody. */}
        <button type="button" className={css.menu} tabIndex={-1} aria-haspopup="menu" aria-label={s.menu.of(t.key)} data-menu onClick={(e) => onMenu(t.key, e.currentTarget.getBoundingClientRect())}>
          <IconDots size={15} aria-hidden="true" />
        </button>
      </div>
      <a
        href={`${basePath.replace(/\/$/, '')}/board/${t.key.slice(0, t.key.lastIndexOf('-'))}?task=${t.key}`}
        className={css.cardTitle}
        data-focus
        draggable={false}
        onClick={(e) => {
          if (e.ctrlKey || e.metaKey || e.shiftKey || e.button !== 0) return;
          e.preventDefault();
          onOpen(t.key);
        }}
      >
        {t.title}
      </a>
      {(t.state === 'blocked' || waits.length > 0 || t.card?.review || (t.labels?.length ?? 0) > 0) && (
        <div className={css.chips}>
          {t.state === 'blocked' && (
            <Tooltip label={t.block?.reason ?? ''} disabled={!t.block} multiline maw={300}>
              <span><StatusBadge status="blocked" size="sm" /></span>
            </Tooltip>
          )}
          {waits.length > 0 && (
            <span className={css.gate} data-failed={t.gate?.reason === 'upstream_failed' || undefined}>
              {t.gate?.reason === 'upstream_failed' ? <IconAlertTriangle size={12} aria-hidden="true" /> : <IconLock size={12} aria-hidden="true" />}
              {t.gate?.reason === 'upstream_failed' ? s.card.upstreamFailed(waits) : s.card.waitsFor(waits)}
            </span>
          )}
          {t.card?.review && <StatusBadge status="waiting_for_person" size="sm" label={t.state === 'review' ? s.card.review(t.round) : s.card.decision} />}
          {t.labels?.slice(0, 3).map((l) => <span key={l} className={css.label}>{l}</span>)}
        </div>
      )}
      {t.card?.note && t.state === 'in_progress' && (
        <div className={css.note} title={t.card.note.text}>
          <span className={css.pulse} aria-hidden="true" />
          <span className="truncate">{t.card.note.text}</span>
        </div>
      )}
      {t.state === 'in_progress' && (t.percent ?? 0) > 0 && <span className={css.percent} aria-hidden="true"><span style={{ width: `${t.percent}%` }} /></span>}
      <div className={css.cardFoot}>
        {who ? (
          <span className={css.who}>
            <AgentAvatar name={who.name} size={18} {...(who.person ? { person: true } : {})} {...(who.status ? { status: who.status } : {})} />
            <span className="truncate">{who.name}</span>
          </span>
        ) : (
          <span className={css.nobody}><IconUser size={13} aria-hidden="true" />{s.card.nobody}</span>
        )}
        <span className={css.spacer} />
        {(t.card?.behind ?? 0) > 0 && (
          <span className={css.fact} title={s.card.behind(t.card!.behind!)}><IconArrowsSplit2 size={13} aria-hidden="true" /><span className="num" aria-label={s.card.behind(t.card!.behind!)}>{t.card!.behind}</span></span>
        )}
        {(t.card?.comments ?? 0) > 0 && (
          <span className={css.fact}><IconMessage size={13} aria-hidden="true" /><span className="num" aria-label={s.card.comments(t.card!.comments!)}>{t.card!.comments}</span></span>
        )}
        {cost && !t.budget && <span className={css.fact}><Money nano={cost.nano} included={cost.included} /></span>}
      </div>
      {t.budget ? <div className={css.budget}><BudgetBar used={cost?.nano ?? 0} limit={t.budget} label={s.drawer.ofBudget(t.key)} /></div> : null}
    </article>
  );
});

// One slow clock for all cards: their ages are told in minutes.
let minute = Date.now();
const watchers = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | undefined;
function watch(then: () => void): () => void {
  if (watchers.size === 0) {
    minute = Date.now();
    timer = setInterval(() => {
      minute = Date.now();
      for (const w of watchers) w();
    }, 30_000);
  }
  watchers.add(then);
  return () => {
    watchers.delete(then);
    if (watchers.size === 0) clearInterval(timer);
  };
}

function Age({ since }: { since: string }) {
  const now = useSyncExternalStore(watch, () => minute);
  return <span className="num">{formatAge(Math.max(now, Date.parse(since)) - Date.parse(since))}</span>;
}

/** "<1 min", "12 min", "3 h", "5 d". */
function formatAge(ms: number): string {
  const min = Math.floor(ms / 60_000);
  if (min < 1) return s.card.lessThanMinute;
  if (min < 60) return `${min} min`;
  if (min < 48 * 60) return `${Math.floor(min / 60)} h`;
  return `${Math.floor(min / 1440)} d`;
}

/** Priorities other than normal, in shape and words. */
export function PriorityMark({ priority, words }: { priority: Row['priority']; words?: boolean }) {
  if (priority === 'normal' && !words) return null;
  const Shown = { urgent: IconChevronsUp, high: IconChevronUp, normal: null, low: IconChevronDown }[priority];
  return (
    <span className={css.priority} data-priority={priority}>
      {Shown && <Shown size={14} stroke={2.4} aria-hidden="true" />}
      {s.card.priority[priority]}
    </span>
  );
}
