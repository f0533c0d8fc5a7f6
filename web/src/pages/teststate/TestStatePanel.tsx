import { Button, Checkbox, NumberInput, SegmentedControl, Select, Textarea, TextInput } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { IconFlask, IconHistory, IconPlayerPlay } from '@tabler/icons-react';
import { useEffect, useMemo, useRef, useState } from 'react';
import { testState, type TestResult } from '../../api/teststate.ts';
import { useShortcuts } from '../../app/keys.ts';
import type { State } from '../../graph/definition.ts';
import { EmptyState, ErrorState, JsonEditor, JsonView, Kbd, StatusBadge } from '../../kit/index.ts';
import { teststate as t } from '../../strings/teststate.ts';
import { SavedCases } from './SavedCases.tsx';
import css from './TestState.module.css';
import { emptyForm, fault, keepForm, keptForm, mayMock, mustMock, requestOf, type Form } from './form.ts';
import { stepsOf } from './flow.ts';
import { StepRow } from './StepRow.tsx';
import { UseRunDialog, type Filled } from './UseRun.tsx';

export interface TestStatePanelProps {
  /** The text of the whole definition, as it is now. */
  definition: string;
  state: State;
  /** The machine's name: its executions lend their data, and cases are kept by it. Without one there is neither. */
  machine: string;
  roleArn?: string | undefined;
  /** What the form begins with, such as the data of a visit. */
  initial?: Partial<Form> | undefined;
  /** What is filled in is kept in this browser under this name, and is there again when somebody comes back. */
  keep?: string;
  /** One below the other, for a narrow place such as an inspector. */
  narrow?: boolean;
}

