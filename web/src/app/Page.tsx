import { Link } from '@tanstack/react-router';
import { useEffect, type ReactNode } from 'react';
import { common, shell } from '../strings/index.ts';
import css from './Page.module.css';

export interface Crumb {
  label: string;
  to?: string;
}

export interface PageProps {
  /** The page's one h1, and what the tab of the browser says. */
  title: string;
  /** Shown instead of the title's text, where a name needs more than text. */
  heading?: ReactNode;
  crumbs?: Crumb[];
  /** Beside the title: a badge, an id. */
  beside?: ReactNode;
  /** At the right: what can be done here. */
  actions?: ReactNode;
  /** Below the title, above the content. */
  below?: ReactNode;
  /** The content takes the height of the window and scrolls by itself, as a graph or a board does. */
  fill?: boolean;
  children: ReactNode;
}

/** The frame of each page: breadcrumbs, heading, actions. */
export function Page({ title, heading, crumbs = [], beside, actions, below, fill, children }: PageProps) {
  useEffect(() => {
    document.title = `${title} · ${common.product}`;
  }, [title]);
  return (
    <div className={fill ? `${css.page} ${css.fill}` : css.page}>
      <header className={css.head}>
        {crumbs.length > 0 && (
          <nav aria-label={shell.breadcrumbs} className={css.crumbs}>
            {crumbs.map((c, i) => (
              <span key={i} className={css.crumb}>
                {c.to ? <Link to={c.to as '/'}>{c.label}</Link> : c.label}
                <span aria-hidden="true" className={css.slash}>/</span>
              </span>
            ))}
          </nav>
        )}
        <div className={css.line}>
          <h1 className={css.title}>{heading ?? title}</h1>
          {beside && <div className={css.beside}>{beside}</div>}
          {actions && <div className={css.actions}>{actions}</div>}
        </div>
        {below}
      </header>
      <div className={css.body}>{children}</div>
    </div>
  );
}
