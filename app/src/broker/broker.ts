/** What the instances need between them. */
import type { Position } from '../protocol.ts';

/** What came of a publish. */
export interface Receipt {
  position: Position;
  /** The same message (publisher and id) was taken before; `position` is where it stands. */
  duplicate: boolean;
}

/** One kept message. `body` is the frame's JSON, open at its end: see `closeBody` in protocol.ts. */
export interface Entry {
  offset: number;
  body: Buffer;
}

/** Why a history cannot be continued from a position. */
export type GapReason = 'trimmed' | 'unknown_epoch' | 'invalid';

/**
 * How a room's history goes on from a position. `from` is where `entries` begin: everything after it is there or is
 * told to be lost. `rewound`: the position lay on a part of the history that Redis has lost since; `from` is the fork.
 */
export interface Page {
  recovery: 'recovered' | 'rewound' | 'gap';
  reason?: GapReason;
  from: Position;
  entries: Entry[];
  /** The room's last message at that time. */
  head: Position;
}

/** What the broker calls. Bodies are only valid during the call. */
export interface BrokerHandlers {
  /** A numbered message of a subscribed room: once, not at all, or again; the numbers tell. */
  handleMessage(room: string, position: Position, body: Buffer): void;
  /** An event that is not kept, for everyone on the room but the connection `except`. */
  handleAnnouncement(room: string, body: Buffer, except: string | undefined): void;
  /** Messages may have been missed: the link was lost and is back. */
  handleRestored(): void;
}

/**
 * Carries messages between instances and keeps each room's recent history.
 *
 * Guarantee: a publish that resolves is numbered, kept and on its way to all subscribers, in one atomic step; the
 * numbers of a room have no holes within a lineage of epochs. The live messages themselves are sent at most once: a
 * subscriber that sees a hole, or whose link was away, reads what it missed with `resume`.
 */
export interface Broker {
  /** Whether a publish can be expected to succeed now. */
  readonly ready: boolean;
  /** Milliseconds since a message to itself last came back, as the subscriber's link brings all messages. */
  readonly canaryAge: number;
  /** Which links are up; with no links there is none that is not. */
  readonly links: Readonly<Record<RedisLinkName, boolean>>;
  /**
   * @param id with the publisher, makes the publish idempotent: sent again, it is taken once
   * @throws {BrokerUnavailable} when it was not taken, or with `uncertain` when nobody knows
   */
  publish(room: string, body: string, publisher: string, id?: string): Promise<Receipt>;
  /**
   * Sends an event that is not kept. @returns how many instances listen to the room
   * @throws {BrokerUnavailable}
   */
  announce(room: string, body: string, except?: string): Promise<number>;
  /**
   * How the room goes on from `position`; without one, from its head. At most `limit` entries.
   * @throws {BrokerUnavailable}
   */
  resume(room: string, position: Position | undefined, limit: number): Promise<Page>;
  /**
   * Wants the room's messages from now on, across lost links too. Resolves when the broker has confirmed;
   * while the link is down it waits for its return.
   */
  subscribe(room: string): Promise<void>;
  unsubscribe(room: string): void;
  close(): Promise<void>;
}

/** The connections to Redis. */
export const redisLinks = ['commands', 'subscriber'] as const;
export type RedisLinkName = (typeof redisLinks)[number];

/** How much history is kept per room. */
export interface Retention {
  /** Messages. */
  size: number;
  /** Milliseconds without a message after which a room's history goes; ids are remembered as long. */
  ttl: number;
}

export class BrokerUnavailable extends Error {
  override readonly name = 'BrokerUnavailable';
  /** The answer was lost: the message may have been taken. */
  readonly uncertain: boolean;
  /** Milliseconds. */
  readonly retryAfter = 1000;
  constructor(options: { uncertain: boolean; cause?: unknown }) {
    super(options.uncertain ? 'the broker’s answer was lost' : 'the broker is not reachable', { cause: options.cause });
    this.uncertain = options.uncertain;
  }
}
