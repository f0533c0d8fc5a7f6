import { useEffect, type ReactNode } from 'react';
import { ErrorState } from '../../kit/index.ts';
import { common } from '../../strings/index.ts';
import { Mark } from '../../app/Mark.tsx';
import css from './EntryFrame.module.css';

/** The frame of pages for those who are not signed in. */
export function EntryFrame({ title, problem, children }: { title: string; problem: string; children: ReactNode }) {
  useEffect(() => {
    document.title = `${title} · ${common.product}`;
  }, [title]);
  return (
    <main className={css.frame}>
      <div className={css.card}>
        <Mark withWord />
        <h1 className={css.title}>{title}</h1>
        {problem && <ErrorState error={new Error(problem)} title={title} />}
        {children}
      </div>
    </main>
  );
}
