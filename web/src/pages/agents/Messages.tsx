import { Button } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { agentActs, messagesQuery, useRights, type Agent } from '../../api/agents.ts';
import { usePeople } from '../../api/board.ts';
import { AgentAvatar, ErrorState, Markdown, MentionInput, Panel, TimeAgo } from '../../kit/index.ts';
import { common } from '../../strings/index.ts';
import { agents as t } from '../../strings/agents.ts';
import css from './agents.module.css';

/** Words to an agent outside of tasks. */
export function Messages({ agent }: { agent: Agent }) {
  const messages = useQuery(messagesQuery(agent.slug));
  const people = usePeople();
  const rights = useRights();
  const client = useQueryClient();
  const [text, setText] = useState('');
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const send = async () => {
    if (!text.trim()) return;
    setBusy(true);
    setError(undefined);
    try {
      await agentActs.message(agent.slug, text);
      setText('');
      await client.invalidateQueries({ queryKey: ['agent', agent.slug, 'messages'] });
    } catch (err) {
      setError(err);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Panel title={t.messagesTitle} text={t.messagesText}>
      {messages.isError && <ErrorState error={messages.error} retry={() => void messages.refetch()} />}
      {messages.isSuccess && messages.data.length === 0 && <p className="dim" style={{ marginTop: 0 }}>{t.messagesEmpty}</p>}
      {[...(messages.data ?? [])].sort((a, b) => b.created_at.localeCompare(a.created_at)).map((m) => {
        const who = people.of(m.by);
        return (
          <div key={m.id} className={css.message}>
            <div className={css.meta}><AgentAvatar name={who.name} size={20} {...(who.person ? { person: true } : {})} /> {who.name} <TimeAgo at={m.created_at} /></div>
            <Markdown text={m.body} />
          </div>
        );
      })}
      {rights.comments && agent.admin !== 'retired' && (
        <div className={css.stack} style={{ marginTop: 14 }}>
          {error !== undefined && <ErrorState error={error} title={common.failed} />}
          <MentionInput label={t.messageLabel} placeholder="" value={text} onChange={setText} who={[]} onSubmit={() => void send()} />
          <div><Button loading={busy} disabled={!text.trim()} onClick={() => void send()}>{t.send}</Button></div>
        </div>
      )}
    </Panel>
  );
}
