/**
 * Messages on their way: each is sent with its id, again and again, until the server has acknowledged or refused it, so
 * that a lost connection or a lost answer neither loses nor doubles one. One at a time, so that they stay in order.
 */
import type { Clock } from './clock.ts';
import type { Connection } from './connection.ts';
import { RequestError } from './errors.ts';
import type { Memory } from './memory.ts';
import type { Requests, ServerMessages } from './protocol.ts';

type Ack = ServerMessages['ack'];
type Kind = 'chat' | 'direct';

/** What is stored. */
interface Letter {
  id: string;
  type: Kind;
  payload: Requests[Kind]['payload'];
}

interface Entry extends Letter {
  /** Undefined for a letter from the storage: its sender is gone, or got CLOSED. */
  sender?: { resolve(ack: Ack): void; reject(error: RequestError): void };
}

export interface Outbox {
  /** Where the letters from the storage go. */
  readonly storedRooms: readonly string[];
  /** @throws {RequestError} the server's refusal, OUTBOX_FULL or CLOSED */
  send<T extends Kind>(type: T, payload: Requests[T]['payload']): Promise<Ack>;
  /** A connection that has joined the rooms: what waits goes there from now on. */
  use(connection: Connection): void;
  /** Those who wait learn that the client is closed; what is stored stays, for the next connection. */
  rejectWaiting(error: RequestError): void;
}

export function createOutbox(options: {
  limit: number;
  memory: Memory;
  clock: Clock;
  nextId(): string;
  /** Called when the server refuses a letter from the storage for good. */
  handleRefused(error: RequestError, room: string | undefined): void;
}): Outbox {
  const { memory, clock } = options;
  const entries: Entry[] = memory.readOutbox<Letter>();
  let connection: Connection | undefined;
  let working = false;

  function store(): void {
    memory.writeOutbox(entries.map(({ id, type, payload }) => ({ id, type, payload })));
  }

  /** @returns milliseconds until the same can be tried again, `gone` on another connection only, or undefined when settled */
  async function deliver(entry: Entry, on: Connection): Promise<number | 'gone' | undefined> {
    try {
      const ack = await on.request(entry.type, entry.payload, entry.id);
      entry.sender?.resolve(ack);
      return undefined;
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      // It may not have ended yet: the server has begun to close it.
      if (error.code === 'NOT_CONNECTED') return 'gone';
      if (error.uncertain) return error.retryAfter ?? 0;
      if (error.retryAfter !== undefined) return error.retryAfter;
      if (entry.sender) entry.sender.reject(error);
      else options.handleRefused(error, roomOf(entry));
      return undefined;
    }
  }

  async function work(): Promise<void> {
    if (working) return;
    working = true;
    for (let entry = entries[0]; entry && connection && !connection.ended; entry = entries[0]) {
      const on = connection;
      const wait = await deliver(entry, on);
      if (wait === 'gone') {
        if (connection === on) connection = undefined;
      } else if (wait === undefined) {
        // The client may have been closed meanwhile: then it is gone, or there again from the storage.
        if (entries[0]?.id === entry.id) {
          entries.shift();
          store();
        }
      } else if (wait > 0) {
        await new Promise<void>((resolve) => void clock.setTimeout(resolve, wait));
      }
    }
    working = false;
  }

  return {
    storedRooms: entries.map(roomOf).filter((room) => room !== undefined),
    send(type, payload) {
      if (entries.length >= options.limit) {
        const message = `${entries.length} messages wait already`;
        return Promise.reject(new RequestError({ code: 'OUTBOX_FULL', message }));
      }
      const acknowledged = new Promise<Ack>((resolve, reject) => {
        entries.push({ id: options.nextId(), type, payload, sender: { resolve, reject } });
      });
      // It is no fault to leave this promise alone: most senders look at what comes back to the room.
      acknowledged.catch(() => {});
      store();
      void work();
      return acknowledged;
    },
    use(next) {
      connection = next;
      void work();
    },
    rejectWaiting(error) {
      connection = undefined;
      const { code, message } = error;
      // The first may be on its way.
      for (const [index, entry] of entries.splice(0).entries()) {
        entry.sender?.reject(new RequestError({ code, message, uncertain: working && index === 0 }));
      }
      entries.push(...memory.readOutbox<Letter>());
    },
  };
}

function roomOf({ payload }: Letter): string | undefined {
  return 'room' in payload ? payload.room : undefined;
}
