import { Button, PasswordInput, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { useState, type FormEvent } from 'react';
import { readLink, redeemLink } from '../../api/session.ts';
import { client } from '../../app/client.ts';
import { ErrorState } from '../../kit/index.ts';
import { shell } from '../../strings/index.ts';
import { EntryFrame } from './EntryFrame.tsx';

/** Where a one-time link leads: the first owner, a user who was invited, or one who needs another password. */
export function WelcomePage() {
  const { token } = useSearch({ strict: false }) as { token?: string };
  const navigate = useNavigate();
  const [problem, setProblem] = useState('');
  const [busy, setBusy] = useState(false);
  const link = useQuery({ queryKey: ['link', token], queryFn: () => readLink(token!), enabled: !!token, retry: false, staleTime: Infinity });

  const submit = async (e: FormEvent<HTMLFormElement>) => {
    e.preventDefault();
    const form = new FormData(e.currentTarget);
    const of = (name: string) => String(form.get(name) ?? '');
    setBusy(true);
    setProblem('');
    try {
      await redeemLink(token!, { name: of('name') || (link.data?.name ?? ''), display: of('display'), password: of('password') });
      await client.invalidateQueries({ queryKey: ['session'] });
      void navigate({ to: '/', replace: true });
    } catch (err) {
      setProblem(err instanceof Error ? err.message : String(err));
    } finally {
      setBusy(false);
    }
  };
  const invitation = link.data;
  const title = invitation ? shell.welcome[invitation.for].title : shell.welcome.owner.title;
  return (
    <EntryFrame title={title} problem={problem}>
      {!token && <p className="dim">{shell.noToken}</p>}
      {link.isError && <ErrorState error={link.error} title={shell.linkNoGood} />}
      {invitation && (
        <>
          <p className="dim" style={{ margin: 0 }}>{shell.welcome[invitation.for].text}</p>
          <form onSubmit={(e) => void submit(e)} style={{ display: 'grid', gap: 14 }}>
            <TextInput size="sm" name="name" label={shell.user} autoComplete="username" defaultValue={invitation.name} readOnly={!!invitation.name} required autoFocus />
            {!invitation.name && <TextInput size="sm" name="display" label={shell.name} autoComplete="name" />}
            <PasswordInput size="sm" name="password" label={shell.newPassword} description={shell.newPasswordText} autoComplete="new-password" required />
            <Button type="submit" size="sm" loading={busy}>{shell.welcome[invitation.for].button}</Button>
          </form>
        </>
      )}
    </EntryFrame>
  );
}
