import { Button, SegmentedControl, Textarea, TextInput } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { IconArrowLeft, IconPlugConnected } from '@tabler/icons-react';
import { useInfiniteQuery, useQueryClient } from '@tanstack/react-query';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import { useEffect, useState } from 'react';
import { nameOf } from '../../api/aws.ts';
import { callbacksPage, fail, succeed, type Callback } from '../../api/reviews.ts';
import { useEvents } from '../../api/stream/client.ts';
import { useShortcuts } from '../../app/keys.ts';
import { EmptyState, ErrorState, JsonEditor, JsonView, TimeAgo } from '../../kit/index.ts';
import { reviews as s } from '../../strings/index.ts';
import css from './Reviews.module.css';

/** Tasks of executions that wait for a token: ?tab=callbacks&callback=ID. */
export function Callbacks({ narrow }: { narrow: boolean }) {
  const search = useSearch({ strict: false }) as { callback?: string };
  const navigate = useNavigate();
  const client = useQueryClient();
  const list = useInfiniteQuery({
    queryKey: ['callbacks'],
    initialPageParam: '',
    queryFn: ({ pageParam, signal }) => callbacksPage(pageParam || undefined, signal),
    getNextPageParam: (last) => last.next_cursor,
    refetchInterval: 15_000,
  });
  useEvents(['execution.'], () => void client.invalidateQueries({ queryKey: ['callbacks'] }));
  const rows = list.data?.pages.flatMap((p) => p.callbacks) ?? [];
  const at = rows.findIndex((c) => c.id === search.callback);
  const open = rows[at];
  const go = (id: string | undefined, replace = false) => void navigate({ to: '/reviews', search: { tab: 'callbacks', callback: id }, replace });
  const first = rows[0]?.id;
  const lost = search.callback !== undefined && list.isSuccess && at < 0;
  useEffect(() => {
    if (!narrow && first && (!search.callback || lost)) void navigate({ to: '/reviews', search: { tab: 'callbacks', callback: first }, replace: true });
  }, [narrow, first, search.callback, lost, navigate]);
  const step = (by: number) => {
    const next = rows[at < 0 ? 0 : at + by];
    if (next) go(next.id);
  };
  useShortcuts([
    { keys: 'j', label: s.keys.next, group: s.keys.group, run: () => step(1) },
    { keys: 'k', label: s.keys.previous, group: s.keys.group, run: () => step(-1) },
  ]);
  if (list.isError) return <div className={css.alone}><ErrorState error={list.error} retry={() => void list.refetch()} /></div>;
  if (list.isSuccess && rows.length === 0) return <div className={css.alone}><EmptyState icon={<IconPlugConnected size={26} />} title={s.callbacks.emptyTitle} text={s.callbacks.emptyText} /></div>;
  return (
    <>
      {(!narrow || !open) && (
        <nav className={css.list} aria-label={s.callbacks.label}>
          <ul>
            {rows.map((c) => (
              <li key={c.id} data-active={c.id === search.callback || undefined}>
                <Link to="/reviews" search={{ tab: 'callbacks', callback: c.id }} className={css.entry} aria-current={c.id === search.callback ? 'true' : undefined}>
                  <span className={css.entryTop}><span className="truncate">{nameOf(c.machine)}</span><span className={css.spacer} /><TimeAgo at={c.since} /></span>
                  <span className={css.entryTitle}>{c.state}</span>
                  <span className={css.entryFoot}><span className="truncate mono">{nameOf(c.execution)}</span></span>
                </Link>
              </li>
            ))}
          </ul>
          {list.hasNextPage && <div className={css.bulk}><Button variant="default" fullWidth loading={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>{s.callbacks.more}</Button></div>}
        </nav>
      )}
      {open && (
        <AnswerPanel
          key={open.id}
          c={open}
          narrow={narrow}
          onDone={() => {
            notifications.show({ message: s.callbacks.sent(open.state) });
            const next = rows[at + 1] ?? rows[at - 1];
            void client.invalidateQueries({ queryKey: ['callbacks'] });
            go(next?.id, true);
          }}
        />
      )}
    </>
  );
}

function AnswerPanel({ c, narrow, onDone }: { c: Callback; narrow: boolean; onDone: () => void }) {
  const [how, setHow] = useState<'success' | 'failure'>('success');
  const [output, setOutput] = useState('{}');
  const [error, setError] = useState('');
  const [cause, setCause] = useState('');
  const [problem, setProblem] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const send = async () => {
    setProblem(null);
    let value: unknown;
    if (how === 'success') {
      try {
        value = JSON.parse(output);
      } catch {
        setProblem(new Error(s.callbacks.notJson));
        return;
      }
    }
    setBusy(true);
    try {
      await (how === 'success' ? succeed(c.id, value) : fail(c.id, error, cause));
      onDone();
    } catch (err) {
      setProblem(err);
    } finally {
      setBusy(false);
    }
  };
  return (
    <section className={css.detail} aria-label={c.state}>
      <div className={css.panel} tabIndex={0} role="group" aria-label={c.state}>
        {narrow && <Link to="/reviews" search={{ tab: 'callbacks' }} className={css.back}><IconArrowLeft size={15} aria-hidden="true" />{s.tabs.callbacks}</Link>}
        <h2 className={css.headTitle}>{c.state}</h2>
        <dl className={css.facts}>
          <dt>{s.callbacks.execution}</dt><dd><Link to={`/executions/${encodeURIComponent(c.execution)}`}>{nameOf(c.machine)} · {nameOf(c.execution)}</Link></dd>
          <dt>{s.callbacks.resource}</dt><dd className="mono">{c.resource}</dd>
          <dt>{s.callbacks.since}</dt><dd><TimeAgo at={c.since} /></dd>
          <dt>{s.callbacks.timeout}</dt><dd>{c.timeout_at ? <TimeAgo at={c.timeout_at} /> : <span className="dim">{s.callbacks.never}</span>}</dd>
          {c.heartbeat_by && <><dt>{s.callbacks.heartbeat}</dt><dd><TimeAgo at={c.heartbeat_by} /></dd></>}
        </dl>
        <section className={css.part}>
          <div className={css.partHead}><h3>{s.callbacks.input}</h3></div>
          <div className={css.paper}><JsonView value={c.input} label={s.callbacks.input} /></div>
        </section>
        <section className={css.part}>
          <div className={css.editing}>
            <SegmentedControl className={css.how!} aria-label={s.callbacks.how} value={how} onChange={(v) => setHow(v as 'success')} data={[{ value: 'success', label: s.callbacks.asSuccess }, { value: 'failure', label: s.callbacks.asFailure }]} />
            {problem !== null && <ErrorState error={problem} title={how === 'success' ? s.callbacks.success : s.callbacks.failure} />}
            {how === 'success' ? (
              <div>
                <div className={css.label} aria-hidden="true">{s.callbacks.output}</div>
                <JsonEditor label={s.callbacks.output} value={output} onChange={setOutput} height="180px" />
              </div>
            ) : (
              <>
                <TextInput label={s.callbacks.error} value={error} onChange={(e) => setError(e.currentTarget.value)} />
                <Textarea label={s.callbacks.cause} value={cause} onChange={(e) => setCause(e.currentTarget.value)} autosize minRows={2} />
              </>
            )}
            <div className={css.modalActions}><Button loading={busy} {...(how === 'failure' ? { color: 'red.9' } : {})} onClick={() => void send()}>{how === 'success' ? s.callbacks.success : s.callbacks.failure}</Button></div>
          </div>
        </section>
      </div>
    </section>
  );
}
