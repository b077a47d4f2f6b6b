/** What the instances need between them. */
import type { Position } from '../protocol.ts';

/** What came of a publish. */
export interface Receipt {
  /** Where the message stands in the room's history; null where none is kept. */
  position: Position | null;
  /** The same message was taken before. */
  duplicate: boolean;
  /** Instances that listen to the room, as far as the broker knows. */
  receivers: number;
}

/** Called for every message of a subscribed room; `body` is only valid during the call. */
export type OnMessage = (room: string, body: Buffer, except: string | undefined) => void;

/**
 * Carries messages between instances.
 *
 * Guarantee: all subscribers of a room see its messages in one order, the publisher's own instance included, which
 * gets its messages back through the broker and from nowhere else. A message is delivered at most once per
 * subscription; one that passes while a subscriber's link is down is not delivered to it.
 */
export interface Broker {
  /** Whether a publish can be expected to succeed now. */
  readonly ready: boolean;
  /**
   * Sends `body` to every subscriber of `room`.
   * @param except id of the one connection that must not get it
   * @throws {BrokerUnavailable} when it was not taken, or with `uncertain` when nobody knows
   */
  publish(room: string, body: string, except?: string): Promise<Receipt>;
  /**
   * Wants the room's messages from now on, across lost links too. Resolves when the broker has confirmed;
   * while the link is down it waits for its return.
   */
  subscribe(room: string): Promise<void>;
  unsubscribe(room: string): void;
  close(): Promise<void>;
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
