import css from './Kbd.module.css';

const shown: Record<string, string> = { ArrowUp: '↑', ArrowDown: '↓', ArrowLeft: '←', ArrowRight: '→', Escape: 'Esc', Enter: '↵' };

/** Keys to press, such as "Ctrl k" or "g m". */
export function Kbd({ keys }: { keys: string }) {
  return (
    <span className={css.keys}>
      {keys.split(' ').map((k, i) => (
        <kbd key={i} className={css.key}>{shown[k] ?? (k.length === 1 && keys.includes(' ') && !keys.startsWith('g ') ? k.toUpperCase() : k)}</kbd>
      ))}
    </span>
  );
}
