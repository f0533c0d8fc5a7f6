import { Tooltip, UnstyledButton } from '@mantine/core';
import { IconCheck, IconCopy } from '@tabler/icons-react';
import { useState } from 'react';
import { copyText } from '../app/clipboard.ts';
import { kit } from '../strings/index.ts';
import { shorten } from './format.ts';
import css from './IdChip.module.css';

/** An id, shortened in the middle, with a button that copies all of it. */
export function IdChip({ id, label, most = 22, shown }: { id: string; label?: string; most?: number; shown?: string }) {
  const [copied, setCopied] = useState(false);
  const copy = () =>
    void copyText(id).then(() => {
      setCopied(true);
      setTimeout(() => setCopied(false), 1500);
    });
  return (
    <span className={css.chip}>
      <Tooltip label={id} multiline maw={480} disabled={id.length <= most && !shown}>
        <span className="mono">{shown ?? shorten(id, most)}</span>
      </Tooltip>
      <UnstyledButton className={css.copy} onClick={copy} aria-label={kit.copyId(label ?? id)}>
        {copied ? <IconCheck size={13} /> : <IconCopy size={13} />}
      </UnstyledButton>
    </span>
  );
}
