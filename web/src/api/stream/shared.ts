// The stream of all tabs: browsers allow six connections to a host, so each tab
// cannot have its own. Runs as a SharedWorker.
import { StreamReader, type StreamEvent, type StreamState } from './sse.ts';

export type ToWorker = { do: 'open'; url: string } | { do: 'bye' } | { do: 'retry' };
export type FromWorker = { is: 'event'; event: StreamEvent } | { is: 'state'; state: StreamState };

const ports = new Set<MessagePort>();
let reader: StreamReader | undefined;
let state: StreamState = { is: 'reconnecting' };
let hello: StreamEvent | undefined;

function tell(message: FromWorker): void {
  for (const port of ports) port.postMessage(message);
}

function open(url: string): void {
  reader?.close();
  reader = new StreamReader(url, {
    event: (event) => {
      if (event.type === 'hello') hello = event;
      tell({ is: 'event', event });
    },
    state: (now) => {
      state = now;
      tell({ is: 'state', state });
    },
  });
}

(self as unknown as { onconnect: (e: MessageEvent) => void }).onconnect = (e) => {
  const port = e.ports[0];
  if (!port) return;
  port.onmessage = ({ data }: MessageEvent<ToWorker>) => {
    if (data.do === 'bye') {
      ports.delete(port);
      if (ports.size === 0) {
        reader?.close();
        reader = undefined;
      }
    } else if (data.do === 'retry') {
      reader?.retryNow();
    } else {
      ports.add(port);
      if (!reader || state.is === 'off') open(data.url);
      port.postMessage({ is: 'state', state } satisfies FromWorker);
      if (hello) port.postMessage({ is: 'event', event: hello } satisfies FromWorker);
    }
  };
  port.start();
};
