/** The meanings that a colour, an icon and a border have together; nothing else has a colour. */
export type Meaning = 'running' | 'succeeded' | 'failed' | 'handled' | 'person' | 'neutral' | 'redrive';

/** How a mark looks beside its colour, so that nobody has to see colours. */
export type Glyph = 'spinner' | 'check' | 'cross' | 'clock' | 'bang' | 'person' | 'none' | 'slash' | 'redo' | 'pause';

const meanings: Record<string, readonly [Meaning, Glyph]> = {
  RUNNING: ['running', 'spinner'],
  SUCCEEDED: ['succeeded', 'check'],
  FAILED: ['failed', 'cross'],
  TIMED_OUT: ['failed', 'clock'],
  ABORTED: ['neutral', 'slash'],
  PENDING_REDRIVE: ['redrive', 'redo'],

  // visits and attempts
  running: ['running', 'spinner'],
  succeeded: ['succeeded', 'check'],
  failed: ['failed', 'cross'],
  timed_out: ['failed', 'clock'],
  lost: ['failed', 'clock'],
  aborted: ['neutral', 'slash'],
  cancelled: ['neutral', 'slash'],
  released: ['neutral', 'none'],
  caught: ['handled', 'bang'],
  retrying: ['handled', 'bang'],
  waiting: ['neutral', 'clock'],
  waiting_for_person: ['person', 'person'],
  not_started: ['neutral', 'none'],
  pending: ['neutral', 'none'],
  queued: ['neutral', 'none'],
  skipped: ['neutral', 'slash'],

  // tasks
  inbox: ['neutral', 'none'],
  assigned: ['neutral', 'clock'],
  in_progress: ['running', 'spinner'],
  blocked: ['handled', 'bang'],
  review: ['person', 'person'],
  done: ['succeeded', 'check'],

  // agents
  working: ['running', 'spinner'],
  idle: ['neutral', 'none'],
  paused: ['neutral', 'pause'],
  retired: ['neutral', 'slash'],
  offline: ['neutral', 'slash'],
  never_seen: ['neutral', 'slash'],
  stalled: ['handled', 'bang'],
  failing: ['failed', 'cross'],

  // reviews
  approved: ['succeeded', 'check'],
  answered: ['succeeded', 'check'],
  rejected: ['failed', 'cross'],
  changes_requested: ['handled', 'bang'],
  withdrawn: ['neutral', 'slash'],
  expired: ['neutral', 'clock'],

  // budgets
  over_budget: ['failed', 'cross'],
  near_budget: ['handled', 'bang'],
};

/** What a status of an execution, visit, task, agent, review or budget means. One that is not known is neutral. */
export function meaningOf(status: string): Meaning {
  return (meanings[status] ?? meanings[status.toLowerCase()])?.[0] ?? 'neutral';
}

export function glyphOf(status: string): Glyph {
  return (meanings[status] ?? meanings[status.toLowerCase()])?.[1] ?? 'none';
}

/** The variable with the colour of a meaning: colourOf('failed') is "var(--ls-failed)". */
export function colourOf(meaning: Meaning): string {
  return `var(--ls-${meaning === 'redrive' ? 'running' : meaning})`;
}

export function tintOf(meaning: Meaning): string {
  return meaning === 'redrive' ? 'transparent' : `var(--ls-${meaning}-tint)`;
}
