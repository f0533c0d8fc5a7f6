import { Button, NumberInput, Select, Switch, TextInput } from '@mantine/core';
import { IconPlus } from '@tabler/icons-react';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { useState, type FormEvent } from 'react';
import { useRights } from '../../api/agents.ts';
import { act, projectsQuery, useMe } from '../../api/board.ts';
import type { Role } from '../../api/session.ts';
import { changeProject, memberActs, membersQuery, peopleQuery, projectQuery, type FullProject, type Member, type Policies } from '../../api/settings.ts';
import { Confirm, DataTable, EmptyState, ErrorState, Panel } from '../../kit/index.ts';
import { common } from '../../strings/index.ts';
import { settings as t } from '../../strings/settings.ts';
import { failed, FormDialog, options, told } from './parts.tsx';
import css from './settings.module.css';

/** A project's name, members and rules. */
export function Projects() {
  const search = useSearch({ strict: false }) as { project?: string };
  const navigate = useNavigate();
  const projects = useQuery(projectsQuery);
  const rights = useRights();
  const [adding, setAdding] = useState(false);
  const list = projects.data ?? [];
  const key = list.find((p) => p.key === search.project)?.key ?? list[0]?.key;
  const choose = (project: string | null) => void navigate({ to: '/settings/$section', params: { section: 'projects' }, search: { project: project ?? undefined }, replace: true });
  const add = rights.manages && <Button leftSection={<IconPlus size={14} />} variant={key ? 'default' : 'filled'} onClick={() => setAdding(true)}>{t.addProject}</Button>;
  if (projects.isError) return <ErrorState error={projects.error} retry={() => void projects.refetch()} />;
  return (
    <>
      {projects.isSuccess && !key ? (
        <EmptyState title={t.noProjects} text={t.noProjectsText} action={add} />
      ) : (
        key && (
          <>
            <div className={css.row} style={{ marginBottom: 20 }}>
              <Select label={t.project} value={key} data={list.map((p) => ({ value: p.key, label: p.name && p.name !== p.key ? `${p.key} · ${p.name}` : p.key }))} onChange={choose} allowDeselect={false} style={{ width: 280 }} />
              <span style={{ flex: 1 }} />
              {add}
            </div>
            <Members key={`m-${key}`} project={key} />
            <PoliciesOf key={`p-${key}`} project={key} />
          </>
        )
      )}
      {adding && <AddProject onClose={() => setAdding(false)} onMade={choose} />}
    </>
  );
}

function AddProject({ onClose, onMade }: { onClose: () => void; onMade: (key: string) => void }) {
  const client = useQueryClient();
  const [key, setKey] = useState('');
  const [name, setName] = useState('');
  const run = async () => {
    await act.project(key, name);
    await client.invalidateQueries({ queryKey: ['projects'] });
    onMade(key);
  };
  return (
    <FormDialog title={t.addProject} verb={common.add} run={run} onClose={onClose}>
      <TextInput label={t.projectKey} placeholder="WEB" value={key} onChange={(e) => setKey(e.currentTarget.value.toUpperCase())} required data-autofocus />
      <TextInput label={t.name} value={name} onChange={(e) => setName(e.currentTarget.value)} />
    </FormDialog>
  );
}

function Members({ project }: { project: string }) {
  const members = useQuery(membersQuery(project));
  const rights = useRights();
  const client = useQueryClient();
  const people = useQuery({ ...peopleQuery, enabled: rights.owns }).data ?? [];
  const [adding, setAdding] = useState(false);
  const [removing, setRemoving] = useState<Member>();
  const fresh = () => client.invalidateQueries({ queryKey: ['members', project] });
  const set = (user: string, role: string | null) => role && void memberActs.set(project, user, role as Role).then(() => { told(t.saved); return fresh(); }, failed);
  const editable = rights.owns && !rights.dev;
  return (
    <Panel title={t.membersTitle} text={t.membersText} bare actions={editable && <Button variant="default" onClick={() => setAdding(true)}>{t.addMember}</Button>}>
      {members.isError ? (
        <ErrorState error={members.error} retry={() => void members.refetch()} />
      ) : (
        <DataTable<Member>
          plain
          name="members"
          label={t.membersTitle}
          rows={members.data ?? []}
          rowId={(m) => m.id}
          loading={members.isPending}
          empty={<p className="dim" style={{ padding: '4px 16px' }}>{common.none}</p>}
          columns={[
            { id: 'user', label: t.user, always: true, cell: (m) => m.user },
            { id: 'role', label: t.role, width: '170px', cell: (m) => (editable ? <Select aria-label={`${t.role}: ${m.user}`} value={m.role} data={options(t.roles)} onChange={(v) => set(m.user, v)} allowDeselect={false} /> : t.roles[m.role]) },
            ...(editable ? [{ id: 'do', label: '', align: 'right' as const, width: '110px', cell: (m: Member) => <Button size="compact-xs" variant="default" aria-label={`${t.removeMember} ${m.user}`} onClick={() => setRemoving(m)}>{t.removeMember}</Button> }] : []),
          ]}
        />
      )}
      {adding && <AddMember project={project} people={people.filter((p) => !p.removed).map((p) => p.name)} onClose={() => setAdding(false)} onMade={() => void fresh()} />}
      {removing && <Confirm danger title={t.removeMemberTitle(removing.user, project)} verb={t.removeMember} run={() => memberActs.remove(project, removing.user).then(fresh)} onClose={() => setRemoving(undefined)}>{t.removeMemberText}</Confirm>}
    </Panel>
  );
}

