import { useEffect, useRef, useSyncExternalStore } from 'react';
import { apiPath } from '../http.ts';
import { StreamReader, type StreamEvent, type StreamState } from './sse.ts';
import type { FromWorker, ToWorker } from './shared.ts';

export type { StreamEvent, StreamState };

type Hearer = (event: StreamEvent) => void;

/** All that the console wants to hear of. */
const topics = [
  'execution', 'visit', 'maprun', 'task', 'agent', 'review', 'attempt', 'deliverable', 'comment', 'project', 'user', 'wakeup', 'usage', 'budget', 'notification',
];

let state: StreamState = { is: 'reconnecting' };
let build = '';
let newer = false;
const hearers = new Set<Hearer>();
const watchers = new Set<() => void>();
let retry: () => void = () => {};
let started = false;

function changed(now: StreamState): void {
  state = now;
  for (const watch of watchers) watch();
}

function heard(event: StreamEvent): void {
  if (event.type === 'hello') {
    const told = (event.data as { build?: string } | null)?.build ?? '';
    if (build && told && told !== build && !newer) {
      newer = true;
      for (const watch of watchers) watch();
    }
    build ||= told;
    return;
  }
  for (const hear of hearers) hear(event);
}

/** Opens the stream of this browser, or joins the one that another tab has opened. Once is enough. */
export function openStream(): void {
  if (started) return;
  started = true;
  const url = new URL(apiPath('/events/stream'), document.baseURI).href + `?topics=${topics.join(',')}`;
  if (typeof SharedWorker === 'undefined') {
    openAlone(url);
  } else {
    openShared(url);
  }
  window.addEventListener('online', () => retry());
}

function openShared(url: string): void {
  let worker: SharedWorker;
  try {
    worker = new SharedWorker(new URL('./shared.ts', import.meta.url), { type: 'module', name: 'lockstep-stream' });
  } catch {
    openAlone(url);
    return;
  }
  const post = (message: ToWorker) => worker.port.postMessage(message);
  worker.port.onmessage = ({ data }: MessageEvent<FromWorker>) => {
    if (data.is === 'event') heard(data.event);
    else changed(data.state);
  };
  worker.onerror = () => openAlone(url);
  worker.port.start();
  post({ do: 'open', url });
  retry = () => post({ do: 'retry' });
  window.addEventListener('pagehide', () => post({ do: 'bye' }));
  window.addEventListener('pageshow', (e) => {
    if (!e.persisted) return;
    post({ do: 'open', url });
    heard({ id: '', type: 'resync', data: {} });
  });
}

/** Without a SharedWorker each tab has a stream of its own, which a hidden tab gives back. */
function openAlone(url: string): void {
  let reader: StreamReader | undefined;
  const follow = () => {
    if (document.hidden) {
      reader?.close();
      reader = undefined;
    } else if (!reader) {
      reader = new StreamReader(url, { event: heard, state: changed });
      heard({ id: '', type: 'resync', data: {} });
    }
  };
  retry = () => reader?.retryNow();
  document.addEventListener('visibilitychange', follow);
  follow();
}

/** Tells of each event from now on; the function it returns ends that. */
export function listen(hear: Hearer): () => void {
  hearers.add(hear);
  return () => hearers.delete(hear);
}

/**
 * Calls a component's function for each event whose type begins with one of the
 * prefixes, such as "task." or "execution.status". "resync" says that some were
 * missed: read everything again.
 */
export function useEvents(prefixes: readonly string[], on: (event: StreamEvent) => void): void {
  const latest = useRef(on);
  useEffect(() => {
    latest.current = on;
  });
  const key = prefixes.join(' ');
  useEffect(
    () =>
      listen((event) => {
        if (event.type === 'resync' || key.split(' ').some((p) => event.type.startsWith(p))) latest.current(event);
      }),
    [key],
  );
}

/** How the stream stands, for the chip in the header and for values that depend on time. */
export function useStreamState(): StreamState {
  return useSyncExternalStore(
    (watch) => {
      watchers.add(watch);
      return () => watchers.delete(watch);
    },
    () => state,
  );
}

/** The server is another build than when this page was loaded: a reload brings its console. */
export function useNewerServer(): boolean {
  return useSyncExternalStore(
    (watch) => {
      watchers.add(watch);
      return () => watchers.delete(watch);
    },
    () => newer,
  );
}
