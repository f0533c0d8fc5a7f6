import { Modal, Switch } from '@mantine/core';
import { Kbd } from '../kit/Kbd.tsx';
import { shell } from '../strings/index.ts';
import { useShortcutList, useSingleKeys } from './keys.ts';
import css from './ShortcutSheet.module.css';

/** All shortcuts that work now, by group. */
export function ShortcutSheet({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  const list = useShortcutList();
  const [single, setSingle] = useSingleKeys();
  const groups = new Map<string, Map<string, string[]>>();
  for (const s of list) {
    const group = groups.get(s.group) ?? new Map<string, string[]>();
    group.set(s.label, [...new Set([...(group.get(s.label) ?? []), s.keys])]);
    groups.set(s.group, group);
  }
  return (
    <Modal opened={opened} onClose={onClose} title={shell.keyboard} size={680} closeButtonProps={{ 'aria-label': shell.closeMenu }}>
      <div className={css.groups}>
        {[...groups].map(([name, shortcuts]) => (
          <section key={name} className={css.group}>
            <h2 className={css.title}>{name}</h2>
            <dl className={css.list}>
              {[...shortcuts].map(([label, keys]) => (
                <div key={label} className={css.row}>
                  <dt>{label}</dt>
                  <dd>{keys.map((k) => <Kbd key={k} keys={k} />)}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
      <Switch mt="md" label={shell.singleKeys} description={shell.singleKeysText} checked={single} onChange={(e) => setSingle(e.currentTarget.checked)} />
    </Modal>
  );
}