/** Runs one state by itself: what goes in, what came of it, and cases that are kept. */
export function TestStatePanel({ definition, state, machine, roleArn = '', initial, keep, narrow }: TestStatePanelProps) {
  const begin = (): Form => ({ ...emptyForm, roleArn, mock: mustMock(state.type) ? 'result' : 'none', ...(state.type === 'Map' || state.type === 'Parallel' ? { result: '[]' } : {}), ...initial });
  const [form, setForm] = useState<Form>(() => {
    const kept = { ...begin(), ...(keep && !initial ? keptForm(keep) : {}) };
    // A state may have become one that has to be mocked.
    return kept.mock === 'none' && mustMock(state.type) ? { ...kept, mock: 'result' } : kept;
  });
  useEffect(() => {
    if (keep) keepForm(keep, form);
  }, [keep, form]);
  const [busy, setBusy] = useState(false);
  const [done, setDone] = useState<{ result: TestResult; form: Form } | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [choosing, setChoosing] = useState(false);
  const change = (to: Partial<Form>) => setForm((old) => ({ ...old, ...to }));
  useEffect(() => {
    if (initial) change(initial);
  }, [initial]);
  const problem = fault(form);
  const mockable = mayMock(state.type);

  const run = async () => {
    if (busy || problem) return;
    setBusy(true);
    setError(null);
    try {
      setDone({ result: await testState(requestOf(definition, state, form)), form });
    } catch (err) {
      setDone(null);
      setError(err);
    } finally {
      setBusy(false);
    }
  };
  useShortcuts([{ keys: 'Ctrl Enter', label: t.run, group: t.group, run: () => void run(), whileTyping: true }]);

  // Where one is below the other, what came of it is out of sight.
  const outcome = useRef<HTMLElement>(null);
  useEffect(() => {
    if (narrow && (done || error !== null)) outcome.current?.scrollIntoView({ block: 'nearest' });
  }, [narrow, done, error]);

  return (
    <div
      className={css.panel}
      data-narrow={narrow || undefined}
      onKeyDownCapture={(e) => {
        // Before an editor takes it for a new line.
        if (e.key !== 'Enter' || !(e.ctrlKey || e.metaKey)) return;
        e.preventDefault();
        e.stopPropagation();
        void run();
      }}
    >
      <section className={css.form} aria-label={t.what}>
        <div className={css.formHead}>
          <h2>{t.what}</h2>
          {machine && <Button variant="subtle" leftSection={<IconHistory size={14} />} onClick={() => setChoosing(true)}>{t.useRun}</Button>}
        </div>
        <Field label={t.input}><JsonEditor label={t.input} value={form.input} onChange={(input) => change({ input })} height={narrow ? '92px' : '150px'} /></Field>
        {mockable ? (
          <fieldset className={css.mock}>
            <legend>{t.mock}</legend>
            <SegmentedControl aria-label={t.mock} value={form.mock} onChange={(v) => change({ mock: v as Form['mock'] })} data={(mustMock(state.type) ? ['result', 'error'] : ['none', 'result', 'error']).map((value) => ({ value, label: t.mocks[value]! }))} />
            {form.mock === 'result' && <JsonEditor label={t.mockResult} value={form.result} onChange={(result) => change({ result })} height={narrow ? '76px' : '110px'} />}
            {form.mock === 'error' && (
              <>
                <TextInput label={t.error} placeholder="States.TaskFailed" value={form.error} onChange={(e) => change({ error: e.currentTarget.value })} />
                <Textarea label={t.cause} autosize minRows={1} maxRows={5} value={form.cause} onChange={(e) => change({ cause: e.currentTarget.value })} />
              </>
            )}
            {form.mock === 'result' && (
              <Select label={t.validation} allowDeselect={false} value={form.validation} onChange={(v) => change({ validation: (v ?? 'STRICT') as Form['validation'] })} data={Object.entries(t.validations).map(([value, label]) => ({ value, label }))} />
            )}
            {form.mock === 'none' && state.type === 'Task' && <TextInput label={t.role} description={t.roleText} value={form.roleArn} onChange={(e) => change({ roleArn: e.currentTarget.value })} classNames={{ input: 'mono' }} />}
          </fieldset>
        ) : (
          <p className={css.note}>{t.noMock}</p>
        )}
        <div className={css.row}>
          <div>
            <span className={css.label}>{t.level}</span>
            <SegmentedControl aria-label={t.level} value={form.level} onChange={(v) => change({ level: v as Form['level'] })} data={Object.entries(t.levels).map(([value, label]) => ({ value, label }))} />
          </div>
          {mockable && <NumberInput label={t.retries} min={0} max={1000} allowDecimal={false} w={120} value={form.retries} onChange={(v) => change({ retries: Number(v) || 0 })} />}
        </div>
        {form.level === 'TRACE' && form.mock === 'none' && mockable && <Checkbox label={t.reveal} checked={form.reveal} onChange={(e) => change({ reveal: e.currentTarget.checked })} />}
        <details className={css.fold} open={form.variables !== '' || undefined}>
          <summary>{t.variables}</summary>
          <p className={css.note}>{t.variablesText}</p>
          <JsonEditor label={t.variables} value={form.variables} onChange={(variables) => change({ variables })} height="90px" />
        </details>
        {mockable && form.mock !== 'none' && (
          <details className={css.fold}>
            <summary>{t.context}</summary>
            <p className={css.note}>{t.contextText}</p>
            <JsonEditor label={t.context} value={form.context} onChange={(context) => change({ context })} height="90px" />
          </details>
        )}
        {mustMock(state.type) && (
          <details className={css.fold}>
            <summary>{t.more}</summary>
            <TextInput label={t.causedBy} value={form.causedBy} onChange={(e) => change({ causedBy: e.currentTarget.value })} />
            {state.type === 'Map' && <NumberInput label={t.failureCount} min={0} allowDecimal={false} value={form.failureCount} onChange={(v) => change({ failureCount: Number(v) || 0 })} />}
            {state.type === 'Map' && <Textarea label={t.readerData} autosize minRows={2} maxRows={6} value={form.readerData} onChange={(e) => change({ readerData: e.currentTarget.value })} />}
          </details>
        )}
        <div className={css.act}>
          <Button leftSection={<IconPlayerPlay size={14} />} loading={busy} disabled={problem !== ''} onClick={() => void run()}>{t.run}</Button>
          <span aria-hidden="true"><Kbd keys="Ctrl Enter" /></span>
          {problem && <span className={css.problem} role="alert">{problem}</span>}
        </div>
      </section>
      <div className={css.right}>
        <section className={css.outcome} ref={outcome} aria-label={t.outcome}>
          {error !== null && <ErrorState error={error} title={t.failed} />}
          {error === null && !done && <EmptyState icon={<IconFlask size={24} />} title={t.none} text={t.noneText} />}
          {done && <Outcome result={done.result} form={done.form} />}
        </section>
        {machine && <SavedCases definition={definition} state={state} machine={machine} last={done} onLoad={(f) => { setForm(f); setDone(null); }} />}
      </div>
      {choosing && (
        <UseRunDialog
          machine={machine}
          state={state}
          onClose={() => setChoosing(false)}
          onUse={(filled: Filled) => {
            change(filled.form);
            setDone(null);
            setChoosing(false);
            notifications.show({ message: t.used(filled.from) });
          }}
        />
      )}
    </div>
  );
}

