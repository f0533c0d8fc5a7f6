import { Button, Group, Modal, TextInput } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { deleteMachine, type MachineRow } from '../../api/machines.ts';
import { ErrorState } from '../../kit/index.ts';
import { common } from '../../strings/index.ts';
import { machines as t } from '../../strings/machines.ts';
import css from './Machines.module.css';

/** Deletes a machine after its name was typed. */
export function DeleteDialog({ row, onClose, onDeleted }: { row: MachineRow; onClose: () => void; onDeleted: () => void }) {
  const [typed, setTyped] = useState('');
  const cache = useQueryClient();
  const go = useMutation({
    mutationFn: () => deleteMachine(row.arn),
    onSuccess: () => {
      void cache.invalidateQueries({ queryKey: ['machines', 'rows'] });
      void cache.invalidateQueries({ queryKey: ['machines', 'all'] });
      onDeleted();
    },
  });
  return (
    <Modal opened onClose={onClose} title={t.deleteTitle(row.name)} closeButtonProps={{ 'aria-label': common.close }}>
      <form
        className={css.dialog}
        onSubmit={(e) => {
          e.preventDefault();
          if (typed === row.name) go.mutate();
        }}
      >
        <p style={{ margin: 0 }}>{t.deleteText(row.name, row.running)}</p>
        <TextInput label={t.deleteConfirm(row.name)} value={typed} onChange={(e) => setTyped(e.currentTarget.value)} data-autofocus autoComplete="off" />
        {go.isError && <ErrorState error={go.error} title={t.deleteTitle(row.name)} />}
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>{common.cancel}</Button>
          <Button type="submit" color="red" loading={go.isPending} disabled={typed !== row.name}>{t.delete}</Button>
        </Group>
      </form>
    </Modal>
  );
}
