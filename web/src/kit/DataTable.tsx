import { ActionIcon, Checkbox, Menu, Skeleton, Tooltip } from '@mantine/core';
import { useLocalStorage } from '@mantine/hooks';
import { IconArrowDown, IconArrowUp, IconColumns3 } from '@tabler/icons-react';
import { useVirtualizer } from '@tanstack/react-virtual';
import { memo, useEffect, useMemo, useRef, useState, type ReactNode, type RefObject } from 'react';
import { useShortcuts } from '../app/keys.ts';
import { kit, shell } from '../strings/index.ts';
import css from './DataTable.module.css';
import { useDelayed } from './hooks.ts';

export interface Column<Row> {
  id: string;
  label: string;
  cell: (row: Row) => ReactNode;
  /** A CSS width, such as "120px" or "2fr" as a share of what is left; default: 1fr. */
  width?: string;
  align?: 'right';
  /** The server can sort by this column; the id is what it is asked for. */
  sortable?: boolean;
  /** Not shown until somebody chooses it. */
  hidden?: boolean;
  /** Cannot be hidden. */
  always?: boolean;
}

export interface Sort {
  by: string;
  descending: boolean;
}

export interface DataTableProps<Row> {
  /** Names the table for screen readers, and its settings in this browser. */
  name: string;
  label: string;
  columns: Column<Row>[];
  rows: Row[];
  rowId: (row: Row) => string;
  /** Spoken for a row's checkbox. */
  rowLabel?: (row: Row) => string;
  loading?: boolean;
  sort?: Sort;
  onSort?: (sort: Sort) => void;
  /** Enter, or a click anywhere in the row that is on nothing else. */
  onOpen?: (row: Row, event?: { newTab: boolean }) => void;
  /** Rows can be selected; ids of those that are. */
  selected?: ReadonlySet<string>;
  onSelect?: (ids: ReadonlySet<string>) => void;
  /** What can be done with those selected; shown above the table. */
  bulk?: ReactNode;
  /** Shown in the table's place when it has no rows. */
  empty?: ReactNode;
  /** More rows are to be had: called when the end comes near. */
  onMore?: () => void;
  /** Left of the button for columns. */
  toolbar?: ReactNode;
  /** A small table without settings of its own: nothing stands above it. */
  plain?: boolean;
  /** Marks a row, such as one that belongs to what the inspector shows. */
  active?: string;
}

interface Settings {
  /** Columns that are shown otherwise than they would be. */
  columns: Record<string, boolean>;
  compact: boolean;
}

/** Above so many rows only those in sight are drawn. */
const drawAll = 150;

/** What a row calls. */
interface RowCalls<Row> {
  focus: (index: number) => void;
  open: (row: Row, newTab: boolean) => void;
  toggle: (index: number, range: boolean) => void;
  /** Nothing is selected any more. */
  clear: () => void;
}

interface RowProps<Row> {
  row: Row;
  index: number;
  columns: Column<Row>[];
  calls: RefObject<RowCalls<Row>>;
  cursor: boolean;
  /** Tab leads to it. */
  reached: boolean;
  active: boolean;
  openable: boolean;
  /** Undefined: it cannot be selected. */
  selected: boolean | undefined;
  label: string;
}

function Row<R>({ row, index, columns, calls, cursor, reached, active, openable, selected, label }: RowProps<R>) {
  return (
    <tr
      data-index={index}
      data-cursor={cursor || undefined}
      data-active={active || undefined}
      data-openable={openable || undefined}
      aria-selected={selected}
      tabIndex={reached ? 0 : -1}
      onFocus={() => calls.current.focus(index)}
      onKeyDown={(e) => {
        if (e.key === 'Enter' && e.target === e.currentTarget) calls.current.open(row, e.ctrlKey || e.metaKey);
        if (e.key === 'Escape') calls.current.clear();
      }}
      onClick={(e) => {
        if (e.target instanceof Element && e.target.closest('a,button,input,label,[role="menu"]')) return;
        if (window.getSelection()?.toString()) return;
        calls.current.open(row, e.ctrlKey || e.metaKey);
      }}
    >
      {selected !== undefined && (
        <td className={css.check}>
          <Checkbox checked={selected} onClick={(e) => calls.current.toggle(index, e.shiftKey)} onChange={() => {}} aria-label={label} tabIndex={-1} />
        </td>
      )}
      {columns.map((c) => (
        <td key={c.id} data-align={c.align} className={c.align === 'right' ? 'num' : undefined}>
          {c.cell(row)}
        </td>
      ))}
    </tr>
  );
}
const TableRow = memo(Row) as typeof Row;

