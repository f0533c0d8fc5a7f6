import { Button, Menu, ActionIcon, Modal, MultiSelect, TagsInput, TextInput } from '@mantine/core';
import { IconDots, IconPlus } from '@tabler/icons-react';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { useState } from 'react';
import { useRights } from '../../api/agents.ts';
import { projectsQuery } from '../../api/board.ts';
import { deliveriesQuery, webhookActs, webhooksQuery, type Webhook, type WebhookDelivery } from '../../api/settings.ts';
import { Confirm, CopyBlock, DataTable, EmptyState, ErrorState, Panel, StatusBadge, TimeAgo } from '../../kit/index.ts';
import { common } from '../../strings/index.ts';
import { settings as t } from '../../strings/settings.ts';
import { failed, FormDialog, told } from './parts.tsx';
import css from './settings.module.css';

/** Programs that are told what happens. */
export function Webhooks() {
  const search = useSearch({ strict: false }) as { webhook?: string };
  const navigate = useNavigate();
  const rights = useRights();
  const list = useQuery({ ...webhooksQuery, enabled: rights.manages });
  const client = useQueryClient();
  const [adding, setAdding] = useState(false);
  const [made, setMade] = useState<Webhook>();
  const [removing, setRemoving] = useState<Webhook>();
  const fresh = () => client.invalidateQueries({ queryKey: ['webhooks'] });
  const open = (id: string | undefined) => void navigate({ to: '/settings/$section', params: { section: 'webhooks' }, search: { webhook: id }, replace: true });
  const add = <Button leftSection={<IconPlus size={14} />} onClick={() => setAdding(true)}>{t.addWebhook}</Button>;
  if (!rights.manages) return <p className="dim">{t.managersOnly}</p>;
  if (list.isError) return <ErrorState error={list.error} retry={() => void list.refetch()} />;
  const shown = list.data?.find((w) => w.id === search.webhook);
  return (
    <>
      <Panel title={t.sections.webhooks!} text={t.webhooksText} bare actions={(list.data ?? []).length > 0 && add}>
        <DataTable<Webhook>
          plain
          name="webhooks"
          label={t.sections.webhooks!}
          rows={list.data ?? []}
          rowId={(w) => w.id}
          loading={list.isPending}
          empty={<EmptyState title={t.webhooksEmptyTitle} text={t.webhooksEmptyText} action={add} command="lockstep webhook add https://hooks.example.com/lockstep --type 'task.*'" />}
          onOpen={(w) => open(w.id)}
          {...(search.webhook ? { active: search.webhook } : {})}
          columns={[
            { id: 'host', label: t.host, always: true, cell: (w) => w.host },
            { id: 'types', label: t.eventTypes, cell: (w) => (w.types ?? []).join(', ') || t.allEvents },
            { id: 'state', label: t.standing, width: '120px', cell: (w) => (w.disabled ? <StatusBadge status="paused" label={t.disabled} size="sm" /> : w.failing_since ? <StatusBadge status="failed" label={t.failing} size="sm" /> : <StatusBadge status="succeeded" label={t.ok} size="sm" />) },
            { id: 'error', label: t.error, cell: (w) => w.last_error ?? '–' },
            { id: 'created', label: t.createdAt, width: '120px', cell: (w) => <TimeAgo at={w.created_at} /> },
            {
              id: 'do', label: '', align: 'right', width: '170px', always: true, cell: (w) => (
                <span style={{ display: 'inline-flex', gap: 6, alignItems: 'center' }}>
                  <Button size="compact-xs" variant="default" onClick={() => open(w.id)}>{t.deliveries}</Button>
                  <Menu position="bottom-end">
                    <Menu.Target><ActionIcon aria-label={t.more(w.host)}><IconDots size={15} /></ActionIcon></Menu.Target>
                    <Menu.Dropdown>
                      {w.disabled && <Menu.Item onClick={() => void webhookActs.enable(w.id, false).then(fresh, failed)}>{t.enable}</Menu.Item>}
                      {w.disabled && <Menu.Item onClick={() => void webhookActs.enable(w.id, true).then(fresh, failed)}>{t.enableSkip}</Menu.Item>}
                      <Menu.Item color="red" onClick={() => setRemoving(w)}>{common.remove}</Menu.Item>
                    </Menu.Dropdown>
                  </Menu>
                </span>
              ),
            },
          ]}
        />
      </Panel>
      {shown && <Deliveries webhook={shown} />}
      {adding && <AddWebhook onClose={() => setAdding(false)} onMade={(w) => { setMade(w); void fresh(); }} />}
      {made?.secret && (
        <Modal opened onClose={() => setMade(undefined)} title={t.secretTitle} size={560} closeButtonProps={{ 'aria-label': common.close }}>
          <div className={css.stack}><div>{t.shownOnce}</div><CopyBlock label={t.channelSecret} text={made.secret} /></div>
        </Modal>
      )}
      {removing && <Confirm danger title={t.removeTitle(removing.host)} verb={common.remove} run={() => webhookActs.remove(removing.id).then(fresh)} onClose={() => setRemoving(undefined)}>{t.removeWebhookText}</Confirm>}
    </>
  );
}

