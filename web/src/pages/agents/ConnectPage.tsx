import { Button, Radio, Select, TextInput } from '@mantine/core';
import { IconCircleCheck, IconLoader2 } from '@tabler/icons-react';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import { useEffect, useState, type FormEvent } from 'react';
import { agentActs, agentQuery, useRights, type Kit } from '../../api/agents.ts';
import { act, projectsQuery, type Task } from '../../api/board.ts';
import { ApiError } from '../../api/http.ts';
import { Page } from '../../app/Page.tsx';
import { CopyBlock, ErrorState, Panel } from '../../kit/index.ts';
import { common } from '../../strings/index.ts';
import { agents as t } from '../../strings/agents.ts';
import css from './agents.module.css';

const w = t.wizard;
const runtimes = ['claude_code', 'codex', 'openclaw', 'http', 'custom'];

/** Makes an agent and its key, shows what to do where it runs, and waits until it has called. */
export function ConnectPage() {
  const search = useSearch({ strict: false }) as { agent?: string };
  const rights = useRights();
  const client = useQueryClient();
  const projects = useQuery(projectsQuery);
  const again = useQuery({ ...agentQuery(search.agent ?? ''), enabled: !!search.agent });
  const [project, setProject] = useState('');
  const [slug, setSlug] = useState(search.agent ?? '');
  const [name, setName] = useState('');
  const [runtime, setRuntime] = useState('claude_code');
  const [url, setUrl] = useState('');
  const [agentId, setAgentId] = useState('');
  const [token, setToken] = useState('');
  const [kit, setKit] = useState<Kit>();
  const [made, setMade] = useState('');
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const [privateHost, setPrivateHost] = useState('');
  const woken = runtime === 'openclaw' || runtime === 'http';

  useEffect(() => {
    if (!project && projects.data?.[0]) setProject(projects.data[0].key);
  }, [project, projects.data]);
  useEffect(() => {
    if (again.data) setRuntime(again.data.runtime);
  }, [again.data]);
  // The new agent's key is shown once: whoever is about to leave is asked.
  useEffect(() => {
    if (!kit) return;
    const ask = (e: BeforeUnloadEvent) => e.preventDefault();
    window.addEventListener('beforeunload', ask);
    return () => window.removeEventListener('beforeunload', ask);
  }, [kit]);

  const connect = async (allow: boolean) => {
    setBusy(true);
    setError(undefined);
    setPrivateHost('');
    try {
      if (!search.agent && made !== slug) {
        await agentActs.create({ slug, ...(name ? { name } : {}), projects: [project], runtime });
        setMade(slug);
      }
      setKit(await agentActs.kit(slug, { runtime, ...(woken && url ? { url } : {}), ...(allow ? { allow_private: true } : {}), ...(agentId ? { agent_id: agentId } : {}), ...(token ? { gateway_token: token } : {}) }));
      void client.invalidateQueries({ queryKey: ['agents'] });
    } catch (err) {
      if (err instanceof ApiError && /allow_private/.test(err.message)) setPrivateHost(hostOf(url));
      else setError(err instanceof ApiError && err.code === 'already_exists' ? new ApiError(err.status, err.code, w.exists) : err);
    } finally {
      setBusy(false);
    }
  };
  const submit = (e: FormEvent) => {
    e.preventDefault();
    void connect(false);
  };

  return (
    <Page title={w.title} crumbs={[{ label: t.title, to: '/agents' }]}>
      {!rights.managesSome ? (
        <p className="dim">{w.notAllowed}</p>
      ) : (
        <div className={css.wizard}>
          {projects.isSuccess && projects.data.length === 0 && !kit ? (
            <NewProject onMade={(key) => setProject(key)} />
          ) : !kit ? (
            <form onSubmit={submit} className={css.stack}>
              <Radio.Group label={w.runtime} value={runtime} onChange={setRuntime} size="sm">
                <div className={css.runtimes} style={{ marginTop: 6 }}>
                  {runtimes.map((r) => (
                    <Radio.Card key={r} value={r} p="sm" radius="md" aria-label={t.runtimes[r]!} style={{ display: 'flex', background: 'var(--ls-surface)', ...(r === runtime ? { borderColor: 'var(--ls-accent)', background: 'var(--ls-selected)' } : {}) }}>
                      <div style={{ display: 'flex', gap: 10 }}>
                        <Radio.Indicator size="xs" mt={2} />
                        <div>
                          <div style={{ fontWeight: 600, fontSize: 13.5 }}>{t.runtimes[r]}</div>
                          <div className="dim" style={{ fontSize: 12 }}>{w.about[r]}</div>
                        </div>
                      </div>
                    </Radio.Card>
                  ))}
                </div>
              </Radio.Group>
              <div className={css.form}>
                {!search.agent && <Select label={w.project} description={w.projectText} data={(projects.data ?? []).map((p) => ({ value: p.key, label: p.name && p.name !== p.key ? `${p.key} · ${p.name}` : p.key }))} value={project || null} onChange={(v) => setProject(v ?? '')} allowDeselect={false} required />}
                <TextInput label={t.slug} description={t.slugText} placeholder="writer" value={slug} onChange={(e) => setSlug(e.currentTarget.value.toLowerCase())} readOnly={!!search.agent} pattern="[a-z0-9][a-z0-9._\-]*" required />
                {!search.agent && <TextInput label={t.name} value={name} onChange={(e) => setName(e.currentTarget.value)} />}
                {woken && <TextInput label={w.url[runtime]} description={w.urlText} type="url" value={url} onChange={(e) => setUrl(e.currentTarget.value)} required={runtime === 'openclaw'} />}
                {runtime === 'openclaw' && <TextInput label={w.agentId} placeholder={slug} value={agentId} onChange={(e) => setAgentId(e.currentTarget.value)} />}
                {runtime === 'openclaw' && <TextInput label={w.gatewayToken} description={w.gatewayTokenText} type="password" autoComplete="off" value={token} onChange={(e) => setToken(e.currentTarget.value)} />}
              </div>
              {error !== undefined && <ErrorState error={error} title={common.failed} />}
              {privateHost ? (
                <div className={css.private} role="alertdialog" aria-label={w.privateTitle(privateHost)}>
                  <strong>{w.privateTitle(privateHost)}</strong>
                  <p>{w.privateText(privateHost)}</p>
                  {rights.owns ? (
                    <div className={css.buttons}>
                      <Button loading={busy} onClick={() => void connect(true)}>{w.allow}</Button>
                      <Button variant="default" onClick={() => setPrivateHost('')}>{common.cancel}</Button>
                    </div>
                  ) : (
                    <p>{w.privateNotOwner}</p>
                  )}
                </div>
              ) : (
                <div className={css.buttons}><Button type="submit" loading={busy} disabled={!slug || (!search.agent && !project)}>{w.create}</Button></div>
              )}
            </form>
          ) : (
            <KitView kit={kit} project={project} fresh={!search.agent} />
          )}
        </div>
      )}
    </Page>
  );
}

