import { Button, Modal, Select, TextInput } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import { useState, type ReactNode } from 'react';
import { useRights } from '../../api/agents.ts';
import { aws } from '../../api/aws.ts';
import { apiPath, rest, send } from '../../api/http.ts';
import { machinesQuery } from '../../api/machines.ts';
import { Confirm, DataTable, EmptyState, ErrorState, IdChip, Panel, StatusBadge, TimeAgo, type Column } from '../../kit/index.ts';
import { common } from '../../strings/index.ts';
import { ops as t } from '../../strings/ops.ts';
import { FormDialog } from '../settings/parts.tsx';
import css from './activity.module.css';

const failed = (err: unknown) => notifications.show({ color: 'red', title: common.failed, message: err instanceof Error ? err.message : String(err) });

/** A plain table of what a call lists. */
function Listed<Row extends object>({ part, text, empty, path, name, id, columns, actions }: { part: string; text: string; empty: string; path: string; name: string; id: (r: Row) => string; columns: Column<Row>[]; actions?: ReactNode }) {
  const list = useQuery({ queryKey: ['engine', path], queryFn: async ({ signal }) => (await rest<Record<string, Row[]>>(path, { signal }))[name] ?? [] });
  if (list.isError) return <ErrorState error={list.error} retry={() => void list.refetch()} />;
  return (
    <Panel title={t.sections[part]!} text={text} bare {...(actions ? { actions } : {})}>
      <DataTable<Row> plain name={part} label={t.sections[part]!} rows={list.data ?? []} rowId={id} loading={list.isPending} empty={<EmptyState title={empty} {...(commands[part] ? { command: commands[part] } : {})} />} columns={columns} />
    </Panel>
  );
}

const commands: Record<string, string> = { schedules: 'lockstep schedule --help', triggers: 'lockstep trigger --help', connections: 'lockstep connection --help', functions: 'lockstep fn --help' };

interface Activity {
  activityArn: string;
  name: string;
  creationDate: number;
}

const activitiesQuery = {
  queryKey: ['engine', 'activities'],
  queryFn: async ({ signal }: { signal: AbortSignal }) => {
    const all: Activity[] = [];
    let nextToken: string | undefined;
    for (let i = 0; i < 10; i++) {
      const page = (await aws('ListActivities', { maxResults: 1000, ...(nextToken ? { nextToken } : {}) }, signal)) as { activities: Activity[]; nextToken?: string };
      all.push(...page.activities);
      nextToken = page.nextToken;
      if (!nextToken) break;
    }
    return all;
  },
};

export function Activities() {
  const list = useQuery(activitiesQuery);
  const client = useQueryClient();
  const rights = useRights();
  const [adding, setAdding] = useState(false);
  const [removing, setRemoving] = useState<Activity>();
  const [name, setName] = useState('');
  const fresh = () => client.invalidateQueries({ queryKey: ['engine', 'activities'] });
  const edits = rights.can('machines');
  const add = edits && <Button variant="default" onClick={() => setAdding(true)}>{t.newActivity}</Button>;
  if (list.isError) return <ErrorState error={list.error} retry={() => void list.refetch()} />;
  return (
    <Panel title={t.sections.activities!} text={t.activitiesText} bare actions={add}>
      <DataTable<Activity>
        plain
        name="activities"
        label={t.sections.activities!}
        rows={list.data ?? []}
        rowId={(a) => a.activityArn}
        loading={list.isPending}
        empty={<EmptyState title={t.activitiesEmpty} />}
        columns={[
          { id: 'name', label: t.name, always: true, cell: (a) => a.name },
          { id: 'arn', label: 'ARN', cell: (a) => <IdChip id={a.activityArn} most={60} /> },
          { id: 'created', label: t.created, width: '140px', cell: (a) => <TimeAgo at={a.creationDate} /> },
          ...(edits ? [{ id: 'do', label: '', align: 'right' as const, width: '100px', cell: (a: Activity) => <Button size="compact-xs" variant="default" aria-label={`${t.remove} ${a.name}`} onClick={() => setRemoving(a)}>{t.remove}</Button> }] : []),
        ]}
      />
      {adding && (
        <FormDialog title={t.newActivity} verb={common.add} run={() => aws('CreateActivity', { name }).then(fresh)} onClose={() => setAdding(false)}>
          <TextInput label={t.name} value={name} onChange={(e) => setName(e.currentTarget.value)} required data-autofocus />
        </FormDialog>
      )}
      {removing && <Confirm danger title={t.removeTitle(removing.name)} verb={t.remove} run={() => aws('DeleteActivity', { activityArn: removing.activityArn }).then(fresh)} onClose={() => setRemoving(undefined)}>{t.removeActivity}</Confirm>}
    </Panel>
  );
}

interface Schedule {
  name: string;
  machine: string;
  expression: string;
  timezone?: string;
  next?: string;
  last?: string;
  last_error?: string;
  paused?: boolean;
  started: number;
}

