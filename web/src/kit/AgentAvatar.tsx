import { Tooltip } from '@mantine/core';
import { statusText } from './StatusBadge.tsx';
import { meaningOf } from './status.ts';
import css from './AgentAvatar.module.css';

/** The initials of an agent or person, with the agent's status as a dot. Agents are square, people round. */
export function AgentAvatar({ name, status, person, size = 24 }: { name: string; status?: string; person?: boolean; size?: number }) {
  const text = status ? `${name}: ${statusText(status)}` : name;
  return (
    <Tooltip label={text}>
      <span className={css.avatar} data-person={person || undefined} data-hue={hue(name)} style={{ width: size, height: size, fontSize: Math.max(10, size * 0.42) }} role="img" aria-label={text}>
        {initials(name).slice(0, size < 20 ? 1 : 2)}
        {status && <span className={css.dot} data-meaning={meaningOf(status)} />}
      </span>
    </Tooltip>
  );
}

function initials(name: string): string {
  const words = name.replace(/^@/, '').split(/[\s._-]+/).filter(Boolean);
  const letters = words.length > 1 ? words[0]![0]! + words[1]![0]! : (words[0] ?? '?').slice(0, 2);
  return letters.toUpperCase();
}

/** One of six shades that stay with a name. */
function hue(name: string): number {
  let sum = 0;
  for (const c of name) sum = (sum * 31 + c.codePointAt(0)!) % 997;
  return sum % 6;
}
