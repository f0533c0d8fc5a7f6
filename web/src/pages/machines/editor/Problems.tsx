import { IconAlertTriangle, IconChevronDown, IconChevronUp, IconCircleCheck, IconCircleX } from '@tabler/icons-react';
import { useLocalStorage } from '@mantine/hooks';
import type { Diagnostic } from '../../../api/aws.ts';
import { locate } from '../../../asl/machine.ts';
import { ErrorState } from '../../../kit/index.ts';
import { editor as t } from '../../../strings/machines.ts';
import css from './Editor.module.css';
import type { Editor } from './useEditor.ts';
import { lineOf } from '../../../asl/machine.ts';

export interface ProblemsProps {
  editor: Editor;
  diagnostics: readonly Diagnostic[];
  checking: boolean;
  error: unknown;
  onGo: (state: string | undefined, offset: number) => void;
}

/** What the server says about the definition, word for word. */
export function Problems({ editor, diagnostics, checking, error, onGo }: ProblemsProps) {
  const [open, setOpen] = useLocalStorage({ key: 'lockstep.problems', defaultValue: true, getInitialValueInEffect: false });
  const errors = diagnostics.filter((d) => d.severity === 'ERROR').length;
  const state = checking ? t.checking : diagnostics.length === 0 ? t.noProblems : t.count(errors, diagnostics.length - errors);
  return (
    <section className={css.problems} aria-label={t.problems}>
      <button type="button" className={css.problemsHead} aria-expanded={open} onClick={() => setOpen(!open)}>
        {open ? <IconChevronDown size={14} /> : <IconChevronUp size={14} />}
        <strong>{t.problems}</strong>
        <span role="status" className={css.problemsState} data-kind={errors > 0 ? 'error' : diagnostics.length > 0 ? 'warning' : 'ok'}>
          {!checking && diagnostics.length === 0 && <IconCircleCheck size={14} aria-hidden="true" />}
          {state}
        </span>
      </button>
      {open && error !== null && error !== undefined && <ErrorState error={error} />}
      {open && diagnostics.length > 0 && (
        <ul className={css.problemList}>
          {diagnostics.map((d, i) => {
            const at = editor.broken ? { from: editor.broken.at, line: lineOf(editor.text, editor.broken.at), state: undefined } : locate(editor.machine, d.location);
            return (
              <li key={i}>
                <button type="button" className={css.problem} onClick={() => onGo(at.state, at.from)}>
                  {d.severity === 'ERROR' ? <IconCircleX size={15} className={css.isError} aria-label={t.error} /> : <IconAlertTriangle size={15} className={css.isWarning} aria-label={t.warning} />}
                  <span className={css.problemText}>{d.message}</span>
                  <code className={css.problemCode}>{d.code}</code>
                  {d.location && <span className={css.problemAt}>{d.location}</span>}
                  <span className={`${css.problemAt} num`}>{t.line(at.line)}</span>
                </button>
              </li>
            );
          })}
        </ul>
      )}
    </section>
  );
}