const machine = (name: string) => <Link to="/machines/$name" params={{ name: name.split(':').pop() ?? name }}>{name.split(':').pop()}</Link>;

export function Schedules() {
  const client = useQueryClient();
  const rights = useRights();
  const flip = (s: Schedule) => void rest(`/schedules/${encodeURIComponent(s.name)}/${s.paused ? 'resume' : 'pause'}`, { method: 'POST' }).then(() => client.invalidateQueries({ queryKey: ['engine', '/schedules'] }), failed);
  return (
    <Listed<Schedule>
      part="schedules" path="/schedules" name="schedules" text={t.schedulesText} empty={t.schedulesEmpty} id={(s) => s.name}
      columns={[
        { id: 'name', label: t.name, always: true, cell: (s) => <>{s.name} {s.paused && <StatusBadge status="paused" size="sm" />}</> },
        { id: 'machine', label: t.machine, cell: (s) => machine(s.machine) },
        { id: 'when', label: t.expression, cell: (s) => <span className="mono">{s.expression}</span> },
        { id: 'next', label: t.next, width: '120px', cell: (s) => <TimeAgo at={s.next} /> },
        { id: 'last', label: t.last, width: '120px', cell: (s) => <TimeAgo at={s.last} /> },
        { id: 'started', label: t.started, align: 'right', width: '80px', cell: (s) => s.started },
        { id: 'error', label: t.error, cell: (s) => s.last_error ?? '–' },
        ...(rights.can('machines') ? [{ id: 'do', label: '', align: 'right' as const, width: '90px', cell: (s: Schedule) => <Button size="compact-xs" variant="default" aria-label={`${s.paused ? t.resume : t.pause} ${s.name}`} onClick={() => flip(s)}>{s.paused ? t.resume : t.pause}</Button> }] : []),
      ]}
    />
  );
}

interface Trigger {
  name: string;
  type: string;
  machine: string;
  path?: string;
  bucket?: string;
  paused?: boolean;
  last?: string;
  last_error?: string;
}

export function Triggers() {
  return (
    <Listed<Trigger>
      part="triggers" path="/triggers" name="triggers" text={t.triggersText} empty={t.triggersEmpty} id={(x) => x.name}
      columns={[
        { id: 'name', label: t.name, always: true, cell: (x) => <>{x.name} {x.paused && <StatusBadge status="paused" size="sm" />}</> },
        { id: 'type', label: t.type, width: '110px', cell: (x) => x.type },
        { id: 'machine', label: t.machine, cell: (x) => machine(x.machine) },
        { id: 'path', label: t.path, cell: (x) => (x.path ? <IdChip id={x.path} most={40} /> : (x.bucket ?? '–')) },
        { id: 'last', label: t.last, width: '120px', cell: (x) => <TimeAgo at={x.last} /> },
        { id: 'error', label: t.error, cell: (x) => x.last_error ?? '–' },
      ]}
    />
  );
}

interface Connection {
  name: string;
  type: string;
  description?: string;
  updated_at?: string;
  created_at?: string;
}

export function Connections() {
  const rights = useRights();
  const test = (c: Connection) =>
    void rest<{ ok: boolean; message: string }>(`/connections/${encodeURIComponent(c.name)}/test`, { method: 'POST', body: {} }).then((said) => notifications.show({ ...(said.ok ? {} : { color: 'red', title: common.failed }), message: said.message }), failed);
  return (
    <Listed<Connection>
      part="connections" path="/connections" name="connections" text={t.connectionsText} empty={t.connectionsEmpty} id={(c) => c.name}
      columns={[
        { id: 'name', label: t.name, always: true, cell: (c) => c.name },
        { id: 'type', label: t.type, width: '150px', cell: (c) => c.type },
        { id: 'description', label: t.what, cell: (c) => c.description ?? '–' },
        { id: 'changed', label: t.changed, width: '130px', cell: (c) => <TimeAgo at={c.updated_at ?? c.created_at} /> },
        ...(rights.manages ? [{ id: 'do', label: '', align: 'right' as const, width: '80px', cell: (c: Connection) => <Button size="compact-xs" variant="default" aria-label={`${t.test} ${c.name}`} onClick={() => test(c)}>{t.test}</Button> }] : []),
      ]}
    />
  );
}

interface Fn {
  name?: string;
  Name?: string;
  runtime?: string;
  state?: string;
  memory?: number;
  [more: string]: unknown;
}

