import { Link, useSearch } from '@tanstack/react-router';
import type { ComponentType } from 'react';
import { useRights } from '../../api/agents.ts';
import { Page } from '../../app/Page.tsx';
import { SideNav } from '../../kit/index.ts';
import { ops as t } from '../../strings/ops.ts';
import { Activities, Connections, Functions, Schedules, Tags, Triggers } from './Engine.tsx';
import { Alerts, Audit, Deliveries, LongRunning, Wakeups } from './Now.tsx';

const parts: Record<string, ComponentType> = {
  alerts: Alerts, wakeups: Wakeups, stuck: LongRunning, deliveries: Deliveries, activities: Activities, schedules: Schedules, triggers: Triggers, connections: Connections, functions: Functions, tags: Tags, audit: Audit,
};

/** What needs somebody who runs the server. */
export function OpsPage() {
  const search = useSearch({ strict: false }) as { show?: string };
  const rights = useRights();
  const shown = search.show && parts[search.show] ? search.show : 'alerts';
  const Shown = parts[shown]!;
  const groups = [
    { label: t.groups.now, list: ['alerts', 'wakeups', 'stuck', 'deliveries'] },
    { label: t.groups.engine, list: ['activities', 'schedules', 'triggers', 'connections', 'functions', 'tags'] },
    { label: t.groups.record, list: rights.owns ? ['audit'] : [] },
  ];
  return (
    <Page title={t.title}>
      <SideNav
        label={t.nav}
        groups={groups.map((g) => ({ label: g.label, entries: g.list.map((s) => <Link key={s} to="/ops" search={{ show: s === 'alerts' ? undefined : s } as never} aria-current={s === shown ? 'page' : undefined}>{t.sections[s]}</Link>) }))}
      >
        <Shown key={shown} />
      </SideNav>
    </Page>
  );
}
