import { Button, NumberInput, Popover, SegmentedControl, Slider } from '@mantine/core';
import { IconDownload, IconExternalLink, IconFile, IconMessagePlus } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useState, type PointerEvent, type ReactNode } from 'react';
import { contentPath, type Deliverable } from '../../api/board.ts';
import { ApiError } from '../../api/http.ts';
import { DiffView, ErrorState, formatBytes, JsonView, Markdown } from '../../kit/index.ts';
import { reviews as s } from '../../strings/index.ts';
import css from './Reviews.module.css';

/** How a deliverable can be looked at. */
export type Shape = 'markdown' | 'html' | 'svg' | 'json' | 'image' | 'text' | 'url' | 'file';

/** More than this is downloaded, not shown. */
const mostShown = 3_000_000;

/** What a deliverable is, by its kind, its media type and its name. The server says none of it for sure: an agent wrote it. */
export function shapeOf(d: Deliverable): Shape {
  const type = (d.media_type ?? '').toLowerCase().split(';')[0]!.trim();
  const ending = /\.([a-z0-9]+)$/i.exec(d.title)?.[1]?.toLowerCase() ?? '';
  if (d.kind === 'url') return 'url';
  if (d.kind === 'json') return 'json';
  if (type === 'image/svg+xml' || ending === 'svg') return 'svg';
  if (/^image\/(png|jpeg|gif|webp|avif)$/.test(type) || /^(png|jpe?g|gif|webp|avif)$/.test(ending)) return 'image';
  if (type === 'text/html' || /^html?$/.test(ending)) return 'html';
  if (type === 'text/markdown' || /^(md|markdown)$/.test(ending)) return 'markdown';
  if (type === 'application/json' || ending === 'json') return 'json';
  if (d.kind === 'text' || type.startsWith('text/') || /^(txt|csv|ya?ml|toml|xml|css|js|ts|tsx|go|py|rs|java|sh|sql|log|diff|patch)$/.test(ending)) return 'text';
  return 'file';
}

const imageType = (d: Deliverable) => {
  const ending = /\.([a-z0-9]+)$/i.exec(d.title)?.[1]?.toLowerCase() ?? 'png';
  return /^image\/(png|jpeg|gif|webp|avif)$/.test(d.media_type ?? '') ? d.media_type! : `image/${ending === 'jpg' ? 'jpeg' : ending}`;
};

/** The text of a deliverable, or its bytes as a data URL. */
function useContent(d: Deliverable | undefined, as: 'text' | 'image' | 'none') {
  return useQuery({
    queryKey: ['content', d?.id, as],
    enabled: d !== undefined && as !== 'none' && !(as === 'text' && d.content !== undefined) && (d.size ?? 0) <= mostShown,
    staleTime: Infinity,
    queryFn: async ({ signal }) => {
      const answer = await fetch(contentPath(d!.id), { signal, credentials: 'same-origin' });
      if (!answer.ok) throw new ApiError(answer.status, `http_${answer.status}`, s.contentFailed);
      if (as === 'text') return answer.text();
      const bytes = new Uint8Array(await answer.arrayBuffer());
      return dataUrl(imageType(d!), bytes);
    },
  });
}

function dataUrl(type: string, bytes: Uint8Array): string {
  let text = '';
  for (let i = 0; i < bytes.length; i += 0x8000) text += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
  return `data:${type};base64,${btoa(text)}`;
}

/** JSON on lines of its own; what is none stays as it is. */
export const pretty = (text: string) => {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
};

export interface DeliverableViewProps {
  deliverable: Deliverable;
  /** An earlier version to compare with. */
  previous?: Deliverable | undefined;
  /** What is said about lines, below them. */
  notes?: ReadonlyMap<number, ReactNode>;
  onLine?: (line: number) => void;
}

type Mode = 'changes' | 'preview' | 'source';

