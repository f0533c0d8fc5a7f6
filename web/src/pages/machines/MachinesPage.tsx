import { ActionIcon, Badge, Button, Menu, TextInput, Tooltip } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { IconBinaryTree2, IconDots, IconPencil, IconPlayerPlay, IconPlus, IconSearch } from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import { useRef, useState } from 'react';
import { aws } from '../../api/aws.ts';
import { startExecution } from '../../api/executions.ts';
import { examplesQuery, freeName, machineRowsQuery, usualRole, type Example, type MachineRow } from '../../api/machines.ts';
import { useShortcuts } from '../../app/keys.ts';
import { Page } from '../../app/Page.tsx';
import { DataTable, EmptyState, ErrorState, formatDuration, Money, NoMatch, type Column } from '../../kit/index.ts';
import { shell } from '../../strings/index.ts';
import { machines as t } from '../../strings/machines.ts';
import { EditedBy } from './EditedBy.tsx';
import { DeleteDialog } from './DeleteDialog.tsx';
import css from './Machines.module.css';
import { RunBars } from './RunBars.tsx';
import { StartDialog } from './StartDialog.tsx';
import { Thumbnail } from './Thumbnail.tsx';

const percent = (rate: number | null) => (rate === null ? '–' : `${Math.round(rate * 1000) / 10}%`);
const span = (ms: number | null) => (ms === null ? '–' : formatDuration(ms));

/** All state machines: how they do, and what can be done with them. */
export function MachinesPage() {
  const rows = useQuery(machineRowsQuery);
  const search = useSearch({ strict: false }) as { q?: string };
  const navigate = useNavigate();
  const cache = useQueryClient();
  const [starting, setStarting] = useState<MachineRow | null>(null);
  const [deleting, setDeleting] = useState<MachineRow | null>(null);
  const filter = useRef<HTMLInputElement>(null);
  const query = (search.q ?? '').toLowerCase();
  const all = rows.data ?? [];
  const shown = all.filter((r) => r.name.toLowerCase().includes(query));
  const setQuery = (q: string) => void navigate({ to: '.', search: { q: q || undefined }, replace: true } as never);

  /** The row that has the focus; s and e are about it. */
  const focused = (): MachineRow | undefined => {
    const i = Number(document.activeElement?.closest<HTMLElement>('tr[data-index]')?.dataset.index ?? NaN);
    return Number.isNaN(i) ? undefined : shown[i];
  };
  const edit = (r: MachineRow) => void navigate({ to: '/machines/$name/edit', params: { name: r.name } });
  const duplicate = useMutation({
    mutationFn: async (r: MachineRow) => {
      const from = await aws('DescribeStateMachine', { stateMachineArn: r.arn });
      const name = freeName(`${r.name}-copy`.slice(0, 76), new Set(all.map((x) => x.name)));
      await aws('CreateStateMachine', { name, definition: from.definition, roleArn: from.roleArn, type: from.type });
      return name;
    },
    onSuccess: (name) => {
      notifications.show({ message: t.made(name) });
      void cache.invalidateQueries({ queryKey: ['machines'] });
    },
    onError: (err) => notifications.show({ title: t.duplicate, message: err.message, color: 'red' }),
  });
  useShortcuts([
    { keys: 'n', label: t.new, group: t.groupKeys, run: () => void navigate({ to: '/machines/new' }) },
    { keys: 's', label: t.start, group: t.groupKeys, run: () => { const r = focused(); if (r) setStarting(r); } },
    { keys: 'e', label: t.edit, group: t.groupKeys, run: () => { const r = focused(); if (r) edit(r); } },
    { keys: '/', label: shell.keys.filter, group: shell.keys.lists, run: () => filter.current?.focus() },
  ]);

  const columns: Column<MachineRow>[] = [
    { id: 'name', label: t.columns.name, always: true, cell: (r) => <Link to="/machines/$name" params={{ name: r.name }} className={css.name}>{r.name}</Link> },
    { id: 'type', label: t.columns.type, width: '92px', cell: (r) => t.types[r.type] ?? r.type },
    { id: 'language', label: t.columns.language, width: '124px', cell: (r) => r.query_language, hidden: window.innerWidth < 1200 },
    { id: 'versions', label: t.columns.versions, width: '84px', align: 'right', cell: (r) => (r.versions >= 100 ? '100+' : r.versions) },
    { id: 'edited', label: t.columns.edited, width: '132px', cell: (r) => <EditedBy row={r} short />, hidden: window.innerWidth < 1100 },
    { id: 'runs', label: t.columns.runs, width: '136px', cell: (r) => <RunBars runs={r.runs} /> },
    { id: 'success', label: t.columns.success, width: '82px', align: 'right', cell: (r) => percent(r.success_rate) },
    { id: 'p50', label: t.columns.p50, width: '82px', align: 'right', cell: (r) => span(r.p50_ms), hidden: window.innerWidth < 1100 },
    { id: 'p95', label: t.columns.p95, width: '82px', align: 'right', cell: (r) => span(r.p95_ms) },
    { id: 'running', label: t.columns.running, width: '78px', align: 'right', cell: (r) => (r.running > 0 ? <span style={{ color: 'var(--ls-running)' }}>{r.running.toLocaleString('en-US')}</span> : '0') },
    { id: 'cost', label: t.columns.cost, width: '104px', align: 'right', cell: (r) => <Money nano={r.cost_nano} /> },
    {
      id: 'actions',
      label: t.actions,
      width: '112px',
      align: 'right',
      always: true,
      cell: (r) => (
        <span className={css.rowActions}>
          <Tooltip label={t.start}><ActionIcon aria-label={`${t.start} ${r.name}`} onClick={() => setStarting(r)}><IconPlayerPlay size={15} /></ActionIcon></Tooltip>
          <Tooltip label={t.edit}><ActionIcon aria-label={`${t.edit} ${r.name}`} onClick={() => edit(r)}><IconPencil size={15} /></ActionIcon></Tooltip>
          <Menu position="bottom-end">
            <Menu.Target><ActionIcon aria-label={t.more(r.name)}><IconDots size={15} /></ActionIcon></Menu.Target>
            <Menu.Dropdown>
              <Menu.Item onClick={() => duplicate.mutate(r)}>{t.duplicate}</Menu.Item>
              <Menu.Item color="var(--ls-failed)" onClick={() => setDeleting(r)}>{t.delete}</Menu.Item>
            </Menu.Dropdown>
          </Menu>
        </span>
      ),
    },
  ];
  const none = rows.isSuccess && all.length === 0;
  return (
    <Page
      title={t.title}
      beside={all.length > 0 ? <Badge variant="default" radius="sm" className="num">{all.length}</Badge> : undefined}
      actions={<Button component={Link} to="/machines/new" leftSection={<IconPlus size={15} />}>{t.new}</Button>}
    >
      {rows.isError ? (
        <ErrorState error={rows.error} retry={() => void rows.refetch()} />
      ) : none ? (
        <EmptyState icon={<IconBinaryTree2 size={30} stroke={1.5} />} title={t.emptyTitle} text={t.emptyText}><Templates /></EmptyState>
      ) : (
        <DataTable<MachineRow>
          name="machines"
          label={t.title}
          columns={columns}
          rows={shown}
          rowId={(r) => r.arn}
          rowLabel={(r) => r.name}
          loading={rows.isPending}
          onOpen={(r) => void navigate({ to: '/machines/$name', params: { name: r.name } })}
          toolbar={<TextInput ref={filter} w={280} aria-label={t.filter} placeholder={t.filter} leftSection={<IconSearch size={14} />} value={search.q ?? ''} onChange={(e) => setQuery(e.currentTarget.value)} />}
          empty={<NoMatch clear={() => setQuery('')} />}
        />
      )}
      {starting && <StartDialog arn={starting.arn} name={starting.name} onClose={() => setStarting(null)} />}
      {deleting && <DeleteDialog row={deleting} onClose={() => setDeleting(null)} onDeleted={() => setDeleting(null)} />}
    </Page>
  );
}

