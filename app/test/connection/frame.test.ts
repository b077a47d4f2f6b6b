import type { Writable } from 'node:stream';
import { expect, test } from 'vitest';
import * as ws from 'ws';
import { encodeTextFrame } from '../../src/connection/frame.ts';

// Exported, and not in the types.
const { Receiver } = ws as unknown as { Receiver: new (options: { isServer: boolean }) => Writable };

/** What a WebSocket receiver makes of bytes from a server. */
function received(bytes: Buffer): Promise<string[]> {
  const messages: string[] = [];
  const { promise, resolve, reject } = Promise.withResolvers<string[]>();
  const receiver = new Receiver({ isServer: false });
  receiver.on('message', (data: Buffer, isBinary: boolean) => messages.push(`${isBinary ? 'binary' : 'text'}:${data}`));
  receiver.on('error', reject);
  receiver.end(bytes, () => resolve(messages));
  return promise;
}

test.for<[number, number]>([
  [0, 2],
  [1, 2],
  [125, 2],
  [126, 4],
  [65_535, 4],
  [65_536, 10],
  [200_000, 10],
])('a body of %d bytes gets a head of %d and is read as one text message', async ([length, head]) => {
  const body = Buffer.alloc(length, 'x');
  const frame = encodeTextFrame(body);
  expect(frame.length).toBe(head + length);
  expect(await received(frame)).toEqual([`text:${body}`]);
});

test('frames that are joined stay apart', async () => {
  const frames = ['a', 'ü'.repeat(100), 'c'.repeat(70_000)];
  const joined = Buffer.concat(frames.map((text) => encodeTextFrame(Buffer.from(text))));
  expect(await received(joined)).toEqual(frames.map((text) => `text:${text}`));
});

test('the body is copied: what it was a slice of may be used again', () => {
  const read = Buffer.from('hello');
  const frame = encodeTextFrame(read);
  read.fill(0);
  expect(frame.subarray(2).toString()).toBe('hello');
});
