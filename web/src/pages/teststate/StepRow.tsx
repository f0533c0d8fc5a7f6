import { SegmentedControl } from '@mantine/core';
import { useState, type ReactNode } from 'react';
import { DiffView, JsonView } from '../../kit/index.ts';
import { teststate as t } from '../../strings/teststate.ts';
import css from './TestState.module.css';
import type { Step } from './flow.ts';

/** A step of the data flow: its value, or what it changed of the step that it came of. */
export function StepRow({ step, note }: { step: Step; note?: ReactNode }) {
  const same = step.from !== undefined && step.from.text === step.text;
  const [mode, setMode] = useState<'value' | 'changes'>(step.from && !same ? 'changes' : 'value');
  const label = t.steps[step.name] ?? step.name;
  return (
    <li className={css.step} data-same={same || undefined}>
      <div className={css.stepHead}>
        <strong>{label}</strong>
        {step.from && <span className="dim">{same ? t.same : t.comparedWith(t.steps[step.from.name] ?? step.from.name)}</span>}
        {step.from && !same && (
          <SegmentedControl aria-label={label} value={mode} onChange={(v) => setMode(v as 'value' | 'changes')} data={[{ value: 'changes', label: t.changes }, { value: 'value', label: t.value }]} />
        )}
      </div>
      {note}
      {!same && (mode === 'changes' && step.from
        ? <DiffView before={step.from.text} after={step.text} label={label} />
        : <JsonView value={undefined} text={step.text} label={label} depth={2} plain />)}
    </li>
  );
}

/** A list of steps, one below the other. */
export function StepList({ children }: { children: ReactNode }) {
  return <ol className={css.steps}>{children}</ol>;
}
