import { ActionIcon, Tooltip } from '@mantine/core';
import { IconCheck, IconCopy } from '@tabler/icons-react';
import { useState } from 'react';
import { copyText } from '../app/clipboard.ts';
import { common, kit } from '../strings/index.ts';
import css from './CopyBlock.module.css';

/** A text to take along, such as a command or a file, with a button that copies it. */
export function CopyBlock({ text, label, name }: { text: string; label: string; name?: string }) {
  const [copied, setCopied] = useState(false);
  const copy = () =>
    void copyText(text).then(() => {
      setCopied(true);
      setTimeout(() => setCopied(false), 1500);
    });
  return (
    <div className={css.block}>
      {name && <div className={css.name}>{name}</div>}
      <pre className={css.text} tabIndex={0} role="group" aria-label={label}>{text}</pre>
      <Tooltip label={copied ? common.copied : common.copy}>
        <ActionIcon className={css.copy!} variant="default" size={26} onClick={copy} aria-label={kit.copyId(label)}>
          {copied ? <IconCheck size={14} /> : <IconCopy size={14} />}
        </ActionIcon>
      </Tooltip>
    </div>
  );
}
