import { Tooltip } from '@mantine/core';
import { kit } from '../strings/index.ts';
import { formatMoney, nanoPerUsd } from './format.ts';

/** An amount in nano-USD. One that a plan includes is shown as such, and is not to be added up. */
export function Money({ nano, included }: { nano: number | undefined | null; included?: boolean }) {
  if (nano === undefined || nano === null) return <span className="dim">–</span>;
  const exact = `$${(nano / nanoPerUsd).toFixed(9).replace(/0{1,7}$/, '')}`;
  return (
    <Tooltip label={included ? `${exact}, ${kit.included}` : exact}>
      <span className={included ? 'num dim' : 'num'}>{included ? `(${formatMoney(nano)})` : formatMoney(nano)}</span>
    </Tooltip>
  );
}
