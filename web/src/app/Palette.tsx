import { Spotlight, spotlight, type SpotlightActionData, type SpotlightActionGroupData } from '@mantine/spotlight';
import { useMantineColorScheme } from '@mantine/core';
import { IconArrowRight, IconBinaryTree2, IconLink, IconListDetails, IconMoon, IconSearch, IconSun, IconDeviceDesktop, IconChecklist } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { machinesQuery } from '../api/machines.ts';
import { shell } from '../strings/index.ts';
import { copyText } from './clipboard.ts';
import { places } from './nav.ts';

export const openPalette = (): void => spotlight.open();

/** Entries that pages add to the palette by kind of thing: agents, tasks, … */
export type PaletteSource = (query: string) => SpotlightActionData[];

/** The palette of Ctrl K: pages, machines, and whatever an id leads to. */
export function Palette() {
  const [query, setQuery] = useState('');
  const [open, setOpen] = useState(false);
  const navigate = useNavigate();
  const { setColorScheme } = useMantineColorScheme();
  const machines = useQuery({ ...machinesQuery, enabled: open });
  const go = (to: string) => void navigate({ to: to as '/' });
  const icon = (Icon: typeof IconArrowRight) => <Icon size={17} stroke={1.7} />;

  const direct: SpotlightActionData[] = [];
  const text = query.trim();
  if (/^arn:[^:]*:states:[^:]*:[^:]*:(execution|express):/.test(text)) {
    direct.push({ id: 'execution', label: shell.openArn, description: text, leftSection: icon(IconListDetails), keywords: text, onClick: () => go(`/executions/${encodeURIComponent(text)}`) });
  } else if (/^arn:[^:]*:states:[^:]*:[^:]*:stateMachine:/.test(text)) {
    direct.push({ id: 'machine', label: shell.openMachineArn, description: text, leftSection: icon(IconBinaryTree2), keywords: text, onClick: () => go(`/machines/${encodeURIComponent(text.split(':')[6] ?? '')}`) });
  } else if (/^[a-z][a-z0-9]*-\d+$/i.test(text)) {
    const key = text.toUpperCase();
    direct.push({ id: 'task', label: `${shell.openTask} ${key}`, leftSection: icon(IconChecklist), keywords: text, onClick: () => void navigate({ to: '/board/$project', params: { project: key.split('-')[0]! }, search: { task: key } }) });
  }

  const groups: SpotlightActionGroupData[] = [
    ...(direct.length > 0 ? [{ group: shell.actions, actions: direct }] : []),
    { group: shell.pages, actions: places.map((p): SpotlightActionData => ({ id: p.id, label: p.label, leftSection: <p.icon size={17} stroke={1.7} />, onClick: () => go(p.to) })) },
    {
      group: shell.machines,
      actions: (machines.data ?? []).slice(0, 200).map((m): SpotlightActionData => ({
        id: m.stateMachineArn,
        label: m.name,
        description: m.type === 'EXPRESS' ? 'Express' : 'Standard',
        leftSection: icon(IconBinaryTree2),
        onClick: () => go(`/machines/${encodeURIComponent(m.name)}`),
      })),
    },
    {
      group: direct.length > 0 ? shell.theme : shell.actions,
      actions: [
        { id: 'link', label: shell.copyLink, leftSection: icon(IconLink), onClick: () => void copyText(location.href) },
        { id: 'light', label: `${shell.theme}: ${shell.themes.light}`, leftSection: icon(IconSun), onClick: () => setColorScheme('light') },
        { id: 'dark', label: `${shell.theme}: ${shell.themes.dark}`, leftSection: icon(IconMoon), onClick: () => setColorScheme('dark') },
        { id: 'system', label: `${shell.theme}: ${shell.themes.auto}`, leftSection: icon(IconDeviceDesktop), onClick: () => setColorScheme('auto') },
      ],
    },
  ];
  return (
    <Spotlight
      actions={groups.filter((g) => g.actions.length > 0)}
      query={query}
      onQueryChange={setQuery}
      onSpotlightOpen={() => setOpen(true)}
      onSpotlightClose={() => setOpen(false)}
      shortcut={null}
      scrollable
      maxHeight={420}
      limit={40}
      highlightQuery
      nothingFound={shell.paletteEmpty}
      searchProps={{ leftSection: <IconSearch size={18} />, placeholder: shell.search, 'aria-label': shell.search }}
    />
  );
}