function hostOf(url: string): string {
  try {
    return new URL(url).host;
  } catch {
    return url;
  }
}

function NewProject({ onMade }: { onMade: (key: string) => void }) {
  const client = useQueryClient();
  const [key, setKey] = useState('');
  const [name, setName] = useState('');
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const make = async (e: FormEvent) => {
    e.preventDefault();
    setBusy(true);
    try {
      await act.project(key, name);
      await client.invalidateQueries({ queryKey: ['projects'] });
      onMade(key);
    } catch (err) {
      setError(err);
      setBusy(false);
    }
  };
  return (
    <Panel title={w.newProject} text={w.newProjectText}>
      <form onSubmit={(e) => void make(e)} className={css.form}>
        {error !== undefined && <ErrorState error={error} title={common.failed} />}
        <TextInput label={w.projectKey} placeholder="WEB" value={key} onChange={(e) => setKey(e.currentTarget.value.toUpperCase())} required />
        <TextInput label={w.projectName} placeholder="Web site" value={name} onChange={(e) => setName(e.currentTarget.value)} />
        <div><Button type="submit" loading={busy}>{w.makeProject}</Button></div>
      </form>
    </Panel>
  );
}

function KitView({ kit, project, fresh }: { kit: Kit; project: string; fresh: boolean }) {
  // The stream makes this stale when the agent calls; asking now and then is for where there is no stream.
  const [opened] = useState(() => Date.now());
  const agent = useQuery({ ...agentQuery(kit.agent), refetchInterval: (q) => (q.state.data?.status.first_seen && fresh ? false : 5000) });
  const status = agent.data?.status;
  const connected = fresh ? !!status?.first_seen : !!status?.last_signal && Date.parse(status.last_signal) > opened;
  return (
    <div className={css.stack}>
      <div className={css.wait} data-on={connected || undefined} role="status">
        {connected ? <IconCircleCheck size={22} color="var(--ls-succeeded)" aria-hidden="true" /> : <IconLoader2 size={22} color="var(--ls-running)" aria-hidden="true" />}
        <div>
          <strong>{connected ? w.connected(kit.agent) : w.waiting(kit.agent)}</strong>
          <p className="dim">{connected ? w.connectedText : w.waitingText}</p>
        </div>
      </div>
      {connected && <FirstTask agent={kit.agent} project={project || agent.data?.projects?.[0] || ''} />}
      <Panel title={w.kitTitle} text={w.kitText}>
        <div className={css.stack}>
          <CopyBlock name={w.key} label={w.key} text={kit.key} />
          {(kit.steps ?? []).map((s, i) => (
            <div key={i} className={css.stack} style={{ gap: 6 }}>
              <div><span className={css.stepNumber} style={{ marginRight: 8 }}>{i + 1}</span>{s.about}</div>
              {s.command && <CopyBlock label={s.about} text={s.command} />}
            </div>
          ))}
        </div>
      </Panel>
      {(kit.files ?? []).length > 0 && (
        <Panel title={w.files}>
          <div className={css.stack}>
            {(kit.files ?? []).map((f) => <CopyBlock key={f.path} name={f.secret ? `${f.path} · ${w.secret}` : f.path} label={f.path} text={f.text} />)}
          </div>
        </Panel>
      )}
      <div className={css.buttons}><Button component={Link} to="/agents/$slug" params={{ slug: kit.agent } as never} variant="default">{w.openAgent}</Button></div>
    </div>
  );
}

function FirstTask({ agent, project }: { agent: string; project: string }) {
  const navigate = useNavigate();
  const [title, setTitle] = useState(w.firstTaskDefault);
  const [task, setTask] = useState<Task>();
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const give = async (e: FormEvent) => {
    e.preventDefault();
    setBusy(true);
    setError(undefined);
    try {
      setTask(await act.create({ project, title, assignee: `@${agent}` }));
    } catch (err) {
      setError(err);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Panel title={w.firstTask}>
      {task ? (
        <div className={css.buttons} style={{ alignItems: 'center' }}>
          <span role="status">{w.given(task.key)}</span>
          <Button variant="default" onClick={() => void navigate({ to: '/board/$project', params: { project: task.key.split('-')[0]! }, search: { task: task.key } })}>{w.openTask}</Button>
        </div>
      ) : (
        <form onSubmit={(e) => void give(e)} className={css.form}>
          {error !== undefined && <ErrorState error={error} title={common.failed} />}
          <TextInput label={t.task} value={title} onChange={(e) => setTitle(e.currentTarget.value)} required />
          <div><Button type="submit" loading={busy}>{w.give}</Button></div>
        </form>
      )}
    </Panel>
  );
}
