import { Select, Skeleton } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useNavigate, useParams, useSearch } from '@tanstack/react-router';
import { useMemo } from 'react';
import { aws } from '../../api/aws.ts';
import { fetchVisits } from '../../api/executions.ts';
import { machinesQuery } from '../../api/machines.ts';
import { Page } from '../../app/Page.tsx';
import { EmptyState, ErrorState, useDelayed } from '../../kit/index.ts';
import { shell } from '../../strings/index.ts';
import { teststate as t } from '../../strings/teststate.ts';
import { fillFrom } from './fill.ts';
import { statesOf } from './form.ts';
import { TestStatePanel } from './TestStatePanel.tsx';

/** Tests a state of a machine as it is published; ?run=…&visit=… begins with the data of a visit. */
export function TestStatePage() {
  const { name, state: wanted } = useParams({ strict: false }) as { name: string; state: string };
  const { run, visit } = useSearch({ strict: false }) as { run?: string; visit?: string };
  const navigate = useNavigate();
  const machines = useQuery(machinesQuery);
  const arn = machines.data?.find((m) => m.name === name)?.stateMachineArn;
  const machine = useQuery({ queryKey: ['machine', arn, 'definition'], queryFn: ({ signal }) => aws('DescribeStateMachine', { stateMachineArn: arn! }, signal), enabled: arn !== undefined });
  const filled = useQuery({
    queryKey: ['visit-data', run, visit],
    queryFn: async ({ signal }) => {
      const page = await fetchVisits(run!, { changed_since: Number(visit) - 1, state: wanted, payloads: 'none', limit: 200 }, signal);
      const found = page.visits.find((v) => v.id === Number(visit));
      return found ? fillFrom(run!, found) : null;
    },
    enabled: run !== undefined && /^\d+$/.test(visit ?? ''),
    staleTime: Infinity,
  });
  const definition = machine.data?.definition ?? '';
  const states = useMemo(() => statesOf(definition), [definition]);
  const state = states.find((s) => s.name === wanted);
  const pending = machines.isPending || (arn !== undefined && machine.isPending) || (filled.isPending && filled.fetchStatus !== 'idle');
  const late = useDelayed(pending);
  return (
    <Page
      title={t.title(wanted)}
      crumbs={[{ label: shell.nav.machines, to: '/machines' }, { label: name, to: `/machines/${encodeURIComponent(name)}` }]}
      actions={
        states.length > 0 && (
          <Select
            aria-label={t.state}
            w={260}
            searchable
            allowDeselect={false}
            value={state ? wanted : null}
            onChange={(s) => s && void navigate({ to: '/machines/$name/test/$state', params: { name, state: s } })}
            data={[...new Map(states.map((s) => [s.name, { value: s.name, label: `${s.name} · ${s.type}` }])).values()]}
          />
        )
      }
    >
      {late && <Skeleton height={360} />}
      {machines.isError && <ErrorState error={machines.error} retry={() => void machines.refetch()} />}
      {machine.isError && <ErrorState error={machine.error} retry={() => void machine.refetch()} />}
      {filled.isError && <ErrorState error={filled.error} />}
      {machines.isSuccess && arn === undefined && <EmptyState title={t.noMachine} />}
      {machine.isSuccess && !state && <EmptyState title={t.noState(wanted)} text={t.noStateText} />}
      {machine.data && state && !pending && <TestStatePanel key={`${name}/${wanted}`} definition={definition} state={state} machine={name} roleArn={machine.data.roleArn} keep={`${name}/${wanted}`} initial={filled.data ?? undefined} />}
    </Page>
  );
}
