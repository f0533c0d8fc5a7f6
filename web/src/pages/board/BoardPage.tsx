import { Button, Chip, SegmentedControl, Select } from '@mantine/core';
import { IconLayoutKanban, IconPlus } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useParams, useSearch } from '@tanstack/react-router';
import { lazy, Suspense, useCallback, useDeferredValue, useEffect, useMemo, useRef, useState } from 'react';
import { agentsQuery, costOf, costsQuery, projectsQuery, useMe, usePeople, type Row } from '../../api/board.ts';
import { useShortcuts } from '../../app/keys.ts';
import { Page } from '../../app/Page.tsx';
import { EmptyState, ErrorState, FilterBar, NoMatch, parseFilter } from '../../kit/index.ts';
import { board as s, common } from '../../strings/index.ts';
import { useActions, type Ask } from './actions.tsx';
import css from './Board.module.css';
import { Columns, type GroupBy } from './Columns.tsx';
import { columnOf, type ColumnId } from './columns.ts';
import { Dialogs, NewProject } from './Dialogs.tsx';
import { moveTo, type Move } from './moves.ts';
import { rankBetween } from './ranks.ts';
import { canHandOff } from './HandoffForm.tsx';
import { TaskDrawer } from './TaskDrawer.tsx';
import { CardMenu } from './TaskMenu.tsx';
import { useBoard } from './useBoard.ts';
import { changed } from './search.ts';

// The layout of graphs is fetched by who looks at one.
const GraphView = lazy(async () => ({ default: (await import('./GraphView.tsx')).GraphView }));

/** In the address, this stands for all projects. */
const everything = 'all';

/** The board of a project: /board/WEB, or /board/all. */
export function BoardPage() {
  const { project: named } = useParams({ strict: false }) as { project?: string };
  const navigate = useNavigate();
  const projects = useQuery(projectsQuery);
  const list = projects.data;

  // Without a project in the address, the first one.
  const first = list?.[0]?.key;
  useEffect(() => {
    if (!named && first) void navigate({ to: '/board/$project', params: { project: first }, replace: true });
  }, [named, first, navigate]);

  if (projects.isError) return <Page title={s.title}><ErrorState error={projects.error} retry={() => void projects.refetch()} /></Page>;
  if (!list) return <Page title={s.title}>{null}</Page>;
  if (list.length === 0) {
    return (
      <Page title={s.title}>
        <EmptyState icon={<IconLayoutKanban size={26} />} title={s.empty.title} text={s.empty.text} command="lockstep project add WEB --name 'Web site'" action={<NewProject onMade={(key) => void navigate({ to: '/board/$project', params: { project: key } })} />}>
          <div className={css.links}>
            <Link to="/agents">{s.empty.connect}</Link>
          </div>
        </EmptyState>
      </Page>
    );
  }
  const project = list.find((p) => p.key === named);
  if (named && named !== everything && !project) return <Page title={s.title}><EmptyState title={common.notFound} text={s.noProject(named)}><Link to="/board">{s.title}</Link></EmptyState></Page>;
  if (!named) return <Page title={s.title}>{null}</Page>;
  return <ProjectBoard key={named} name={named} />;
}