/** One version of a deliverable: what changed, as it looks, or its text. Nothing of it is ever run. */
export function DeliverableView({ deliverable: d, previous, notes, onLine }: DeliverableViewProps) {
  const shape = shapeOf(d);
  const textual = shape !== 'image' && shape !== 'url' && shape !== 'file';
  const text = useContent(d, textual ? 'text' : shape === 'image' ? 'image' : 'none');
  const before = useContent(previous, textual ? 'text' : shape === 'image' ? 'image' : 'none');
  const modes: Mode[] = [...(previous && textual ? ['changes' as const] : []), ...(shape === 'text' ? [] : ['preview' as const]), ...(textual ? ['source' as const] : [])];
  const [wanted, setMode] = useState<Mode | null>(null);
  const mode = wanted && modes.includes(wanted) ? wanted : (modes[0] ?? 'preview');

  if ((d.size ?? 0) > mostShown || shape === 'file') return <FileCard d={d} />;
  if (text.isError || before.isError) return <ErrorState error={text.error ?? before.error} retry={() => { void text.refetch(); void before.refetch(); }} />;
  const raw = textual ? (d.content ?? text.data) : text.data;
  const old = previous ? (textual ? (previous.content ?? before.data) : before.data) : undefined;
  if (shape !== 'url' && (raw === undefined || (previous && old === undefined))) return <div className={css.loading} aria-busy="true" />;
  const now = shape === 'json' ? pretty(raw ?? '') : (raw ?? '');
  const then = shape === 'json' ? pretty(old ?? '') : (old ?? '');

  return (
    <div className={css.deliverable}>
      <div className={css.deliverableBar}>
        {modes.length > 1 && (
          <SegmentedControl aria-label={s.show} value={mode} onChange={(v) => setMode(v as Mode)} data={modes.map((m) => ({ value: m, label: s.modes[m] }))} />
        )}
        <span className={css.spacer} />
        {onLine && textual && mode !== 'preview' && <LinePicker most={now.split('\n').length} onLine={onLine} />}
        <a href={contentPath(d.id)} download={safeName(d.title)} className={css.download}><IconDownload size={14} aria-hidden="true" />{s.download}</a>
      </div>
      {mode === 'changes' ? (
        <DiffView before={then} after={now} label={s.diffOf(d.title)} beforeLabel={s.version(previous!.number)} afterLabel={s.version(d.number)} {...(notes ? { notes } : {})} {...(onLine ? { onLine } : {})} />
      ) : mode === 'source' ? (
        <Lines text={now} label={d.title} notes={notes} onLine={onLine} />
      ) : shape === 'markdown' ? (
        <div className={css.paper}><Markdown text={now} /></div>
      ) : shape === 'html' ? (
        <iframe className={css.frame} title={s.preview(d.title)} sandbox="" srcDoc={now} referrerPolicy="no-referrer" />
      ) : shape === 'svg' ? (
        <Picture src={dataUrl('image/svg+xml', new TextEncoder().encode(now))} before={previous ? dataUrl('image/svg+xml', new TextEncoder().encode(then)) : undefined} name={d.title} />
      ) : shape === 'image' ? (
        <Picture src={now} before={previous ? then : undefined} name={d.title} />
      ) : shape === 'json' ? (
        <Parsed text={raw ?? ''} label={d.title} />
      ) : (
        <WebAddress url={d.url ?? ''} />
      )}
    </div>
  );
}

/** Chooses a line to say something about: the way without a pointer. */
function LinePicker({ most, onLine }: { most: number; onLine: (line: number) => void }) {
  const [open, setOpen] = useState(false);
  const [line, setLine] = useState<number | string>(1);
  const choose = () => {
    const n = Number(line);
    if (n >= 1 && n <= most) {
      setOpen(false);
      onLine(n);
    }
  };
  return (
    <Popover opened={open} onChange={setOpen} position="bottom-end" trapFocus returnFocus withinPortal={false}>
      <Popover.Target>
        <Button variant="subtle" size="compact-xs" leftSection={<IconMessagePlus size={14} />} onClick={() => setOpen(!open)}>{s.commentLine}</Button>
      </Popover.Target>
      <Popover.Dropdown>
        <div className={css.lineForm}>
          <NumberInput label={s.lineNumber} min={1} max={most} value={line} onChange={setLine} w={90} onKeyDown={(e) => { if (e.key === 'Enter') { e.preventDefault(); choose(); } }} />
          <Button onClick={choose}>{s.commentHere}</Button>
        </div>
      </Popover.Dropdown>
    </Popover>
  );
}

/** A name that a file may be saved under, whatever an agent called it. */
function safeName(title: string): string {
  return title.replace(/[^\w.\- ]+/g, '_').slice(0, 120) || 'deliverable';
}

