import { ActionIcon, Drawer } from '@mantine/core';
import { useLocalStorage, useMediaQuery } from '@mantine/hooks';
import { IconX } from '@tabler/icons-react';
import { useRef, type ReactNode } from 'react';
import { useShortcuts } from '../app/keys.ts';
import { common, kit, shell } from '../strings/index.ts';
import css from './Inspector.module.css';

export interface InspectorProps {
  title: ReactNode;
  /** What a screen reader calls it. */
  label: string;
  onClose: () => void;
  /** Below the title: tabs, a badge. */
  head?: ReactNode;
  /** Inspectors of one name are as wide as somebody made the last of them. */
  name?: string;
  /** How wide it is until somebody drags its edge. */
  width?: number;
  children: ReactNode;
}

const narrowest = 280;
const widest = 900;

/** The panel at the right that tells more of what is chosen. Esc closes it; its edge can be dragged, or moved with the arrow keys. */
export function Inspector({ title, label, onClose, head, name = 'inspector', width: first = 360, children }: InspectorProps) {
  const [width, setWidth] = useLocalStorage({ key: `lockstep.${name}-width`, defaultValue: first, getInitialValueInEffect: false });
  const small = useMediaQuery('(max-width: 900px)', window.innerWidth <= 900, { getInitialValueInEffect: false });
  const from = useRef<{ x: number; width: number } | null>(null);
  useShortcuts([{ keys: 'Escape', label: shell.keys.close, group: shell.keys.everywhere, run: onClose }]);
  const to = (w: number) => setWidth(Math.round(Math.max(narrowest, Math.min(widest, w))));

  if (small) {
    return (
      <Drawer opened onClose={onClose} position="bottom" size="92%" title={title} closeButtonProps={{ 'aria-label': common.close }}>
        {head}
        <div className={css.drawerBody}>{children}</div>
      </Drawer>
    );
  }
  return (
    <aside className={css.inspector} style={{ width }} aria-label={label}>
      <div
        className={css.edge}
        role="separator"
        aria-orientation="vertical"
        aria-label={kit.resize}
        aria-valuenow={width}
        aria-valuemin={narrowest}
        aria-valuemax={widest}
        tabIndex={0}
        onKeyDown={(e) => {
          if (e.key === 'ArrowLeft') to(width + 20);
          else if (e.key === 'ArrowRight') to(width - 20);
          else return;
          e.preventDefault();
          e.stopPropagation();
        }}
        onPointerDown={(e) => {
          e.currentTarget.setPointerCapture(e.pointerId);
          from.current = { x: e.clientX, width };
        }}
        onPointerMove={(e) => from.current && to(from.current.width + from.current.x - e.clientX)}
        onPointerUp={() => (from.current = null)}
      />
      <div className={css.head}>
        <div className={css.titleLine}>
          <h2 className={css.title}>{title}</h2>
          <ActionIcon onClick={onClose} aria-label={common.close}><IconX size={16} /></ActionIcon>
        </div>
        {head}
      </div>
      <div className={css.body} tabIndex={0} role="group" aria-label={kit.inspector}>{children}</div>
    </aside>
  );
}
