import { ActionIcon } from '@mantine/core';
import { IconX } from '@tabler/icons-react';
import { StatusIcon, statusText } from '../kit/StatusBadge.tsx';
import { colourOf, meaningOf } from '../kit/status.ts';
import { graph } from '../strings/graph.ts';
import type { Scope } from './definition.ts';
import type { NodeStatus } from './status.ts';
import css from './Outline.module.css';
import { TypeIcon } from './TypeIcon.tsx';

interface OutlineProps {
  scope: Scope;
  status: ReadonlyMap<string, NodeStatus> | undefined;
  selected: string | undefined;
  onSelect: (id: string) => void;
  onClose: () => void;
}

/** The same graph as a list within lists, for those who cannot see it or find what they look for. */
export function Outline({ scope, status, selected, onSelect, onClose }: OutlineProps) {
  return (
    <nav className={css.outline} aria-label={graph.outline}>
      <div className={css.head}>
        <strong>{graph.outline}</strong>
        <ActionIcon onClick={onClose} aria-label={graph.closeOutline}><IconX size={15} /></ActionIcon>
      </div>
      <Level scope={scope} status={status} selected={selected} onSelect={onSelect} />
    </nav>
  );
}

function Level({ scope, status, selected, onSelect }: Omit<OutlineProps, 'onClose'>) {
  const name = (id: string) => scope.states.find((s) => s.id === id)?.name ?? id;
  return (
    <ul className={css.list}>
      {scope.states.map((s) => {
        const is = status?.get(s.id)?.status;
        const next = scope.edges.filter((e) => e.from === s.id).map((e) => name(e.to));
        return (
          <li key={s.id}>
            <button type="button" className={css.entry} aria-current={selected === s.id} onClick={() => onSelect(s.id)}>
              <TypeIcon type={s.type} size={15} />
              <span className="truncate">{s.name}</span>
              {is && is !== 'not_started' && <span className={css.status} style={{ color: colourOf(meaningOf(is)) }}><StatusIcon status={is} /><span className="sr-only">{statusText(is)}</span></span>}
              {next.length > 0 && <span className="sr-only">{graph.leadsTo(next.join(', '))}</span>}
            </button>
            {s.scopes.map((inner, i) => <Level key={i} scope={inner} status={status} selected={selected} onSelect={onSelect} />)}
          </li>
        );
      })}
    </ul>
  );
}
