import { Tooltip } from '@mantine/core';
import { kit } from '../strings/index.ts';
import { exactMoney, formatMoney, type Nano } from './format.ts';

/** An amount in nano-USD. One that a plan includes is shown as such, and is not to be added up. */
export function Money({ nano, included }: { nano: Nano | undefined | null; included?: boolean }) {
  if (nano === undefined || nano === null) return <span className="dim">–</span>;
  const exact = exactMoney(nano);
  return (
    <Tooltip label={included ? `${exact}, ${kit.included}` : exact}>
      <span className={included ? 'num dim' : 'num'}>{included ? `(${formatMoney(nano)})` : formatMoney(nano)}</span>
    </Tooltip>
  );
}
