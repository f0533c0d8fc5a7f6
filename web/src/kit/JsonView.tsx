import { ActionIcon, SegmentedControl, TextInput, Tooltip } from '@mantine/core';
import { IconChevronRight, IconCopy, IconDownload, IconFold, IconSearch, IconFoldDown } from '@tabler/icons-react';
import { useMemo, useState } from 'react';
import { copyText } from '../app/clipboard.ts';
import { common, kit } from '../strings/index.ts';
import { formatBytes } from './format.ts';
import css from './JsonView.module.css';

export interface JsonViewProps {
  /** A value, or its text as the server sent it; the text keeps numbers as they were written. */
  value: unknown;
  text?: string | undefined;
  label: string;
  /** Begins with so many levels open. */
  depth?: number;
  /** The paths that "Copy path" gives begin with this. */
  root?: string;
  /** Where all of it is, if this is only its beginning. */
  download?: string | undefined;
  plain?: boolean;
}

/** Larger texts are not drawn, but can be downloaded. */
const mostText = 2_000_000;
/** So many members of one object or array are drawn at first. */
const firstMembers = 100;

/** JSON as a tree: search, copy of values and paths, limits on what is drawn. */
export function JsonView({ value, text, label, depth = 2, root = '$', download, plain }: JsonViewProps) {
  const [query, setQuery] = useState('');
  const [raw, setRaw] = useState(false);
  const [open, setOpen] = useState<{ all: boolean | undefined; turn: number }>({ all: undefined, turn: 0 });
  const parsed = useMemo(() => (text === undefined ? { value, ok: true } : tryParse(text)), [value, text]);
  const source = useMemo(() => text ?? JSON.stringify(value, null, 2) ?? '', [text, value]);
  const matches = useMemo(() => (query ? countMatches(parsed.value, query.toLowerCase()) : 0), [parsed, query]);
  const pretty = useMemo(() => (raw || !parsed.ok ? prettyText(source) : ''), [raw, parsed, source]);

  if (source === '' && parsed.value === undefined) return <p className="dim">{kit.noValue}</p>;
  if (source.length > mostText) {
    return (
      <div className={css.large}>
        {kit.tooLarge(formatBytes(source.length))} <DownloadLink text={source} href={download} label={label} />
      </div>
    );
  }
  return (
    <div className={css.view} role="group" aria-label={label}>
      {!plain && (
        <div className={css.bar}>
          <TextInput
            className={css.search!}
            leftSection={<IconSearch size={13} />}
            placeholder={kit.searchJson}
            aria-label={`${kit.searchJson}: ${label}`}
            value={query}
            onChange={(e) => setQuery(e.currentTarget.value)}
            rightSectionWidth={76}
            rightSection={query ? <span className={`${css.matches} num`} role="status">{kit.jsonMatches(matches)}</span> : null}
          />
          <Tooltip label={open.all ? kit.collapseAll : kit.expandAll}>
            <ActionIcon onClick={() => setOpen({ all: !open.all, turn: open.turn + 1 })} aria-label={open.all ? kit.collapseAll : kit.expandAll}>
              {open.all ? <IconFold size={15} /> : <IconFoldDown size={15} />}
            </ActionIcon>
          </Tooltip>
          <Tooltip label={common.copy}>
            <ActionIcon onClick={() => void copyText(source)} aria-label={`${common.copy}: ${label}`}><IconCopy size={15} /></ActionIcon>
          </Tooltip>
          <SegmentedControl aria-label={label} data={[{ value: 'tree', label: kit.tree }, { value: 'raw', label: kit.raw }]} value={raw ? 'raw' : 'tree'} onChange={(v) => setRaw(v === 'raw')} />
        </div>
      )}
      {raw || !parsed.ok ? (
        <pre className={css.raw} tabIndex={0}>{pretty}</pre>
      ) : (
        <div className={css.tree} key={open.turn}>
          <Node value={parsed.value} path={root} depth={open.all === undefined ? depth : open.all ? 64 : 0} query={query.toLowerCase()} top />
        </div>
      )}
      {download && <DownloadLink text={source} href={download} label={label} />}
    </div>
  );
}

function DownloadLink({ text, href, label }: { text: string; href: string | undefined; label: string }) {
  const save = () => {
    const url = URL.createObjectURL(new Blob([text], { type: 'application/json' }));
    const a = document.createElement('a');
    a.href = url;
    a.download = `${label.toLowerCase().replace(/[^a-z0-9]+/g, '-')}.json`;
    a.click();
    URL.revokeObjectURL(url);
  };
  return href ? (
    <a href={href} download><IconDownload size={13} aria-hidden="true" /> {kit.download}</a>
  ) : (
    <button type="button" className={css.linkButton} onClick={save}>{kit.download}</button>
  );
}

interface NodeProps {
  name?: string | number;
  value: unknown;
  path: string;
  depth: number;
  query: string;
  top?: boolean;
}

