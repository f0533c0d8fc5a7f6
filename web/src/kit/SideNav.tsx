import type { ReactNode } from 'react';
import css from './SideNav.module.css';

export interface SideNavProps {
  label: string;
  groups: readonly { label: string; entries: readonly ReactNode[] }[];
  children: ReactNode;
}

/** A page with sections: their links at the left, above the content where there is little room. The link of the section that is shown has aria-current. */
export function SideNav({ label, groups, children }: SideNavProps) {
  return (
    <div className={css.layout}>
      <nav aria-label={label} className={css.nav}>
        {groups.filter((g) => g.entries.length > 0).map((g) => (
          <div key={g.label}>
            <h2>{g.label}</h2>
            <ul>{g.entries.map((e, i) => <li key={i}>{e}</li>)}</ul>
          </div>
        ))}
      </nav>
      <div className={css.content}>{children}</div>
    </div>
  );
}
