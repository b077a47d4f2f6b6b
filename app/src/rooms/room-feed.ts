/**
 * One room as this instance follows it: a cursor over the room's offsets. The next message is fanned out, and an older one
 * is dropped. When messages are missing, the room pauses, backfills them from the broker's history, and continues. The
 * audit and the sync after a lost link use the same backfill, so even the last message of a burst cannot stay lost.
 *
 * Recent frames are cached, so that members who resume after a restart of another instance are served from memory.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { BEGINNING, type Broker, BrokerUnavailable, type Page } from '../broker/broker.ts';
import { encodeTextFrame } from '../connection/frame.ts';
import { closeBody, type GapReason, type Position, type ServerMessages } from '../protocol.ts';
import { createBackfillCounter } from './backfill-counter.ts';
import { chunkOf, type RecentFrames, type RoomFrames } from './recent-frames.ts';

/** Entries per read of the broker. */
const PAGE = 200;
/** Live messages that are held during a backfill. More are dropped and read from the history instead. */
const MAX_HELD = 1000;
const RETRY_MS = 250;

export type Recovery = Pick<ServerMessages['joined_room'], 'recovery' | 'reason' | 'replayed' | 'position'>;

/** A member that catches up: it gets frames in order, as fast as it reads. */
export interface Reader {
  /** False once the member has left. */
  readonly open: boolean;
  /** Called first, and once: how the history continues. */
  begin(recovery: Recovery): void;
  write(frames: Buffer): void;
  /** Resolves when the send buffer has room again. */
  drained(): Promise<void>;
  /** After `begin`, the history turned out not to continue. */
  handleGap(reason: GapReason, position: Position): void;
  /** Called last: it has everything up to the head, and gets the rest live from this turn on. */
  enter(): void;
}

export interface RoomFeed {
  /** Resolves when the cursor is known. */
  readonly opened: Promise<void>;
  readonly head: Position | undefined;
  handleMessage(position: Position, body: Buffer): void;
  /** Backfills what may have been missed. @param audit there is no sign that anything was */
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
   * @param body of the frame, without its end
   * @param recent the message is recent enough to measure its latency
   */
  deliver(frame: Buffer, position: Position, body: Buffer, recent: boolean): void;
  /** Sends the members a gap event. */
  handleGap(reason: GapReason, position: Position): void;
  /** Missed messages were backfilled, `found` of them because of the audit. */
  handleBackfill(messages: number, found: number): void;
  /** The room has a new epoch, because Redis restarted or failed over. */
  handleEpoch(): void;
}): RoomFeed {
  const { room, broker, deliver, handleGap } = options;
  const backfilled = createBackfillCounter(options.handleBackfill);
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
    deliver(frame, cursor, body, recent);
  }

  function hold(position: Position, body: Buffer): void {
    // Copied, because the body is a slice of a read buffer that will be reused.
    if (held.length < MAX_HELD) held.push({ position, body: Buffer.from(body) });
    else overflow = true;
  }

  function handleMessage(position: Position, body: Buffer): void {
    // The first message of a room names the epoch.
    if (cursor?.epoch === BEGINNING && position.offset === 1 && !syncing) cursor.epoch = position.epoch;
    if (cursor && !syncing && position.epoch === cursor.epoch) {
      if (position.offset === cursor.offset + 1) emit(position.offset, body);
      else if (position.offset <= cursor.offset) backfilled.arrived(position.offset);
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
    if (known && known.epoch !== page.from.epoch && known.epoch !== BEGINNING) options.handleEpoch();
    if (known && !continued) handleGap(page.reason ?? 'rewound', page.from);
    for (const { offset, body } of page.entries) {
      if (continued) backfilled.read(offset, audit);
      emit(offset, body, continued);
    }
  }

  /** Emits the messages held during the backfill. @returns whether the room is up to date */
  function takeHeld(stale: ReadonlySet<object>): boolean {
    while (cursor && held.length > 0) {
      const [next] = held;
      if (!next) break;
      const { position, body } = next;
      const old = position.epoch === cursor.epoch ? position.offset <= cursor.offset : stale.has(next);
      if (!old && (position.epoch !== cursor.epoch || position.offset !== cursor.offset + 1)) return false;
      held.shift();
      if (old) backfilled.arrived(position.offset);
      else emit(position.offset, body);
    }
    return true;
  }

  async function read(audit: boolean): Promise<void> {
    while (!closed) {
      // The read covers everything that was held before it began.
      const stale = new Set<object>(held);
      overflow = false;
      const page = await broker.resume(room, cursor, PAGE);
      if (closed) return;
      takePage(page, audit);
      if (cursor && cursor.offset < page.head.offset) continue;
      if (takeHeld(stale) && !overflow) return;
    }
  }

  /** Retries a read that can no longer be refused, until the broker answers or the room is closed. */
  async function retryUntilClosed<T>(reading: () => Promise<T>): Promise<T> {
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
    if (audit) backfilled.settle();
    syncing ??= retryUntilClosed(() => read(audit)).finally(() => {
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
        const page = await retryUntilClosed(() => broker.resume(room, at, PAGE));
        if (page.recovery !== 'recovered') reader.handleGap(page.reason ?? 'rewound', page.from);
        at = await writePage(reader, page);
        // The reader may be ahead of the room: then the room has to catch up too.
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

/** Writes the entries of a page to a reader, as fast as it reads. @returns the reader's new position */
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
