import {
  IconActivity, IconBinaryTree2, IconChecklist, IconCoin, IconLayoutKanban, IconListDetails, IconRobot, IconSettings, IconStethoscope, type Icon,
} from '@tabler/icons-react';
import { shell } from '../strings/index.ts';

export interface Place {
  id: keyof typeof shell.nav;
  to: string;
  label: string;
  icon: Icon;
  /** What comes after g. */
  key?: string;
}

export interface Section {
  label: string;
  places: Place[];
}

const place = (id: Place['id'], icon: Icon, key?: string): Place => ({ id, to: `/${id}`, label: shell.nav[id], icon, ...(key ? { key } : {}) });

/** The places of the navigation, by section. */
export const sections: Section[] = [
  { label: shell.sections.workflows, places: [place('machines', IconBinaryTree2, 'm'), place('executions', IconListDetails, 'e')] },
  {
    label: shell.sections.agents,
    places: [place('board', IconLayoutKanban, 'b'), place('reviews', IconChecklist, 'r'), place('agents', IconRobot, 'a'), place('costs', IconCoin, 'c')],
  },
  { label: shell.sections.more, places: [place('activity', IconActivity), place('ops', IconStethoscope), place('settings', IconSettings, 's')] },
];

export const places: Place[] = sections.flatMap((s) => s.places);

const lastPlace = (id: string) => `lockstep.last.${id}`;

/** Remembers where somebody was in a section, so that its entry in the navigation leads back there. */
export function rememberPlace(path: string, search: string): void {
  const found = places.find((p) => path === p.to || path.startsWith(`${p.to}/`));
  // Of a board it is the project that is remembered, elsewhere the list with its filters.
  if (found && (path === found.to || found.id === 'board')) sessionStorage.setItem(lastPlace(found.id), path + search);
}

/** Where a section's entry leads: to its list as it was last filtered. */
export function placeToGo(p: Place): string {
  return sessionStorage.getItem(lastPlace(p.id)) ?? p.to;
}