function Field({ label, children }: { label: string; children: React.ReactNode }) {
  return <div><span className={css.label} aria-hidden="true">{label}</span>{children}</div>;
}

const shownStatus = { SUCCEEDED: 'SUCCEEDED', FAILED: 'FAILED', RETRIABLE: 'retrying', CAUGHT_ERROR: 'caught' } as const;

function Outcome({ result: r, form }: { result: TestResult; form: Form }) {
  const steps = useMemo(() => stepsOf(r, form.input, form.variables), [r, form]);
  const data = r.inspectionData;
  const details = data?.errorDetails;
  const facts = [
    ...(details?.catchIndex === undefined ? [] : [t.catcher(details.catchIndex + 1)]),
    ...(details?.retryIndex === undefined ? [] : [`${t.retrier(details.retryIndex + 1)}${details.retryBackoffIntervalSeconds === undefined ? '' : ` ${t.backoff(details.retryBackoffIntervalSeconds)}`}`]),
    ...(data?.maxConcurrency ? [t.concurrency(data.maxConcurrency)] : []),
    ...(data?.toleratedFailureCount ? [t.tolerated(String(data.toleratedFailureCount))] : []),
    ...(data?.toleratedFailurePercentage ? [t.toleratedShare(String(data.toleratedFailurePercentage))] : []),
  ];
  const flows = form.level !== 'INFO';
  return (
    <>
      <div className={css.verdict} role="status">
        <StatusBadge status={shownStatus[r.status]} size="lg" />
        <span className={css.next}>{r.nextState !== undefined ? <>{t.next} <strong>{r.nextState}</strong></> : r.status === 'SUCCEEDED' ? t.ends : null}</span>
        {facts.map((f) => <span key={f} className="dim">{f}</span>)}
      </div>
      {(r.error !== undefined || r.cause !== undefined) && (
        <div className={css.error} data-handled={r.status !== 'FAILED' || undefined}>
          {r.error && <code>{r.error}</code>}
          {r.cause && <pre>{r.cause}</pre>}
        </div>
      )}
      {flows ? (
        <>
          <h2>{t.flow}</h2>
          <ol className={css.steps}>{steps.map((s) => <StepRow key={s.name} step={s} />)}</ol>
        </>
      ) : (
        <>
          {r.output !== undefined && <><h2>{t.output}</h2><JsonView value={undefined} text={r.output} label={t.output} depth={3} /></>}
          <p className={css.note}>{t.flowLater}</p>
        </>
      )}
      {(data?.request || data?.response) && (
        <>
          <h2>{t.http}</h2>
          <div className={css.http}>
            {data.request && <Http title={t.request} line={[data.request.method, data.request.url, data.request.protocol].filter(Boolean).join(' ')} headers={data.request.headers} body={data.request.body} />}
            {data.response && <Http title={t.response} line={[data.response.protocol, data.response.statusCode, data.response.statusMessage].filter(Boolean).join(' ')} headers={data.response.headers} body={data.response.body} />}
          </div>
        </>
      )}
    </>
  );
}

function Http({ title, line, headers, body }: { title: string; line: string; headers: string | undefined; body: string | undefined }) {
  return (
    <div>
      <h3>{title}</h3>
      <pre className={css.pre} tabIndex={0} aria-label={title}>{line}</pre>
      {headers && <><h4>{t.headers}</h4><JsonView value={undefined} text={headers} label={`${title}: ${t.headers}`} plain /></>}
      {body && <><h4>{t.body}</h4><JsonView value={undefined} text={body} label={`${title}: ${t.body}`} plain /></>}
    </div>
  );
}
