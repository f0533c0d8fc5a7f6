import type { ReactNode } from 'react';
import css from './Panel.module.css';

export interface PanelProps {
  title: string;
  /** Under the title: what this is, in a sentence. */
  text?: ReactNode;
  /** At the right of the title. */
  actions?: ReactNode;
  /** The content has no frame, as a table that has its own. */
  bare?: boolean;
  children: ReactNode;
}

/** A part of a page with a heading. */
export function Panel({ title, text, actions, bare, children }: PanelProps) {
  return (
    <section className={css.panel} aria-label={title}>
      <div className={css.head}>
        <div className={css.words}>
          <h2 className={css.title}>{title}</h2>
          {text && <p className={css.text}>{text}</p>}
        </div>
        {actions && <div className={css.actions}>{actions}</div>}
      </div>
      <div className={bare ? undefined : css.frame}>{children}</div>
    </section>
  );
}

/** Names with their values, in as many columns as there is room for. */
export function Facts({ of }: { of: readonly (readonly [label: string, value: ReactNode])[] }) {
  return (
    <dl className={css.facts}>
      {of.map(([label, value]) => (
        <div key={label}>
          <dt>{label}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
