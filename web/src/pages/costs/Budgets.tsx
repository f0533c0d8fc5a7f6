import { ActionIcon, Button, Menu, Modal, Select, TextInput } from '@mantine/core';
import { IconDots, IconPlus } from '@tabler/icons-react';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import { budgetsQuery, useRights, type Budget } from '../../api/agents.ts';
import { agentsQuery, projectsQuery } from '../../api/board.ts';
import { costActs, type BudgetIn } from '../../api/costs.ts';
import { machinesQuery } from '../../api/machines.ts';
import { BudgetBar, Confirm, DataTable, EmptyState, ErrorState, formatCount, formatMoney, moneyField, readMoney, StatusBadge, TimeAgo, type Nano } from '../../kit/index.ts';
import { common } from '../../strings/index.ts';
import { costs } from '../../strings/costs.ts';
import css from './costs.module.css';

const t = costs.budgets;
const isMoney = (metric: string) => metric.endsWith('_usd');

/** How amounts of a metric are written. */
export function metricFormat(metric: string): (n: Nano) => string {
  return isMoney(metric) ? formatMoney : (n) => formatCount(Number(n));
}

/** How a budget stands, as a status. */
export function standingOf(b: Budget): { status: string; label: string } {
  const used = Number(b.standing.used);
  if (b.hard && used >= Number(b.hard)) return { status: 'over_budget', label: t.over };
  if ((b.soft && used >= Number(b.soft)) || (!b.soft && b.hard && used >= 0.8 * Number(b.hard))) return { status: 'near_budget', label: t.near };
  return { status: 'idle', label: t.ok };
}

/** All budgets with how they stand. */
export function Budgets() {
  const budgets = useQuery(budgetsQuery);
  const rights = useRights();
  const client = useQueryClient();
  const [editing, setEditing] = useState<Budget | 'new'>();
  const [removing, setRemoving] = useState<Budget>();
  if (budgets.isError) return <ErrorState error={budgets.error} retry={() => void budgets.refetch()} />;
  const add = rights.manages && <Button leftSection={<IconPlus size={14} />} onClick={() => setEditing('new')}>{t.add}</Button>;
  return (
    <>
      <DataTable<Budget>
        name="budgets"
        label={t.title}
        rows={budgets.data ?? []}
        rowId={(b) => b.id}
        loading={budgets.isPending}
        toolbar={<div className={css.toolbar}><span className="dim">{t.text}</span><span style={{ flex: 1 }} />{(budgets.data ?? []).length > 0 && add}</div>}
        empty={<EmptyState title={t.emptyTitle} text={t.emptyText} action={add} command="lockstep budget set writer-daily --agent writer --window day --hard 5.00" />}
        {...(rights.manages ? { onOpen: setEditing } : {})}
        columns={[
          { id: 'id', label: t.title, always: true, cell: (b) => <strong style={{ fontWeight: 550 }}>{b.id}</strong> },
          { id: 'scope', label: t.scope, cell: (b) => (b.name ? `${t.scopes[b.scope] ?? b.scope} ${b.name}` : (t.scopes[b.scope] ?? b.scope)) },
          { id: 'window', label: t.window, width: '90px', cell: (b) => t.windows[b.window] ?? b.window },
          { id: 'metric', label: t.metric, width: '130px', cell: (b) => t.metrics[b.metric] ?? b.metric },
          {
            id: 'used', label: t.used, always: true, width: '290px', cell: (b) => (
              <BudgetBar used={b.standing.used} limit={b.hard ?? b.soft} format={metricFormat(b.metric)} label={b.id} {...(b.soft && b.hard ? { soft: Number(b.soft) / Number(b.hard) } : {})} />
            ),
          },
          { id: 'standing', label: t.standing, width: '100px', cell: (b) => <StatusBadge size="sm" {...standingOf(b)} /> },
          { id: 'onHard', label: t.onHard, width: '140px', cell: (b) => (b.hard ? t.onHards[b.on_hard ?? 'pause'] : '–') },
          { id: 'ends', label: t.ends, width: '140px', cell: (b) => <TimeAgo at={b.window_ends} /> },
          ...(rights.manages
            ? [{
                id: 'more', label: '', always: true, width: '50px', align: 'right' as const, cell: (b: Budget) => (
                  <Menu position="bottom-end">
                    <Menu.Target><ActionIcon aria-label={`${t.edit} ${b.id}`}><IconDots size={15} /></ActionIcon></Menu.Target>
                    <Menu.Dropdown>
                      <Menu.Item onClick={() => setEditing(b)}>{t.edit}</Menu.Item>
                      <Menu.Item color="var(--ls-failed)" onClick={() => setRemoving(b)}>{t.remove}</Menu.Item>
                    </Menu.Dropdown>
                  </Menu>
                ),
              }]
            : []),
        ]}
      />
      {editing && <BudgetForm {...(editing === 'new' ? {} : { budget: editing })} onClose={() => setEditing(undefined)} />}
      {removing && (
        <Confirm danger title={t.removeTitle(removing.id)} verb={t.remove} run={() => costActs.removeBudget(removing.id).then(() => client.invalidateQueries({ queryKey: ['budgets'] }))} onClose={() => setRemoving(undefined)}>
          {t.removeText}
        </Confirm>
      )}
    </>
  );
}

