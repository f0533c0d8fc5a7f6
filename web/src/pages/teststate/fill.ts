import { aws } from '../../api/aws.ts';
import { eventDetails, fetchVisits, type Payload, type Visit } from '../../api/executions.ts';
import { send } from '../../api/http.ts';
import { onServer } from '../../app/base.ts';
import { pretty } from './flow.ts';
import { mayMock, type Form } from './form.ts';

/** So many pages of a history are looked through for what a task answered. */
const mostPages = 5;

/** All of a payload, also where only its beginning was sent. */
export async function wholePayload(p: Payload | undefined): Promise<string | undefined> {
  if (!p) return undefined;
  return p.truncated ? send(onServer(p.url), { method: 'GET' }) : p.text;
}

/** What a task answered within a visit, before anything was made of it. */
async function rawResult(arn: string, visit: Visit): Promise<string | undefined> {
  let nextToken: string | undefined;
  for (let i = 0; i < mostPages; i++) {
    const page = await aws('GetExecutionHistory', { executionArn: arn, maxResults: 1000, ...(nextToken ? { nextToken } : {}) });
    for (const e of page.events) {
      if (e.id > visit.last_event) return undefined;
      if (e.id < visit.first_event || !/^(Task|LambdaFunction|Activity)Succeeded$/.test(e.type)) continue;
      const before = e.previousEventId ?? 0;
      const output = eventDetails(e).output;
      if (before >= visit.first_event && typeof output === 'string') return output;
    }
    nextToken = page.nextToken;
    if (!nextToken) return undefined;
  }
  return undefined;
}

/** The data of a visit as what a test begins with: its input, and as a mock what it was answered or failed with. */
export async function fillFrom(arn: string, visit: Visit): Promise<Partial<Form>> {
  const page = await fetchVisits(arn, { path: visit.path, changed_since: visit.last_event - 1, payloads: 'preview', limit: 20 });
  const v = page.visits.find((x) => x.id === visit.id) ?? visit;
  const input = await wholePayload(v.input);
  const form: Partial<Form> = { input: pretty(input ?? '{}') };
  if (!mayMock(v.type)) return form;
  if (v.error !== undefined) return { ...form, mock: 'error', error: v.error, cause: v.cause ?? '' };
  const result = v.type === 'Task' ? await rawResult(arn, v) : await wholePayload(v.output);
  return result === undefined ? form : { ...form, mock: 'result', result: pretty(result), validation: 'NONE' };
}
