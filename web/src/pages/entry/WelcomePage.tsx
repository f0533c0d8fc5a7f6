import { Button, PasswordInput, TextInput } from '@mantine/core';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { useState, type FormEvent } from 'react';
import { bootstrap, sessionQuery, signIn } from '../../api/session.ts';
import { client } from '../../app/client.ts';
import { shell } from '../../strings/index.ts';
import { EntryFrame } from './EntryFrame.tsx';

/** Where the first user of a server makes themselves its owner, by the link that the server printed. */
export function WelcomePage() {
  const { token } = useSearch({ strict: false }) as { token?: string };
  const navigate = useNavigate();
  const [problem, setProblem] = useState('');
  const [busy, setBusy] = useState(false);

  const submit = async (e: FormEvent<HTMLFormElement>) => {
    e.preventDefault();
    const form = new FormData(e.currentTarget);
    const of = (name: string) => String(form.get(name) ?? '');
    setBusy(true);
    setProblem('');
    try {
      await bootstrap({ token: token ?? '', name: of('name'), email: of('email'), password: of('password') });
      let session = await client.fetchQuery({ ...sessionQuery, staleTime: 0 });
      if (!session) {
        await signIn(of('email'), of('password'));
        session = await client.fetchQuery({ ...sessionQuery, staleTime: 0 });
      }
      void navigate({ to: session ? '/' : '/sign-in', replace: true });
    } catch (err) {
      setProblem(err instanceof Error ? err.message : String(err));
    } finally {
      setBusy(false);
    }
  };
  return (
    <EntryFrame title={shell.welcomeTitle} problem={problem}>
      {token ? (
        <>
          <p className="dim" style={{ margin: 0 }}>{shell.welcomeText}</p>
          <form onSubmit={(e) => void submit(e)} style={{ display: 'grid', gap: 14 }}>
            <TextInput size="sm" name="name" label={shell.name} autoComplete="name" required autoFocus />
            <TextInput size="sm" name="email" type="email" label={shell.email} autoComplete="username" required />
            <PasswordInput size="sm" name="password" label={shell.newPassword} description={shell.newPasswordText} autoComplete="new-password" minLength={12} required />
            <Button type="submit" size="sm" loading={busy}>{shell.create}</Button>
          </form>
        </>
      ) : (
        <p className="dim">{shell.noToken}</p>
      )}
    </EntryFrame>
  );
}
