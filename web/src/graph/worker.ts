// Lays out graphs off the page's thread: a large one takes most of a second.
import type { Scope } from './definition.ts';
import { layout, type Layout } from './layout.ts';

export interface Asked {
  id: number;
  scope: Scope;
  collapsed: string[];
}

export type Answered = { id: number; layout: Layout } | { id: number; error: string };

self.onmessage = ({ data }: MessageEvent<Asked>) => {
  let answer: Answered;
  try {
    answer = { id: data.id, layout: layout(data.scope, new Set(data.collapsed)) };
  } catch (err) {
    answer = { id: data.id, error: String(err) };
  }
  self.postMessage(answer);
};