export function Functions() {
  const rights = useRights();
  const [logs, setLogs] = useState<string>();
  if (rights.dev) return <Panel title={t.sections.functions!} text={t.functionsText}><EmptyState title={t.sections.functions!} text={t.functionsDev} command="lockstep fn ls" /></Panel>;
  if (!rights.manages) return <p className="dim">{t.functionsRight}</p>;
  const name = (f: Fn) => String(f.name ?? f.Name ?? '');
  return (
    <>
      <Listed<Fn>
        part="functions" path="/functions" name="functions" text={t.functionsText} empty={t.functionsEmpty} id={name}
        columns={[
          { id: 'name', label: t.name, always: true, cell: name },
          { id: 'command', label: t.what, cell: (f) => <span className="mono">{Array.isArray(f.command) ? f.command.join(' ') : '–'}</span> },
          { id: 'state', label: t.state, width: '130px', cell: (f) => String(f.state ?? '–') },
          { id: 'do', label: '', align: 'right', width: '80px', cell: (f) => <Button size="compact-xs" variant="default" aria-label={`${t.logs} ${name(f)}`} onClick={() => setLogs(name(f))}>{t.logs}</Button> },
        ]}
      />
      {logs && <Logs name={logs} onClose={() => setLogs(undefined)} />}
    </>
  );
}

function Logs({ name, onClose }: { name: string; onClose: () => void }) {
  const logs = useQuery({ queryKey: ['engine', 'logs', name], refetchInterval: 2000, queryFn: ({ signal }) => send(apiPath(`/functions/${encodeURIComponent(name)}/logs`, { tail: 500 }), { method: 'GET', signal }) });
  return (
    <Modal opened onClose={onClose} title={t.logsOf(name)} size={900} closeButtonProps={{ 'aria-label': common.close }}>
      {logs.isError ? <ErrorState error={logs.error} retry={() => void logs.refetch()} /> : <pre className={css.logs} tabIndex={0}>{logs.data === '' ? t.noLogs : (logs.data ?? '')}</pre>}
    </Modal>
  );
}

interface Tag {
  key: string;
  value: string;
}

export function Tags() {
  const search = useSearch({ strict: false }) as { of?: string };
  const navigate = useNavigate();
  const client = useQueryClient();
  const rights = useRights();
  const machines = useQuery(machinesQuery).data ?? [];
  const activities = useQuery(activitiesQuery).data ?? [];
  const arns = [...machines.map((m) => ({ value: m.stateMachineArn, label: m.name })), ...activities.map((a) => ({ value: a.activityArn, label: `${a.name} (${t.sections.activities!.toLowerCase()})` }))];
  const of = arns.find((a) => a.value === search.of)?.value ?? arns[0]?.value;
  const tags = useQuery({ queryKey: ['engine', 'tags', of], enabled: !!of, queryFn: async ({ signal }) => ((await aws('ListTagsForResource', { resourceArn: of }, signal)) as { tags: Tag[] }).tags });
  const [adding, setAdding] = useState(false);
  const [key, setKey] = useState('');
  const [value, setValue] = useState('');
  const fresh = () => client.invalidateQueries({ queryKey: ['engine', 'tags'] });
  const edits = rights.can('machines');
  if (!of) return <EmptyState title={t.tagsNothing} text={t.tagsText} />;
  return (
    <Panel title={t.sections.tags!} text={t.tagsText} bare actions={<><Select aria-label={t.resource} value={of} data={arns} onChange={(v) => void navigate({ to: '/ops', search: { show: 'tags', of: v ?? undefined } as never, replace: true })} allowDeselect={false} searchable style={{ width: 260 }} />{edits && <Button variant="default" onClick={() => setAdding(true)}>{t.addTag}</Button>}</>}>
      {tags.isError ? (
        <ErrorState error={tags.error} retry={() => void tags.refetch()} />
      ) : (
        <DataTable<Tag>
          plain
          name="tags"
          label={t.sections.tags!}
          rows={tags.data ?? []}
          rowId={(x) => x.key}
          loading={tags.isPending}
          empty={<p className="dim" style={{ padding: '4px 16px' }}>{t.tagsEmpty}</p>}
          columns={[
            { id: 'key', label: t.key, always: true, cell: (x) => x.key },
            { id: 'value', label: t.value, cell: (x) => x.value },
            ...(edits ? [{ id: 'do', label: '', align: 'right' as const, width: '100px', cell: (x: Tag) => <Button size="compact-xs" variant="default" aria-label={`${t.remove} ${x.key}`} onClick={() => void aws('UntagResource', { resourceArn: of, tagKeys: [x.key] }).then(fresh, failed)}>{t.remove}</Button> }] : []),
          ]}
        />
      )}
      {adding && (
        <FormDialog title={t.addTag} verb={common.add} run={() => aws('TagResource', { resourceArn: of, tags: [{ key, value }] }).then(fresh)} onClose={() => setAdding(false)}>
          <TextInput label={t.key} value={key} onChange={(e) => setKey(e.currentTarget.value)} required data-autofocus />
          <TextInput label={t.value} value={value} onChange={(e) => setValue(e.currentTarget.value)} />
        </FormDialog>
      )}
    </Panel>
  );
}
