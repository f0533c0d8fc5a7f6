import { Switch } from '@mantine/core';
import { useInfiniteQuery } from '@tanstack/react-query';
import { useCallback, useMemo, useState } from 'react';
import type { HistoryEvent } from '../../api/aws.ts';
import { eventDetails, historyQuery, type Visit } from '../../api/executions.ts';
import { DataTable, ErrorState, Inspector, JsonView, TimeAgo, type Column } from '../../kit/index.ts';
import { executions as t } from '../../strings/executions.ts';
import css from './EventsTable.module.css';

const columns: Column<HistoryEvent>[] = [
  { id: 'id', label: t.eventColumns.id, width: '80px', align: 'right', always: true, cell: (e) => e.id },
  { id: 'type', label: t.eventColumns.type, width: '260px', always: true, cell: (e) => <span style={{ color: /Failed|TimedOut|Aborted/.test(e.type) ? 'var(--ls-failed)' : undefined }}>{e.type}</span> },
  { id: 'state', label: t.eventColumns.state, cell: (e) => { const d = eventDetails(e); return String(d.name ?? d.error ?? d.resource ?? ''); } },
  { id: 'time', label: t.eventColumns.time, width: '150px', cell: (e) => <TimeAgo at={e.timestamp} absolute /> },
  { id: 'previous', label: t.eventColumns.previous, width: '90px', align: 'right', cell: (e) => e.previousEventId || '' },
];

/** The history as AWS tells it. Those of a visit are marked. */
export function EventsTable({ arn, marked }: { arn: string; marked: Visit | undefined }) {
  const [newest, setNewest] = useState(false);
  const [open, setOpen] = useState<number | undefined>(marked?.first_event);
  const history = useInfiniteQuery(historyQuery(arn, newest));
  const events = useMemo(() => history.data?.pages.flatMap((p) => p.events) ?? [], [history.data]);
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = history;
  const more = useCallback(() => {
    if (hasNextPage && !isFetchingNextPage) void fetchNextPage();
  }, [hasNextPage, isFetchingNextPage, fetchNextPage]);
  const chosen = events.find((e) => e.id === open);
  return (
    <div className={css.split}>
      <div className={css.scroll}>
        {history.isError && <ErrorState error={history.error} retry={() => void history.refetch()} />}
        <DataTable<HistoryEvent>
          name="events"
          label={t.events}
          columns={columns}
          rows={events}
          rowId={(e) => String(e.id)}
          loading={history.isPending}
          onOpen={(e) => setOpen(e.id)}
          onMore={more}
          {...(open === undefined ? {} : { active: String(open) })}
          toolbar={<Switch label={t.newestFirst} checked={newest} onChange={(e) => setNewest(e.currentTarget.checked)} />}
        />
      </div>
      {chosen && (
        <Inspector title={`${chosen.id} ${chosen.type}`} label={t.events} onClose={() => setOpen(undefined)}>
          <JsonView value={unpacked(eventDetails(chosen))} label={chosen.type} depth={4} />
        </Inspector>
      )}
    </div>
  );
}

/** Details whose payloads are JSON in a text, taken apart. */
function unpacked(details: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(details).map(([k, v]) => {
      if (typeof v === 'string' && /^\s*[[{]/.test(v)) {
        try {
          return [k, JSON.parse(v) as unknown];
        } catch {
          // A text after all.
        }
      }
      return [k, v];
    }),
  );
}
