import { Button, Group, Modal, NumberInput } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useState } from 'react';
import { redriveExecution } from '../../api/executions.ts';
import { countsKey, partsKey, updateMapRun, type MapRun, type MapRunSettings } from '../../api/mapruns.ts';
import { client } from '../../app/client.ts';
import { ErrorState, formatCount } from '../../kit/index.ts';
import { common } from '../../strings/index.ts';
import { mapruns as t } from '../../strings/mapruns.ts';
import css from './MapRunPage.module.css';

interface Props {
  run: MapRun;
  onClose: () => void;
}

function useAct(run: MapRun, onClose: () => void) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const act = async (what: () => Promise<unknown>) => {
    setBusy(true);
    setError(null);
    try {
      await what();
      void client.invalidateQueries({ queryKey: countsKey(run.arn) });
      void client.invalidateQueries({ queryKey: partsKey(run.arn) });
      for (const kind of ['execution', 'executions']) void client.invalidateQueries({ queryKey: [kind] });
      onClose();
    } catch (err) {
      setError(err);
    } finally {
      setBusy(false);
    }
  };
  return { busy, error, act };
}

/** Redrives the execution that the run belongs to, and says before what runs again. */
export function RedriveDialog({ run, onClose }: Props) {
  const { busy, error, act } = useAct(run, onClose);
  const c = run.items;
  const again = [
    ...(['failed', 'timed_out', 'aborted'] as const).filter((k) => c[k] > 0).map((k) => t.failedItems(formatCount(c[k]), t.count[k])),
    ...(c.pending > 0 ? [t.pendingItems(formatCount(c.pending))] : []),
  ];
  return (
    <Modal opened onClose={onClose} title={t.redriveTitle} closeButtonProps={{ 'aria-label': common.close }}>
      <div className={css.dialog}>
        <p>{t.redriveText(run.execution.split(':').at(-1)!)}</p>
        <div><strong>{t.redriveAgain}</strong><ul>{again.map((a) => <li key={a} className="num">{a}</li>)}</ul></div>
        {c.succeeded > 0 && <div><strong>{t.redriveKept}</strong><ul><li className="num">{t.failedItems(formatCount(c.succeeded), t.count.succeeded)}</li></ul></div>}
        <p className="dim">{run.type === 'EXPRESS' ? t.expressAgain : t.standardAgain}</p>
        {error !== null && <ErrorState error={error} title={t.redriveNot} />}
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>{common.cancel}</Button>
          <Button loading={busy} onClick={() => void act(() => redriveExecution(run.execution))}>{t.redrive}</Button>
        </Group>
      </div>
    </Modal>
  );
}

/** Changes concurrency and tolerance of a run under way. */
export function ChangeDialog({ run, onClose }: Props) {
  const { busy, error, act } = useAct(run, onClose);
  const [concurrency, setConcurrency] = useState<string | number>(run.max_concurrency);
  const [count, setCount] = useState<string | number>(run.tolerated_failure_count ?? 0);
  const [share, setShare] = useState<string | number>(run.tolerated_failure_percentage ?? 0);
  const save = () =>
    act(async () => {
      // Only what was changed: a limit of 0 that is set holds, one that never was does not.
      const changed: MapRunSettings = {
        ...(Number(concurrency) === run.max_concurrency ? {} : { maxConcurrency: Number(concurrency) }),
        ...(Number(count) === (run.tolerated_failure_count ?? 0) ? {} : { toleratedFailureCount: Number(count) }),
        ...(Number(share) === (run.tolerated_failure_percentage ?? 0) ? {} : { toleratedFailurePercentage: Number(share) }),
      };
      if (Object.keys(changed).length === 0) return;
      await updateMapRun(run.arn, changed);
      notifications.show({ message: t.saved });
    });
  return (
    <Modal opened onClose={onClose} title={t.editTitle} closeButtonProps={{ 'aria-label': common.close }}>
      <form className={css.dialog} onSubmit={(e) => { e.preventDefault(); void save(); }}>
        <p>{t.editText}</p>
        <NumberInput label={t.maxConcurrency} description={t.maxConcurrencyText} min={0} allowDecimal={false} value={concurrency} onChange={setConcurrency} data-autofocus />
        <NumberInput label={t.toleratedCount} min={0} allowDecimal={false} value={count} onChange={setCount} />
        <NumberInput label={t.toleratedPercentage} min={0} max={100} value={share} onChange={setShare} suffix=" %" />
        {error !== null && <ErrorState error={error} title={t.editTitle} />}
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>{common.cancel}</Button>
          <Button type="submit" loading={busy}>{t.save}</Button>
        </Group>
      </form>
    </Modal>
  );
}
