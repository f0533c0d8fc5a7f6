import { IconAlertTriangle, IconArrowForwardUp, IconCheck, IconClock, IconLoader2, IconPlayerPause, IconSlash, IconUser, IconX, type Icon } from '@tabler/icons-react';
import { kit } from '../strings/index.ts';
import css from './StatusBadge.module.css';
import { glyphOf, meaningOf, type Glyph } from './status.ts';

const icons: Partial<Record<Glyph, Icon>> = {
  spinner: IconLoader2,
  check: IconCheck,
  cross: IconX,
  clock: IconClock,
  bang: IconAlertTriangle,
  person: IconUser,
  slash: IconSlash,
  redo: IconArrowForwardUp,
  pause: IconPlayerPause,
};

/** The words for a status. */
export function statusText(status: string): string {
  return kit.status[status] ?? kit.status[status.toLowerCase()] ?? status;
}

/** A status in colour, icon, border and words. */
export function StatusBadge({ status, label, solid, size = 'md' }: { status: string; label?: string; solid?: boolean; size?: 'sm' | 'md' | 'lg' }) {
  return (
    <span className={css.badge} data-meaning={meaningOf(status)} data-solid={solid || undefined} data-size={size}>
      <StatusIcon status={status} />
      {label ?? statusText(status)}
    </span>
  );
}

/** Only the icon of a status, for places where its words stand beside it. */
export function StatusIcon({ status, size = 12 }: { status: string; size?: number }) {
  const glyph = glyphOf(status);
  const Shown = icons[glyph];
  return Shown ? <Shown size={size} stroke={2.4} aria-hidden="true" className={glyph === 'spinner' ? css.spin : undefined} /> : null;
}
