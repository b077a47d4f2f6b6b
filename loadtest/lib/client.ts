/**
 * A client of the cluster: in its rooms through any number of connections. It resumes by position, sends what was not
 * acknowledged again, and when its instance is about to end opens the next connection before it leaves this one.
 */
import { setTimeout } from 'k6/timers';
import { createLink, type Frame, type Link, type Place } from './link.ts';
import * as metrics from './metrics.ts';
import { createOutbox } from './outbox.ts';
import { openSocket } from './socket.ts';

/** Full jitter below a ceiling that doubles, in ms. */
const BACKOFF_BASE = 200;
const BACKOFF_CAP = 2000;
/** Close codes from here on, and this one, say: do not come back. */
const NEVER = 4500;
const BAD_TOKEN = 1008;
/** Drained: come back at once. */
const DRAINED = 1012;

export interface ClientOptions {
  url: string;
  rooms: readonly string[];
  forwardedFor: string | undefined;
  /** False: comes back without positions. */
  resume: boolean;
  signToken(): string;
  /** A handshake was not answered with 101. */
  handleRefusal(): void;
  /** In all its rooms for the first time. */
  handleReady(): void;
  /** A message of a room; `late` when its offset is not above all that came before it on this connection. */
  handleMessage(room: string, from: string, content: string, late: boolean): void;
  /** Any other frame. */
  handleFrame?(frame: Frame): void;
}

export interface Client {
  readonly places: ReadonlyMap<string, Place>;
  /** In all its rooms at this moment. */
  readonly ready: boolean;
  /** Messages not acknowledged yet. */
  readonly waiting: number;
  /** Sends a chat message until it is acknowledged. @param dueAt for the latency of its acknowledgement */
  chat(id: string, room: string, content: string, dueAt: number): void;
  /** As chat, to a user. */
  direct(id: string, userId: string, content: string): void;
  /** Sends a message that no one waits for. @returns whether there was a connection to take it */
  send(type: string, payload: object, id?: string): boolean;
  /** Drops the connection as if it were lost, and comes back at once. */
  drop(): void;
  /** Leaves for good. */
  close(): void;
}

export function createClient(options: ClientOptions): Client {
  const places = new Map<string, Place>();
  let current: Link | undefined;
  let next: Link | undefined;
  let closed = false;
  let attempts = 0;
  /** Since when it has not been where it should be. */
  let awayAt: number | undefined;
  let everReady = false;

  const outbox = createOutbox({ handleEmptied: leaveWhenDone });

  function open(): void {
    if (closed || next) return;
    const link = createLink({
      open: (handlers) =>
        openSocket({
          url: options.url,
          token: options.signToken(),
          forwardedFor: options.forwardedFor,
          ...handlers,
        }),
      rooms: options.rooms,
      places,
      resume: options.resume && everReady,
      owns: () => current === link,
      handleJoined: () => takeOver(link),
      handleMessage: options.handleMessage,
      handleFrame: (frame) => handleFrame(link, frame),
      handleEnd: (code, opened) => handleEnd(link, code, opened),
    });
    next = link;
  }

  function takeOver(link: Link): void {
    const old = current;
    current = link;
    next = undefined;
    attempts = 0;
    if (awayAt !== undefined) metrics.backAfter.add(Math.max(0, Date.now() - awayAt));
    awayAt = undefined;
    metrics.arrived.add(1, { instance: link.instance });
    if (old) {
      metrics.departed.add(1, { instance: old.instance });
      leaveWhenDone(old);
    }
    if (everReady) metrics.reconnects.add(1);
    outbox.use(link);
    if (!everReady) {
      everReady = true;
      options.handleReady();
    }
    if (closed) link.close(1000);
  }

  /** A connection that was replaced stays for the answers that it owes. */
  function leaveWhenDone(link: Link): void {
    if (link !== current && link !== next && outbox.waitingOn(link) === 0) link.close(1000);
  }

  function handleFrame(link: Link, frame: Frame): void {
    if (outbox.handle(frame)) return;
    if (frame.type === 'server_shutdown') {
      const slot = Number(frame.payload['reconnectInMs']);
      const due = Date.now() + slot;
      setTimeout(() => {
        if (link !== current || next || closed) return;
        awayAt ??= due;
        open();
      }, slot);
    }
    options.handleFrame?.(frame);
  }

  function handleEnd(link: Link, code: number, wasOpen: boolean): void {
    const mine = link === current;
    if (wasOpen && !link.leaving) metrics.countEnding(code);
    if (!wasOpen && !closed) options.handleRefusal();
    if (mine) {
      current = undefined;
      metrics.departed.add(1, { instance: link.instance });
      awayAt ??= Date.now();
    }
    const pending = link === next;
    if (pending) next = undefined;
    outbox.lost(link);
    // One that was replaced, or left behind on purpose, may still have held messages that now go elsewhere.
    if (current) outbox.use(current);
    if (closed || !(mine || pending) || code >= NEVER || code === BAD_TOKEN) return;
    if (mine && (code === DRAINED || link.dropped)) {
      open();
      return;
    }
    const ceiling = Math.min(BACKOFF_CAP, BACKOFF_BASE * 2 ** attempts);
    attempts += 1;
    setTimeout(open, Math.random() * ceiling);
  }

  open();
  return {
    places,
    get ready() {
      return current !== undefined;
    },
    get waiting() {
      return outbox.size;
    },
    chat(id, room, content, dueAt) {
      outbox.add({ id, type: 'chat', payload: { room, content }, dueAt });
      if (current) outbox.use(current);
    },
    direct(id, userId, content) {
      outbox.add({ id, type: 'direct', payload: { to: { userId }, content }, dueAt: Date.now() });
      if (current) outbox.use(current);
    },
    send(type, payload, id) {
      return current?.send(type, payload, id) ?? false;
    },
    drop: () => current?.drop(),
    close() {
      closed = true;
      // A connection under way is left once it is there.
      if (next?.instance) next.close(1000);
      current?.close(1000);
    },
  };
}
