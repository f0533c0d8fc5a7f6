import { useQuery } from '@tanstack/react-query';
import type { Scope } from './definition.ts';
import type { Layout } from './layout.ts';
import type { Answered, Asked } from './worker.ts';

let worker: Worker | undefined;
let next = 1;
const waiting = new Map<number, { resolve: (l: Layout) => void; reject: (e: Error) => void }>();

function ask(scope: Scope, collapsed: string[]): Promise<Layout> {
  if (!worker) {
    worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module', name: 'lockstep-layout' });
    worker.onmessage = ({ data }: MessageEvent<Answered>) => {
      const who = waiting.get(data.id);
      waiting.delete(data.id);
      if ('layout' in data) who?.resolve(data.layout);
      else who?.reject(new Error(data.error));
    };
  }
  return new Promise((resolve, reject) => {
    const id = next++;
    waiting.set(id, { resolve, reject });
    worker!.postMessage({ id, scope, collapsed } satisfies Asked);
  });
}

/** The layout of a definition, made in a worker and kept by the definition's text. */
export function useLayout(definition: string, scope: Scope | null, collapsed: ReadonlySet<string>) {
  const closed = [...collapsed].sort();
  return useQuery({
    queryKey: ['layout', hash(definition), closed],
    queryFn: () => ask(scope!, closed),
    enabled: scope !== null,
    staleTime: Infinity,
    gcTime: 10 * 60_000,
    retry: false,
    placeholderData: (old) => old,
  });
}

/** 53 bits of a text: enough to tell definitions apart within a page. */
export function hash(text: string): string {
  let [a, b] = [0xdeadbeef, 0x41c6ce57];
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    a = Math.imul(a ^ c, 2654435761);
    b = Math.imul(b ^ c, 1597334677);
  }
  a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909);
  b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909);
  return (4294967296 * (2097151 & b) + (a >>> 0)).toString(36) + text.length.toString(36);
}
