import { Button, PasswordInput, SegmentedControl, Switch, TextInput, useMantineColorScheme } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import { sessionQuery, type Session as Here } from '../../api/session.ts';
import { endSession, sessionsQuery, userActs, type Session } from '../../api/settings.ts';
import { useSingleKeys } from '../../app/keys.ts';
import { Confirm, DataTable, ErrorState, Facts, Panel, StatusBadge, TimeAgo } from '../../kit/index.ts';
import { common, shell } from '../../strings/index.ts';
import { settings as t } from '../../strings/settings.ts';
import { failed, told } from './parts.tsx';
import css from './settings.module.css';

/** Who one is. */
export function Profile() {
  const session = useQuery(sessionQuery).data;
  if (!session) return null;
  return <ProfileOf session={session} />;
}

function ProfileOf({ session }: { session: Here }) {
  const client = useQueryClient();
  const [display, setDisplay] = useState(session.user.display ?? '');
  const [email, setEmail] = useState(session.user.email ?? '');
  const save = async (e: FormEvent) => {
    e.preventDefault();
    try {
      await userActs.change(session.user.name, { display, email });
      await client.invalidateQueries({ queryKey: ['session'] });
      told(t.saved);
    } catch (err) {
      failed(err);
    }
  };
  const projects = Object.entries(session.roles.projects ?? {});
  return (
    <>
      {session.dev && <p className={css.note}><strong>{t.devTitle}.</strong> {t.devNote.replaceAll('`', '')}</p>}
      <Panel title={t.profileTitle}>
        <div className={css.stack}>
          <Facts of={[[t.signInName, session.user.name], [t.role, t.roles[session.roles.workspace ?? session.user.role] ?? session.user.role], ...(projects.length > 0 ? [[t.inProjects, projects.map(([p, r]) => `${p} (${(t.roles[r] ?? r).toLowerCase()})`).join(', ')] as const] : [])]} />
          {session.rights.includes('own') && !session.dev && (
            <form onSubmit={(e) => void save(e)} className={css.form}>
              <TextInput label={t.display} value={display} onChange={(e) => setDisplay(e.currentTarget.value)} />
              <TextInput label={t.email} type="email" value={email} onChange={(e) => setEmail(e.currentTarget.value)} />
              <div><Button type="submit">{common.save}</Button></div>
            </form>
          )}
        </div>
      </Panel>
      {!session.dev && <Password name={session.user.name} />}
    </>
  );
}

function Password({ name }: { name: string }) {
  const [error, setError] = useState<unknown>();
  const change = async (e: FormEvent<HTMLFormElement>) => {
    e.preventDefault();
    const form = e.currentTarget;
    const of = (field: string) => String(new FormData(form).get(field) ?? '');
    setError(undefined);
    try {
      await userActs.password(name, of('old'), of('new'));
      form.reset();
      told(t.passwordChanged);
    } catch (err) {
      setError(err);
    }
  };
  return (
    <Panel title={t.passwordTitle}>
      <form onSubmit={(e) => void change(e)} className={css.form}>
        {error !== undefined && <ErrorState error={error} title={common.failed} />}
        <PasswordInput name="old" label={t.passwordOld} autoComplete="current-password" required />
        <PasswordInput name="new" label={t.passwordNew} autoComplete="new-password" required />
        <div><Button type="submit">{t.passwordChange}</Button></div>
      </form>
    </Panel>
  );
}

/** Where one is signed in. */
export function Sessions() {
  const sessions = useQuery(sessionsQuery);
  const client = useQueryClient();
  const [ending, setEnding] = useState<Session>();
  if (sessions.isError) return <ErrorState error={sessions.error} retry={() => void sessions.refetch()} />;
  return (
    <Panel title={t.sessionsTitle} text={t.sessionsText} bare>
      <DataTable<Session>
        plain
        name="sessions"
        label={t.sessionsTitle}
        rows={sessions.data ?? []}
        rowId={(s) => s.id}
        loading={sessions.isPending}
        columns={[
          { id: 'browser', label: t.browser, always: true, cell: (s) => <span title={s.browser}>{s.browser ?? '–'}</span> },
          { id: 'address', label: t.address, width: '150px', cell: (s) => s.address ?? '–' },
          { id: 'seen', label: t.seen, width: '150px', cell: (s) => <TimeAgo at={s.seen_at} /> },
          { id: 'end', label: t.end, width: '110px', align: 'right', cell: (s) => (s.current ? <StatusBadge status="idle" label={t.thisOne} size="sm" /> : <Button size="compact-xs" variant="default" onClick={() => setEnding(s)}>{t.end}</Button>) },
        ]}
      />
      {ending && <Confirm danger title={t.endSessionTitle} verb={t.end} run={() => endSession(ending.id).then(() => client.invalidateQueries({ queryKey: ['sessions'] }))} onClose={() => setEnding(undefined)}>{t.endSessionText}</Confirm>}
    </Panel>
  );
}

/** Theme and keys; kept in this browser. */
export function Appearance() {
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const [single, setSingle] = useSingleKeys();
  return (
    <>
      <Panel title={t.themeTitle}>
        <SegmentedControl aria-label={t.themeTitle} value={colorScheme} onChange={(v) => setColorScheme(v as 'auto')} data={Object.entries(t.themes).map(([value, label]) => ({ value, label }))} />
      </Panel>
      <Panel title={t.keysTitle}>
        <Switch label={shell.singleKeys} description={shell.singleKeysText} checked={single} onChange={(e) => setSingle(e.currentTarget.checked)} />
      </Panel>
    </>
  );
}
