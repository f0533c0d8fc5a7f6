import { Button, Checkbox, Switch, TextInput } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import { changePreferences, noticeDeliveries, preferencesQuery, testChannel, type NoticeDelivery, type Preferences } from '../../api/notices.ts';
import { DataTable, ErrorState, Panel, StatusBadge, TimeAgo } from '../../kit/index.ts';
import { common } from '../../strings/index.ts';
import { notices } from '../../strings/notices.ts';
import { settings as t } from '../../strings/settings.ts';
import { failed, FormDialog, told } from './parts.tsx';
import css from './settings.module.css';

const outside = ['email', 'webhook', 'slack'] as const;
type Outside = (typeof outside)[number];

/** Which events go where, and when not. */
export function NotificationSettings() {
  const preferences = useQuery(preferencesQuery);
  const client = useQueryClient();
  if (preferences.isError) return <ErrorState error={preferences.error} retry={() => void preferences.refetch()} />;
  if (!preferences.data) return null;
  const p = preferences.data;
  const change = async (body: Record<string, unknown>) => {
    // What was chosen shows at once; the server's answer takes its place.
    if ('types' in body || 'muted' in body) client.setQueryData<Preferences>(['preferences'], (old) => (old ? ({ ...old, ...body } as Preferences) : old));
    try {
      client.setQueryData(['preferences'], await changePreferences(body));
    } catch (err) {
      failed(err);
      void client.invalidateQueries({ queryKey: ['preferences'] });
    }
  };
  return (
    <>
      <Panel title={t.gridTitle} text={t.gridText}>
        <Grid p={p} change={change} />
        <Switch mt="md" label={t.muted} description={t.mutedText} checked={p.muted} onChange={(e) => void change({ muted: e.currentTarget.checked })} />
      </Panel>
      <Channels p={p} change={change} />
      <Quiet key={JSON.stringify(p.quiet_hours ?? null)} p={p} change={change} />
      <Log />
    </>
  );
}

type Changer = (body: Record<string, unknown>) => Promise<void>;