/** State machines to begin with, each made by one click, and started where nothing else is needed for that. */
function Templates() {
  const examples = useQuery(examplesQuery);
  const cache = useQueryClient();
  const navigate = useNavigate();
  const make = useMutation({
    mutationFn: async (x: Example) => {
      for (const name of x.activities ?? []) await aws('CreateActivity', { name });
      const made = await aws('CreateStateMachine', { name: x.name, definition: x.definition, roleArn: usualRole, publish: true });
      const execution = x.needs.length === 0 ? await startExecution(made.stateMachineArn, JSON.stringify(x.input), '') : undefined;
      return { name: x.name, execution };
    },
    onSuccess: ({ name, execution }) => {
      void cache.invalidateQueries({ queryKey: ['machines'] });
      if (execution) void navigate({ to: '/executions/$id', params: { id: execution } });
      else void navigate({ to: '/machines/$name', params: { name } });
    },
  });
  if (examples.isError) return <ErrorState error={examples.error} retry={() => void examples.refetch()} />;
  return (
    <>
      {make.isError && <ErrorState error={make.error} title={t.new} />}
      <div className={css.templates}>
        {(examples.data ?? []).map((x) => (
          <section key={x.name} className={css.template} aria-label={x.title}>
            <div className={css.thumb}><Thumbnail definition={x.definition} label={t.exampleGraph(x.title)} /></div>
            <div className={css.templateBody}>
              <h3>{x.title}</h3>
              <p>{x.description}</p>
              {x.needs.length > 0 && (
                <>
                  <p>{t.needs}</p>
                  <ul className={css.needs}>{x.needs.map((n) => <li key={n}>{n}</li>)}</ul>
                </>
              )}
              <div className={css.push} />
              <Button variant="default" loading={make.isPending && make.variables?.name === x.name} onClick={() => make.mutate(x)} aria-label={`${x.needs.length === 0 ? t.makeAndStart : t.onlyMake}: ${x.title}`}>{x.needs.length === 0 ? t.makeAndStart : t.onlyMake}</Button>
            </div>
          </section>
        ))}
      </div>
    </>
  );
}
