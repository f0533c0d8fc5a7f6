import { ActionIcon, Button, Menu, Modal, Select, TextInput } from '@mantine/core';
import { IconDots, IconPlus } from '@tabler/icons-react';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useRights } from '../../api/agents.ts';
import type { Role } from '../../api/session.ts';
import { peopleQuery, userActs, type OneTimeLink, type Person } from '../../api/settings.ts';
import { AgentAvatar, Confirm, CopyBlock, DataTable, ErrorState, Panel, TimeAgo } from '../../kit/index.ts';
import { common } from '../../strings/index.ts';
import { settings as t } from '../../strings/settings.ts';
import { failed, FormDialog, options, told } from './parts.tsx';
import css from './settings.module.css';

/** Who may come in, and as what. */
export function Users() {
  const people = useQuery(peopleQuery);
  const rights = useRights();
  const client = useQueryClient();
  const [adding, setAdding] = useState(false);
  const [link, setLink] = useState<{ name: string; link: OneTimeLink }>();
  const [removing, setRemoving] = useState<Person>();
  const fresh = () => client.invalidateQueries({ queryKey: ['users'] });
  const role = async (p: Person, to: Role) => {
    try {
      await userActs.change(p.name, { role: to });
      await fresh();
      told(t.saved);
    } catch (err) {
      failed(err);
    }
  };
  if (people.isError) return <ErrorState error={people.error} retry={() => void people.refetch()} />;
  return (
    <Panel title={t.sections.users!} text={rights.owns ? t.usersText : t.ownersOnly} bare actions={rights.owns && <Button leftSection={<IconPlus size={14} />} onClick={() => setAdding(true)}>{t.addUser}</Button>}>
      <DataTable<Person>
        plain
        name="users"
        label={t.sections.users!}
        rows={(people.data ?? []).filter((p) => !p.removed)}
        rowId={(p) => p.id}
        loading={people.isPending}
        columns={[
          { id: 'name', label: t.name, always: true, cell: (p) => <span style={{ display: 'inline-flex', gap: 8, alignItems: 'center' }}><AgentAvatar name={p.display || p.name} person size={22} /> {p.display || p.name}{p.id === rights.me?.id && <span className="dim">({t.you_})</span>}</span> },
          { id: 'signin', label: t.signInName, cell: (p) => p.name },
          { id: 'email', label: t.email, cell: (p) => p.email ?? '–' },
          { id: 'role', label: t.role, width: '150px', cell: (p) => (rights.owns && p.id !== rights.me?.id ? <Select aria-label={`${t.role}: ${p.name}`} value={p.role} data={options(t.roles)} onChange={(v) => v && void role(p, v as Role)} allowDeselect={false} /> : t.roles[p.role]) },
          ...(rights.owns
            ? [{
                id: 'more', label: '', always: true, width: '50px', align: 'right' as const, cell: (p: Person) => (
                  <Menu position="bottom-end">
                    <Menu.Target><ActionIcon aria-label={t.more(p.name)}><IconDots size={15} /></ActionIcon></Menu.Target>
                    <Menu.Dropdown>
                      <Menu.Item onClick={() => void userActs.reset(p.name).then((l) => setLink({ name: p.name, link: l }), failed)}>{t.resetUser}</Menu.Item>
                      {p.id !== rights.me?.id && <Menu.Item color="var(--ls-failed)" onClick={() => setRemoving(p)}>{t.removeUser}</Menu.Item>}
                    </Menu.Dropdown>
                  </Menu>
                ),
              }]
            : []),
        ]}
      />
      {adding && <AddUser onClose={() => setAdding(false)} onMade={(name, l) => { void fresh(); if (l) setLink({ name, link: l }); }} />}
      {link && (
        <Modal opened onClose={() => setLink(undefined)} title={t.linkTitle(link.name)} size={560} closeButtonProps={{ 'aria-label': common.close }}>
          <div className={css.stack}>
            <div>{t.linkText}</div>
            <CopyBlock label={t.link} text={link.link.url} />
            <div className="dim">{t.linkEnds} <TimeAgo at={link.link.ends_at} absolute /></div>
          </div>
        </Modal>
      )}
      {removing && <Confirm danger title={t.removeUserTitle(removing.name)} verb={t.removeUser} run={() => userActs.remove(removing.name).then(fresh)} onClose={() => setRemoving(undefined)}>{t.removeUserText}</Confirm>}
    </Panel>
  );
}

function AddUser({ onClose, onMade }: { onClose: () => void; onMade: (name: string, link: OneTimeLink | undefined) => void }) {
  const [name, setName] = useState('');
  const [display, setDisplay] = useState('');
  const [email, setEmail] = useState('');
  const [role, setRole] = useState<string>('member');
  const run = async () => {
    const made = await userActs.add({ name, ...(display ? { display } : {}), ...(email ? { email } : {}), role: role as Role });
    onMade(name, made.link);
  };
  return (
    <FormDialog title={t.addUser} verb={common.add} run={run} onClose={onClose}>
      <TextInput label={t.signInName} value={name} onChange={(e) => setName(e.currentTarget.value)} required data-autofocus />
      <TextInput label={t.display} value={display} onChange={(e) => setDisplay(e.currentTarget.value)} />
      <TextInput label={t.email} type="email" value={email} onChange={(e) => setEmail(e.currentTarget.value)} />
      <Select label={t.role} description={t.roleText[role]} value={role} data={options(t.roles)} onChange={(v) => setRole(v ?? 'member')} allowDeselect={false} />
    </FormDialog>
  );
}