function AddMember({ project, people, onClose, onMade }: { project: string; people: string[]; onClose: () => void; onMade: () => void }) {
  const [user, setUser] = useState<string | null>(null);
  const [role, setRole] = useState<string>('member');
  return (
    <FormDialog title={t.addMember} verb={common.add} run={() => memberActs.set(project, user ?? '', role as Role).then(onMade)} onClose={onClose}>
      <Select label={t.user} data={people} value={user} onChange={setUser} searchable required />
      <Select label={t.role} description={t.roleText[role]} data={options(t.roles)} value={role} onChange={(v) => setRole(v ?? 'member')} allowDeselect={false} />
    </FormDialog>
  );
}

const numbers = ['max_attempts', 'max_rework', 'failing_after', 'mentions_per_hour'] as const;
const minutes = ['lease', 'stall_after'] as const;
const switches = ['pause_failing', 'approve_handoffs'] as const;

function PoliciesOf({ project }: { project: string }) {
  const found = useQuery(projectQuery(project));
  if (found.isError) return <ErrorState error={found.error} retry={() => void found.refetch()} />;
  return found.data ? <PolicyForm key={found.data.version} project={found.data} /> : null;
}

function PolicyForm({ project }: { project: FullProject }) {
  const client = useQueryClient();
  const me = useMe();
  const manages = me.manages(project.id);
  const [name, setName] = useState(project.name);
  const [p, setP] = useState<Policies>(project.policies);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const set = (change: Policies) => setP((old) => ({ ...old, ...change }));
  const save = async (e: FormEvent) => {
    e.preventDefault();
    setBusy(true);
    setError(undefined);
    try {
      // Asked for anew: its version moves with each task that it numbers.
      const { version } = await client.fetchQuery({ ...projectQuery(project.key), staleTime: 0 });
      await changeProject(project.key, { name, policies: p }, version);
      told(t.saved);
      await client.invalidateQueries({ queryKey: ['projects'] });
    } catch (err) {
      setError(err);
    } finally {
      setBusy(false);
    }
  };
  const off = { disabled: !manages };
  return (
    <Panel title={t.policiesTitle} text={t.policiesText}>
      <form onSubmit={(e) => void save(e)} className={css.stack}>
        {error !== undefined && <ErrorState error={error} title={common.failed} />}
        <TextInput label={t.name} value={name} onChange={(e) => setName(e.currentTarget.value)} {...off} />
        <div className={css.pair}>
          <Select label={t.policies.review_mode} value={p.review_mode ?? 'human'} data={options(t.reviewModes)} onChange={(v) => v && set({ review_mode: v })} allowDeselect={false} {...off} />
          <Select label={t.policies.on_expiry} value={p.on_expiry ?? 'escalate'} data={options(t.expiries)} onChange={(v) => v && set({ on_expiry: v })} allowDeselect={false} {...off} />
          {numbers.map((n) => <NumberInput key={n} label={t.policies[n]} min={0} value={p[n] ?? 0} onChange={(v) => set({ [n]: Number(v) })} {...off} />)}
          {minutes.map((n) => <NumberInput key={n} label={t.policies[n]} min={0} step={1} value={(p[n] ?? 0) / 60} onChange={(v) => set({ [n]: Math.round(Number(v) * 60) })} {...off} />)}
        </div>
        {switches.map((n) => <Switch key={n} label={t.policies[n]} checked={p[n] ?? false} onChange={(e) => set({ [n]: e.currentTarget.checked })} {...off} />)}
        {manages && <div><Button type="submit" loading={busy}>{common.save}</Button></div>}
      </form>
    </Panel>
  );
}
