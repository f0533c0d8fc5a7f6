import { common } from '../strings/index.ts';
import css from './Shell.module.css';

/** The product's mark, with its name if wanted. */
export function Mark({ withWord }: { withWord?: boolean }) {
  return (
    <span className={css.mark}>
      <svg viewBox="0 0 32 32" width="22" height="22" aria-hidden="true">
        <rect width="32" height="32" rx="8" fill="#0b5ea6" />
        <path d="M7 23h6v-6h6v-6h6" fill="none" stroke="#fff" strokeWidth="3.2" strokeLinecap="round" strokeLinejoin="round" />
        <circle cx="25" cy="21.5" r="2.8" fill="#8cc8ff" />
      </svg>
      {withWord && <span className={css.word}>{common.product}</span>}
    </span>
  );
}