function Parsed({ text, label }: { text: string; label: string }) {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return <Lines text={text} label={label} />;
  }
  return <div className={css.paper}><JsonView value={value} text={text} label={label} /></div>;
}

function FileCard({ d }: { d: Deliverable }) {
  return (
    <div className={css.file}>
      <IconFile size={22} aria-hidden="true" />
      <div>
        <div className={css.fileName}>{d.title}</div>
        <div className="dim num">{d.media_type ?? s.unknownType} · {formatBytes(d.size ?? 0)}</div>
      </div>
      <span className={css.spacer} />
      <Button component="a" href={contentPath(d.id)} download={safeName(d.title)} variant="default" leftSection={<IconDownload size={15} />}>{s.download}</Button>
    </div>
  );
}

/** An address that an agent delivered. Only http and https become links. */
function WebAddress({ url }: { url: string }) {
  const plain = /^https?:\/\//i.test(url);
  return (
    <div className={css.file}>
      <IconExternalLink size={20} aria-hidden="true" />
      {plain ? <a href={url} target="_blank" rel="noopener noreferrer nofollow" className={css.fileName}>{url}</a> : <span className={css.fileName}>{url}</span>}
    </div>
  );
}

/** A picture, and an earlier one beneath it with a slider between them. */
function Picture({ src, before, name }: { src: string; before: string | undefined; name: string }) {
  const [share, setShare] = useState(50);
  if (!before) return <div className={css.picture}><img src={src} alt={name} /></div>;
  // On the picture the divider goes where the pointer is; the slider is the way by keyboard.
  const follow = (e: PointerEvent<HTMLElement>) => {
    const box = e.currentTarget.getBoundingClientRect();
    setShare(Math.round(Math.max(0, Math.min(100, ((e.clientX - box.left) / box.width) * 100))));
  };
  return (
    <div>
      <div className={css.picture}>
        <div
          className={css.stack}
          onPointerDown={(e) => { e.preventDefault(); e.currentTarget.setPointerCapture(e.pointerId); follow(e); }}
          onPointerMove={(e) => { if (e.currentTarget.hasPointerCapture(e.pointerId)) follow(e); }}
        >
          <img src={src} alt={s.after(name)} draggable={false} />
          <img src={before} alt={s.before(name)} draggable={false} className={css.above} style={{ clipPath: `inset(0 ${100 - share}% 0 0)` }} />
          <span className={css.split} aria-hidden="true" style={{ left: `${share}%` }} />
        </div>
      </div>
      <div className={css.slider}>
        <span className="dim">{s.earlier}</span>
        <Slider flex={1} value={share} onChange={setShare} label={null} thumbLabel={s.compare} thumbValueText={s.share(share)} />
        <span className="dim">{s.present}</span>
      </div>
    </div>
  );
}

/** A text with numbered lines, and what is said about them. */
function Lines({ text, label, notes, onLine }: { text: string; label: string; notes?: ReadonlyMap<number, ReactNode> | undefined; onLine?: ((line: number) => void) | undefined }) {
  const lines = text.split('\n');
  const [all, setAll] = useState(false);
  const shown = all ? lines : lines.slice(0, 1000);
  return (
    <div className={css.lines} tabIndex={0} role="group" aria-label={label}>
      <table>
        <tbody>
          {shown.map((line, i) => (
            <LineRow key={i} n={i + 1} text={line} note={notes?.get(i + 1)} onLine={onLine} />
          ))}
        </tbody>
      </table>
      {!all && lines.length > shown.length && <Button variant="subtle" fullWidth onClick={() => setAll(true)}>{s.allLines(lines.length)}</Button>}
    </div>
  );
}

function LineRow({ n, text, note, onLine }: { n: number; text: string; note: ReactNode; onLine: ((line: number) => void) | undefined }) {
  return (
    <>
      <tr>
        <td className={css.lineNumber} data-active={onLine ? true : undefined} onClick={onLine && (() => onLine(n))} title={onLine && s.commentOnLine(n)}>{n}</td>
        <td className={css.lineText}>{text}</td>
      </tr>
      {note && <tr><td colSpan={2} className={css.lineNote}>{note}</td></tr>}
    </>
  );
}
