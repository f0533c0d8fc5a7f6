import { notifications } from '@mantine/notifications';
import { wholeHistory, type ExecutionView } from '../../api/executions.ts';
import { formatCount } from '../../kit/index.ts';
import { executions as t } from '../../strings/executions.ts';

/** Puts an execution, its definition and its history into a file for who wants to keep or send it. */
export async function exportHistory(x: ExecutionView, definition: string | undefined): Promise<void> {
  const id = notifications.show({ message: t.exporting('0'), loading: true, autoClose: false });
  const stop = new AbortController();
  try {
    const { events, complete } = await wholeHistory(x.arn, (n) => notifications.update({ id, message: t.exporting(formatCount(n)), loading: true, autoClose: false }), stop.signal);
    const text = JSON.stringify({ execution: x, definition: definition === undefined ? undefined : (JSON.parse(definition) as unknown), complete, events }, null, 2);
    const url = URL.createObjectURL(new Blob([text], { type: 'application/json' }));
    const a = document.createElement('a');
    a.href = url;
    a.download = `${x.name}.json`;
    a.click();
    URL.revokeObjectURL(url);
    notifications.update({ id, message: complete ? t.exported(formatCount(events.length)) : t.exportPart(formatCount(events.length)), loading: false, autoClose: 4000 });
  } catch (err) {
    notifications.update({ id, color: 'red', title: t.exportFailed, message: err instanceof Error ? err.message : String(err), loading: false, autoClose: 8000 });
  }
}
