/**
 * One room as this instance follows it: a cursor over the room's numbers. The next message is fanned out, an older one
 * dropped; at a hole the room pauses, reads what is missing from the broker, and goes on. The audit and the return of a
 * lost link are the same reading, so that the last message of a burst cannot go missing quietly.
 *
 * Recent frames are kept, so that members that come back after a restart elsewhere are served from memory.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { type Broker, BrokerUnavailable, type Page } from '../broker/broker.ts';
import { encodeTextFrame } from '../connection/frame.ts';
import { closeBody, type GapReason, type Position, type ServerMessages } from '../protocol.ts';
import { createBackfillCounter } from './backfill-counter.ts';
import { chunkOf, type RecentFrames, type RoomFrames } from './recent-frames.ts';

/** Entries per read of the broker. */
const PAGE = 200;
/** Live messages that wait while the room is read; more are dropped and read again. */
const MAX_HELD = 1000;
const RETRY_MS = 250;

export type Recovery = Pick<ServerMessages['joined_room'], 'recovery' | 'reason' | 'replayed' | 'position'>;

/** One member that catches up: gets frames in order, as fast as it reads. */
export interface Reader {
  /** False once it has gone. */
  readonly open: boolean;
  /** First, and once: how the history goes on. */
  begin(recovery: Recovery): void;
  write(frames: Buffer): void;
  /** Resolves when what was written has mostly left. */
  drained(): Promise<void>;
  /** Later than `begin`, the history did not go on after all. */
  handleGap(reason: GapReason, position: Position): void;
  /** Last: it has everything up to the head, and gets the rest as a member from this turn on. */
  enter(): void;
}

export interface RoomFeed {
  /** The cursor is known. */
  readonly opened: Promise<void>;
  readonly head: Position | undefined;
  handleMessage(position: Position, body: Buffer): void;
  /** Reads what may have been missed. @param audit without any sign that something was */
  sync(audit?: boolean): Promise<void>;
  /**
   * Brings a reader from `position` to the head, or without one starts it there.
   * @throws {BrokerUnavailable} before `begin`
   */
  catchUp(reader: Reader, position: Position | undefined): Promise<void>;
  close(): void;
}

