import { Button, Modal, TextInput } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { IconPlus } from '@tabler/icons-react';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { useState, type FormEvent } from 'react';
import { useRights } from '../../api/agents.ts';
import { costActs, ownPrices, pricesQuery, type Model, type Price, type Rates } from '../../api/costs.ts';
import { rest } from '../../api/http.ts';
import { Confirm, DataTable, ErrorState, formatTime, moneyField, Money, NoMatch, readMoney, StatusBadge } from '../../kit/index.ts';
import { common } from '../../strings/index.ts';
import { costs } from '../../strings/costs.ts';
import css from './costs.module.css';

const t = costs.prices;
const parts = ['input', 'cache_read', 'cache_write_5m', 'cache_write_1h', 'output'] as const;
const labels: Record<(typeof parts)[number], string> = { input: t.input, cache_read: t.cacheRead, cache_write_5m: t.write5m, cache_write_1h: t.write1h, output: t.output };

/** The price that counts now. */
function current(m: Model): Price | undefined {
  const now = new Date().toISOString();
  return (m.prices ?? []).filter((p) => p.from <= now).sort((a, b) => a.from.localeCompare(b.from)).at(-1) ?? m.prices?.[0];
}

/** What models cost by the token, with the workspace's own prices. */
export function Prices() {
  const search = useSearch({ strict: false }) as { tab?: string; model?: string };
  const navigate = useNavigate();
  const client = useQueryClient();
  const prices = useQuery(pricesQuery);
  const rights = useRights();
  const [editing, setEditing] = useState<Model | 'new'>();
  const [asking, setAsking] = useState(false);
  const words = (search.model ?? '').toLowerCase().split(/\s+/).filter(Boolean);
  const rows = (prices.data ?? []).filter((m) => words.every((w) => `${m.provider} ${m.id}`.toLowerCase().includes(w))).sort((a, b) => Number(b.source === ownPrices) - Number(a.source === ownPrices) || a.provider.localeCompare(b.provider) || a.id.localeCompare(b.id));
  const find = (model: string | undefined) => void navigate({ to: '/costs', search: { ...search, model: model || undefined }, replace: true });
  if (prices.isError) return <ErrorState error={prices.error} retry={() => void prices.refetch()} />;
  return (
    <>
      <p className="dim" style={{ margin: '0 0 8px' }}>{t.text}</p>
      <DataTable<Model>
        name="prices"
        label={t.title}
        rows={rows}
        rowId={(m) => `${m.provider}/${m.id}/${m.source}`}
        loading={prices.isPending}
        toolbar={
          <div className={css.toolbar}>
            <TextInput aria-label={t.search} placeholder={t.search} value={search.model ?? ''} onChange={(e) => find(e.currentTarget.value)} style={{ width: 240 }} />
            <span style={{ flex: 1 }} />
            {rights.manages && <Button variant="default" onClick={() => setAsking(true)}>{t.reprice}</Button>}
            {rights.manages && <Button leftSection={<IconPlus size={14} />} onClick={() => setEditing('new')}>{t.add}</Button>}
          </div>
        }
        empty={<NoMatch clear={() => find(undefined)} />}
        {...(rights.manages ? { onOpen: setEditing } : {})}
        columns={[
          { id: 'provider', label: t.provider, width: '130px', cell: (m) => m.provider },
          { id: 'id', label: t.model, always: true, cell: (m) => <span className="mono">{m.id}</span> },
          ...parts.map((p) => ({ id: p, label: labels[p], align: 'right' as const, width: '120px', cell: (m: Model) => <Money nano={current(m)?.rates[p]} /> })),
          { id: 'from', label: t.from, width: '120px', hidden: true, cell: (m) => (current(m)?.from.startsWith('0001') ? '–' : formatTime(current(m)?.from ?? '')) },
          { id: 'tiers', label: t.tiers, width: '140px', hidden: true, cell: (m) => (current(m)?.tiers?.length ? t.tiers : '–') },
          { id: 'source', label: t.source, width: '170px', cell: (m) => (m.source === ownPrices ? <StatusBadge status="assigned" label={t.own} size="sm" /> : <span title={m.source} className="dim truncate" style={{ display: 'block', maxWidth: 150 }}>{m.source.replace(/^https?:\/\//, '')}</span>) },
          ...(rights.manages ? [{ id: 'do', label: t.override, align: 'right' as const, width: '100px', cell: (m: Model) => <Button size="compact-xs" variant="default" onClick={() => setEditing(m)} aria-label={`${m.source === ownPrices ? common.edit : t.override} ${m.id}`}>{m.source === ownPrices ? common.edit : t.override}</Button> }] : []),
        ]}
      />
      {editing && <Override {...(editing === 'new' ? {} : { model: editing })} all={prices.data ?? []} onClose={() => setEditing(undefined)} />}
      {asking && (
        <Confirm
          title={t.repriceTitle}
          verb={t.reprice}
          run={async () => {
            const { changed } = await rest<{ changed: number }>('/prices/reprice', { method: 'POST' });
            notifications.show({ message: t.repriced(changed) });
            await client.invalidateQueries({ queryKey: ['costs'] });
          }}
          onClose={() => setAsking(false)}
        >
          {t.repriceText}
        </Confirm>
      )}
    </>
  );
}

function Override({ model: m, all, onClose }: { model?: Model; all: Model[]; onClose: () => void }) {
  const client = useQueryClient();
  const rates = m && current(m)?.rates;
  const [provider, setProvider] = useState(m?.provider ?? '');
  const [id, setId] = useState(m?.id ?? '');
  const [fields, setFields] = useState<Record<string, string>>(Object.fromEntries(parts.map((p) => [p, rates?.[p] === null || rates?.[p] === undefined ? '' : moneyField(rates[p])])));
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const others = all.filter((x) => x.source === ownPrices && !(x.provider === provider && x.id === id));
  const put = async (models: Parameters<typeof costActs.override>[0]) => {
    setBusy(true);
    setError(undefined);
    try {
      await costActs.override(models);
      await client.invalidateQueries({ queryKey: ['prices'] });
      onClose();
    } catch (err) {
      setError(err);
      setBusy(false);
    }
  };
  const save = (e: FormEvent) => {
    e.preventDefault();
    const read = Object.fromEntries(parts.map((p) => [p, fields[p]?.trim() ? readMoney(fields[p]) : null]));
    if (Object.values(read).includes(undefined) || read.input === null || read.output === null) {
      setError(new Error(t.wrong));
      return;
    }
    void put([...others, { provider, id, prices: [{ from: '', rates: read as unknown as Rates }] }]);
  };
  return (
    <Modal opened onClose={onClose} title={t.overrideTitle(m?.id ?? '')} size={520} closeButtonProps={{ 'aria-label': common.close }}>
      <form onSubmit={save} className={css.form}>
        <p className="dim" style={{ margin: 0 }}>{t.overrideText}</p>
        {error !== undefined && <ErrorState error={error} title={common.failed} />}
        {!m && (
          <div className={css.pair}>
            <TextInput label={t.provider} value={provider} onChange={(e) => setProvider(e.currentTarget.value)} required />
            <TextInput label={t.model} value={id} onChange={(e) => setId(e.currentTarget.value)} required />
          </div>
        )}
        <div className={css.pair}>
          {parts.map((p) => <TextInput key={p} label={labels[p]} leftSection="$" value={fields[p] ?? ''} onChange={(e) => { const v = e.currentTarget.value; setFields((f) => ({ ...f, [p]: v })); }} inputMode="decimal" required={p === 'input' || p === 'output'} />)}
        </div>
        <div style={{ display: 'flex', gap: 8, justifyContent: 'flex-end' }}>
          {m?.source === ownPrices && <Button variant="default" mr="auto" onClick={() => void put(others)}>{t.back}</Button>}
          <Button variant="default" onClick={onClose}>{common.cancel}</Button>
          <Button type="submit" loading={busy}>{common.save}</Button>
        </div>
      </form>
    </Modal>
  );
}
