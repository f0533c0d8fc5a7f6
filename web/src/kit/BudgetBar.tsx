import { kit } from '../strings/index.ts';
import css from './BudgetBar.module.css';
import { formatMoney, type Nano } from './format.ts';

export interface BudgetBarProps {
  used: Nano;
  limit: Nano | undefined | null;
  /** From where on it counts as near, as a share of the limit. */
  soft?: number;
  /** How amounts are written; money by default. */
  format?: (n: Nano) => string;
  label: string;
}

/** How much of a budget is used. Over it and near it differ in form as well as in colour. */
export function BudgetBar({ used, limit, soft = 0.8, format = formatMoney, label }: BudgetBarProps) {
  if (!limit) return <span className="num dim">{format(used)} · {kit.noBudget}</span>;
  const share = Number(used) / Number(limit);
  const is = share >= 1 ? 'failed' : share >= soft ? 'handled' : 'running';
  const text = kit.budgetOf(format(used), format(limit));
  return (
    <span className={css.budget}>
      <span className={css.track} role="meter" aria-label={label} aria-valuenow={Math.round(share * 100)} aria-valuemin={0} aria-valuemax={100} aria-valuetext={text}>
        <span className={css.fill} data-is={is} style={{ width: `${Math.min(100, share * 100)}%` }} />
      </span>
      <span className={`num ${css.text}`} data-is={is}>{text}</span>
    </span>
  );
}
