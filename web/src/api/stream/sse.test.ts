import { expect, it } from 'vitest';
import { EventParser, type StreamEvent } from './sse.ts';

const text = 'retry: 1500\n\n: heartbeat\n\nid: 7\nevent: task.created\ndata: {"a":\ndata: 1}\n\nid: 9\n\ndata: plain\n\n';

it('reads events whatever pieces they come in', () => {
  for (const size of [1, 2, 3, 7, text.length]) {
    const parser = new EventParser();
    const got: StreamEvent[] = [];
    for (let i = 0; i < text.length; i += size) parser.feed(text.slice(i, i + size), (e) => got.push(e));
    expect(got).toEqual([
      { id: '7', type: 'task.created', data: { a: 1 } },
      { id: '9', type: 'message', data: 'plain' },
    ]);
    expect(parser.retry).toBe(1500);
    expect(parser.lastId).toBe('9');
  }
});

it('goes on from the last event that was whole', () => {
  const parser = new EventParser();
  parser.feed('id: 3\ndata: 1\n\nid: 4\ndata: 2\n', () => {});
  expect(parser.lastId).toBe('3');
});

it('takes lines that end as on other systems', () => {
  const got: StreamEvent[] = [];
  new EventParser().feed('event: a\r\ndata: 1\r\n\r\n', (e) => got.push(e));
  expect(got).toEqual([{ id: '', type: 'a', data: 1 }]);
});
