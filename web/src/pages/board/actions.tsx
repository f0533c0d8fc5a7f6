import { Button } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useCallback, useRef, useState } from 'react';
import { act, type NewHandoff, type Party, type Priority, type Row, type Task } from '../../api/board.ts';
import { decide } from '../../api/reviews.ts';
import { board as s } from '../../strings/index.ts';

type Undo = () => Promise<unknown>;

/** What a dialog asks before something is done to a task. */
export type Ask =
  | { kind: 'assign' | 'submit' | 'finish' | 'approve' | 'changes' | 'block' | 'unblock' | 'priority' | 'depend' | 'cancel' | 'handoff'; task: Row; then?: (() => void) | undefined }
  | { kind: 'create'; parent?: string };

function messageOf(err: unknown): string {
  return err instanceof Error ? err.message : String(err);
}

/** Says that something is done, with a way back where there is one. */
function toast(text: string, undo: (() => void) | undefined) {
  const id = `done-${Math.random()}`;
  notifications.show({
    id,
    message: undo ? (
      <span style={{ display: 'flex', alignItems: 'center', justifyContent: 'space-between', gap: 12 }}>
        {text}
        <Button variant="default" onClick={() => { notifications.hide(id); undo(); }}>{s.undo}</Button>
      </span>
    ) : text,
    autoClose: undo ? 8000 : 4000,
    withCloseButton: !undo,
  });
}

export interface Actions {
  /** What is said to screen readers. */
  said: string;
  say: (text: string) => void;
  assign: (t: Row, to: Party, name: string) => Promise<boolean>;
  unassign: (t: Row) => Promise<boolean>;
  claim: (t: Row) => Promise<boolean>;
  release: (t: Row, note?: string) => Promise<boolean>;
  submit: (t: Row, summary: string) => Promise<boolean>;
  decideOn: (t: Row, verdict: 'approve' | 'changes_requested', comment?: string) => Promise<boolean>;
  withdraw: (t: Row) => Promise<boolean>;
  block: (t: Row, body: { kind: string; reason: string; owner: Party; action: string }) => Promise<boolean>;
  unblock: (t: Row, note: string) => Promise<boolean>;
  cancel: (t: Row, note: string) => Promise<boolean>;
  reopen: (t: Row) => Promise<boolean>;
  /** Answers with what was refused; undefined when it is done. */
  handOff: (t: Row, body: NewHandoff, name: (party: Party) => string) => Promise<unknown>;
  order: (t: Row, rank: string) => Promise<boolean>;
  priority: (t: Row, p: Priority) => Promise<boolean>;
  depend: (t: Row, on: string, until: string) => Promise<boolean>;
  undepend: (t: Row, on: string) => Promise<boolean>;
}

/** Everything that can be done to a task here: each says what happened, and offers the way back that the server has. */
export function useActions(merged: (t: Row) => void, refresh: () => void): Actions {
  const [said, say] = useState('');
  const latest = useRef({ merged, refresh });
  latest.current = { merged, refresh };

  const run = useCallback(async (t: Row, text: string, work: () => Promise<Task | { task: Task } | unknown>, undo?: Undo): Promise<boolean> => {
    try {
      const got = await work();
      const task = got && typeof got === 'object' ? ('task' in got && typeof got.task === 'object' ? (got.task as Task) : 'key' in got && 'state' in got ? (got as Task) : undefined) : undefined;
      if (task && task.id === t.id) {
        const { gate: _, ...rest } = t;
        latest.current.merged({ ...(task.state === 'inbox' || task.state === 'assigned' ? t : rest), ...task });
      }
      say(text);
      toast(text, undo && (() => {
        undo().then(
          () => say(s.announced.undone(t.key)),
          (err: unknown) => notifications.show({ color: 'red', title: s.undoFailed, message: messageOf(err) }),
        ).finally(() => latest.current.refresh());
      }));
      latest.current.refresh();
      return true;
    } catch (err) {
      say(`${s.failed(t.key)}: ${messageOf(err)}`);
      notifications.show({ color: 'red', title: s.failed(t.key), message: messageOf(err), autoClose: 8000 });
      latest.current.refresh();
      return false;
    }
  }, []);

  return {
    said,
    say,
    assign: (t, to, name) =>
      t.assignee
        ? run(t, s.done.assign(t.key, name), async () => { await act.unassign(t.key); return act.assign(t.key, to); }, async () => { await act.unassign(t.key); return act.assign(t.key, t.assignee!); })
        : run(t, s.done.assign(t.key, name), () => act.assign(t.key, to), () => act.unassign(t.key)),
    unassign: (t) => run(t, s.done.unassign(t.key), () => act.unassign(t.key), t.assignee ? () => act.assign(t.key, t.assignee!) : undefined),
    claim: (t) => run(t, s.done.claim(t.key), () => act.claim(t.key), async () => { await act.release(t.key); if (!t.assignee) await act.unassign(t.key); }),
    release: (t, note) => run(t, s.done.release(t.key), () => act.release(t.key, note), () => act.claim(t.key)),
    submit: (t, summary) => run(t, t.review_mode === 'none' ? s.done.finish(t.key) : s.done.submit(t.key), () => act.submit(t.key, summary), t.review_mode === 'none' ? undefined : () => act.withdraw(t.key)),
    decideOn: (t, verdict, comment = '') =>
      run(t, verdict === 'approve' ? s.done.approve(t.key) : s.done.changes(t.key), () => decide(t.card?.review ?? '', { verdict, comment })),
    withdraw: (t) => run(t, s.done.withdraw(t.key), () => act.withdraw(t.key)),
    block: (t, body) => run(t, s.done.block(t.key), () => act.block(t.key, body)),
    unblock: (t, note) => run(t, s.done.unblock(t.key), () => act.unblock(t.key, note)),
    cancel: (t, note) => run(t, s.done.cancel(t.key), () => act.cancel(t.key, note), () => act.reopen(t.key)),
    reopen: (t) => run(t, s.done.reopen(t.key), () => act.reopen(t.key)),
    handOff: async (t, body, nameOf) => {
      try {
        const h = await act.handOff(t.key, body);
        const name = nameOf(h.to);
        const text = h.state === 'offered' ? s.done.offered(t.key, name) : h.mode === 'transfer' ? s.done.handedOff(t.key, name) : s.done.followUp(t.key, name);
        say(text);
        toast(text, undefined);
        return undefined;
      } catch (err) {
        say(`${s.failed(t.key)}: ${messageOf(err)}`);
        return err;
      } finally {
        latest.current.refresh();
      }
    },
    order: (t, rank) => run(t, s.done.order(t.key), () => act.update(t.key, { rank }), () => act.update(t.key, { rank: t.rank ?? '' })),
    priority: (t, p) => run(t, s.done.priority(t.key, s.card.priority[p]), () => act.update(t.key, { priority: p }), () => act.update(t.key, { priority: t.priority })),
    depend: (t, on, until) => run(t, s.done.depend(t.key, on), () => act.depend(t.key, on, until), () => act.undepend(t.key, on)),
    undepend: (t, on) => run(t, s.done.undepend(t.key, on), () => act.undepend(t.key, on), () => act.depend(t.key, on)),
  };
}
