/** The interface between the instances: it carries messages and keeps each room's recent history. */
import type { Position } from '../protocol.ts';

/** The epoch of a room without history. `{epoch: BEGINNING, offset: 0}` is the position before its first message. */
export const BEGINNING = '0';

/** The result of a publish. */
export interface Receipt {
  position: Position;
  /** The same message (publisher and id) was stored before, at `position`. */
  duplicate: boolean;
}

/** One stored message. `body` is the frame's JSON without its end: see `closeBody` in protocol.ts. */
export interface Entry {
  offset: number;
  body: Buffer;
}

/** Why a history cannot be continued from a position. */
export type GapReason = 'trimmed' | 'unknown_epoch' | 'invalid';

/**
 * How a room's history continues from a position. `entries` are what follows `from`. `rewound`: the position is in a
 * part of the history that Redis has lost since, and `from` is the fork.
 */
export interface Page {
  recovery: 'recovered' | 'rewound' | 'gap';
  reason?: GapReason;
  from: Position;
  entries: Entry[];
  /** The position of the room's last message. */
  head: Position;
}

/** Callbacks of the broker. Bodies are valid only during the call. */
export interface BrokerHandlers {
  /** A message of a subscribed room. It may be missing or arrive twice; its offset tells. */
  handleMessage(room: string, position: Position, body: Buffer): void;
  /** An event that is not stored, for everyone in the room except the connection `except`. */
  handleAnnouncement(room: string, body: Buffer, except: string | undefined): void;
  /** The link was down and is back: messages may have been missed. */
  handleRestored(): void;
}

/**
 * Carries messages between instances and keeps each room's recent history.
 *
 * Guarantee: a publish that resolves has been numbered, stored and sent to all subscribers, in one atomic step. The offsets
 * of a room have no holes within a lineage of epochs. Live messages are delivered at most once: a subscriber that finds an
 * offset missing, or whose link was down, reads what it missed with `resume`.
 */
export interface Broker {
  /** Whether a publish is expected to succeed now. */
  readonly ready: boolean;
  /** Why commands are refused although the links are up. */
  readonly refusing: BrokerRefusal | undefined;
  /** Milliseconds since the canary last arrived on the subscriber link. */
  readonly canaryAge: number;
  /** Which Redis links are up; all of them for a broker without Redis. */
  readonly links: Readonly<Record<RedisLinkName, boolean>>;
  /**
   * @param id makes the publish idempotent per publisher: a resent message is stored once
   * @throws {BrokerUnavailable} when it was not stored, or with `uncertain` when that is unknown
   */
  publish(room: string, body: string, publisher: string, id?: string): Promise<Receipt>;
  /**
   * Sends an event that is not stored. @returns how many instances subscribe to the room
   * @throws {BrokerUnavailable}
   */
  announce(room: string, body: string, except?: string): Promise<number>;
  /**
   * How the room continues from `position`, or from its head. At most `limit` entries. Writes nothing for a room without
   * history.
   * @throws {BrokerUnavailable}
   */
  resume(room: string, position: Position | undefined, limit: number): Promise<Page>;
  /**
   * Subscribes to the room from now on, also across lost links. Resolves when the broker has confirmed, and waits while
   * the link is down.
   */
  subscribe(room: string): Promise<void>;
  unsubscribe(room: string): void;
  close(): Promise<void>;
}

/** The two connections to Redis. */
export const redisLinks = ['commands', 'subscriber'] as const;
export type RedisLinkName = (typeof redisLinks)[number];

/** How much history is kept per room. */
export interface Retention {
  /** Messages. */
  size: number;
  /** Milliseconds after its last message until a room's history expires; ids are remembered as long. */
  ttl: number;
}

/** Why the broker does not carry out a command. */
export const brokerRefusals = ['unreachable', 'full', 'read_only', 'cannot_persist', 'error'] as const;
export type BrokerRefusal = (typeof brokerRefusals)[number];

const refusalTexts: Readonly<Record<BrokerRefusal, string>> = {
  unreachable: 'Redis cannot be reached',
  full: 'Redis is out of memory',
  read_only: 'Redis is read-only',
  cannot_persist: 'Redis cannot write to its disk',
  error: 'Redis answered with an error',
};

export class BrokerUnavailable extends Error {
  override readonly name = 'BrokerUnavailable';
  readonly reason: BrokerRefusal;
  /** The answer was lost: the message may have been stored. */
  readonly uncertain: boolean;
  /** Milliseconds. */
  readonly retryAfter = 1000;
  constructor(options: { uncertain: boolean; reason?: BrokerRefusal; cause?: unknown }) {
    const { uncertain, reason = 'unreachable', cause } = options;
    super(uncertain ? 'the answer of Redis was lost' : refusalTexts[reason], { cause });
    this.reason = reason;
    this.uncertain = uncertain;
  }
}
