import { Button, Select, Textarea, TextInput } from '@mantine/core';
import { IconPlus } from '@tabler/icons-react';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useRights } from '../../api/agents.ts';
import { projectsQuery, usePeople } from '../../api/board.ts';
import { recurringActs, recurringQuery, templateActs, templatesQuery, type Recurring, type TaskOutline, type Template } from '../../api/settings.ts';
import { Confirm, DataTable, EmptyState, ErrorState, Panel, StatusBadge, TimeAgo } from '../../kit/index.ts';
import { common } from '../../strings/index.ts';
import { settings as t } from '../../strings/settings.ts';
import { failed, FormDialog } from './parts.tsx';
import css from './settings.module.css';

/** What fills in new tasks. */
export function Templates() {
  const list = useQuery(templatesQuery);
  const keyOf = new Map((useQuery(projectsQuery).data ?? []).map((p) => [p.id, p.key]));
  const client = useQueryClient();
  const rights = useRights();
  const [adding, setAdding] = useState(false);
  const [removing, setRemoving] = useState<Template>();
  const fresh = () => client.invalidateQueries({ queryKey: ['templates'] });
  const add = rights.comments && <Button leftSection={<IconPlus size={14} />} onClick={() => setAdding(true)}>{t.addTemplate}</Button>;
  if (list.isError) return <ErrorState error={list.error} retry={() => void list.refetch()} />;
  return (
    <Panel title={t.sections.templates!} bare actions={(list.data ?? []).length > 0 && add}>
      <DataTable<Template>
        plain
        name="templates"
        label={t.sections.templates!}
        rows={list.data ?? []}
        rowId={(x) => x.id}
        loading={list.isPending}
        empty={<EmptyState title={t.templatesEmpty} text={t.templatesText} action={add} />}
        columns={[
          { id: 'name', label: t.name, always: true, cell: (x) => x.name },
          { id: 'project', label: t.project, width: '100px', cell: (x) => keyOf.get(x.project) ?? x.project },
          { id: 'task', label: t.taskTitle, cell: (x) => x.task.title ?? '–' },
          { id: 'text', label: t.taskText, cell: (x) => x.description ?? x.task.description ?? '–' },
          { id: 'do', label: '', align: 'right', width: '100px', cell: (x) => rights.managesSome && <Button size="compact-xs" variant="default" aria-label={`${common.remove} ${x.name}`} onClick={() => setRemoving(x)}>{common.remove}</Button> },
        ]}
      />
      {adding && <TaskForm kind="template" onClose={() => setAdding(false)} onMade={() => void fresh()} />}
      {removing && <Confirm danger title={t.removeTitle(removing.name)} verb={common.remove} run={() => templateActs.remove(removing.id).then(fresh)} onClose={() => setRemoving(undefined)}>{t.removeTemplateText}</Confirm>}
    </Panel>
  );
}

