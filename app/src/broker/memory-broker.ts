/** The broker of one instance alone: the same numbers, history and asynchrony, without Redis. */
import { randomBytes } from 'node:crypto';
import type { Position } from '../protocol.ts';
import {
  type Broker,
  type BrokerHandlers,
  BrokerUnavailable,
  type Entry,
  type Receipt,
  type Retention,
} from './broker.ts';

interface Room {
  offset: number;
  entries: Entry[];
  touchedAt: number;
}

/** Receipts that are remembered for ids, over all rooms. */
const MAX_RECEIPTS = 10_000;

export function createMemoryBroker(options: { handlers: BrokerHandlers; retention: Retention }): Broker {
  const { handlers, retention } = options;
  /** One epoch for the life of the process: what it forgets at its end, it forgets whole. */
  const epoch = randomBytes(6).toString('base64url');
  const rooms = new Map<string, Room>();
  const receipts = new Map<string, { position: Position; expiresAt: number }>();
  const wanted = new Set<string>();
  let open = true;

  function openRoom(name: string): Room {
    const now = performance.now();
    const room = rooms.get(name) ?? { offset: 0, entries: [], touchedAt: now };
    if (now - room.touchedAt > retention.ttl) room.entries = [];
    rooms.set(name, room);
    return room;
  }

  function recall(key: string): Position | undefined {
    const receipt = receipts.get(key);
    return receipt && receipt.expiresAt > performance.now() ? receipt.position : undefined;
  }

  function remember(key: string, position: Position): void {
    receipts.set(key, { position, expiresAt: performance.now() + retention.ttl });
    const [oldest] = receipts.keys();
    if (receipts.size > MAX_RECEIPTS && oldest !== undefined) receipts.delete(oldest);
  }

  function requireOpen(): void {
    if (!open) throw new BrokerUnavailable({ uncertain: false });
  }

  return {
    get ready() {
      return open;
    },
    canaryAge: 0,
    links: { commands: true, subscriber: true },
    async publish(name, body, publisher, id) {
      requireOpen();
      const key = JSON.stringify([name, publisher, id]);
      const earlier = id === undefined ? undefined : recall(key);
      if (earlier) return { position: earlier, duplicate: true };
      const room = openRoom(name);
      const entry: Entry = { offset: room.offset + 1, body: Buffer.from(body) };
      room.offset = entry.offset;
      room.touchedAt = performance.now();
      room.entries.push(entry);
      if (room.entries.length > retention.size) room.entries.shift();
      const position = { epoch, offset: entry.offset };
      if (id !== undefined) remember(key, position);
      // Later, as from Redis: nothing is delivered inside the publisher's own call.
      return new Promise<Receipt>((resolve) => {
        queueMicrotask(() => {
          if (wanted.has(name)) handlers.handleMessage(name, position, entry.body);
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
      const room = openRoom(name);
      const head = { epoch, offset: room.offset };
      const gap = (reason: 'trimmed' | 'unknown_epoch' | 'invalid', from: number) => ({
        recovery: 'gap' as const,
        reason,
        from,
      });
      const outcome =
        position === undefined
          ? { recovery: 'recovered' as const, from: room.offset }
          : position.epoch !== epoch
            ? gap('unknown_epoch', 0)
            : position.offset > room.offset
              ? gap('invalid', room.offset)
              : { recovery: 'recovered' as const, from: position.offset };
      const oldest = room.entries[0]?.offset ?? room.offset + 1;
      const trimmed = outcome.from < room.offset && oldest > outcome.from + 1;
      const { from, ...rest } = trimmed
        ? { ...gap('trimmed', oldest - 1), ...('reason' in outcome && { reason: outcome.reason }) }
        : outcome;
      const entries = room.entries.filter((entry) => entry.offset > from).slice(0, limit);
      return { ...rest, from: { epoch, offset: from }, entries, head };
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
