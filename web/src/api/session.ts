import { queryOptions } from '@tanstack/react-query';
import { ApiError, onSignedOut, rest } from './http.ts';

export type Role = 'owner' | 'admin' | 'reviewer' | 'member' | 'viewer';

/** Who sits in front of the console, and whether there is a sign-in at all. */
export interface Session {
  user: { id: string; name: string; display?: string; email?: string; role: Role };
  roles: { workspace?: Role; projects?: Record<string, Role> };
  /** What they may do in the whole workspace. */
  rights: string[];
  /** Nobody signs in: the server is for this machine only. */
  dev: boolean;
}

/** null: somebody has to sign in first. */
export const sessionQuery = queryOptions({
  queryKey: ['session'],
  staleTime: 60_000,
  retry: false,
  queryFn: async ({ signal }): Promise<Session | null> => {
    try {
      const told = await rest<Partial<Session>>('/session', { signal });
      if (!told.user) throw new ApiError(403, 'not_a_user', 'The console is for people; a key of an agent or a service does not do.');
      return { user: told.user, roles: told.roles ?? {}, rights: told.rights ?? [], dev: told.dev ?? false };
    } catch (err) {
      if (err instanceof ApiError && err.status === 401) return null;
      throw err;
    }
  },
});

/** What people are called: the name they chose to show, else the one they sign in with. */
export function displayName(user: { name: string; display?: string }): string {
  return user.display || user.name;
}

export async function signIn(name: string, password: string): Promise<void> {
  await rest('/session', { method: 'POST', body: { name, password } });
}

export async function signOut(): Promise<void> {
  await rest('/session', { method: 'DELETE' });
}

/** What a one-time link is for. With a name, the user is there already. */
export interface Invitation {
  for: 'owner' | 'invite' | 'reset';
  name?: string;
}

/** Reads a one-time link without using it up. */
export async function readLink(token: string): Promise<Invitation> {
  return rest('/bootstrap', { method: 'POST', body: { token } });
}

/** Uses a one-time link: sets the password and signs in. */
export async function redeemLink(token: string, user: { name: string; display: string; password: string }): Promise<void> {
  await rest('/bootstrap', { method: 'POST', body: { token, ...user } });
}

export { onSignedOut };
