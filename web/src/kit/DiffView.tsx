import { SegmentedControl } from '@mantine/core';
import { useLocalStorage } from '@mantine/hooks';
import { Fragment, useMemo, useState, type ReactNode } from 'react';
import { kit } from '../strings/index.ts';
import { diffLines, type Hunk } from './diff.ts';
import css from './DiffView.module.css';

export interface DiffViewProps {
  before: string;
  after: string;
  label: string;
  beforeLabel?: string;
  afterLabel?: string;
  /** What is shown below a line of the text after, by its number. */
  notes?: ReadonlyMap<number, ReactNode>;
  /** Somebody clicked the number of a line of the text after. */
  onLine?: (line: number) => void;
}

/** So many unchanged lines are shown around a change. */
const around = 3;

/** Two texts compared by lines, in one column or side by side. */
export function DiffView({ before, after, label, beforeLabel, afterLabel, notes, onLine }: DiffViewProps) {
  const [mode, setMode] = useLocalStorage<'unified' | 'split'>({ key: 'lockstep.diff', defaultValue: 'unified' });
  const hunks = useMemo(() => diffLines(before, after), [before, after]);
  const count = (kind: Hunk['kind']) => hunks.filter((h) => h.kind === kind).reduce((n, h) => n + h.lines.length, 0);
  const [added, removed] = [count('added'), count('removed')];
  return (
    <div className={css.diff} role="group" aria-label={label}>
      <div className={css.bar}>
        {added + removed === 0 ? (
          <span className="dim">{kit.noDifference}</span>
        ) : (
          <span className="num">
            <span className={css.plus}>+{kit.added(added)}</span> <span className={css.minus}>−{kit.removed(removed)}</span>
          </span>
        )}
        <SegmentedControl
          aria-label={label}
          value={mode}
          onChange={(v) => setMode(v as 'unified' | 'split')}
          data={[{ value: 'unified', label: kit.unified }, { value: 'split', label: kit.sideBySide }]}
        />
      </div>
      <div className={css.frame} tabIndex={0} role="group" aria-label={label}>
        <table className={css.table} data-mode={mode}>
          {(beforeLabel || afterLabel) && (
            <thead>
              {mode === 'split' ? (
                <tr><th colSpan={2} scope="col">{beforeLabel}</th><th colSpan={2} scope="col">{afterLabel}</th></tr>
              ) : (
                <tr><th colSpan={3} scope="col">{beforeLabel} → {afterLabel}</th></tr>
              )}
            </thead>
          )}
          <tbody>{mode === 'split' ? <Split hunks={hunks} notes={notes} onLine={onLine} /> : <Unified hunks={hunks} notes={notes} onLine={onLine} />}</tbody>
        </table>
      </div>
    </div>
  );
}

type Rows = { hunks: Hunk[] } & Pick<DiffViewProps, 'notes' | 'onLine'>;

function Unified({ hunks, notes, onLine }: Rows) {
  let [a, b] = [0, 0];
  return hunks.map((h, i) => {
    const rows = h.lines.map((text) => ({ text, a: h.kind === 'added' ? undefined : ++a, b: h.kind === 'removed' ? undefined : ++b }));
    const draw = (r: (typeof rows)[number], j: number) => (
      <Fragment key={j}>
        <tr data-kind={h.kind} data-change={(h.kind !== 'same' && j === 0 && (hunks[i - 1]?.kind ?? 'same') === 'same') || undefined}>
          <td className={css.number}>{r.a}</td>
          <LineNumber n={r.b} onLine={onLine} />
          <td className={css.text}><Sign kind={h.kind} />{r.text}</td>
        </tr>
        <Beneath line={r.b} notes={notes} width={3} />
      </Fragment>
    );
    return h.kind === 'same' ? <Folded key={i} rows={rows.map(draw)} first={i === 0} last={i === hunks.length - 1} width={3} noted={rows.some((r) => r.b !== undefined && notes?.has(r.b))} /> : <Fragment key={i}>{rows.map(draw)}</Fragment>;
  });
}

