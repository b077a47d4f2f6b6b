import { expect, test } from 'vitest';
import { createRecentFrames } from '../../src/rooms/recent-frames.ts';

const frame = (bytes: number) => Buffer.alloc(bytes, 'x');

test('all rooms together stay within the bound, the one longest without a message gives way first', () => {
  const recent = createRecentFrames({ maxBytes: 10_000, maxFrames: 1000 });
  const [quiet, busy] = [recent.openRoom(), recent.openRoom()];
  for (let offset = 1; offset <= 6; offset += 1) quiet.push(offset, frame(1000));
  for (let offset = 1; offset <= 7; offset += 1) {
    busy.push(offset, frame(1000));
    expect(recent.bytes).toBeLessThanOrEqual(10_000);
  }
  expect([quiet.covers(2), quiet.covers(3)]).toEqual([false, true]);
  expect(busy.covers(0)).toBe(true);
  busy.push(8, frame(20_000));
  expect(recent.bytes).toBeLessThanOrEqual(10_000);
  expect([quiet.covers(5), busy.covers(7)]).toEqual([false, false]);
});

test('a room keeps so many frames, hands them out in order and in pieces, and frees all when it is closed', () => {
  const recent = createRecentFrames({ maxBytes: 1_000_000, maxFrames: 50 });
  const room = recent.openRoom();
  for (let offset = 1; offset <= 60; offset += 1) room.push(offset, Buffer.from(`${offset},`.padEnd(1000)));
  expect([room.covers(9), room.covers(10), room.covers(60), room.covers(61)]).toEqual([false, true, true, false]);
  const seen: number[] = [];
  let pieces = 0;
  for (let at = 10; at < 60; pieces += 1) {
    const [bytes, last] = room.after(at);
    expect(bytes.length).toBeLessThan(20_000);
    seen.push(...bytes.toString().split(',').map(Number).filter(Boolean));
    at = last;
  }
  expect(seen).toEqual(Array.from({ length: 50 }, (_, index) => index + 11));
  expect(pieces).toBeGreaterThan(1);
  room.close();
  expect(recent.bytes).toBe(0);
});

test('a frame that is not the next one makes the room start fresh', () => {
  const recent = createRecentFrames({ maxBytes: 1_000_000, maxFrames: 50 });
  const room = recent.openRoom();
  room.push(1, frame(10));
  room.push(5, frame(10));
  expect([room.covers(0), room.covers(4), recent.bytes]).toEqual([false, true, 10]);
});