function Grid({ p, change }: { p: Preferences; change: Changer }) {
  const channels = ['in_app', ...outside.filter((c) => p.channels.includes(c))];
  const goes = (type: string) => p.types?.[type] ?? channels;
  const toggle = (type: string, channel: string, on: boolean) => {
    const to = on ? [...new Set([...goes(type), channel])] : goes(type).filter((c) => c !== channel);
    void change({ types: { ...p.types, [type]: to } });
  };
  return (
    <div style={{ overflowX: 'auto' }} tabIndex={0} role="group" aria-label={t.gridTitle}>
      <table className={css.grid}>
        <thead><tr><th scope="col">{t.event}</th>{channels.map((c) => <th key={c} scope="col">{notices.channels[c]}</th>)}</tr></thead>
        <tbody>
          {p.known_types.map((type) => (
            <tr key={type}>
              <th scope="row">{notices.types[type] ?? type}</th>
              {channels.map((c) => <td key={c}><Checkbox aria-label={t.cell(notices.types[type] ?? type, notices.channels[c]!)} checked={goes(type).includes(c)} onChange={(e) => toggle(type, c, e.currentTarget.checked)} /></td>)}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Channels({ p, change }: { p: Preferences; change: Changer }) {
  const [setting, setSetting] = useState<Outside>();
  const [problem, setProblem] = useState('');
  const test = async (channel: string) => {
    setProblem('');
    try {
      const said = await testChannel(channel);
      if (said.delivered) told(t.testOk);
      else setProblem(said.message);
    } catch (err) {
      setProblem(err instanceof Error ? err.message : String(err));
    }
  };
  return (
    <Panel title={t.channelsTitle} text={t.channelsText} bare>
      {problem && <div style={{ marginBottom: 10 }}><ErrorState error={new Error(problem)} title={t.testFailed} /></div>}
      <DataTable<Outside>
        plain
        name="channels"
        label={t.channelsTitle}
        rows={[...outside]}
        rowId={(c) => c}
        columns={[
          { id: 'channel', label: t.channel, always: true, width: '130px', cell: (c) => notices.channels[c] },
          { id: 'to', label: t.goesTo, cell: (c) => p[c]?.address ?? p[c]?.host ?? <span className="dim">{t.notSet}</span> },
          {
            id: 'do', label: '', align: 'right', width: '290px', cell: (c) => (
              <span style={{ display: 'inline-flex', gap: 6 }}>
                {p[c] && <Button size="compact-xs" variant="default" onClick={() => void test(c)} aria-label={`${t.test}: ${notices.channels[c]}`}>{t.test}</Button>}
                {p[c] && <Button size="compact-xs" variant="default" onClick={() => void change({ [c]: null })} aria-label={`${t.takeAway}: ${notices.channels[c]}`}>{t.takeAway}</Button>}
                <Button size="compact-xs" variant="default" onClick={() => setSetting(c)} aria-label={`${p[c] ? t.change : t.set}: ${notices.channels[c]}`}>{p[c] ? t.change : t.set}</Button>
              </span>
            ),
          },
        ]}
      />
      {setting && <ChannelForm channel={setting} onClose={() => setSetting(undefined)} />}
    </Panel>
  );
}

function ChannelForm({ channel, onClose }: { channel: Outside; onClose: () => void }) {
  const client = useQueryClient();
  const [to, setTo] = useState('');
  const [secret, setSecret] = useState('');
  const run = async () => {
    const said = await changePreferences({ [channel]: channel === 'email' ? { address: to } : { url: to, ...(secret ? { secret } : {}) } });
    client.setQueryData(['preferences'], said);
  };
  return (
    <FormDialog title={t.channelForm(notices.channels[channel]!)} verb={common.save} run={run} onClose={onClose}>
      <TextInput label={channel === 'email' ? t.emailAddress : t.channelUrl} type={channel === 'email' ? 'email' : 'url'} value={to} onChange={(e) => setTo(e.currentTarget.value)} required data-autofocus />
      {channel === 'webhook' && <TextInput label={t.channelSecret} description={t.channelSecretText} type="password" autoComplete="off" value={secret} onChange={(e) => setSecret(e.currentTarget.value)} />}
    </FormDialog>
  );
}

function Quiet({ p, change }: { p: Preferences; change: Changer }) {
  const here = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const [on, setOn] = useState(!!p.quiet_hours);
  const [from, setFrom] = useState(p.quiet_hours?.from ?? '22:00');
  const [to, setTo] = useState(p.quiet_hours?.to ?? '07:00');
  const [zone, setZone] = useState(p.quiet_hours?.time_zone ?? here);
  const save = (e: FormEvent) => {
    e.preventDefault();
    void change({ quiet_hours: { from, to, time_zone: zone } }).then(() => told(t.saved));
  };
  return (
    <Panel title={t.quietTitle} text={t.quietText}>
      <Switch label={t.quietOn} checked={on} onChange={(e) => { const now = e.currentTarget.checked; setOn(now); if (!now && p.quiet_hours) void change({ quiet_hours: null }); }} />
      {on && (
        <form onSubmit={save} className={css.row} style={{ marginTop: 12 }}>
          <TextInput label={t.from} type="time" value={from} onChange={(e) => setFrom(e.currentTarget.value)} required />
          <TextInput label={t.to} type="time" value={to} onChange={(e) => setTo(e.currentTarget.value)} required />
          <TextInput label={t.zone} value={zone} onChange={(e) => setZone(e.currentTarget.value)} required />
          <Button type="submit">{common.save}</Button>
        </form>
      )}
    </Panel>
  );
}

function Log() {
  const log = useQuery(noticeDeliveries);
  return (
    <Panel title={t.logTitle} bare>
      {log.isError ? (
        <ErrorState error={log.error} retry={() => void log.refetch()} />
      ) : (
        <DataTable<NoticeDelivery>
          plain
          name="notice-log"
          label={t.logTitle}
          rows={log.data ?? []}
          rowId={(d) => d.id}
          loading={log.isPending}
          empty={<p className="dim" style={{ padding: '4px 16px' }}>{t.logEmpty}</p>}
          columns={[
            { id: 'when', label: t.when, width: '130px', cell: (d) => <TimeAgo at={d.notification.at} /> },
            { id: 'what', label: t.event, always: true, cell: (d) => d.notification.title },
            { id: 'channel', label: t.channel, width: '100px', cell: (d) => notices.channels[d.channel] ?? d.channel },
            { id: 'state', label: t.state, width: '120px', cell: (d) => <StatusBadge status={d.state === 'delivered' || d.state === 'sent' ? 'succeeded' : d.state} label={d.state} size="sm" /> },
            { id: 'error', label: t.error, cell: (d) => d.log?.at(-1)?.error ?? '–' },
          ]}
        />
      )}
    </Panel>
  );
}
