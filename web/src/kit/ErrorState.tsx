import { Button } from '@mantine/core';
import { IconAlertCircle } from '@tabler/icons-react';
import { ApiError } from '../api/http.ts';
import { common } from '../strings/index.ts';
import css from './ErrorState.module.css';

/** What could not be done, the server's code and words, and a way to try again. */
export function ErrorState({ error, title = common.failedToLoad, retry }: { error: unknown; title?: string; retry?: () => void }) {
  const code = error instanceof ApiError ? error.code : undefined;
  const message = error instanceof Error ? error.message : String(error);
  return (
    <div className={css.error} role="alert">
      <IconAlertCircle size={18} aria-hidden="true" className={css.icon} />
      <div className={css.body}>
        <strong>{title}</strong>
        <div className={css.message}>{code === 'offline' ? common.offlineText : message}</div>
        {code && <code className={css.code}>{code}</code>}
      </div>
      {retry && <Button variant="default" onClick={retry}>{common.retry}</Button>}
    </div>
  );
}
