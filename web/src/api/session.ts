import { queryOptions } from '@tanstack/react-query';
import { ApiError, onSignedOut, rest } from './http.ts';

/** Who sits in front of the console, and whether there is a sign-in at all. */
export interface Session {
  user: { id: string; name: string; email: string };
  roles: string[];
  /** Nobody signs in: the server is for this machine only. */
  dev: boolean;
}

interface Told {
  user?: string | { id?: string; name?: string; email?: string };
  roles?: string[] | Record<string, string>;
  csrf?: string;
  dev?: boolean;
}

const developer: Session = { user: { id: 'local', name: 'You', email: 'dev@localhost' }, roles: ['owner'], dev: true };

/** null: somebody has to sign in first. A server that knows no sessions is one for development. */
export const sessionQuery = queryOptions({
  queryKey: ['session'],
  staleTime: 60_000,
  retry: false,
  queryFn: async ({ signal }): Promise<Session | null> => {
    try {
      return read(await rest<Told>('/session', { signal }));
    } catch (err) {
      if (err instanceof ApiError && err.status === 404) return developer;
      if (err instanceof ApiError && err.status === 401) return null;
      throw err;
    }
  },
});

function read(told: Told): Session {
  const user = typeof told.user === 'string' ? { id: told.user, name: told.user } : (told.user ?? {});
  const roles = Array.isArray(told.roles) ? told.roles : Object.values(told.roles ?? {});
  return {
    user: { id: user.id ?? '', name: user.name || ('email' in user && user.email) || user.id || '', email: ('email' in user && user.email) || '' },
    roles,
    dev: told.dev ?? false,
  };
}

export async function signIn(user: string, password: string): Promise<void> {
  await rest('/session', { method: 'POST', body: { user, password } });
}

export async function signOut(): Promise<void> {
  await rest('/session', { method: 'DELETE' });
}

export interface Owner {
  token: string;
  name: string;
  email: string;
  password: string;
}

/** Makes the first user of a server that has none. */
export async function bootstrap(owner: Owner): Promise<void> {
  await rest('/bootstrap', { method: 'POST', body: owner });
}

export { onSignedOut };
