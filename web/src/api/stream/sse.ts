/** An event of the stream, as the server sent it. */
export interface StreamEvent {
  id: string;
  /** "task.created", "execution.status"; "message" where the server gave none. */
  type: string;
  data: unknown;
}

/** How the stream stands. */
export type StreamState = { is: 'live' } | { is: 'reconnecting' } | { is: 'offline'; since: number } | { is: 'off' };

/** Takes apart what a server sends as text/event-stream. Lines may come in any pieces. */
export class EventParser {
  private rest = '';
  private type = '';
  private data: string[] = [];
  /** Of the last event that was complete, which a reader goes on from. */
  lastId = '';
  private id = '';
  /** How long the server asks to wait before the next try, in milliseconds. */
  retry: number | undefined;

  feed(text: string, each: (event: StreamEvent) => void): void {
    const lines = (this.rest + text).split(/\r\n|\n|\r(?!$)/);
    this.rest = lines.pop() ?? '';
    for (const line of lines) this.line(line, each);
  }

  private line(line: string, each: (event: StreamEvent) => void): void {
    if (line === '') {
      this.lastId = this.id;
      if (this.data.length > 0) each({ id: this.id, type: this.type || 'message', data: parse(this.data.join('\n')) });
      this.type = '';
      this.data = [];
      return;
    }
    if (line.startsWith(':')) return; // a heartbeat
    const at = line.indexOf(':');
    const field = at < 0 ? line : line.slice(0, at);
    const value = at < 0 ? '' : line.slice(at + 1).replace(/^ /, '');
    if (field === 'event') this.type = value;
    else if (field === 'data') this.data.push(value);
    else if (field === 'id') this.id = value;
    else if (field === 'retry' && /^\d+$/.test(value)) this.retry = Number(value);
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

export interface Listener {
  event(event: StreamEvent): void;
  state(state: StreamState): void;
}

/** Without a byte for this long, heartbeats included, the connection is dead. */
const silence = 40_000;
/** After as many failures in a row, the server counts as offline. */
const failuresUntilOffline = 2;

/**
 * Reads the stream until it is closed, and comes back where it was when the
 * connection breaks. It reads by fetch rather than by EventSource: that tells of
 * heartbeats, and of events whose names nobody knew before.
 */
export class StreamReader {
  private aborted = new AbortController();
  private lastId = '';
  private closed = false;
  private offlineSince = 0;
  private url: string;
  private readonly to: Listener;
  private wake: () => void = () => {};

  constructor(url: string, to: Listener) {
    this.url = url;
    this.to = to;
    void this.run();
  }

  close(): void {
    this.closed = true;
    this.aborted.abort();
    this.wake();
  }

  /** Tries again at once, for when the network is back. */
  retryNow(): void {
    this.wake();
  }

  private async run(): Promise<void> {
    let failures = 0;
    let interrupted = false;
    while (!this.closed) {
      let wait = 2000;
      try {
        const parser = new EventParser();
        parser.lastId = this.lastId;
        await this.read(parser, () => {
          // What happened before the first id is not known: refetch.
          if (interrupted && this.lastId === '') this.to.event({ id: '', type: 'resync', data: {} });
          failures = 0;
          this.offlineSince = 0;
          this.to.state({ is: 'live' });
        });
        wait = parser.retry ?? wait;
      } catch (err) {
        if (err instanceof NoStream) {
          this.to.state({ is: 'off' });
          return;
        }
      }
      if (this.closed) return;
      interrupted = true;
      failures++;
      if (failures < failuresUntilOffline) this.to.state({ is: 'reconnecting' });
      else {
        this.offlineSince ||= Date.now();
        this.to.state({ is: 'offline', since: this.offlineSince });
      }
      await this.pause(failures === 1 ? 250 : Math.min(wait * 2 ** Math.min(failures - 2, 3), 15_000));
    }
  }

  private async read(parser: EventParser, opened: () => void): Promise<void> {
    this.aborted = new AbortController();
    const headers: Record<string, string> = { Accept: 'text/event-stream' };
    if (this.lastId) headers['Last-Event-ID'] = this.lastId;
    const answer = await fetch(this.url, { headers, credentials: 'same-origin', cache: 'no-store', signal: this.aborted.signal });
    if (answer.status === 400 && this.url.includes('?')) {
      // A server that is older than the page knows fewer topics.
      this.url = this.url.replace(/\?.*/, '');
      throw new Error('parameters refused');
    }
    if (answer.status === 401 || answer.status === 403 || answer.status === 404) throw new NoStream();
    if (!answer.ok || !answer.body) throw new Error(`status ${answer.status}`);
    opened();
    const pieces = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let alarm: ReturnType<typeof setTimeout> | undefined;
    try {
      for (;;) {
        clearTimeout(alarm);
        alarm = setTimeout(() => this.aborted.abort(), silence);
        const { done, value } = await pieces.read();
        if (done) return;
        parser.feed(value, (event) => this.to.event(event));
        this.lastId = parser.lastId;
      }
    } finally {
      clearTimeout(alarm);
    }
  }

  private pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

/** The server has no stream for this caller: trying again would not help. */
class NoStream extends Error {}
