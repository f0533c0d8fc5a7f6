import { useQuery, useQueryClient } from '@tanstack/react-query';
import { statusHistory, stretches, type Agent, type StatusChange } from '../../api/agents.ts';
import { useEvents } from '../../api/stream/client.ts';
import { formatDuration, statusText, Swimlane, useNow } from '../../kit/index.ts';
import { agents as t } from '../../strings/agents.ts';

const day = 86_400_000;

/** Puts changes of status into the strips as they happen. */
export function useLiveStrips(agents: readonly Agent[]): void {
  const client = useQueryClient();
  useEvents(['agent.status'], (event) => {
    const e = event.data as { agent?: string; at?: string; seq?: number; data?: { from?: string; to?: string } } | null;
    const agent = agents.find((a) => a.id === e?.agent);
    if (!agent || !e?.at) return;
    const change: StatusChange = { seq: e.seq ?? 0, at: e.at, from: e.data?.from ?? '', to: e.data?.to ?? '' };
    client.setQueriesData<StatusChange[]>({ queryKey: ['strip', agent.slug] }, (old) => (old && old[0]?.seq !== change.seq ? [change, ...old] : old));
  });
}

/** What an agent did in the last 24 hours, coloured by its status. */
export function Strip({ agent, height = 10 }: { agent: Agent; height?: number }) {
  const { now } = useMinute();
  const history = useQuery(statusHistory(agent.slug, now - day, 1));
  const segments = stretches(history.data ?? [], now - day, now, agent.status.label);
  return <Swimlane label={t.strip(agent.name || agent.slug)} from={now - day} to={now} axis={false} height={height} lanes={[{ id: agent.id, label: null, summary: summary(segments), segments: drawn(segments) }]} />;
}

/** What is drawn: where an agent was not there, nothing. */
export function drawn<T extends { status: string }>(segments: readonly T[]): T[] {
  return segments.filter((s) => s.status !== 'offline' && s.status !== 'never_seen');
}

/** How long which status lasted, in words. */
export function summary(segments: readonly { from: number; to: number; status: string }[]): string {
  const sums = new Map<string, number>();
  for (const s of segments) sums.set(s.status, (sums.get(s.status) ?? 0) + s.to - s.from);
  const parts = [...sums].sort((a, b) => b[1] - a[1]).map(([status, ms]) => `${statusText(status).toLowerCase()} ${formatDuration(ms)}`);
  return t.stripText(parts.join(', ') || t.noHistory);
}

/** Now, by the minute: strips need not move each second. */
export function useMinute(): { now: number } {
  const { now } = useNow();
  return { now: Math.floor(now / 60_000) * 60_000 + 60_000 };
}
