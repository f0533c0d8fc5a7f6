import { Button } from '@mantine/core';
import { useRouter, type ErrorComponentProps } from '@tanstack/react-router';
import { ErrorState } from '../kit/ErrorState.tsx';
import { EmptyState } from '../kit/EmptyState.tsx';
import { Page } from './Page.tsx';
import { common } from '../strings/index.ts';

/** What an address shows that nothing is at. */
export function Missing() {
  return (
    <Page title={common.notFound}>
      <EmptyState title={common.notFound} text={common.notFoundText} />
    </Page>
  );
}

/** What a page shows that could not be drawn. */
export function Crashed({ error, reset }: ErrorComponentProps) {
  const router = useRouter();
  return (
    <Page title={common.failedToLoad}>
      <ErrorState error={error} retry={() => { reset(); void router.invalidate(); }} />
      <Button variant="default" mt="md" onClick={() => location.reload()}>{common.retry}</Button>
    </Page>
  );
}