/** Makes a budget or changes one. */
export function BudgetForm({ budget: b, start, onClose }: { budget?: Budget; start?: { scope: Budget['scope']; name?: string }; onClose: () => void }) {
  const client = useQueryClient();
  const agents = useQuery(agentsQuery).data ?? [];
  const projects = useQuery(projectsQuery).data ?? [];
  const machines = useQuery(machinesQuery).data ?? [];
  const [scope, setScope] = useState<Budget['scope']>(b?.scope ?? start?.scope ?? 'workspace');
  const [name, setName] = useState(b?.name ?? start?.name ?? '');
  const [window_, setWindow] = useState<Budget['window']>(b?.window ?? 'day');
  const [metric, setMetric] = useState<Budget['metric']>(b?.metric ?? 'billed_usd');
  const field = (n: Nano | undefined) => (n === undefined ? '' : isMoney(b?.metric ?? 'billed_usd') ? moneyField(n) : String(n));
  const [soft, setSoft] = useState(field(b?.soft));
  const [hard, setHard] = useState(field(b?.hard));
  const [onHard, setOnHard] = useState<string>(b?.on_hard ?? 'pause');
  const [id, setId] = useState(b?.id ?? '');
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const choices = { agent: agents.map((a) => a.slug), project: projects.map((p) => p.key), machine: machines.map((m) => m.name), task: [], workspace: [] }[scope];
  const suggested = `${scope === 'workspace' ? 'workspace' : name || scope}-${window_}`.toLowerCase().replace(/[^a-z0-9-]+/g, '-');

  const save = async (e: FormEvent) => {
    e.preventDefault();
    const amount = (text: string) => (text.trim() === '' ? null : isMoney(metric) ? readMoney(text) : /^[\d,]+$/.test(text.trim()) ? BigInt(text.replaceAll(',', '')) : undefined);
    const [s, h] = [amount(soft), amount(hard)];
    if (s === undefined || h === undefined || (s === null && h === null)) {
      setError(new Error(t.wrong));
      return;
    }
    setBusy(true);
    setError(undefined);
    try {
      const body: BudgetIn = { scope, ...(scope === 'workspace' ? {} : { name }), window: window_, metric, ...(s === null ? {} : { soft: s }), ...(h === null ? {} : { hard: h, on_hard: onHard as 'pause' }) };
      await costActs.setBudget(id || suggested, body);
      await Promise.all([client.invalidateQueries({ queryKey: ['budgets'] }), client.invalidateQueries({ queryKey: ['agents'] })]);
      onClose();
    } catch (err) {
      setError(err);
      setBusy(false);
    }
  };
  const pick = (of: Record<string, string>) => Object.entries(of).map(([value, label]) => ({ value, label }));
  return (
    <Modal opened onClose={onClose} title={b ? t.editTitle(b.id) : t.add} size={520} closeButtonProps={{ 'aria-label': common.close }}>
      <form onSubmit={(e) => void save(e)} className={css.form}>
        {error !== undefined && <ErrorState error={error} title={common.failed} />}
        <div className={css.pair}>
          <Select label={t.scope} data={pick(t.scopes)} value={scope} onChange={(v) => { setScope((v ?? 'workspace') as 'workspace'); setName(''); if (v === 'task') setWindow('task'); else if (window_ === 'task') setWindow('day'); }} allowDeselect={false} />
          {scope !== 'workspace' &&
            (choices.length > 0 ? <Select label={t.which} data={choices} value={name || null} onChange={(v) => setName(v ?? '')} searchable required /> : <TextInput label={t.which} value={name} onChange={(e) => setName(e.currentTarget.value)} required />)}
        </div>
        <div className={css.pair}>
          <Select label={t.window} data={pick(t.windows).filter((w) => (w.value === 'task') === (scope === 'task'))} value={window_} onChange={(v) => setWindow((v ?? 'day') as 'day')} allowDeselect={false} />
          <Select label={t.metric} data={pick(t.metrics)} value={metric} onChange={(v) => setMetric((v ?? 'billed_usd') as 'billed_usd')} allowDeselect={false} />
        </div>
        <div className={css.pair}>
          <TextInput label={t.soft} description={isMoney(metric) ? t.money : t.number} value={soft} onChange={(e) => setSoft(e.currentTarget.value)} inputMode="decimal" />
          <TextInput label={t.hard} description={isMoney(metric) ? t.money : t.number} value={hard} onChange={(e) => setHard(e.currentTarget.value)} inputMode="decimal" />
        </div>
        <Select label={t.onHard} data={pick(t.onHards)} value={onHard} onChange={(v) => setOnHard(v ?? 'pause')} allowDeselect={false} disabled={hard.trim() === ''} />
        {!b && <TextInput label={t.id} description={t.idText} placeholder={suggested} value={id} onChange={(e) => setId(e.currentTarget.value)} />}
        <div style={{ display: 'flex', gap: 8, justifyContent: 'flex-end' }}>
          <Button variant="default" onClick={onClose}>{common.cancel}</Button>
          <Button type="submit" loading={busy}>{common.save}</Button>
        </div>
      </form>
    </Modal>
  );
}