export function createRoomFeed(options: {
  room: string;
  broker: Broker;
  recent: RecentFrames;
  /**
   * Fans a frame out to the members.
   * @param position only valid during the call
   * @param body what the frame was made of, unless its message is from a time before
   */
  deliver(frame: Buffer, position: Position, body: Buffer | undefined): void;
  /** Tells the members that the history they saw was not continued. */
  handleGap(reason: GapReason, position: Position): void;
  /** Messages never came live and were read, `found` of them because the audit looked. */
  handleHoles(messages: number, found: number): void;
  /** Redis is not what it was: the room has a new epoch. */
  handleEpoch(): void;
}): RoomFeed {
  const { room, broker, deliver, handleGap } = options;
  const holes = createBackfillCounter(options.handleHoles);
  const frames: RoomFrames = options.recent.openRoom();
  let cursor: Position | undefined;
  let syncing: Promise<void> | undefined;
  let closed = false;
  const held: { position: Position; body: Buffer }[] = [];
  let overflow = false;

  function emit(offset: number, body: Buffer, recent = true): void {
    if (!cursor) return;
    cursor.offset = offset;
    const frame = encodeTextFrame(body, closeBody(cursor));
    frames.push(offset, frame);
    deliver(frame, cursor, recent ? body : undefined);
  }

  function hold(position: Position, body: Buffer): void {
    // The body is a slice of a read buffer that is about to be used again.
    if (held.length < MAX_HELD) held.push({ position, body: Buffer.from(body) });
    else overflow = true;
  }

  function handleMessage(position: Position, body: Buffer): void {
    if (cursor && !syncing && position.epoch === cursor.epoch) {
      if (position.offset === cursor.offset + 1) emit(position.offset, body);
      else if (position.offset <= cursor.offset) holes.arrived(position.offset);
      if (position.offset <= cursor.offset) return;
    }
    hold(position, body);
    if (cursor) syncInBackground();
  }

  function takePage(page: Page, audit: boolean): void {
    const known = cursor;
    const continued = page.recovery === 'recovered';
    if (!known || !continued || known.epoch !== page.from.epoch) frames.clear(page.from.offset);
    cursor = { ...page.from };
    if (known && known.epoch !== page.from.epoch) options.handleEpoch();
    if (known && !continued) handleGap(page.reason ?? 'rewound', page.from);
    for (const { offset, body } of page.entries) {
      if (continued) holes.read(offset, audit);
      emit(offset, body, continued);
    }
  }

  /** Takes up what came while the room was read. @returns whether that leaves nothing to read */
  function takeHeld(stale: ReadonlySet<object>): boolean {
    while (cursor && held.length > 0) {
      const [next] = held;
      if (!next) break;
      const { position, body } = next;
      const old = position.epoch === cursor.epoch ? position.offset <= cursor.offset : stale.has(next);
      if (!old && (position.epoch !== cursor.epoch || position.offset !== cursor.offset + 1)) return false;
      held.shift();
      if (old) holes.arrived(position.offset);
      else emit(position.offset, body);
    }
    return true;
  }

  async function read(audit: boolean): Promise<void> {
    while (!closed) {
      // What came before the read began is covered by it.
      const stale = new Set<object>(held);
      overflow = false;
      const page = await broker.resume(room, cursor, PAGE);
      if (closed) return;
      takePage(page, audit);
      if (cursor && cursor.offset < page.head.offset) continue;
      if (takeHeld(stale) && !overflow) return;
    }
  }

  /** A reading that is past its point of refusal: tried until the broker answers or the room is left. */
  async function insist<T>(reading: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await reading();
      } catch (error) {
        if (closed || !(error instanceof BrokerUnavailable)) throw error;
        await delay(RETRY_MS * (0.5 + Math.random()), undefined, { ref: false });
      }
    }
  }

  function sync(audit = false): Promise<void> {
    if (audit) holes.settle();
    syncing ??= insist(() => read(audit)).finally(() => {
      syncing = undefined;
      if (held.length > 0 && !closed) syncInBackground();
    });
    return syncing;
  }

  const syncInBackground = () => void sync().catch(() => undefined);

  function requireCursor(): Position {
    if (!cursor) throw new BrokerUnavailable({ uncertain: false });
    return cursor;
  }

  return {
    opened: broker.subscribe(room).then(() => sync()),
    get head() {
      return cursor;
    },
    handleMessage,
    sync,

    async catchUp(reader, position) {
      let head = requireCursor();
      if (!position) {
        reader.begin({ recovery: 'none', position: { ...head }, replayed: 0 });
        return reader.enter();
      }
      let at = position;
      if (position.epoch === head.epoch && position.offset <= head.offset && frames.covers(position.offset)) {
        reader.begin({ recovery: 'recovered', position, replayed: head.offset - position.offset });
      } else {
        const page = await broker.resume(room, position, PAGE);
        const { recovery, reason, from } = page;
        reader.begin({ recovery, ...(reason && { reason }), position: from, replayed: page.head.offset - from.offset });
        at = await writePage(reader, page);
      }
      while (reader.open && !closed) {
        head = requireCursor();
        if (at.epoch === head.epoch && at.offset === head.offset) return reader.enter();
        await reader.drained();
        head = requireCursor();
        if (at.epoch === head.epoch && at.offset < head.offset && frames.covers(at.offset)) {
          const [bytes, last] = frames.after(at.offset);
          reader.write(bytes);
          at = { epoch: head.epoch, offset: last };
          continue;
        }
        const page = await insist(() => broker.resume(room, at, PAGE));
        if (page.recovery !== 'recovered') reader.handleGap(page.reason ?? 'rewound', page.from);
        at = await writePage(reader, page);
        // The reader may be ahead of the room: then the room reads too.
        head = requireCursor();
        if (at.epoch !== head.epoch || at.offset > head.offset) await sync();
      }
    },

    close() {
      closed = true;
      frames.close();
      broker.unsubscribe(room);
    },
  };
}

/** Writes a page's entries to one reader, as fast as it reads; @returns where that leaves it. */
async function writePage(reader: Reader, page: Page): Promise<Position> {
  const { epoch } = page.head;
  const encoded = page.entries.map(({ offset, body }) => encodeTextFrame(body, closeBody({ epoch, offset })));
  for (let start = 0; start < encoded.length && reader.open; ) {
    const chunk = chunkOf(encoded, start);
    if (start > 0) await reader.drained();
    reader.write(Buffer.concat(chunk));
    start += chunk.length;
  }
  return { epoch, offset: page.entries.at(-1)?.offset ?? page.from.offset };
}
