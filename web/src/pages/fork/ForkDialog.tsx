import { Button, Checkbox, Group, Modal, Select, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import { fetchVisits, type ExecutionView, type Visit } from '../../api/executions.ts';
import { rest } from '../../api/http.ts';
import { client } from '../../app/client.ts';
import { ErrorState, JsonEditor } from '../../kit/index.ts';
import { common } from '../../strings/index.ts';
import { fork as t } from '../../strings/fork.ts';
import { pretty } from '../teststate/flow.ts';
import { wholePayload } from '../teststate/fill.ts';
import css from './fork.module.css';

export interface ForkDialogProps {
  execution: Pick<ExecutionView, 'arn' | 'name' | 'machine'>;
  /** The visit to begin at; one within a Map or Parallel leads to the state around it. */
  visit?: Pick<Visit, 'path' | 'id'> | undefined;
  onClose: () => void;
  /** Gets the ARN of the new execution. */
  onStarted: (arn: string) => void;
}

/** Whether an execution can be forked at all. */
export const mayFork = (x: Pick<ExecutionView, 'type' | 'map_run'>): boolean => x.type !== 'EXPRESS' && !x.map_run;

const top = (path: string) => !path.includes('/');

/** Starts a new execution in a state of an old one, with an input that can be changed. */
export function ForkDialog({ execution: x, visit, onClose, onStarted }: ForkDialogProps) {
  const visits = useQuery({
    queryKey: ['fork-visits', x.arn],
    queryFn: async ({ signal }) => {
      const list: Visit[] = [];
      let cursor: string | undefined;
      do {
        const page = await fetchVisits(x.arn, { payloads: 'none', limit: 200, ...(cursor ? { cursor } : {}) }, signal);
        list.push(...page.visits.filter((v) => top(v.path)));
        cursor = page.next_cursor;
      } while (cursor && list.length < 500);
      return list;
    },
  });
  const list = useMemo(() => {
    const seen = new Map<string, number>();
    return (visits.data ?? []).map((v) => {
      const nth = (seen.get(v.state) ?? 0) + 1;
      seen.set(v.state, nth);
      return { visit: v, label: t.visit(v.state, nth) };
    });
  }, [visits.data]);
  const [chosen, setChosen] = useState<string | null>(null);
  const around = visit ? visit.path.split('/')[0]!.replace(/#\d+$/, '') : undefined;
  const current =
    list.find((e) => String(e.visit.id) === chosen)?.visit ??
    list.find((e) => e.visit.id === visit?.id)?.visit ??
    list.findLast((e) => e.visit.state === around && e.visit.id < (visit?.id ?? Infinity))?.visit ??
    list.at(-1)?.visit;
  const whole = useQuery({
    queryKey: ['fork-input', x.arn, current?.id],
    queryFn: async ({ signal }) => {
      const page = await fetchVisits(x.arn, { path: current!.path, changed_since: current!.last_event - 1, payloads: 'preview', limit: 20 }, signal);
      return pretty((await wholePayload(page.visits.find((v) => v.id === current!.id)?.input)) ?? '{}');
    },
    enabled: current !== undefined,
    staleTime: Infinity,
  });
  const [edited, setEdited] = useState<{ id: number; text: string } | null>(null);
  const [withVariables, setWithVariables] = useState(false);
  const [variables, setVariables] = useState('{}');
  const [name, setName] = useState('');
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const input = edited && edited.id === current?.id ? edited.text : (whole.data ?? '');

  const bad = problemOf(input, false) || (withVariables ? problemOf(variables, true) : '');
  const start = async () => {
    if (!current || bad) return;
    setBusy(true);
    setError(null);
    try {
      const made = await rest<{ arn: string }>(`/executions/${encodeURIComponent(x.arn)}/fork`, {
        method: 'POST',
        body: { event: current.id, ...(input === whole.data ? {} : { input: JSON.parse(input) as unknown }), ...(withVariables ? { variables: JSON.parse(variables) as unknown } : {}), ...(name.trim() ? { name: name.trim() } : {}) },
      });
      for (const kind of ['execution', 'executions']) void client.invalidateQueries({ queryKey: [kind] });
      onStarted(made.arn);
    } catch (err) {
      setError(err);
      setBusy(false);
    }
  };

  return (
    <Modal opened onClose={onClose} title={t.title(x.machine)} size="xl" closeButtonProps={{ 'aria-label': common.close }}>
      <div className={css.dialog}>
        <p>{t.text(x.name)}</p>
        {visits.isError && <ErrorState error={visits.error} retry={() => void visits.refetch()} />}
        {visits.isSuccess && list.length === 0 && <p className="dim">{t.none}</p>}
        {visit && !top(visit.path) && <p className={css.note}>{t.inside(visit.path.split('/').at(-1)!)}</p>}
        <div className={css.two}>
          <Select label={t.state} description={t.stateText} allowDeselect={false} searchable value={current ? String(current.id) : null} onChange={setChosen} data={list.map((e) => ({ value: String(e.visit.id), label: e.label }))} />
          <TextInput label={t.name} description={t.nameText} value={name} maxLength={80} onChange={(e) => setName(e.currentTarget.value)} />
        </div>
        {whole.isError && <ErrorState error={whole.error} retry={() => void whole.refetch()} />}
        {whole.data !== undefined && current && (
          <div>
            <span className={css.label} aria-hidden="true">{t.input}</span>
            <JsonEditor key={current.id} label={t.input} value={input} onChange={(text) => setEdited({ id: current.id, text })} height="220px" />
          </div>
        )}
        <Checkbox label={t.setVariables} description={t.variablesText} checked={withVariables} onChange={(e) => setWithVariables(e.currentTarget.checked)} />
        {withVariables && <JsonEditor label={t.variables} value={variables} onChange={setVariables} height="90px" />}
        <section className={css.not} aria-label={t.notCarried}>
          <strong>{t.notCarried}</strong>
          <ul>{t.notCarriedList.map((line) => <li key={line}>{line}</li>)}</ul>
          <p>{t.sameDefinition}</p>
        </section>
        {error !== null && <ErrorState error={error} title={t.action} />}
        <Group justify="flex-end">
          {bad && whole.data !== undefined && <span className={css.bad} role="alert">{bad}</span>}
          <Button variant="default" onClick={onClose}>{common.cancel}</Button>
          <Button loading={busy} disabled={!current || whole.data === undefined || bad !== ''} onClick={() => void start()}>{t.start}</Button>
        </Group>
      </div>
    </Modal>
  );
}

function problemOf(text: string, object: boolean): string {
  try {
    const v: unknown = JSON.parse(text);
    return object && (typeof v !== 'object' || v === null || Array.isArray(v)) ? t.badObject : '';
  } catch {
    return t.badJson;
  }
}
