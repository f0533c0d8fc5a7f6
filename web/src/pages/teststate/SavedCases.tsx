import { Button, Group, Modal, TextInput } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { IconCircleCheck, IconDownload, IconPlayerTrackNext } from '@tabler/icons-react';
import { useState } from 'react';
import { testState, type TestResult } from '../../api/teststate.ts';
import type { State } from '../../graph/definition.ts';
import { DataTable, DiffView, StatusBadge, type Column } from '../../kit/index.ts';
import { common } from '../../strings/index.ts';
import { teststate as t } from '../../strings/teststate.ts';
import { expectedOf, exportCases, meets, readCases, settled, writeCases, type Case } from './cases.ts';
import css from './TestState.module.css';
import { requestOf, type Form } from './form.ts';

type Verdict = { passed: true } | { passed: false; got: string; error?: string };

interface Props {
  definition: string;
  state: State;
  machine: string;
  /** The last test, which can be kept as a case. */
  last: { result: TestResult; form: Form } | null;
  onLoad: (form: Form) => void;
}

/** The cases of a state: run together, each passes or fails. */
export function SavedCases({ definition, state, machine, last, onLoad }: Props) {
  const [all, setAll] = useState<Case[]>(() => readCases(machine));
  const [verdicts, setVerdicts] = useState<ReadonlyMap<string, Verdict>>(new Map());
  const [busy, setBusy] = useState(false);
  const [naming, setNaming] = useState(false);
  const [shown, setShown] = useState<string | null>(null);
  const cases = all.filter((c) => c.state === state.name);
  const keep = (next: Case[]) => {
    setAll(next);
    writeCases(machine, next);
  };

  const runAll = async () => {
    setBusy(true);
    const out = new Map<string, Verdict>();
    for (const c of cases) {
      try {
        const got = expectedOf(await testState(requestOf(definition, state, c.form)));
        out.set(c.id, meets(c.expect, got) ? { passed: true } : { passed: false, got: settled(got) });
      } catch (err) {
        const message = err instanceof Error ? err.message : String(err);
        out.set(c.id, { passed: false, got: '', error: message });
      }
      setVerdicts(new Map(out));
    }
    setBusy(false);
  };
  const remove = (c: Case) => {
    const before = all;
    keep(all.filter((x) => x.id !== c.id));
    notifications.show({ message: <>{t.removed(c.name)} <button type="button" className={css.link} onClick={() => keep(before)}>{t.undo}</button></> });
  };
  const save = () => {
    const { files, exported, left } = exportCases(definition, state, cases);
    files.forEach((text, i) => {
      const url = URL.createObjectURL(new Blob([text], { type: 'application/yaml' }));
      const a = document.createElement('a');
      a.href = url;
      a.download = `${machine}.${state.name.replace(/[^\w-]+/g, '-')}${i > 0 ? `-${i + 1}` : ''}.test.yaml`;
      a.click();
      URL.revokeObjectURL(url);
    });
    notifications.show({ message: left > 0 ? `${t.exported(exported)}; ${t.left(left)}.` : t.exported(exported) });
  };

  const ran = cases.filter((c) => verdicts.has(c.id));
  const passed = ran.filter((c) => verdicts.get(c.id)!.passed).length;
  const columns: Column<Case>[] = [
    { id: 'name', label: t.caseName, always: true, cell: (c) => c.name },
    { id: 'expect', label: t.expects, width: '220px', cell: (c) => <span className="dim">{[c.expect.error, c.expect.nextState ? `→ ${c.expect.nextState}` : ''].filter(Boolean).join(' ') || (c.expect.status === 'SUCCEEDED' ? t.ends : c.expect.status)}</span> },
    {
      id: 'verdict',
      label: t.outcomeOf,
      width: '110px',
      cell: (c) => {
        const v = verdicts.get(c.id);
        return v ? <StatusBadge status={v.passed ? 'SUCCEEDED' : 'FAILED'} label={v.passed ? t.passed : t.failedCase} size="sm" /> : <span className="dim">{t.notRun}</span>;
      },
    },
    {
      id: 'act',
      label: t.actions,
      width: '120px',
      always: true,
      cell: (c) => (
        <span className={css.acts}>
          <button type="button" className={css.link} onClick={() => onLoad(c.form)} aria-label={`${t.load} ${c.name}`}>{t.load}</button>
          <button type="button" className={css.link} onClick={() => remove(c)} aria-label={`${t.remove} ${c.name}`}>{t.remove}</button>
        </span>
      ),
    },
  ];
  const open = cases.find((c) => c.id === shown);
  const verdict = open ? verdicts.get(open.id) : undefined;
  return (
    <section className={css.cases} aria-label={t.cases}>
      <div className={css.casesHead}>
        <h2>{t.cases}</h2>
        {ran.length > 0 && <span className="num" role="status">{t.summary(passed, ran.length)}</span>}
        <span className={css.spacer} />
        <Button variant="default" leftSection={<IconCircleCheck size={14} />} disabled={!last} onClick={() => setNaming(true)}>{t.save}</Button>
        {cases.length > 0 && <Button variant="default" leftSection={<IconPlayerTrackNext size={14} />} loading={busy} onClick={() => void runAll()}>{t.runAll}</Button>}
        {cases.length > 0 && <Button variant="default" leftSection={<IconDownload size={14} />} onClick={save}>{t.export}</Button>}
      </div>
      {cases.length === 0 ? (
        <p className={css.note}>{t.noCases} {t.casesText}</p>
      ) : (
        <DataTable name="test-cases" label={t.cases} columns={columns} rows={cases} rowId={(c) => c.id} onOpen={(c) => setShown(shown === c.id ? null : c.id)} active={shown ?? ''} />
      )}
      {open && verdict && !verdict.passed && (verdict.error
        ? <p className={css.problem} role="alert">{verdict.error}</p>
        : <DiffView before={settled(open.expect)} after={verdict.got} label={open.name} beforeLabel={t.expected} afterLabel={t.got} />)}
      {naming && last && (
        <NameDialog
          onClose={() => setNaming(false)}
          onSave={(name) => {
            keep([...all, { id: `${Date.now().toString(36)}${all.length}`, name, state: state.name, form: last.form, expect: expectedOf(last.result) }]);
            setNaming(false);
          }}
        />
      )}
    </section>
  );
}

function NameDialog({ onClose, onSave }: { onClose: () => void; onSave: (name: string) => void }) {
  const [name, setName] = useState('');
  return (
    <Modal opened onClose={onClose} title={t.saveTitle} closeButtonProps={{ 'aria-label': common.close }}>
      <form className={css.dialog} onSubmit={(e) => { e.preventDefault(); if (name.trim()) onSave(name.trim()); }}>
        <p>{t.saveText}</p>
        <TextInput label={t.caseName} value={name} onChange={(e) => setName(e.currentTarget.value)} data-autofocus />
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>{common.cancel}</Button>
          <Button type="submit" disabled={!name.trim()}>{t.save}</Button>
        </Group>
      </form>
    </Modal>
  );
}