function ProjectBoard({ name }: { name: string }) {
  const navigate = useNavigate();
  const search = useSearch({ strict: false }) as Record<string, string | undefined>;
  const projects = useQuery(projectsQuery).data ?? [];
  const project = projects.find((p) => p.key === name);
  const set = useCallback((change: Record<string, string | undefined>, replace = false) => void navigate({ to: '.', search: changed(change), replace, resetScroll: false }), [navigate]);

  const filter = { project: project?.key ?? '', text: search.filter ?? '', mine: search.mine === '1', hideBlocked: search.blocked === 'hide', ended: search.ended === '1' };
  // The bar answers at once; hundreds of cards follow when there is time.
  const shown = useDeferredValue(useMemo(() => filter, [filter.project, filter.text, filter.mine, filter.hideBlocked, filter.ended]));
  const view = search.view === 'graph' && project ? 'graph' : 'board';
  const group = (search.group ?? 'none') as GroupBy;
  const board = useBoard(shown);
  const me = useMe();
  const people = usePeople();
  const costs = useQuery(costsQuery).data;
  const agents = useQuery(agentsQuery).data ?? [];
  const [ask, setAsk] = useState<Ask | null>(null);
  const actions = useActions((t) => board.merge([t]), () => void board.refresh().catch(() => board.retry()));
  const focusNext = useRef('');

  // After a move the card is drawn anew elsewhere: the focus follows it.
  useEffect(() => {
    if (!focusNext.current || ask) return;
    const el = document.querySelector<HTMLElement>(`[data-card="${CSS.escape(focusNext.current)}"] [data-focus]`);
    if (!el) return;
    focusNext.current = '';
    el.focus({ preventScroll: true });
    el.closest('li')?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  });

  const inProgress = board.inProgress ?? board.columns.find((c) => c.id === 'in_progress')?.rows.filter((r) => r.state === 'in_progress').length ?? 0;
  const judge = useCallback(
    (t: Row, to: ColumnId): Move => {
      const policies = projects.find((p) => p.id === t.project)?.policies;
      return moveTo(t, to, { me, inProgress, limit: policies?.wip?.in_progress, assignee: people.of(t.assignee).name });
    },
    [me, people, inProgress, projects],
  );

  /** Puts a card into a column, at a place of it where one is given. */
  const move = (t: Row, to: ColumnId, rank?: string) => {
    const m = judge(t, to);
    if ('refused' in m) {
      actions.say(s.announced.refused(t.key, m.refused));
      return m;
    }
    focusNext.current = t.key;
    const then = rank !== undefined && m.event !== 'order' ? () => void actions.order(t, rank) : undefined;
    const done = (ok: boolean) => {
      if (ok) then?.();
      if (ok) actions.say(s.announced.movedTo(t.key, s.columns[to]));
    };
    const dialog = (kind: 'assign' | 'submit' | 'finish' | 'approve' | 'changes' | 'unblock') => {
      actions.say(s.announced.asking(t.key, s.columns[to]));
      setAsk({ kind, task: t, then });
    };
    switch (m.event) {
      case 'order':
        if (rank !== undefined) {
          board.merge([{ ...t, rank }]);
          void actions.order(t, rank);
        }
        break;
      case 'assign': dialog('assign'); break;
      case 'submit': dialog('submit'); break;
      case 'finish': dialog('finish'); break;
      case 'approve': dialog('approve'); break;
      case 'changes': dialog('changes'); break;
      case 'unblock': dialog('unblock'); break;
      case 'unassign': void actions.unassign(t).then(done); break;
      case 'claim': void actions.claim(t).then(done); break;
      case 'release': void actions.release(t).then(done); break;
      case 'withdraw': void actions.withdraw(t).then(done); break;
      case 'reopen': void actions.reopen(t).then(done); break;
    }
    return m;
  };

  const drop = (t: Row, to: ColumnId, index: number, rows: readonly Row[]) => {
    const others = rows.filter((r) => r.id !== t.id);
    const at = Math.max(0, Math.min(others.length, rows.slice(0, index).filter((r) => r.id !== t.id).length));
    const rank = rankBetween(others[at - 1]?.rank ?? '', others[at]?.rank);
    move(t, to, rank);
  };

  const focused = (): Row | undefined => {
    const key = document.activeElement?.closest<HTMLElement>('[data-card]')?.dataset.card ?? search.task;
    return board.all.find((r) => r.key === key);
  };
  const withCard = (then: (t: Row) => void) => () => {
    const t = focused();
    if (t) then(t);
    else actions.say(s.keys.noCard);
  };
  const step = (by: number) => {
    const t = focused();
    const cards = [...document.querySelectorAll<HTMLElement>('[data-card] [data-focus]')];
    if (!t) {
      cards[0]?.focus();
      return;
    }
    const column = board.columns.find((c) => c.id === columnOf(t.state));
    const next = column?.rows[column.rows.findIndex((r) => r.id === t.id) + by];
    if (next) focusCard(next.key);
  };
  const across = (by: number) => {
    const t = focused();
    if (!t) {
      step(1);
      return;
    }
    const from = board.columns.findIndex((c) => c.id === columnOf(t.state));
    const at = board.columns[from]?.rows.findIndex((r) => r.id === t.id) ?? 0;
    for (let i = from + by; i >= 0 && i < board.columns.length; i += by) {
      const rows = board.columns[i]!.rows;
      const next = rows[Math.min(at, rows.length - 1)];
      if (next) {
        focusCard(next.key);
        return;
      }
    }
  };
  const sideways = (by: number) =>
    withCard((t) => {
      const at = board.columns.findIndex((c) => c.id === columnOf(t.state));
      const to = board.columns[at + by];
      if (to) move(t, to.id);
    });
  const upDown = (by: number) =>
    withCard((t) => {
      const column = board.columns.find((c) => c.id === columnOf(t.state));
      if (!column) return;
      const at = column.rows.findIndex((r) => r.id === t.id);
      const to = at + by;
      if (to < 0 || to >= column.rows.length) {
        actions.say(by < 0 ? s.announced.first(t.key) : s.announced.last(t.key));
        return;
      }
      const others = column.rows.filter((r) => r.id !== t.id);
      const m = move(t, column.id, rankBetween(others[to - 1]?.rank ?? '', others[to]?.rank));
      if (!('refused' in m)) actions.say(s.announced.moved(t.key, s.columns[column.id], to + 1, column.rows.length));
    });
  const group_ = s.keys.group;
  const refuse = (t: Row, why: string) => actions.say(s.announced.refused(t.key, why));
  useShortcuts(
    [
      { keys: 'j', label: s.keys.next, group: group_, run: () => step(1) },
      { keys: 'ArrowDown', label: s.keys.next, group: group_, run: () => step(1) },
      { keys: 'k', label: s.keys.previous, group: group_, run: () => step(-1) },
      { keys: 'ArrowUp', label: s.keys.previous, group: group_, run: () => step(-1) },
      { keys: 'ArrowRight', label: s.keys.nextColumn, group: group_, run: () => across(1) },
      { keys: 'ArrowLeft', label: s.keys.previousColumn, group: group_, run: () => across(-1) },
      { keys: 'Shift ArrowRight', label: s.keys.right, group: group_, run: sideways(1) },
      { keys: 'Shift ArrowLeft', label: s.keys.left, group: group_, run: sideways(-1) },
      { keys: 'Shift ArrowUp', label: s.keys.up, group: group_, run: upDown(-1) },
      { keys: 'Shift ArrowDown', label: s.keys.down, group: group_, run: upDown(1) },
      { keys: 'm', label: s.keys.assign, group: group_, run: withCard((t) => (t.state === 'inbox' || t.state === 'assigned' ? (me.edits(t.project, t) ? setAsk({ kind: 'assign', task: t }) : refuse(t, s.refused.right)) : refuse(t, s.refused.notBegun))) },
      { keys: 'p', label: s.keys.priority, group: group_, run: withCard((t) => (me.edits(t.project, t) ? setAsk({ kind: 'priority', task: t }) : refuse(t, s.refused.right))) },
      { keys: 'd', label: s.keys.depend, group: group_, run: withCard((t) => (me.edits(t.project, t) ? setAsk({ kind: 'depend', task: t }) : refuse(t, s.refused.right))) },
      { keys: 'b', label: s.keys.block, group: group_, run: withCard((t) => (t.state === 'blocked' ? setAsk({ kind: 'unblock', task: t }) : t.state === 'in_progress' && t.assignee === me.party ? setAsk({ kind: 'block', task: t }) : refuse(t, s.refused.notYours))) },
      { keys: 'h', label: s.keys.handoff, group: group_, run: withCard((t) => (!me.edits(t.project, t) && t.assignee !== me.party ? refuse(t, s.refused.right) : canHandOff(t) ? setAsk({ kind: 'handoff', task: t }) : refuse(t, s.refused.handoffEnded))) },
      { keys: '.', label: s.keys.menu, group: group_, run: withCard((t) => { const el = document.querySelector(`[data-card="${CSS.escape(t.key)}"] [data-menu]`); if (el) openMenu(t.key, el.getBoundingClientRect()); }) },
      { keys: 'o', label: s.keys.review, group: group_, run: withCard((t) => (t.card?.review ? void navigate({ to: '/reviews/$id', params: { id: t.card.review } }) : refuse(t, s.refused.noReviewPending))) },
    ],
    view === 'board',
  );
  const newTask = () => setAsk({ kind: 'create' });
  useShortcuts([
    { keys: 'c', label: s.keys.create, group: group_, run: newTask },
    { keys: 'n', label: s.keys.create, group: group_, run: newTask },
  ]);

  // Stable for the cards, which are drawn again only when something of theirs changes.
  const info = useMemo(() => {
    const who = new Map(people.all.map((p) => [p.party, p]));
    const known = new Map<string, ReturnType<typeof costOf>>();
    return {
      who: (t: Row) => (t.assignee ? (who.get(t.assignee) ?? people.of(t.assignee)) : undefined),
      cost: (t: Row) => {
        let cost = known.get(t.id);
        if (!cost) known.set(t.id, (cost = costOf(costs, t)));
        return cost;
      },
    };
  }, [people, costs]);

  const [menu, setMenu] = useState<{ key: string; at: DOMRect } | null>(null);
  const openMenu = useCallback((key: string, at: DOMRect) => setMenu({ key, at }), []);
  const menuOf = menu && board.all.find((r) => r.key === menu.key);
  const openTask = useCallback((key: string) => set({ task: key, tab: undefined }), [set]);
  const title = project ? project.name || project.key : s.allProjects;
  const labels = useMemo(() => [...new Set(board.all.flatMap((t) => t.labels ?? []))].sort(), [board.all]);
  const nothing = !board.loading && board.columns.every((c) => c.rows.length === 0);
  const term = parseFilter(filter.text);
  return (
    <Page
      fill
      title={`${title} · ${s.title}`}
      heading={title}
      crumbs={[{ label: s.title, to: '/board' }]}
      beside={
        <Select
          aria-label={s.project}
          value={name}
          allowDeselect={false}
          w={190}
          onChange={(v) => v && void navigate({ to: '/board/$project', params: { project: v } })}
          data={[...projects.map((p) => ({ value: p.key, label: `${p.key} · ${p.name || p.key}` })), ...(projects.length > 1 ? [{ value: everything, label: s.allProjects }] : [])]}
        />
      }
      actions={<Button leftSection={<IconPlus size={15} />} onClick={newTask}>{s.newTask}</Button>}
    >
      <div className={css.tools}>
        {project && <SegmentedControl aria-label={s.view} value={view} onChange={(v) => set({ view: v === 'graph' ? 'graph' : undefined })} data={[{ value: 'board', label: s.views.board }, { value: 'graph', label: s.views.graph }]} />}
        {view === 'board' && (
          <>
            <div className={css.filter}>
              <FilterBar
                value={filter.text}
                onChange={(text) => set({ filter: text || undefined }, true)}
                placeholder={s.filterHelp}
                fields={[
                  { name: 'agent', label: s.filters.agent, values: ['none', ...agents.map((a) => a.slug)] },
                  { name: 'label', label: s.filters.label, values: labels },
                  { name: 'machine', label: s.filters.machine },
                ]}
              />
            </div>
            <div className={css.toggles}>
              <Chip size="xs" checked={filter.mine} onChange={(on) => set({ mine: on ? '1' : undefined }, true)}>{s.mine}</Chip>
              <Chip size="xs" checked={filter.hideBlocked} onChange={(on) => set({ blocked: on ? 'hide' : undefined }, true)}>{s.hideBlocked}</Chip>
              <Chip size="xs" checked={filter.ended} onChange={(on) => set({ ended: on ? '1' : undefined }, true)}>{s.showEnded}</Chip>
            </div>
            <Select
              aria-label={s.groupBy}
              w={132}
              allowDeselect={false}
              value={group}
              onChange={(v) => set({ group: v === 'none' ? undefined : (v ?? undefined) }, true)}
              data={Object.entries(s.groups).map(([value, label]) => ({ value, label }))}
            />
          </>
        )}
      </div>
      <div className={css.body}>
        {view === 'graph' ? (
          <Suspense fallback={<div className={css.graph} />}><GraphView project={name} /></Suspense>
        ) : board.error ? (
          <div className={css.board}><ErrorState error={board.error} retry={board.retry} /></div>
        ) : nothing && board.filtered ? (
          <div className={css.board}><NoMatch clear={() => set({ filter: undefined, mine: undefined, blocked: undefined })} /></div>
        ) : nothing && !filter.ended ? (
          <div className={css.board}>
            <EmptyState icon={<IconLayoutKanban size={26} />} title={s.empty.boardTitle} text={s.empty.boardText} action={<Button onClick={newTask}>{s.newTask}</Button>} command={`lockstep task add 'Draft the page' --project ${project?.key ?? 'WEB'}`}>
              <div className={css.links}><Link to="/agents">{s.empty.connect}</Link></div>
            </EmptyState>
          </div>
        ) : (
          <Columns board={board} group={group} info={info} open={search.task} judge={judge} onDrop={drop} onOpen={openTask} onMenu={openMenu} say={actions.say} projects={projects} people={people} limit={project?.policies.wip ?? {}} filtered={term.length > 0 || board.filtered} />
        )}
        {search.task && (
          <TaskDrawer
            key={search.task}
            taskKey={search.task}
            row={board.all.find((r) => r.key === search.task)}
            neighbours={board.columns.flatMap((c) => c.rows.map((r) => r.key))}
            actions={actions}
            ask={setAsk}
            judge={judge}
            onClose={() => {
              const key = search.task!;
              set({ task: undefined, tab: undefined });
              requestAnimationFrame(() => focusCard(key));
            }}
          />
        )}
      </div>
      {menu && menuOf && (
        <CardMenu
          key={menu.key}
          at={menu.at}
          t={menuOf}
          review={menuOf.card?.review}
          ask={setAsk}
          actions={actions}
          judge={judge}
          onClose={() => {
            setMenu(null);
            // Where the choice opened a form, the focus is in that.
            setTimeout(() => document.activeElement?.closest('[role=dialog]') ?? focusCard(menu.key));
          }}
        />
      )}
      <Dialogs ask={ask} close={() => { const key = ask && ask.kind !== 'create' ? ask.task.key : ''; setAsk(null); if (key) setTimeout(() => focusCard(key), 0); }} actions={actions} project={project?.key ?? ''} />
      <div className="sr-only" role="status" aria-live="polite" aria-label={s.title}>{actions.said}</div>
    </Page>
  );
}

function focusCard(key: string) {
  const el = document.querySelector<HTMLElement>(`[data-card="${CSS.escape(key)}"] [data-focus]`);
  el?.focus({ preventScroll: true });
  el?.closest('li')?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
}
