import { Button } from '@mantine/core';
import type { ReactNode } from 'react';
import { common, kit } from '../strings/index.ts';
import { IdChip } from './IdChip.tsx';
import css from './EmptyState.module.css';

export interface EmptyStateProps {
  icon?: ReactNode;
  title: string;
  /** What the thing is and what it is for. */
  text?: ReactNode;
  /** The command that makes the first one. */
  command?: string;
  /** The button that makes the first one. */
  action?: ReactNode;
  /** Under the rest: links to an example. */
  children?: ReactNode;
}

/** What a list shows that has nothing in it yet. */
export function EmptyState({ icon, title, text, command, action, children }: EmptyStateProps) {
  return (
    <div className={css.empty}>
      {icon && <div className={css.icon} aria-hidden="true">{icon}</div>}
      <h2 className={css.title}>{title}</h2>
      {text && <p className={css.text}>{text}</p>}
      {action}
      {command && <IdChip id={command} most={200} label={command} />}
      {children}
    </div>
  );
}

/** What a list shows whose filters leave nothing over. */
export function NoMatch({ clear }: { clear?: () => void }) {
  return (
    <div className={css.empty}>
      <h2 className={css.title}>{kit.noMatch}</h2>
      {clear && <Button variant="default" onClick={clear}>{common.clearFilters}</Button>}
    </div>
  );
}
