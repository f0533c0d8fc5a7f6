import { Button, Checkbox, Group, Modal, Textarea } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { aws, type MachineDetail, type MachineType } from '../../../api/aws.ts';
import { usualRole, versionOf } from '../../../api/machines.ts';
import { readable } from '../../../asl/patch.ts';
import { DiffView, ErrorState } from '../../../kit/index.ts';
import { common } from '../../../strings/index.ts';
import { editor as t } from '../../../strings/machines.ts';
import css from './Editor.module.css';

export interface PublishDialogProps {
  name: string;
  type: MachineType;
  text: string;
  /** The machine as the editor began with it; undefined: a new one. */
  base: MachineDetail | undefined;
  errors: number;
  onClose: () => void;
  onPublished: (machine: MachineDetail) => void;
  /** Somebody published meanwhile, and theirs is taken. */
  onTheirs: (machine: MachineDetail) => void;
}

/** What is about to be published, against what is published now. */
export function PublishDialog({ name, type, text, base, errors, onClose, onPublished, onTheirs }: PublishDialogProps) {
  const [description, setDescription] = useState('');
  const [theirs, setTheirs] = useState<MachineDetail | undefined>(undefined);
  const [over, setOver] = useState(false);
  const cache = useQueryClient();
  // Somebody may have published since the editor was opened.
  useEffect(() => {
    if (!base) return;
    let gone = false;
    void aws('DescribeStateMachine', { stateMachineArn: base.stateMachineArn }).then((now) => {
      if (!gone && now.definition !== base.definition) setTheirs(now);
    });
    return () => {
      gone = true;
    };
  }, [base]);
  const publish = useMutation({
    mutationFn: async () => {
      const about = description.trim() ? { versionDescription: description.trim() } : {};
      if (!base) {
        const made = await aws('CreateStateMachine', { name, definition: text, roleArn: usualRole, type, publish: true, ...about });
        return { arn: made.stateMachineArn, version: made.stateMachineVersionArn };
      }
      const now = await aws('DescribeStateMachine', { stateMachineArn: base.stateMachineArn });
      if (now.definition !== (theirs ?? base).definition) {
        setTheirs(now);
        setOver(false);
        return null;
      }
      const made = await aws('UpdateStateMachine', { stateMachineArn: base.stateMachineArn, definition: text, publish: true, ...about });
      return { arn: base.stateMachineArn, version: made.stateMachineVersionArn };
    },
    onSuccess: async (made) => {
      if (!made) return;
      const now = await aws('DescribeStateMachine', { stateMachineArn: made.arn });
      cache.setQueryData(['machine', made.arn], now);
      void cache.invalidateQueries({ queryKey: ['machines'] });
      void cache.invalidateQueries({ queryKey: ['machine', made.arn, 'versions'] });
      notifications.show({ message: t.published(made.version ? versionOf(made.version) : ''), color: 'green' });
      onPublished(now);
    },
  });
  return (
    <Modal opened onClose={onClose} title={t.publishTitle(name)} size="xl" closeButtonProps={{ 'aria-label': common.close }}>
      <form
        className={css.dialog}
        onSubmit={(e) => {
          e.preventDefault();
          if (errors === 0 && (!theirs || over)) publish.mutate();
        }}
      >
        <p className={css.help}>{base ? t.publishText : t.createText}</p>
        {errors > 0 && <p className={css.errorNote} role="alert">{t.withErrors}</p>}
        {theirs && (
          <div className={css.conflict} role="alert">
            <strong>{t.conflictTitle}</strong>
            <p className={css.noMargin}>{t.conflictText}</p>
            <Group mt={8}>
              <Checkbox label={t.overwrite} checked={over} onChange={(e) => setOver(e.currentTarget.checked)} />
              <Button variant="default" onClick={() => onTheirs(theirs)}>{t.theirs}</Button>
            </Group>
          </div>
        )}
        <div className={css.diffBox}><DiffView before={readable((theirs ?? base)?.definition ?? '')} after={readable(text)} label={t.publishTitle(name)} beforeLabel={t.before} afterLabel={t.after} /></div>
        <Textarea label={t.description} description={t.descriptionText} value={description} onChange={(e) => setDescription(e.currentTarget.value)} maxLength={256} autosize minRows={1} data-autofocus />
        {publish.isError && <ErrorState error={publish.error} title={t.refused} />}
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>{common.cancel}</Button>
          <Button type="submit" loading={publish.isPending} disabled={errors > 0 || (theirs !== undefined && !over)}>{t.publish}</Button>
        </Group>
      </form>
    </Modal>
  );
}