/** Tasks that are made again and again. */
export function RecurringTasks() {
  const list = useQuery(recurringQuery);
  const keyOf = new Map((useQuery(projectsQuery).data ?? []).map((p) => [p.id, p.key]));
  const client = useQueryClient();
  const rights = useRights();
  const [adding, setAdding] = useState(false);
  const [removing, setRemoving] = useState<Recurring>();
  const fresh = () => client.invalidateQueries({ queryKey: ['recurring'] });
  const add = rights.comments && <Button leftSection={<IconPlus size={14} />} onClick={() => setAdding(true)}>{t.addRecurring}</Button>;
  if (list.isError) return <ErrorState error={list.error} retry={() => void list.refetch()} />;
  return (
    <Panel title={t.sections.recurring!} bare actions={(list.data ?? []).length > 0 && add}>
      <DataTable<Recurring>
        plain
        name="recurring"
        label={t.sections.recurring!}
        rows={list.data ?? []}
        rowId={(x) => x.id}
        loading={list.isPending}
        empty={<EmptyState title={t.recurringEmpty} text={t.recurringText} action={add} />}
        columns={[
          { id: 'name', label: t.name, always: true, cell: (x) => <>{x.name} {x.paused && <StatusBadge status="paused" size="sm" />}</> },
          { id: 'project', label: t.project, width: '90px', cell: (x) => keyOf.get(x.project) ?? x.project },
          { id: 'task', label: t.taskTitle, cell: (x) => x.task.title ?? '–' },
          { id: 'when', label: t.expression, cell: (x) => <span className="mono">{x.expression}</span> },
          { id: 'next', label: t.next, width: '120px', cell: (x) => <TimeAgo at={x.next_at} /> },
          { id: 'made', label: t.made, align: 'right', width: '70px', cell: (x) => x.made },
          { id: 'error', label: t.error, cell: (x) => x.last_error ?? '–' },
          {
            id: 'do', label: '', align: 'right', width: '170px', cell: (x) => rights.managesSome && (
              <span style={{ display: 'inline-flex', gap: 6 }}>
                <Button size="compact-xs" variant="default" onClick={() => void recurringActs.pause(x).then(fresh, failed)}>{x.paused ? t.resume : t.pause}</Button>
                <Button size="compact-xs" variant="default" aria-label={`${common.remove} ${x.name}`} onClick={() => setRemoving(x)}>{common.remove}</Button>
              </span>
            ),
          },
        ]}
      />
      {adding && <TaskForm kind="recurring" onClose={() => setAdding(false)} onMade={() => void fresh()} />}
      {removing && <Confirm danger title={t.removeTitle(removing.name)} verb={common.remove} run={() => recurringActs.remove(removing.id).then(fresh)} onClose={() => setRemoving(undefined)}>{t.removeRecurringText}</Confirm>}
    </Panel>
  );
}

function TaskForm({ kind, onClose, onMade }: { kind: 'template' | 'recurring'; onClose: () => void; onMade: () => void }) {
  const projects = useQuery(projectsQuery).data ?? [];
  const people = usePeople();
  const [name, setName] = useState('');
  const [project, setProject] = useState<string | null>(projects[0]?.key ?? null);
  const [title, setTitle] = useState('');
  const [text, setText] = useState('');
  const [assignee, setAssignee] = useState<string | null>(null);
  const [expression, setExpression] = useState('rate(1 day)');
  const [zone, setZone] = useState(Intl.DateTimeFormat().resolvedOptions().timeZone);
  const run = async () => {
    const task: TaskOutline = { title, ...(text ? { description: text } : {}), ...(assignee ? { assignee } : {}) };
    if (kind === 'template') await templateActs.add({ name, project: project ?? '', task });
    else await recurringActs.add({ name, project: project ?? '', expression, timezone: zone, task });
    onMade();
  };
  return (
    <FormDialog title={kind === 'template' ? t.addTemplate : t.addRecurring} verb={common.add} run={run} onClose={onClose}>
      <div className={css.pair}>
        <TextInput label={t.name} value={name} onChange={(e) => setName(e.currentTarget.value)} required data-autofocus />
        <Select label={t.project} data={projects.map((p) => p.key)} value={project} onChange={setProject} allowDeselect={false} required />
      </div>
      {kind === 'recurring' && (
        <div className={css.pair}>
          <TextInput label={t.expression} description={t.expressionText} value={expression} onChange={(e) => setExpression(e.currentTarget.value)} required />
          <TextInput label={t.zone} value={zone} onChange={(e) => setZone(e.currentTarget.value)} required />
        </div>
      )}
      <TextInput label={t.taskTitle} {...(kind === 'recurring' ? { description: t.taskTitleText } : {})} value={title} onChange={(e) => setTitle(e.currentTarget.value)} required={kind === 'recurring'} />
      <Textarea label={t.taskText} value={text} onChange={(e) => setText(e.currentTarget.value)} autosize minRows={2} />
      <Select label={t.assignee} placeholder={t.nobody} data={people.all.map((p) => ({ value: `@${p.slug}`, label: p.name }))} value={assignee} onChange={setAssignee} clearable searchable clearButtonProps={{ 'aria-label': t.nobody }} />
    </FormDialog>
  );
}