function Node({ name, value, path, depth, query, top }: NodeProps) {
  const inside = isContainer(value);
  const found = inside && query !== '' && containsMatch(value, query);
  const [own, setOwn] = useState<boolean | undefined>(undefined);
  const [most, setMost] = useState(firstMembers);
  const open = own ?? (found || depth > 0);
  if (!inside) {
    return (
      <div className={css.row}>
        <span className={css.indent} />
        <Name name={name} query={query} />
        <Scalar value={value} query={query} />
        <CopyPath path={path} />
      </div>
    );
  }
  const entries: [string | number, unknown][] = Array.isArray(value) ? value.map((v, i) => [i, v]) : Object.entries(value);
  const [left, right] = Array.isArray(value) ? ['[', ']'] : ['{', '}'];
  const count = Array.isArray(value) ? kit.items(entries.length) : kit.keysIn(entries.length);
  if (entries.length === 0) {
    return (
      <div className={css.row}>
        <span className={css.indent} />
        <Name name={name} query={query} />
        <span className={css.punctuation}>{left + right}</span>
        <CopyPath path={path} />
      </div>
    );
  }
  return (
    <div>
      <div className={css.row}>
        <button type="button" className={css.toggle} aria-expanded={open} aria-label={`${name ?? path}, ${count}`} onClick={() => setOwn(!open)}>
          <IconChevronRight size={13} />
        </button>
        <Name name={name} query={query} />
        <span className={css.punctuation}>{left}</span>
        {!open && <span className={css.count}>{count}</span>}
        {!open && <span className={css.punctuation}>{right}</span>}
        {!top && <CopyPath path={path} />}
      </div>
      {open && (
        <div className={css.children}>
          {entries.slice(0, most).map(([k, v]) => (
            <Node key={k} name={k} value={v} path={pathTo(path, k)} depth={depth - 1} query={query} />
          ))}
          {entries.length > most && (
            <button type="button" className={css.linkButton} onClick={() => setMost(most + 1000)}>{kit.showAll(Math.min(1000, entries.length - most))}</button>
          )}
        </div>
      )}
      {open && <div className={css.row}><span className={css.indent} /><span className={css.punctuation}>{right}</span></div>}
    </div>
  );
}

function Name({ name, query }: { name: string | number | undefined; query: string }) {
  if (name === undefined) return null;
  return (
    <>
      <span className={typeof name === 'number' ? css.index : css.key}><Marked text={String(name)} query={typeof name === 'number' ? '' : query} /></span>
      <span className={css.punctuation}>:&nbsp;</span>
    </>
  );
}

function Scalar({ value, query }: { value: unknown; query: string }) {
  const [all, setAll] = useState(false);
  if (typeof value === 'string') {
    const long = value.length > 400 && !all;
    return (
      <span className={css.string}>
        "<Marked text={long ? value.slice(0, 400) : value} query={query} />{long ? <button type="button" className={css.linkButton} onClick={() => setAll(true)}>… {kit.showAll(value.length - 400)}</button> : '"'}
      </span>
    );
  }
  return <span className={typeof value === 'number' ? css.number : css.word}><Marked text={String(value)} query={query} /></span>;
}

function Marked({ text, query }: { text: string; query: string }) {
  const at = query ? text.toLowerCase().indexOf(query) : -1;
  if (at < 0) return <>{text}</>;
  return <>{text.slice(0, at)}<mark className={css.mark}>{text.slice(at, at + query.length)}</mark>{text.slice(at + query.length)}</>;
}

function CopyPath({ path }: { path: string }) {
  return (
    <button type="button" className={css.copyPath} onClick={() => void copyText(path)} aria-label={`${kit.copyPath} ${path}`} title={`${kit.copyPath} ${path}`} tabIndex={-1}>
      <IconCopy size={11} />
    </button>
  );
}

function isContainer(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

/** The JSONPath of a member: $.a, $['a b'], $[3]. */
export function pathTo(parent: string, key: string | number): string {
  if (typeof key === 'number') return `${parent}[${key}]`;
  return /^[A-Za-z_]\w*$/.test(key) ? `${parent}.${key}` : `${parent}['${key.replace(/['\\]/g, '\\$&')}']`;
}

function tryParse(text: string): { value: unknown; ok: boolean } {
  if (text.length > mostText) return { value: null, ok: true };
  try {
    return { value: JSON.parse(text), ok: true };
  } catch {
    return { value: undefined, ok: false };
  }
}

function prettyText(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function containsMatch(value: unknown, query: string): boolean {
  return countMatches(value, query, 1) > 0;
}

function countMatches(value: unknown, query: string, most = 10_000): number {
  let found = 0;
  const stack: unknown[] = [value];
  while (stack.length > 0 && found < most) {
    const v = stack.pop();
    if (Array.isArray(v)) {
      for (const member of v) stack.push(member);
    } else if (isContainer(v)) {
      for (const [k, member] of Object.entries(v)) {
        if (k.toLowerCase().includes(query)) found++;
        stack.push(member);
      }
    } else if (String(v).toLowerCase().includes(query)) found++;
  }
  return found;
}