function Split({ hunks, notes, onLine }: Rows) {
  const out: React.ReactNode[] = [];
  let [a, b] = [0, 0];
  for (let i = 0; i < hunks.length; i++) {
    const h = hunks[i]!;
    if (h.kind === 'same') {
      const from = b + 1;
      const rows = h.lines.map((text, j) => (
        <Fragment key={j}>
          <tr>
            <td className={css.number}>{++a}</td>
            <td className={css.text}>{text}</td>
            <LineNumber n={++b} onLine={onLine} />
            <td className={css.text}>{text}</td>
          </tr>
          <Beneath line={b} notes={notes} width={4} />
        </Fragment>
      ));
      out.push(<Folded key={i} rows={rows} first={i === 0} last={i === hunks.length - 1} width={4} noted={h.lines.some((_, j) => notes?.has(from + j))} />);
      continue;
    }
    const next = hunks[i + 1];
    const removed = h.kind === 'removed' ? h.lines : [];
    const added = h.kind === 'added' ? h.lines : next?.kind === 'added' ? next.lines : [];
    if (h.kind === 'removed' && next?.kind === 'added') i++;
    for (let j = 0; j < Math.max(removed.length, added.length); j++) {
      const [left, right] = [removed[j], added[j]];
      out.push(
        <tr key={`${i}-${j}`} data-change={j === 0 || undefined}>
          <td className={css.number} data-side={left === undefined ? 'none' : 'removed'}>{left === undefined ? '' : ++a}</td>
          <td className={css.text} data-side={left === undefined ? 'none' : 'removed'}>{left !== undefined && <Sign kind="removed" />}{left}</td>
          <LineNumber n={right === undefined ? undefined : ++b} onLine={onLine} side={right === undefined ? 'none' : 'added'} />
          <td className={css.text} data-side={right === undefined ? 'none' : 'added'}>{right !== undefined && <Sign kind="added" />}{right}</td>
        </tr>,
      );
      if (right !== undefined) out.push(<Beneath key={`${i}-${j}-notes`} line={b} notes={notes} width={4} />);
    }
  }
  return out;
}

function Sign({ kind }: { kind: Hunk['kind'] }) {
  if (kind === 'same') return null;
  return <span className={css.sign}>{kind === 'added' ? '+' : '−'}</span>;
}

/** The number of a line. A click on it is a short cut for the pointer: pages offer the same in another way, too. */
function LineNumber({ n, onLine, side }: { n: number | undefined; onLine: ((line: number) => void) | undefined; side?: string }) {
  const active = n !== undefined && onLine;
  return <td className={css.number} data-side={side} data-active={active ? true : undefined} title={active ? kit.commentOnLine(n) : undefined} onClick={active ? () => onLine(n) : undefined}>{n}</td>;
}

function Beneath({ line, notes, width }: { line: number | undefined; notes: ReadonlyMap<number, ReactNode> | undefined; width: number }) {
  const note = line === undefined ? undefined : notes?.get(line);
  return note ? <tr className={css.beneath}><td colSpan={width}>{note}</td></tr> : null;
}

function Folded({ rows, first, last, width, noted }: { rows: React.ReactNode[]; first: boolean; last: boolean; width: number; noted?: boolean | undefined }) {
  const [open, setOpen] = useState(false);
  const [head, tail] = [first ? 0 : around, last ? 0 : around];
  if (open || noted || rows.length <= head + tail + 1) return rows;
  return (
    <>
      {rows.slice(0, head)}
      <tr className={css.fold}>
        <td colSpan={width}>
          <button type="button" onClick={() => setOpen(true)}>{kit.unchanged(rows.length - head - tail)}</button>
        </td>
      </tr>
      {tail > 0 && rows.slice(-tail)}
    </>
  );
}
