import { notifications } from '@mantine/notifications';
import { Modal } from '@mantine/core';
import { useState, type FormEvent, type ReactNode } from 'react';
import { Button } from '@mantine/core';
import { ErrorState } from '../../kit/index.ts';
import { common } from '../../strings/index.ts';
import css from './settings.module.css';

export const told = (message: string) => notifications.show({ message });
export const failed = (err: unknown) => notifications.show({ color: 'red', title: common.failed, message: err instanceof Error ? err.message : String(err) });

/** A form in a dialog. It stays open, with the reason, if that fails. */
export function FormDialog({ title, verb, run, onClose, children }: { title: string; verb: string; run: () => Promise<unknown>; onClose: () => void; children: ReactNode }) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const submit = async (e: FormEvent) => {
    e.preventDefault();
    setBusy(true);
    setError(undefined);
    try {
      await run();
      onClose();
    } catch (err) {
      setError(err);
      setBusy(false);
    }
  };
  return (
    <Modal opened onClose={onClose} title={title} size={520} closeButtonProps={{ 'aria-label': common.close }}>
      <form onSubmit={(e) => void submit(e)} className={css.stack}>
        {error !== undefined && <ErrorState error={error} title={common.failed} />}
        {children}
        <div className={css.end}>
          <Button variant="default" onClick={onClose}>{common.cancel}</Button>
          <Button type="submit" loading={busy}>{verb}</Button>
        </div>
      </form>
    </Modal>
  );
}

export const options = (of: Record<string, string>) => Object.entries(of).map(([value, label]) => ({ value, label }));
