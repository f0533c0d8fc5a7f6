import { Button, Group, Modal, TextInput } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useState } from 'react';
import { redriveExecution, stopExecution, type ExecutionRow } from '../../api/executions.ts';
import { client } from '../../app/client.ts';
import { StatusBadge } from '../../kit/index.ts';
import { common } from '../../strings/index.ts';
import { executions as t } from '../../strings/executions.ts';
import css from './BulkDialog.module.css';

/** Asks once before several executions are stopped or redriven, and says which. */
export function BulkDialog({ what, executions, onClose }: { what: 'stop' | 'redrive' | null; executions: ExecutionRow[]; onClose: (done: boolean) => void }) {
  const [cause, setCause] = useState('');
  const [busy, setBusy] = useState(false);
  const fit = executions.filter((x) => (what === 'stop' ? x.status === 'RUNNING' : x.status === 'FAILED' || x.status === 'TIMED_OUT' || x.status === 'ABORTED'));
  const rest = executions.length - fit.length;

  const act = async () => {
    setBusy(true);
    let [done, refused] = [0, 0];
    let why = '';
    for (const x of fit) {
      try {
        if (what === 'stop') await stopExecution(x.arn, cause ? { cause } : {});
        else await redriveExecution(x.arn);
        done++;
      } catch (err) {
        refused++;
        why ||= err instanceof Error ? err.message : String(err);
      }
    }
    setBusy(false);
    notifications.show({
      color: refused > 0 ? 'red' : 'accent',
      title: [done > 0 && t.done(done), refused > 0 && t.refused(refused)].filter(Boolean).join(', '),
      message: why,
    });
    void client.invalidateQueries({ queryKey: ['executions'] });
    void client.invalidateQueries({ queryKey: ['execution'] });
    onClose(true);
  };
  return (
    <Modal opened={what !== null} onClose={() => onClose(false)} title={what === 'redrive' ? t.bulkRedriveTitle(fit.length) : t.bulkStopTitle(fit.length)} closeButtonProps={{ 'aria-label': common.close }}>
      <p className={css.text}>{what === 'redrive' ? t.bulkRedriveText : t.bulkStopText}</p>
      <ul className={css.list} tabIndex={0} aria-label={t.title}>
        {fit.slice(0, 200).map((x) => (
          <li key={x.arn}><span className="truncate">{x.name}</span><span className="dim truncate">{x.machine}</span><StatusBadge status={x.status} size="sm" /></li>
        ))}
      </ul>
      {rest > 0 && <p className="dim">{t.notOfThese(rest, what === 'stop' ? t.notRunning : t.notFailed)}</p>}
      {what === 'stop' && <TextInput label={t.cause} description={t.optional} value={cause} onChange={(e) => setCause(e.currentTarget.value)} />}
      <Group justify="flex-end" mt="md">
        <Button variant="default" onClick={() => onClose(false)}>{common.cancel}</Button>
        <Button color={what === 'stop' ? 'red.9' : 'accent'} disabled={fit.length === 0} loading={busy} onClick={() => void act()}>{what === 'stop' ? t.stop : t.redrive}</Button>
      </Group>
    </Modal>
  );
}
