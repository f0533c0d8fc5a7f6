import { onServer } from '../app/base.ts';

/** What the server answers instead of what was asked for. */
export class ApiError extends Error {
  /** HTTP status; 0 when there was no answer at all. */
  readonly status: number;
  /** Stable: "not_found", "invalid_transition", an AWS error name; "offline" when there was no answer. */
  readonly code: string;
  readonly details: Record<string, unknown> | undefined;

  constructor(status: number, code: string, message: string, details?: Record<string, unknown>) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
    this.code = code;
    this.details = details;
  }
}

export interface Asked {
  method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Sent as JSON. */
  body?: unknown;
  /** Parameters of the query; those that are undefined, null or "" are left out. */
  query?: Record<string, string | number | boolean | undefined | null>;
  /** The version that the change is made to, for If-Match. */
  version?: number;
  headers?: Record<string, string>;
  signal?: AbortSignal | undefined;
  /** Whole numbers that JavaScript's cannot hold become texts: for money, see kit/format.ts. */
  exact?: boolean;
}

/** Reads JSON in which whole numbers beyond 2^53 become texts with all their digits. */
export function parseExact(text: string): unknown {
  return JSON.parse(text.replace(/"(?:[^"\\]|\\.)*"|-?\d{16,}(?![\d.eE])/g, (part) => (part.startsWith('"') || Number.isSafeInteger(Number(part)) ? part : `"${part}"`)));
}

/** Writes JSON in which a bigint is a whole number. */
export function writeExact(value: unknown): string {
  // No text of the value has this mark in it by chance.
  const mark = `@${Math.random()}${Math.random()}@`;
  const text = JSON.stringify(value, (_, v) => (typeof v === 'bigint' ? `${mark}${v}` : v));
  return text.replaceAll(new RegExp(`"${mark}(-?\\d+)"`, 'g'), '$1');
}

const csrfCookie = 'lockstep_csrf';

/** The token that writes have to carry where somebody is signed in; "" elsewhere. */
export function csrfToken(): string {
  for (const part of document.cookie.split(';')) {
    const [name, ...value] = part.trim().split('=');
    if (name === csrfCookie) return decodeURIComponent(value.join('='));
  }
  return '';
}

let signedOut: () => void = () => {};

/** Says what happens when the server wants somebody to sign in first. */
export function onSignedOut(then: () => void): void {
  signedOut = then;
}

/** Calls the control plane: rest('/tasks') asks GET /api/v1/tasks. Throws an ApiError for anything but an answer of 200 to 299. */
export async function rest<T>(path: string, asked: Asked = {}): Promise<T> {
  const headers: Record<string, string> = { Accept: 'application/json', ...asked.headers };
  if (asked.body !== undefined) headers['Content-Type'] = 'application/json';
  if (asked.version !== undefined) headers['If-Match'] = `"${asked.version}"`;
  const text = await send(apiPath(path, asked.query), {
    method: asked.method ?? 'GET',
    headers,
    body: asked.body === undefined ? null : writeExact(asked.body),
    signal: asked.signal ?? null,
  });
  return (text === '' ? undefined : asked.exact ? parseExact(text) : JSON.parse(text)) as T;
}

/** The address of a call of the control plane, for links and the event stream. */
export function apiPath(path: string, query: Asked['query'] = {}): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== '') parameters.set(name, String(value));
  }
  const text = parameters.toString();
  return onServer(`/api/v1${path}`) + (text ? `?${text}` : '');
}

/** Sends a request with the CSRF token where it writes, and answers with the text. */
export async function send(url: string, init: RequestInit): Promise<string> {
  const headers = new Headers(init.headers);
  const token = csrfToken();
  if (token && init.method !== 'GET') headers.set('X-Lockstep-CSRF', token);
  let answer: Response;
  try {
    answer = await fetch(url, { ...init, headers, credentials: 'same-origin', cache: 'no-store' });
  } catch (err) {
    if (err instanceof DOMException && err.name === 'AbortError') throw err;
    throw new ApiError(0, 'offline', 'The server does not answer.');
  }
  const text = await answer.text();
  if (answer.ok) return text;
  const failure = readError(answer.status, text);
  if (answer.status === 401 && init.method === 'GET') signedOut();
  throw failure;
}

/** Reads an error of the control plane, {error:{code,message,details}}, or of the AWS API, {__type,message}. */
export function readError(status: number, text: string): ApiError {
  let said: unknown;
  try {
    said = JSON.parse(text);
  } catch {
    return new ApiError(status, `http_${status}`, text.trim().slice(0, 300) || `The server answered with status ${status}.`);
  }
  const own = (said as { error?: { code?: string; message?: string; details?: Record<string, unknown> } } | null)?.error;
  if (own?.code) return new ApiError(status, own.code, own.message ?? own.code, own.details);
  const aws = said as { __type?: string; message?: string; Message?: string } | null;
  if (aws?.__type) {
    const code = aws.__type.split('#').pop() ?? aws.__type;
    return new ApiError(status, code, aws.message ?? aws.Message ?? code);
  }
  return new ApiError(status, `http_${status}`, `The server answered with status ${status}.`);
}
