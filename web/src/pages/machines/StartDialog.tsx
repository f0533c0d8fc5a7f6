import { Button, Group, Modal, TextInput } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { startExecution } from '../../api/executions.ts';
import { ErrorState, JsonEditor } from '../../kit/index.ts';
import { common } from '../../strings/index.ts';
import { machines as t } from '../../strings/machines.ts';
import css from './Machines.module.css';

const mostInputs = 5;
const inputsKey = (arn: string) => `lockstep.inputs.${arn}`;

/** Inputs that somebody used in this browser, the last one first. */
function lastInputs(arn: string): string[] {
  try {
    const list = JSON.parse(localStorage.getItem(inputsKey(arn)) ?? '[]') as unknown;
    return Array.isArray(list) ? list.filter((x): x is string => typeof x === 'string') : [];
  } catch {
    return [];
  }
}

/** Starts an execution with an input, and goes there. */
export function StartDialog({ arn, name, onClose }: { arn: string; name: string; onClose: () => void }) {
  const [inputs] = useState(() => lastInputs(arn));
  const [input, setInput] = useState(inputs[0] ?? '{}');
  const [called, setCalled] = useState('');
  const cache = useQueryClient();
  const navigate = useNavigate();
  const good = isJson(input);
  const start = useMutation({
    mutationFn: () => startExecution(arn, input, called.trim()),
    onSuccess: (execution) => {
      localStorage.setItem(inputsKey(arn), JSON.stringify([input, ...inputs.filter((x) => x !== input)].slice(0, mostInputs)));
      void cache.invalidateQueries({ queryKey: ['machines'] });
      onClose();
      void navigate({ to: '/executions/$id', params: { id: execution } });
    },
  });
  return (
    <Modal opened onClose={onClose} title={t.startTitle(name)} size="lg" closeButtonProps={{ 'aria-label': common.close }}>
      <form
        className={css.dialog}
        onSubmit={(e) => {
          e.preventDefault();
          if (good) start.mutate();
        }}
      >
        <TextInput label={t.executionName} description={t.executionNameText} value={called} onChange={(e) => setCalled(e.currentTarget.value)} data-autofocus maxLength={80} />
        <JsonEditor label={t.input} value={input} onChange={setInput} height="240px" />
        {!good && <p className="dim">{t.notJson}</p>}
        {inputs.length > 1 && (
          <div className={css.inputs} role="group" aria-label={t.lastInputs}>
            {inputs.map((x, i) => <Button key={i} variant="default" onClick={() => setInput(x)} title={x.slice(0, 300)} aria-label={t.useInput(i + 1)}>{x.replace(/\s+/g, ' ').slice(0, 28)}</Button>)}
          </div>
        )}
        {start.isError && <ErrorState error={start.error} title={t.startTitle(name)} />}
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>{common.cancel}</Button>
          <Button type="submit" loading={start.isPending} disabled={!good}>{t.start}</Button>
        </Group>
      </form>
    </Modal>
  );
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
