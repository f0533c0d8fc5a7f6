import { Link, useParams } from '@tanstack/react-router';
import type { ComponentType } from 'react';
import { useRights } from '../../api/agents.ts';
import { Page } from '../../app/Page.tsx';
import { SideNav } from '../../kit/index.ts';
import { settings as t } from '../../strings/settings.ts';
import { ApiKeys } from './ApiKeys.tsx';
import { Appearance, Profile, Sessions } from './You.tsx';
import { NotificationSettings } from './NotificationSettings.tsx';
import { Projects } from './Projects.tsx';
import { RecurringTasks, Templates } from './Templates.tsx';
import { Users } from './Users.tsx';
import { Webhooks } from './Webhooks.tsx';

const parts: Record<string, ComponentType> = {
  you: Profile, sessions: Sessions, appearance: Appearance, notifications: NotificationSettings, keys: ApiKeys, users: Users, projects: Projects, templates: Templates, recurring: RecurringTasks, webhooks: Webhooks,
};

/** What can be set, for oneself and for the workspace; only what applies to whoever looks. */
export function SettingsPage() {
  const { section } = useParams({ strict: false }) as { section?: string };
  const rights = useRights();
  const you = ['you', ...(rights.dev ? [] : ['sessions']), 'appearance', 'notifications', 'keys'];
  const workspace = [...(rights.dev ? [] : ['users']), 'projects', 'templates', 'recurring', ...(rights.manages ? ['webhooks'] : [])];
  const shown = section && [...you, ...workspace].includes(section) ? section : 'you';
  const Shown = parts[shown]!;
  return (
    <Page title={t.title}>
      <SideNav
        label={t.nav}
        groups={([[t.groups.you, you], [t.groups.workspace, workspace]] as const).map(([label, list]) => ({
          label,
          entries: [
            ...list.map((s) => <Link key={s} to="/settings/$section" params={{ section: s }} aria-current={s === shown ? 'page' : undefined}>{t.sections[s]}</Link>),
            ...(label === t.groups.workspace ? [<Link key="budgets" to="/costs" search={{ tab: 'budgets' }}>{t.sections.budgets}</Link>] : []),
          ],
        }))}
      >
        <Shown key={shown} />
      </SideNav>
    </Page>
  );
}
