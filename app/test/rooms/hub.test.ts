import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createHub, type Hub } from '../../src/rooms/hub.ts';
import { createTurnEnd } from '../../src/turn-end.ts';

interface Fake {
  id: string;
  /** One entry a write. */
  writes: string[];
  write(frames: Buffer): void;
}

let hub: Hub<Fake>;
beforeEach(() => {
  hub = createHub<Fake>(createTurnEnd());
});

function member(id: string, ...rooms: string[]): Fake {
  const writes: string[] = [];
  const fake = { id, writes, write: (frames: Buffer) => void writes.push(frames.toString()) };
  hub.add(fake);
  for (const room of rooms) hub.join(room, fake);
  return fake;
}

const deliver = (room: string, text: string, except?: string) => hub.deliver(room, Buffer.from(text), except);
const turn = () => new Promise((resolve) => setImmediate(resolve));

test('every member of the room gets the frame, and nobody else', async () => {
  const [a, b, other] = [member('a', 'r'), member('b', 'r'), member('c', 'elsewhere')];
  expect(deliver('r', 'x')).toBe(2);
  await turn();
  expect([a.writes, b.writes, other.writes]).toEqual([['x'], ['x'], []]);
});

test('the frames of one turn reach each member in order and in one write', async () => {
  const a = member('a', 'r');
  for (const text of ['1', '2', '3']) deliver('r', text);
  expect(a.writes).toEqual([]);
  await turn();
  deliver('r', '4');
  await turn();
  expect(a.writes).toEqual(['123', '4']);
});

test('members of a room get the same bytes, not copies', async () => {
  const got: Buffer[] = [];
  for (const id of ['a', 'b']) hub.join('r', { id, writes: [], write: (frames) => void got.push(frames) });
  deliver('r', '1');
  deliver('r', '2');
  await turn();
  expect(got).toHaveLength(2);
  expect(got[0]).toBe(got[1]);
});

test('a member that is excepted misses that frame alone, and is not counted', async () => {
  const [a, b] = [member('a', 'r'), member('b', 'r')];
  deliver('r', '1');
  expect(deliver('r', '2', 'a')).toBe(1);
  deliver('r', '3', 'b');
  expect(deliver('r', '4', 'not here')).toBe(2);
  await turn();
  expect([a.writes, b.writes]).toEqual([['134'], ['124']]);
});

test('a member whom every frame excepts is not written to', async () => {
  const [a, b] = [member('a', 'r'), member('b', 'r')];
  deliver('r', '1', 'a');
  await turn();
  expect([a.writes, b.writes]).toEqual([[], ['1']]);
});

test('who joins gets nothing that was delivered before', async () => {
  const a = member('a', 'r');
  deliver('r', 'before');
  const b = member('b', 'r');
  deliver('r', ' after');
  await turn();
  expect(a.writes.join('')).toBe('before after');
  expect(b.writes).toEqual([' after']);
});

test('who leaves gets what was delivered before, and nothing after', async () => {
  const [a, b] = [member('a', 'r'), member('b', 'r')];
  deliver('r', 'before');
  hub.leave('r', a);
  deliver('r', ' after');
  await turn();
  expect(a.writes).toEqual(['before']);
  expect(b.writes.join('')).toBe('before after');
});

test('says when a room is new here and when it is empty, once', () => {
  const [a, b] = [member('a'), member('b')];
  expect(hub.join('r', a)).toBe(true);
  expect(hub.join('r', a)).toBe(false);
  expect(hub.join('r', b)).toBe(false);
  expect(hub.roomCount).toBe(1);
  expect(hub.leave('r', a)).toBe(false);
  expect(hub.leave('r', a)).toBe(false);
  expect(hub.leave('r', b)).toBe(true);
  expect(hub.leave('r', b)).toBe(false);
  expect(hub.leave('never was', b)).toBe(false);
  expect(hub.roomCount).toBe(0);
});

test('a room that nobody is in takes nothing and keeps nothing', async () => {
  expect(deliver('r', 'lost')).toBe(0);
  const a = member('a', 'r');
  await turn();
  expect(a.writes).toEqual([]);
  expect(hub.roomCount).toBe(1);
});

test('a room that empties and fills within one turn starts fresh', async () => {
  const a = member('a', 'r');
  deliver('r', 'old');
  hub.leave('r', a);
  const b = member('b', 'r');
  deliver('r', 'new');
  await turn();
  expect([a.writes, b.writes]).toEqual([['old'], ['new']]);
});

test('a member that leaves from inside its own write takes nothing from the others', async () => {
  const order: string[] = [];
  const leaver: Fake = {
    id: 'leaver',
    writes: [],
    write() {
      order.push('leaver');
      hub.leave('r', leaver);
    },
  };
  hub.join('r', leaver);
  const others = ['b', 'c'].map((id) => member(id, 'r'));
  deliver('r', 'x');
  await turn();
  expect(order).toEqual(['leaver']);
  expect(others.map(({ writes }) => writes)).toEqual([['x'], ['x']]);
});

test('rooms with names that objects have by nature are rooms', async () => {
  const a = member('a', '__proto__', 'constructor');
  deliver('__proto__', '1');
  deliver('constructor', '2');
  await turn();
  expect(a.writes).toEqual(['1', '2']);
});

describe('patient frames', () => {
  const patient = (text: string, except?: string) => hub.deliver('r', Buffer.from(text), except, true);
  /** Until no timer is due. */
  const later = (ms: number) => vi.advanceTimersByTimeAsync(ms);

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'setImmediate', 'performance'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  /** A member of the room, to which `1` was written just now. */
  async function memberOfBusyRoom(): Promise<Fake> {
    const a = member('a', 'r');
    patient('1');
    await later(1);
    expect(a.writes).toEqual(['1']);
    return a;
  }

  test('the first goes with its turn, and the next ones wait for each other', async () => {
    const a = await memberOfBusyRoom();
    for (const text of ['2', '3']) {
      patient(text);
      await later(30);
    }
    expect(a.writes).toEqual(['1']);
    await later(100);
    expect(a.writes).toEqual(['1', '23']);
  });

  test('none waits longer than 100 ms', async () => {
    const a = await memberOfBusyRoom();
    patient('2');
    await later(99);
    expect(a.writes).toEqual(['1']);
    await later(1);
    expect(a.writes).toEqual(['1', '2']);
  });

  test('a message takes them along, in order', async () => {
    const a = await memberOfBusyRoom();
    patient('2');
    deliver('r', 'message');
    patient('3');
    await later(1);
    expect(a.writes).toEqual(['1', '2message3']);
    await later(1000);
    expect(a.writes).toHaveLength(2);
  });

  test('each member gets those from its time in the room, without its own', async () => {
    const a = await memberOfBusyRoom();
    const b = member('b', 'r');
    patient('b', 'b');
    const c = member('c', 'r');
    patient('c', 'c');
    hub.leave('r', b);
    expect(b.writes).toEqual(['c']);
    patient('-b');
    await later(100);
    expect([a.writes, b.writes, c.writes]).toEqual([['1', 'bc-b'], ['c'], ['-b']]);
  });

  test('a member that comes again gets nothing twice', async () => {
    const a = await memberOfBusyRoom();
    member('b', 'r');
    patient('2');
    hub.leave('r', a);
    hub.join('r', a);
    patient('3');
    await later(100);
    expect(a.writes).toEqual(['1', '2', '3']);
  });
});