function AddWebhook({ onClose, onMade }: { onClose: () => void; onMade: (w: Webhook) => void }) {
  const projects = useQuery(projectsQuery).data ?? [];
  const [url, setUrl] = useState('');
  const [types, setTypes] = useState<string[]>([]);
  const [within, setWithin] = useState<string[]>([]);
  const run = async () => onMade(await webhookActs.add({ url, ...(types.length ? { types } : {}), ...(within.length ? { projects: within } : {}) }));
  return (
    <FormDialog title={t.addWebhook} verb={common.add} run={run} onClose={onClose}>
      <TextInput label={t.url} description={t.urlText} type="url" value={url} onChange={(e) => setUrl(e.currentTarget.value)} required data-autofocus />
      <TagsInput size="xs" label={t.eventTypes} description={t.eventTypesText} value={types} onChange={setTypes} data={['task.*', 'review.*', 'attempt.*', 'agent.*', 'budget.*', 'comment.*', 'wakeup.*']} />
      <MultiSelect label={t.sections.projects!} data={projects.map((p) => p.key)} value={within} onChange={setWithin} />
    </FormDialog>
  );
}

function Deliveries({ webhook }: { webhook: Webhook }) {
  const list = useQuery({ ...deliveriesQuery(webhook.id), refetchInterval: 5000 });
  const client = useQueryClient();
  const again = (d: WebhookDelivery) => void webhookActs.redeliver(webhook.id, d.id).then(() => { told(t.redelivered); return client.invalidateQueries({ queryKey: ['webhooks', webhook.id] }); }, failed);
  return (
    <Panel title={`${t.deliveries}: ${webhook.host}`} bare>
      {list.isError ? (
        <ErrorState error={list.error} retry={() => void list.refetch()} />
      ) : (
        <DataTable<WebhookDelivery>
          plain
          name="webhook-deliveries"
          label={t.deliveries}
          rows={list.data ?? []}
          rowId={(d) => d.id}
          loading={list.isPending}
          empty={<p className="dim" style={{ padding: '4px 16px' }}>{t.deliveriesEmpty}</p>}
          columns={[
            { id: 'seq', label: t.sequence, width: '80px', cell: (d) => <span className="mono">{d.seq}</span> },
            { id: 'type', label: t.event, always: true, cell: (d) => d.type },
            { id: 'state', label: t.state, width: '120px', cell: (d) => <StatusBadge status={d.state === 'delivered' ? 'succeeded' : d.state} label={d.state} size="sm" /> },
            { id: 'tries', label: t.tries, align: 'right', width: '70px', cell: (d) => d.tries?.length ?? 0 },
            { id: 'last', label: t.last, width: '120px', cell: (d) => <TimeAgo at={d.tries?.at(-1)?.at} /> },
            { id: 'error', label: t.error, cell: (d) => d.tries?.at(-1)?.error ?? '–' },
            { id: 'do', label: '', align: 'right', width: '110px', cell: (d) => <Button size="compact-xs" variant="default" aria-label={`${t.redeliver} ${d.seq}`} onClick={() => again(d)}>{t.redeliver}</Button> },
          ]}
        />
      )}
    </Panel>
  );
}
