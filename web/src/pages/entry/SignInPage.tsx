import { Button, PasswordInput, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { useState, type FormEvent } from 'react';
import { sessionQuery, signIn } from '../../api/session.ts';
import { client } from '../../app/client.ts';
import { shell } from '../../strings/index.ts';
import { EntryFrame } from './EntryFrame.tsx';

/** Where users of a team's server sign in; afterwards they are where they wanted to go. */
export function SignInPage() {
  const search = useSearch({ strict: false }) as { next?: string };
  const navigate = useNavigate();
  const session = useQuery(sessionQuery);
  const [problem, setProblem] = useState('');
  const [busy, setBusy] = useState(false);
  const target = search.next?.startsWith('/') && !search.next.startsWith('//') ? search.next : '/';

  const submit = async (e: FormEvent<HTMLFormElement>) => {
    e.preventDefault();
    const form = new FormData(e.currentTarget);
    setBusy(true);
    setProblem('');
    try {
      await signIn(String(form.get('user')), String(form.get('password')));
      await client.invalidateQueries();
      await client.fetchQuery({ ...sessionQuery, staleTime: 0 });
      void navigate({ href: target });
    } catch (err) {
      setProblem(err instanceof Error ? err.message : String(err));
    } finally {
      setBusy(false);
    }
  };
  const dev = session.data?.dev;
  return (
    <EntryFrame title={shell.signInTitle} problem={problem}>
      {dev ? (
        <>
          <p className="dim">{shell.devUser}</p>
          <Button onClick={() => void navigate({ to: '/' })}>{shell.nav.machines}</Button>
        </>
      ) : (
        <form onSubmit={(e) => void submit(e)} style={{ display: 'grid', gap: 14 }}>
          <TextInput size="sm" name="user" label={shell.user} autoComplete="username" required autoFocus />
          <PasswordInput size="sm" name="password" label={shell.password} autoComplete="current-password" required />
          <Button type="submit" size="sm" loading={busy}>{shell.signIn}</Button>
        </form>
      )}
    </EntryFrame>
  );
}