/** A table: sorting and paging are the server's; columns, density, selection and keys are here. */
export function DataTable<Row>(props: DataTableProps<Row>) {
  const { name, label, rows, rowId, sort, onSort, onOpen, selected, onSelect, loading, empty, onMore, toolbar, bulk, active, plain } = props;
  const [settings, setSettings] = useLocalStorage<Settings>({ key: `lockstep.table.${name}`, defaultValue: { columns: {}, compact: false }, getInitialValueInEffect: false });
  const [cursor, setCursorState] = useState(-1);
  // Keys may come faster than they are drawn.
  const at = useRef(-1);
  const setCursor = (to: number) => {
    at.current = to;
    setCursorState(to);
  };
  const anchor = useRef(-1);
  const frame = useRef<HTMLDivElement>(null);
  const waiting = useDelayed(loading === true && rows.length === 0);

  const columns = useMemo(() => props.columns.filter((c) => c.always || (settings.columns[c.id] ?? !c.hidden)), [props.columns, settings.columns]);
  const height = settings.compact ? 28 : 34;
  const virtual = rows.length > drawAll;
  const virtualizer = useVirtualizer({ count: virtual ? rows.length : 0, getScrollElement: () => frame.current, estimateSize: () => height, overscan: 12 });
  useEffect(() => virtualizer.measure(), [height, virtualizer]);

  const toggle = (index: number, range: boolean) => {
    if (!onSelect || !rows[index]) return;
    const next = new Set(selected);
    if (range && anchor.current >= 0) {
      const [from, to] = anchor.current < index ? [anchor.current, index] : [index, anchor.current];
      for (let i = from; i <= to; i++) next.add(rowId(rows[i]!));
    } else {
      const id = rowId(rows[index]);
      if (!next.delete(id)) next.add(id);
      anchor.current = index;
    }
    onSelect(next);
  };
  const move = (by: number) => {
    const to = Math.max(0, Math.min(rows.length - 1, at.current + by));
    setCursor(to);
    const focus = () => {
      const row = frame.current?.querySelector<HTMLElement>(`[data-index="${to}"]`);
      row?.focus({ preventScroll: true });
      row?.scrollIntoView({ block: 'nearest' });
      return row;
    };
    // One that is not drawn is brought into sight first.
    if (!focus() && virtual) {
      virtualizer.scrollToIndex(to);
      requestAnimationFrame(focus);
    }
  };
  useShortcuts(
    [
      { keys: 'j', label: shell.keys.next, group: shell.keys.lists, run: () => move(1) },
      { keys: 'ArrowDown', label: shell.keys.next, group: shell.keys.lists, run: () => move(1) },
      { keys: 'k', label: shell.keys.previous, group: shell.keys.lists, run: () => move(-1) },
      { keys: 'ArrowUp', label: shell.keys.previous, group: shell.keys.lists, run: () => move(-1) },
      ...(onSelect
        ? [
            { keys: 'x', label: shell.keys.select, group: shell.keys.lists, run: () => toggle(at.current, false) },
            { keys: 'Shift x', label: shell.keys.range, group: shell.keys.lists, run: () => toggle(at.current, true) },
          ]
        : []),
    ],
    rows.length > 0,
  );

  const last = virtualizer.getVirtualItems().at(-1)?.index ?? -1;
  useEffect(() => {
    if (onMore && virtual && last >= rows.length - 20) onMore();
  }, [last, rows.length, virtual, onMore]);

  // Rows are drawn again only when something of theirs has changed; what they call
  // is always the newest.
  const calls = useRef<RowCalls<Row>>(null!);
  calls.current = {
    focus: setCursor,
    open: (r, newTab) => onOpen?.(r, { newTab }),
    toggle,
    clear: () => {
      if (selected && selected.size > 0) onSelect?.(new Set());
    },
  };
  const row = (r: Row, i: number) => {
    const id = rowId(r);
    return (
      <TableRow
        key={id}
        row={r}
        index={i}
        columns={columns}
        calls={calls}
        cursor={i === cursor}
        reached={i === (cursor < 0 ? 0 : cursor)}
        active={active === id}
        openable={onOpen !== undefined}
        selected={onSelect ? (selected?.has(id) ?? false) : undefined}
        label={onSelect ? kit.selectRow(props.rowLabel?.(r) ?? id) : ''}
      />
    );
  };

  const items = virtualizer.getVirtualItems();
  const before = virtual ? (items[0]?.start ?? 0) : 0;
  const after = virtual ? virtualizer.getTotalSize() - (items.at(-1)?.end ?? 0) : 0;
  const width = columns.length + (onSelect ? 1 : 0);
  const nothing = rows.length === 0 && !loading;

  return (
    <div className={css.outer}>
      {!plain && <div className={css.bar}>
        {selected && selected.size > 0 ? (
          <div className={css.bulk} role="toolbar" aria-label={kit.selected(selected.size)}>
            <strong className="num">{kit.selected(selected.size)}</strong>
            {bulk}
            <button type="button" className={css.linkButton} onClick={() => onSelect?.(new Set())}>{kit.clearSelection}</button>
          </div>
        ) : (
          <div className={css.tools}>{toolbar}</div>
        )}
        <Menu closeOnItemClick={false} position="bottom-end">
          <Menu.Target>
            <Tooltip label={kit.columns}>
              <ActionIcon aria-label={kit.columns}>
                <IconColumns3 size={16} />
              </ActionIcon>
            </Tooltip>
          </Menu.Target>
          <Menu.Dropdown>
            {props.columns.filter((c) => !c.always && c.label !== '').map((c) => {
              const on = settings.columns[c.id] ?? !c.hidden;
              return (
                <Menu.Item key={c.id} role="menuitemcheckbox" aria-checked={on} leftSection={<Checkbox.Indicator size="xs" checked={on} />} onClick={() => setSettings({ ...settings, columns: { ...settings.columns, [c.id]: !on } })}>
                  {c.label}
                </Menu.Item>
              );
            })}
            <Menu.Divider />
            <Menu.Item role="menuitemcheckbox" aria-checked={settings.compact} leftSection={<Checkbox.Indicator size="xs" checked={settings.compact} />} onClick={() => setSettings({ ...settings, compact: !settings.compact })}>
              {kit.density}
            </Menu.Item>
          </Menu.Dropdown>
        </Menu>
      </div>}
      {nothing && empty ? (
        <div className={css.box}>{empty}</div>
      ) : (
        <div ref={frame} className={css.box} data-virtual={virtual || undefined} tabIndex={-1}>
          <table className={css.table} aria-label={label} aria-rowcount={rows.length} aria-busy={loading || undefined} style={{ '--row': `${height}px` } as React.CSSProperties}>
            <colgroup>
              {onSelect && <col style={{ width: 36 }} />}
              {columns.map((c) => <col key={c.id} style={{ width: c.width?.endsWith('px') ? c.width : undefined }} />)}
            </colgroup>
            <thead>
              <tr>
                {onSelect && (
                  <th className={css.check}>
                    <Checkbox
                      aria-label={kit.selectAll}
                      checked={rows.length > 0 && selected?.size === rows.length}
                      indeterminate={(selected?.size ?? 0) > 0 && selected!.size < rows.length}
                      onChange={() => onSelect(selected?.size === rows.length ? new Set() : new Set(rows.map(rowId)))}
                    />
                  </th>
                )}
                {columns.map((c) => {
                  const by = sort?.by === c.id;
                  return (
                    <th key={c.id} scope="col" data-align={c.align} aria-sort={by ? (sort.descending ? 'descending' : 'ascending') : undefined}>
                      {c.sortable && onSort ? (
                        <button type="button" className={css.sort} aria-label={kit.sortBy(c.label)} onClick={() => onSort({ by: c.id, descending: by ? !sort.descending : true })}>
                          {c.label}
                          {by && (sort.descending ? <IconArrowDown size={13} aria-hidden="true" /> : <IconArrowUp size={13} aria-hidden="true" />)}
                        </button>
                      ) : (
                        c.label || <span className="sr-only">{kit.actions}</span>
                      )}
                    </th>
                  );
                })}
              </tr>
            </thead>
            <tbody>
              {before > 0 && <tr aria-hidden="true"><td colSpan={width} style={{ height: before, padding: 0 }} /></tr>}
              {virtual ? items.map((v) => row(rows[v.index]!, v.index)) : rows.map(row)}
              {after > 0 && <tr aria-hidden="true"><td colSpan={width} style={{ height: after, padding: 0 }} /></tr>}
              {waiting &&
                Array.from({ length: 8 }, (_, i) => (
                  <tr key={i} aria-hidden="true">
                    {Array.from({ length: width }, (_, j) => <td key={j}><Skeleton height={10} width={`${50 + ((i * 7 + j * 13) % 40)}%`} /></td>)}
                  </tr>
                ))}
            </tbody>
          </table>
        </div>
      )}
    </div>
  );
}
