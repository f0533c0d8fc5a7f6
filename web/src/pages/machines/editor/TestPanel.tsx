import { Button, SegmentedControl, Textarea, TextInput } from '@mantine/core';
import { useLocalStorage } from '@mantine/hooks';
import { useMutation } from '@tanstack/react-query';
import { IconPlayerPlay } from '@tabler/icons-react';
import { testState, usualRole, type TestAsked } from '../../../api/machines.ts';
import { useShortcuts } from '../../../app/keys.ts';
import type { Place } from '../../../asl/machine.ts';
import { ErrorState, JsonView, StatusBadge } from '../../../kit/index.ts';
import { editor as t } from '../../../strings/machines.ts';
import css from './Editor.module.css';
import type { Editor } from './useEditor.ts';

interface Case {
  input: string;
  variables: string;
  mock: 'none' | 'result' | 'error';
  result: string;
  error: string;
  cause: string;
}

const empty: Case = { input: '{}', variables: '', mock: 'none', result: '{}', error: '', cause: '' };

const badges: Record<string, string> = { SUCCEEDED: 'SUCCEEDED', FAILED: 'FAILED', RETRIABLE: 'retrying', CAUGHT_ERROR: 'caught' };

/** Runs one state alone, with an input of one's own, by the server's TestState. */
export function TestPanel({ editor, place }: { editor: Editor; place: Place }) {
  const [given, setGiven] = useLocalStorage<Case>({ key: `lockstep.test.${place.name}`, defaultValue: empty, getInitialValueInEffect: false });
  const test = useMutation({
    mutationFn: () => {
      const asked: TestAsked = { definition: editor.text, stateName: place.name, input: given.input, inspectionLevel: 'DEBUG', roleArn: usualRole };
      if (given.variables.trim()) asked.variables = given.variables;
      if (given.mock === 'result') asked.mock = { result: given.result, fieldValidationMode: 'NONE' };
      if (given.mock === 'error') asked.mock = { errorOutput: { error: given.error, cause: given.cause }, fieldValidationMode: 'NONE' };
      return testState(asked);
    },
  });
  const run = () => test.mutate();
  useShortcuts([{ keys: 'Ctrl Enter', label: t.keysOf.test, group: t.keys, run, whileTyping: true }]);
  const set = (part: Partial<Case>) => setGiven({ ...given, ...part });
  const steps = Object.entries(test.data?.inspectionData ?? {}).filter(([k, v]) => k in t.steps && typeof v === 'string') as [string, string][];
  const area = (label: string, value: string, change: (v: string) => void, rows: number) => (
    <Textarea label={label} value={value} onChange={(e) => change(e.currentTarget.value)} autosize minRows={rows} maxRows={12} spellCheck={false} classNames={{ input: css.mono! }} />
  );
  return (
    <>
      <p className={css.help}>{t.testText}</p>
      {area(t.testInput, given.input, (input) => set({ input }), 3)}
      {area(t.testVariables, given.variables, (variables) => set({ variables }), 1)}
      {(place.type === 'Task' || place.type === 'Map' || place.type === 'Parallel') && (
        <div>
          <div className={css.label} id="mock-label">{t.mock}</div>
          <SegmentedControl fullWidth aria-labelledby="mock-label" value={given.mock} onChange={(mock) => set({ mock: mock as Case['mock'] })} data={(['none', 'result', 'error'] as const).map((v) => ({ value: v, label: t.mocks[v] }))} />
        </div>
      )}
      {given.mock === 'result' && area(t.mockResult, given.result, (result) => set({ result }), 2)}
      {given.mock === 'error' && (
        <div className={css.pair}>
          <TextInput label={t.mockError} value={given.error} onChange={(e) => set({ error: e.currentTarget.value })} />
          <TextInput label={t.mockCause} value={given.cause} onChange={(e) => set({ cause: e.currentTarget.value })} />
        </div>
      )}
      <Button leftSection={<IconPlayerPlay size={14} />} loading={test.isPending} onClick={run}>{t.runTest}</Button>
      <div role="status" className={css.result}>
        {test.isError && <ErrorState error={test.error} title={t.refused} />}
        {test.data && (
          <>
            <div className={css.lineOf}>
              <StatusBadge status={badges[test.data.status] ?? test.data.status} />
              {test.data.nextState && <span className="dim">{t.testNext} <strong>{test.data.nextState}</strong></span>}
            </div>
            {test.data.error && <p className={css.bad}><strong>{test.data.error}</strong> {test.data.cause}</p>}
            {test.data.output !== undefined && <Step title={t.testOutput} text={test.data.output} open />}
            {steps.length > 0 && <h3 className={css.groupTitle}>{t.testSteps}</h3>}
            {steps.map(([k, v]) => <Step key={k} title={t.steps[k]!} text={v} />)}
          </>
        )}
      </div>
    </>
  );
}

function Step({ title, text, open }: { title: string; text: string; open?: boolean }) {
  return (
    <details open={open} className={css.step}>
      <summary>{title}</summary>
      <JsonView value={undefined} text={text} label={title} plain />
    </details>
  );
}
