import { Button, Group, Modal, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState, type ReactNode } from 'react';
import { aws } from '../../api/aws.ts';
import { redriveExecution, startExecution, stopExecution, type ExecutionView } from '../../api/executions.ts';
import { client } from '../../app/client.ts';
import { ErrorState, formatCount, JsonEditor } from '../../kit/index.ts';
import { common } from '../../strings/index.ts';
import { executions as t } from '../../strings/executions.ts';
import css from './ExecutionPage.module.css';

interface Props {
  execution: ExecutionView;
  onClose: () => void;
}

/** A question with what will happen, and a button that does it. */
function Ask({ title, action, danger, act, onClose, children, size }: { title: string; action: string; danger?: boolean; act: () => Promise<unknown>; onClose: () => void; children: ReactNode; size?: string }) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const run = async () => {
    setBusy(true);
    setError(null);
    try {
      await act();
      for (const kind of ['executions', 'execution']) void client.invalidateQueries({ queryKey: [kind] });
      onClose();
    } catch (err) {
      setError(err);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Modal opened onClose={onClose} title={title} size={size ?? 'md'} closeButtonProps={{ 'aria-label': common.close }}>
      <div style={{ display: 'grid', gap: 12 }}>
        {children}
        {error !== null && <ErrorState error={error} title={title} />}
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>{common.cancel}</Button>
          <Button color={danger ? 'red.9' : 'accent'} loading={busy} onClick={() => void run()}>{action}</Button>
        </Group>
      </div>
    </Modal>
  );
}

export function StopDialog({ execution: x, onClose }: Props) {
  const [error, setError] = useState('');
  const [cause, setCause] = useState('');
  return (
    <Ask title={t.stopTitle} action={t.stop} danger onClose={onClose} act={() => stopExecution(x.arn, { ...(error ? { error } : {}), ...(cause ? { cause } : {}) })}>
      <p style={{ margin: 0 }}>{t.stopText(x.name)}</p>
      <TextInput label={t.error} description={t.optional} value={error} onChange={(e) => setError(e.currentTarget.value)} />
      <TextInput label={t.cause} description={t.optional} value={cause} onChange={(e) => setCause(e.currentTarget.value)} />
    </Ask>
  );
}

/** Says where it goes on, what is kept, and what runs again. */
export function RedriveDialog({ execution: x, totals, onClose }: Props & { totals?: Record<string, number> | undefined }) {
  const visits = (n: number) => t.visits(formatCount(n), n === 1);
  const kept = (totals?.succeeded ?? 0) + (totals?.caught ?? 0);
  const again = (totals?.failed ?? 0) + (totals?.aborted ?? 0);
  return (
    <Ask title={t.redriveTitle} action={t.redrive} onClose={onClose} act={() => redriveExecution(x.arn)}>
      <p style={{ margin: 0 }}>{x.failed ? t.redriveText(x.failed.state) : t.redriveTextNoState}</p>
      <dl className={css.redrive}>
        {x.failed && <><dt>{t.redriveFrom}</dt><dd><strong>{x.failed.state}</strong>{x.failed.path !== x.failed.state && <span className="mono dim"> {x.failed.path}</span>}</dd></>}
        {totals && <><dt>{t.redriveKept}</dt><dd>{t.redriveKeptText(visits(kept))}</dd></>}
        {totals && again > 0 && <><dt>{t.redriveAgain}</dt><dd>{t.redriveAgainText(visits(again))}</dd></>}
      </dl>
      <ul className={css.redriveNotes}>{t.redriveNotes.map((n) => <li key={n}>{n}</li>)}</ul>
    </Ask>
  );
}

/** Starts the machine again, with this execution's input to begin with. */
export function StartDialog({ execution: x, onClose, onStarted }: Props & { onStarted: (arn: string) => void }) {
  const whole = useQuery({ queryKey: ['input', x.arn], queryFn: async ({ signal }) => (await aws('DescribeExecution', { executionArn: x.arn }, signal)).input ?? '{}', staleTime: Infinity });
  const [edited, setEdited] = useState<string | null>(null);
  const [name, setName] = useState('');
  const input = edited ?? pretty(whole.data ?? '');
  return (
    <Ask title={t.newTitle(x.machine)} action={t.start} size="xl" onClose={onClose} act={async () => onStarted(await startExecution(x.machine_arn, input, name))}>
      <TextInput label={t.newName} description={t.newNameText} value={name} onChange={(e) => setName(e.currentTarget.value)} />
      {whole.data !== undefined && <JsonEditor label={t.input} value={input} onChange={setEdited} height="320px" />}
    </Ask>
  );
}

function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
