import { useQuery } from '@tanstack/react-query';
import { useParams } from '@tanstack/react-router';
import { Skeleton } from '@mantine/core';
import { machineQuery, machineRowQuery } from '../../api/machines.ts';
import { Page } from '../../app/Page.tsx';
import { ApiError } from '../../api/http.ts';
import { EmptyState, ErrorState } from '../../kit/index.ts';
import { editor as t, machines } from '../../strings/machines.ts';
import { Workbench } from './editor/Workbench.tsx';

/** The editor of a state machine that there is. */
export function EditorPage() {
  const { name } = useParams({ strict: false }) as { name: string };
  const row = useQuery(machineRowQuery(name));
  const machine = useQuery(machineQuery(row.data?.arn));
  const error = row.error ?? machine.error;
  if (machine.data) return <Workbench key={machine.data.stateMachineArn} name={name} base={machine.data} />;
  return (
    <Page title={t.title(name)} crumbs={[{ label: machines.title, to: '/machines' }]} fill>
      {error instanceof ApiError && error.status === 404 ? <EmptyState title={machines.noSuch} text={machines.noSuchText} /> : error ? <ErrorState error={error} retry={() => void row.refetch()} /> : <Skeleton height="100%" />}
    </Page>
  );
}

/** The editor of a state machine that is not there yet. */
export function NewMachinePage() {
  return <Workbench name="" base={undefined} />;
}
