import { Button, Group, Modal, Select } from '@mantine/core';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { fetchVisits, searchQuery, type Visit } from '../../api/executions.ts';
import type { State } from '../../graph/definition.ts';
import { ErrorState, formatTime, statusText } from '../../kit/index.ts';
import { common } from '../../strings/index.ts';
import { teststate as t } from '../../strings/teststate.ts';
import { fillFrom } from './fill.ts';
import css from './TestState.module.css';
import type { Form } from './form.ts';

export interface Filled {
  form: Partial<Form>;
  /** The execution that it is from. */
  from: string;
}

/** Chooses an execution and a visit of the state in it. */
export function UseRunDialog({ machine, state, onClose, onUse }: { machine: string; state: State; onClose: () => void; onUse: (filled: Filled) => void }) {
  const runs = useInfiniteQuery(searchQuery({ machine }));
  const list = runs.data?.pages[0]?.executions ?? [];
  const [chosen, setChosen] = useState<string | null>(null);
  const arn = chosen ?? list[0]?.arn ?? '';
  const visits = useQuery({
    queryKey: ['visits-of', arn, state.name],
    queryFn: async ({ signal }) => (await fetchVisits(arn, { state: state.name, payloads: 'none', order: 'newest', limit: 100 }, signal)).visits,
    enabled: arn !== '',
  });
  const [visitId, setVisitId] = useState<string | null>(null);
  const visit: Visit | undefined = visits.data?.find((v) => String(v.id) === visitId) ?? visits.data?.[0];
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const use = async () => {
    if (!visit) return;
    setBusy(true);
    setError(null);
    try {
      onUse({ form: await fillFrom(arn, visit), from: arn.split(':').at(-1)! });
    } catch (err) {
      setError(err);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Modal opened onClose={onClose} title={t.useRun} closeButtonProps={{ 'aria-label': common.close }}>
      <div className={css.dialog}>
        <p>{t.useRunText}</p>
        {runs.isError && <ErrorState error={runs.error} retry={() => void runs.refetch()} />}
        {runs.isSuccess && list.length === 0 ? (
          <p className="dim">{t.noRuns}</p>
        ) : (
          <Select
            label={t.chooseRun}
            searchable
            allowDeselect={false}
            value={arn || null}
            onChange={(v) => { setChosen(v); setVisitId(null); }}
            data={list.map((x) => ({ value: x.arn, label: `${x.name} · ${statusText(x.status)} · ${formatTime(x.started_at)}` }))}
          />
        )}
        {visits.data?.length === 0 && <p className="dim" role="status">{t.noVisits}</p>}
        {visits.data && visits.data.length > 0 && (
          <Select
            label={t.chooseVisit}
            allowDeselect={false}
            value={visit ? String(visit.id) : null}
            onChange={setVisitId}
            data={visits.data.map((v) => ({ value: String(v.id), label: `${v.path} · ${statusText(v.status)} · #${v.id}` }))}
          />
        )}
        {error !== null && <ErrorState error={error} />}
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>{common.cancel}</Button>
          <Button onClick={() => void use()} loading={busy} disabled={!visit}>{t.use}</Button>
        </Group>
      </div>
    </Modal>
  );
}
