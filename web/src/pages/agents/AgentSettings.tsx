import { Button, Modal, MultiSelect, NumberInput, SegmentedControl, TagsInput, TextInput } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { agentActs, agentKeys, type Agent, type AgentKey } from '../../api/agents.ts';
import { projectsQuery } from '../../api/board.ts';
import { Confirm, CopyBlock, DataTable, ErrorState, Facts, Panel, TimeAgo } from '../../kit/index.ts';
import { common } from '../../strings/index.ts';
import { agents as t } from '../../strings/agents.ts';
import css from './agents.module.css';

/** What can be changed of an agent, and its keys. */
export function AgentSettings({ agent, manages }: { agent: Agent; manages: boolean }) {
  return (
    <>
      {!manages && <p className="dim">{t.readOnly}</p>}
      <Form key={agent.version} agent={agent} manages={manages} />
      {manages && <Keys agent={agent} />}
      <Panel title={t.connectionTitle} actions={manages && <Button component={Link} to="/agents/connect" search={{ agent: agent.slug } as never} variant="default">{t.reconnect}</Button>}>
        <Facts
          of={[
            [t.facts.runtime, t.runtimes[agent.runtime] ?? agent.runtime],
            [t.facts.reached, agent.connection?.url ? `${t.push} ${agent.connection.url}` : t.pulls],
            [t.facts.first, <TimeAgo key="f" at={agent.status.first_seen} />],
            [t.facts.created, <TimeAgo key="c" at={agent.created_at} />],
          ]}
        />
      </Panel>
    </>
  );
}

function Form({ agent, manages }: { agent: Agent; manages: boolean }) {
  const client = useQueryClient();
  const projects = useQuery(projectsQuery).data ?? [];
  const [name, setName] = useState(agent.name ?? '');
  const [capabilities, setCapabilities] = useState(agent.capabilities ?? []);
  const [within, setWithin] = useState(agent.projects ?? []);
  const [slots, setSlots] = useState<number | string>(agent.slots);
  const [role, setRole] = useState(agent.role);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const changed = name !== (agent.name ?? '') || role !== agent.role || Number(slots) !== agent.slots || String(capabilities) !== String(agent.capabilities ?? []) || String(within) !== String(agent.projects ?? []);
  const save = async () => {
    setBusy(true);
    setError(undefined);
    try {
      await agentActs.update(agent.slug, { name, capabilities, projects: within, slots: Number(slots), role }, agent.version);
      notifications.show({ message: t.saved });
      await Promise.all([client.invalidateQueries({ queryKey: ['agent'] }), client.invalidateQueries({ queryKey: ['agents'] })]);
    } catch (err) {
      setError(err);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Panel title={t.settingsTitle}>
      <form className={css.form} onSubmit={(e) => { e.preventDefault(); void save(); }}>
        {error !== undefined && <ErrorState error={error} title={common.failed} />}
        <TextInput label={t.name} value={name} onChange={(e) => setName(e.currentTarget.value)} disabled={!manages} />
        <TagsInput size="xs" label={t.capabilities} description={t.capabilitiesText} value={capabilities} onChange={setCapabilities} disabled={!manages} />
        <MultiSelect label={t.projects} value={within} onChange={setWithin} data={projects.map((p) => ({ value: p.id, label: p.key }))} disabled={!manages} />
        <NumberInput label={t.slots} description={t.slotsText} min={1} max={100} value={slots} onChange={setSlots} disabled={!manages} />
        <div>
          <div style={{ fontSize: 13, fontWeight: 500 }} id="agent-role">{t.role}</div>
          <SegmentedControl aria-labelledby="agent-role" value={role} onChange={setRole} disabled={!manages} data={Object.entries(t.roles).map(([value, label]) => ({ value, label }))} />
          <div className="dim" style={{ fontSize: 12 }}>{t.roleText}</div>
        </div>
        {manages && <div><Button type="submit" loading={busy} disabled={!changed}>{common.save}</Button></div>}
      </form>
    </Panel>
  );
}

function Keys({ agent }: { agent: Agent }) {
  const client = useQueryClient();
  const keys = useQuery(agentKeys(agent.slug));
  const [made, setMade] = useState<AgentKey>();
  const [ending, setEnding] = useState<AgentKey>();
  const fresh = () => client.invalidateQueries({ queryKey: ['agent', agent.slug, 'keys'] });
  const make = async () => {
    try {
      setMade(await agentActs.newKey(agent.slug));
      await fresh();
    } catch (err) {
      notifications.show({ color: 'red', title: common.failed, message: err instanceof Error ? err.message : String(err) });
    }
  };
  return (
    <Panel title={t.keysTitle} text={t.keysText} actions={<Button variant="default" onClick={() => void make()}>{t.newKey}</Button>} bare>
      {keys.isError ? (
        <ErrorState error={keys.error} retry={() => void keys.refetch()} />
      ) : (
        <DataTable<AgentKey>
          name="agent-keys"
          plain
          label={t.keysTitle}
          rows={keys.data ?? []}
          rowId={(k) => k.id}
          loading={keys.isPending}
          empty={<p className="dim" style={{ padding: '4px 16px' }}>{t.keysEmpty}</p>}
          columns={[
            { id: 'id', label: t.key, always: true, cell: (k) => <span className="mono">{k.id}…</span> },
            { id: 'created', label: t.facts.created, cell: (k) => <TimeAgo at={k.created_at} /> },
            { id: 'used', label: t.lastUsed, cell: (k) => <TimeAgo at={k.last_used} /> },
            { id: 'end', label: t.endKey, align: 'right', width: '110px', cell: (k) => <Button size="compact-xs" variant="default" onClick={() => setEnding(k)}>{t.endKey}</Button> },
          ]}
        />
      )}
      {made?.key && (
        <Modal opened onClose={() => setMade(undefined)} title={t.newKeyTitle} size={520} closeButtonProps={{ 'aria-label': common.close }}>
          <p style={{ marginTop: 0 }}>{t.newKeyText}</p>
          <CopyBlock label={t.key} text={made.key} />
        </Modal>
      )}
      {ending && <Confirm danger title={t.endKeyTitle(ending.id)} verb={t.endKey} run={() => agentActs.endKey(agent.slug, ending.id).then(fresh)} onClose={() => setEnding(undefined)}>{t.endKeyText}</Confirm>}
    </Panel>
  );
}
