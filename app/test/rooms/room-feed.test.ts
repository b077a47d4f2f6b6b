/**
 * The cursor of a room against a simple model of Redis, over random interleavings of publishing, delivering, dropping,
 * repeating, reordering, rolling back, auditing and coming back.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Broker } from '../../src/broker/broker.ts';
import type { GapReason, Position } from '../../src/protocol.ts';
import { createRecentFrames } from '../../src/rooms/recent-frames.ts';
import { createRoomFeed, type Reader, type Recovery, type RoomFeed } from '../../src/rooms/room-feed.ts';
import { ModelRoom } from '../harness/model-room.ts';

/** A member as the client is: a position, and every frame must be the next one, or a loss must have been told. */
class Member {
  position: Position | undefined;
  joined = false;
  /** What it holds by offset, since the history was last told to be broken. */
  held = new Map<number, string>();
  told: string[] = [];

  handleBroken(reason: GapReason | 'none', position: Position): void {
    if (reason !== 'none') this.told.push(reason);
    for (const offset of this.held.keys())
      if (offset > position.offset || reason !== 'rewound') this.held.delete(offset);
    this.position = { ...position };
  }

  handleFrames(bytes: Buffer): void {
    for (const { position, content } of decode(bytes)) {
      expect(position.offset, `after ${JSON.stringify(this.position)}`).toBe((this.position?.offset ?? NaN) + 1);
      this.position = position;
      this.held.set(position.offset, content);
    }
  }
}

function decode(bytes: Buffer): { position: Position; content: string }[] {
  const messages = [];
  for (let at = 0; at < bytes.length; ) {
    const short = bytes.readUInt8(at + 1);
    const [head, length] = short < 126 ? [2, short] : [4, bytes.readUInt16BE(at + 2)];
    const { payload } = JSON.parse(bytes.toString('utf8', at + head, at + head + length));
    messages.push(payload);
    at += head + length;
  }
  return messages;
}

/** One instance's feed over the model, its members, and nothing that takes time. */
function setUp(options: { maxFrames: number; size: number }) {
  const model = new ModelRoom();
  const members = new Set<Member>();
  const broker = {
    subscribe: async () => undefined,
    unsubscribe: () => undefined,
    resume: async (_room: string, position: Position | undefined) => model.resume(position, 3),
  } as unknown as Broker;
  const feed: RoomFeed = createRoomFeed({
    room: 'r',
    broker,
    recent: createRecentFrames({ maxBytes: 100_000, maxFrames: options.maxFrames }),
    deliver: (frame) => {
      for (const member of members) member.handleFrames(frame);
    },
    handleGap: (reason, position) => {
      for (const member of members) member.handleBroken(reason, position);
    },
    handleBackfill: () => undefined,
    handleEpoch: () => undefined,
  });

  function join(member: Member): Promise<void> {
    const reader: Reader = {
      open: true,
      begin({ recovery, reason, position }: Recovery) {
        if (recovery === 'recovered') member.position = { ...position };
        else member.handleBroken(recovery === 'none' ? 'none' : (reason ?? 'rewound'), position);
      },
      write: (bytes) => member.handleFrames(bytes),
      drained: async () => undefined,
      handleGap: (reason, position) => member.handleBroken(reason, position),
      enter: () => members.add(member),
    };
    return feed.catchUp(reader, member.position);
  }

  const trim = () => model.trimTo(model.contents.length - options.size);
  return { model, members, feed, join, trim };
}

const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

const steps = fc.array(
  fc.oneof(
    { weight: 8, arbitrary: fc.constant('publish' as const) },
    { weight: 8, arbitrary: fc.constant('deliver' as const) },
    { weight: 2, arbitrary: fc.constant('drop' as const) },
    { weight: 2, arbitrary: fc.constant('repeat' as const) },
    { weight: 2, arbitrary: fc.constant('swap' as const) },
    { weight: 1, arbitrary: fc.constant('audit' as const) },
    { weight: 2, arbitrary: fc.constant('settle' as const) },
    { weight: 2, arbitrary: fc.constant('join' as const) },
    { weight: 2, arbitrary: fc.constant('leave' as const) },
    { weight: 1, arbitrary: fc.constant('rollback' as const) },
    { weight: 1, arbitrary: fc.constant('flush' as const) },
  ),
  { minLength: 5, maxLength: 60 },
);

/** Runs the steps, then lets everything arrive; @returns what is left to look at. */
async function run(script: readonly string[], options = { maxFrames: 5, size: 8 }) {
  const { model, members, feed, join, trim } = setUp(options);
  const all: Member[] = [];
  const away: Member[] = [];
  await feed.opened;
  const joins: Promise<void>[] = [];
  let losses = 0;
  for (const step of script) {
    const [first, second] = model.deliveries;
    if (step === 'publish') model.publish();
    else if (step === 'deliver' && first) feed.handleMessage(first.position, (model.deliveries.shift() ?? first).body);
    else if (step === 'drop') model.deliveries.shift();
    else if (step === 'repeat' && first) feed.handleMessage(first.position, first.body);
    else if (step === 'swap' && first && second) model.deliveries.splice(0, 2, second, first);
    else if (step === 'audit') void feed.sync();
    else if (step === 'settle') await settle();
    else if (step === 'join') {
      const member = away.shift() ?? new Member();
      if (!all.includes(member)) all.push(member);
      joins.push(join(member));
    } else if (step === 'leave') {
      const [member] = members;
      if (member) {
        members.delete(member);
        away.push(member);
      }
    } else if (step === 'rollback') {
      // The link to Redis goes with it: what was under way does not arrive, and the return of the link reads the room.
      model.rollBack(2);
      model.deliveries = [];
      losses += 1;
      void feed.sync();
    } else if (step === 'flush') {
      model.flush();
      model.deliveries = [];
      losses += 1;
      void feed.sync();
    }
    trim();
  }
  await Promise.all(joins);
  for (const member of away) await join(member);
  await settle();
  await feed.sync();
  feed.close();
  return { model, members: all, losses };
}

test('every member gets every message once and in order, or a gap notice', async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (script) => {
      const { model, members } = await run(script);
      for (const member of members) {
        // It is at the end: under the epoch's present name or an earlier one that lost nothing.
        expect(model.resume(member.position, 1)).toMatchObject({
          recovery: 'recovered',
          from: model.head,
          entries: [],
        });
        // Whatever it holds is what the room has there: nothing of a lost history is taken for the present one.
        for (const [offset, content] of member.held) expect(content).toBe(model.contents[offset - 1]);
      }
    }),
    { numRuns: 2000 },
  );
});

test('nobody gets a gap notice when nothing was lost', async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (script) => {
      const calm = script.filter((step) => step !== 'rollback' && step !== 'flush');
      const { members } = await run(calm, { maxFrames: 5, size: 1000 });
      expect(members.flatMap(({ told }) => told)).toEqual([]);
    }),
    { numRuns: 1000 },
  );
});
