import { Button, Modal } from '@mantine/core';
import { useState, type ReactNode } from 'react';
import { common } from '../strings/index.ts';
import { ErrorState } from './ErrorState.tsx';

export interface ConfirmProps {
  /** What is done, with the name of what it is done to: "Retire writer?". */
  title: string;
  /** What will happen. */
  children: ReactNode;
  /** The verb on the button. */
  verb: string;
  /** It cannot be taken back. */
  danger?: boolean;
  run: () => Promise<unknown>;
  onClose: () => void;
}

/** Asks before something that is hard to take back. It stays open, with the reason, if that fails. */
export function Confirm({ title, children, verb, danger, run, onClose }: ConfirmProps) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const go = async () => {
    setBusy(true);
    try {
      await run();
      onClose();
    } catch (err) {
      setError(err);
      setBusy(false);
    }
  };
  return (
    <Modal opened onClose={onClose} title={title} size={460} closeButtonProps={{ 'aria-label': common.close }}>
      <div style={{ display: 'grid', gap: 14 }}>
        <div>{children}</div>
        {error !== undefined && <ErrorState error={error} title={common.failed} />}
        <div style={{ display: 'flex', gap: 8, justifyContent: 'flex-end' }}>
          <Button variant="default" onClick={onClose}>{common.cancel}</Button>
          <Button {...(danger ? { color: 'red' } : {})} loading={busy} onClick={() => void go()} data-autofocus>{verb}</Button>
        </div>
      </div>
    </Modal>
  );
}
