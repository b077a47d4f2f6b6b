/** The broker of a single instance: the same offsets, history and asynchrony, without Redis. */
import { randomBytes } from 'node:crypto';
import type { Position } from '../protocol.ts';
import {
  BEGINNING,
  type Broker,
  type BrokerHandlers,
  BrokerUnavailable,
  type Entry,
  type Page,
  type Receipt,
  type Retention,
} from './broker.ts';

interface Room {
  /** A room that expired and begins again has another one. */
  epoch: string;
  offset: number;
  entries: Entry[];
  /** Of the history; see `expiresAt` in the receipts for the ids. */
  expiresAt: number;
}

/** Message ids that are remembered, over all rooms. */
const MAX_RECEIPTS = 10_000;
const SWEEP_MS = 1000;

export function createMemoryBroker(options: {
  handlers: BrokerHandlers;
  retentionOf(room: string): Retention;
}): Broker {
  const { handlers, retentionOf } = options;
  const self = randomBytes(6).toString('base64url');
  let epochs = 0;
  const rooms = new Map<string, Room>();
  const receipts = new Map<string, { position: Position; expiresAt: number }>();
  const wanted = new Set<string>();
  let open = true;
  let sweptAt = 0;

  /** A room whose history has expired is gone, unless someone follows it: then it keeps its offsets. */
  function findRoom(name: string): Room | undefined {
    const room = rooms.get(name);
    if (!room || room.expiresAt > performance.now()) return room;
    room.entries = [];
    if (wanted.has(name)) return room;
    rooms.delete(name);
    return undefined;
  }

  /** Removes what has expired, at most every SWEEP_MS. */
  function sweep(): void {
    const now = performance.now();
    if (now - sweptAt < SWEEP_MS) return;
    sweptAt = now;
    for (const [name, { expiresAt }] of rooms) {
      if (expiresAt > now) continue;
      findRoom(name);
      const followed = rooms.get(name);
      if (followed) followed.expiresAt = now + retentionOf(name).ttl;
    }
    for (const [key, { expiresAt }] of receipts) {
      if (expiresAt > now) break;
      receipts.delete(key);
    }
  }

  function remember(key: string, receipt: { position: Position; expiresAt: number }): void {
    receipts.set(key, receipt);
    const [oldest] = receipts.size > MAX_RECEIPTS ? receipts.keys() : [];
    if (oldest !== undefined) receipts.delete(oldest);
  }

  function append(name: string, body: string): Entry & { epoch: string } {
    const room = findRoom(name) ?? {
      epoch: `${self}.${(++epochs).toString(36)}`,
      offset: 0,
      entries: [],
      expiresAt: 0,
    };
    room.offset += 1;
    const { size, ttl } = retentionOf(name);
    room.expiresAt = performance.now() + ttl;
    const entry = { offset: room.offset, body: Buffer.from(body) };
    room.entries.push(entry);
    if (room.entries.length > size) room.entries.shift();
    rooms.set(name, room);
    return { ...entry, epoch: room.epoch };
  }

  function requireOpen(): void {
    if (!open) throw new BrokerUnavailable({ uncertain: false });
  }

  return {
    get ready() {
      return open;
    },
    refusing: undefined,
    canaryAge: 0,
    links: { commands: true, subscriber: true },
    async publish(name, body, publisher, id) {
      requireOpen();
      sweep();
      const key = JSON.stringify([name, publisher, id]);
      const earlier = id === undefined ? undefined : receipts.get(key);
      if (earlier && earlier.expiresAt > performance.now()) return { position: earlier.position, duplicate: true };
      const { epoch, offset, body: stored } = append(name, body);
      const position = { epoch, offset };
      if (id !== undefined) remember(key, { position, expiresAt: performance.now() + retentionOf(name).ttl });
      // Later, as with Redis: nothing is delivered inside the publisher's own call.
      return new Promise<Receipt>((resolve) => {
        queueMicrotask(() => {
          if (wanted.has(name)) handlers.handleMessage(name, position, stored);
          resolve({ position, duplicate: false });
        });
      });
    },
    async announce(name, body, except) {
      requireOpen();
      if (!wanted.has(name)) return 0;
      queueMicrotask(() => handlers.handleAnnouncement(name, Buffer.from(body), except));
      return 1;
    },
    async resume(name, position, limit) {
      requireOpen();
      return resumeRoom(findRoom(name), position, limit);
    },
    async subscribe(room) {
      wanted.add(room);
    },
    unsubscribe: (room) => void wanted.delete(room),
    async close() {
      open = false;
    },
  };
}

/** As resume.lua, but that the epoch of a room never changes. */
function resumeRoom(
  { epoch, offset: head, entries }: Omit<Room, 'expiresAt'> = { epoch: BEGINNING, offset: 0, entries: [] },
  position: Position | undefined,
  limit: number,
): Page {
  const [recovery, from, reason] = start();
  const oldest = entries[0]?.offset ?? head + 1;
  const trimmed = from < head && oldest > from + 1;
  const first = trimmed ? oldest - 1 : from;
  const why = reason ?? (trimmed ? 'trimmed' : undefined);
  return {
    recovery: trimmed ? 'gap' : recovery,
    ...(why && { reason: why }),
    from: { epoch, offset: first },
    entries: entries.filter(({ offset }) => offset > first).slice(0, limit),
    head: { epoch, offset: head },
  };

  function start(): [Page['recovery'], from: number, reason?: NonNullable<Page['reason']>] {
    if (!position) return ['recovered', head];
    if (position.epoch === BEGINNING) return position.offset === 0 ? ['recovered', 0] : ['gap', head, 'invalid'];
    if (position.epoch !== epoch) return ['gap', 0, 'unknown_epoch'];
    return position.offset > head ? ['gap', head, 'invalid'] : ['recovered', position.offset];
  }
}
