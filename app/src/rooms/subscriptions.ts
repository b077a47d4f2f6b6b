/**
 * The broker channels that connections of this instance need: subscribed for the first connection, unsubscribed after
 * the last. Each has a feed, which keeps its order.
 */
import { type Broker, type BrokerHandlers, BrokerUnavailable } from '../broker/broker.ts';
import type { Config } from '../config.ts';
import type { Connection } from '../connection/connection.ts';
import { encodeTextFrame } from '../connection/frame.ts';
import { withDeadline } from '../deadline.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import {
  encode,
  exceptOf,
  isPresenceEvent,
  type Position,
  ROOM_ALL,
  ROOM_ME,
  readTimestamp,
  roomOfUser,
  USER_PREFIX,
} from '../protocol.ts';
import { may } from './authorize.ts';
import type { Hub } from './hub.ts';
import type { RecentFrames } from './recent-frames.ts';
import { createRoomFeed, type RoomFeed } from './room-feed.ts';

/** How long a join waits for its subscription before it is refused. */
const SUBSCRIBED_DEADLINE_MS = 3000;
/** The audit covers the channels in this many parts, spread over its interval. */
const AUDIT_PARTS = 10;

const isRoom = (name: string) => !name.startsWith(USER_PREFIX);

/** The name that hub and broker use for a room of this connection. */
export const channelOf = (connection: Connection, room: string): string =>
  room === ROOM_ME ? roomOfUser(connection.user.userId) : room;

/**
 * Channels that a plain connection gets without joining, as far as its token allows them: direct messages to its user,
 * and broadcasts.
 */
export function implicitChannels({ user, explicit }: Connection): string[] {
  if (explicit) return [];
  return [
    ...(may(user, 'join', ROOM_ME) ? [roomOfUser(user.userId)] : []),
    ...(may(user, 'join', ROOM_ALL) ? [ROOM_ALL] : []),
  ];
}

interface Channel {
  feed: RoomFeed;
  /** Connections that need it. */
  users: number;
  auditPart: number;
}

export interface Subscriptions {
  /** Number of rooms, not counting the channels of single users. */
  readonly roomCount: number;
  /** Subscribes for one more connection, which gets no messages until it is a member in the hub. */
  attach(name: string): void;
  /** Removes one connection, and unsubscribes after the last. */
  detach(connection: Connection, name: string): void;
  /** Resolves when the channel is subscribed, however long that takes. */
  opened(name: string): Promise<void>;
  /** The feed of a subscribed room. @throws {BrokerUnavailable} when subscribing takes too long */
  feed(name: string): Promise<RoomFeed>;
  /** Whether a room that this instance follows has messages. */
  hasHistory(name: string): boolean;
  readonly brokerHandlers: BrokerHandlers;
}

export function createSubscriptions(options: {
  config: Config;
  hub: Hub<Connection>;
  broker: Broker;
  recent: RecentFrames;
  metrics: Metrics;
  handleDelivered(receivers: number, frame: Buffer): void;
  logger: Logger;
}): Subscriptions {
  const { hub, broker, metrics, logger } = options;
  const channels = new Map<string, Channel>();
  /** Whether single messages are logged. Read once, because the fan-out path cannot afford to ask each time. */
  const tracing = logger.isLevelEnabled('debug');

  function deliver(name: string, frame: Buffer, except?: string, patient?: boolean): number {
    const receivers = hub.deliver(name, frame, except, patient);
    options.handleDelivered(receivers, frame);
    return receivers;
  }

  /** @param recent the message is recent enough to measure its latency */
  function deliverMessage(name: string, frame: Buffer, position: Position, body: Buffer, recent: boolean): void {
    const members = deliver(name, frame, exceptOf(body));
    // Assumes that the instances' clocks agree: one machine, or NTP.
    const takenAt = recent && members > 0 ? readTimestamp(body) : undefined;
    if (takenAt !== undefined) metrics.deliveryLatency.observe(Math.max(0, Date.now() - takenAt) / 1000);
    if (tracing) {
      logger.debug(
        { event: 'delivered', room: name, position, members },
        'delivered a message to the members on this instance',
      );
    }
  }

  function openFeed(name: string): RoomFeed {
    return createRoomFeed({
      room: name,
      broker,
      recent: options.recent,
      deliver: (frame, position, body, isRecent) => deliverMessage(name, frame, position, body, isRecent),
      handleBackfill(messages, found) {
        metrics.holesFilled.inc(messages);
        metrics.auditFindings.inc(found);
      },
      handleEpoch: () => metrics.epochsSeen.inc(),
      handleGap(reason, position) {
        metrics.gapsTold.inc(reason);
        logger.warn(
          { event: 'gap', reason, position },
          'the history of a room could not be continued; its members were sent a gap event',
        );
        const room = name.startsWith(USER_PREFIX) ? ROOM_ME : name;
        deliver(name, encodeTextFrame(Buffer.from(encode('gap', { room, reason, position }))));
      },
    });
  }

  /** Syncs the rooms of one audit part, or all rooms after the link was down. */
  function syncAll(part?: number): void {
    const audit = part !== undefined;
    for (const { feed, auditPart } of channels.values()) {
      if (feed.head && (!audit || part === auditPart)) feed.sync(audit).catch(() => undefined);
    }
  }

  // Often enough to keep the offsets of a silent room, see broker/room.lua.
  const auditInterval = Math.min(options.config.AUDIT_INTERVAL, options.config.HISTORY_TTL / 3);
  let auditedPart = 0;
  setInterval(() => {
    auditedPart = (auditedPart + 1) % AUDIT_PARTS;
    if (broker.ready) syncAll(auditedPart);
  }, auditInterval / AUDIT_PARTS).unref();

  let count = 0;
  let roomCount = 0;
  const opened = (name: string) => channels.get(name)?.feed.opened ?? Promise.resolve();

  return {
    get roomCount() {
      return roomCount;
    },
    attach(name) {
      const channel = channels.get(name) ?? { feed: openFeed(name), users: 0, auditPart: count++ % AUDIT_PARTS };
      if (channel.users === 0 && isRoom(name)) roomCount += 1;
      channels.set(name, channel);
      channel.feed.opened.catch(() => undefined);
      channel.users += 1;
    },
    detach(connection, name) {
      hub.leave(name, connection);
      const channel = channels.get(name);
      if (!channel) return;
      channel.users -= 1;
      if (channel.users > 0) return;
      // A subscription without members would cost every instance and Redis CPU.
      channels.delete(name);
      if (isRoom(name)) roomCount -= 1;
      channel.feed.close();
    },
    opened,
    async feed(name) {
      const subscribed = await withDeadline(opened(name), SUBSCRIBED_DEADLINE_MS);
      if (!subscribed) throw new BrokerUnavailable({ uncertain: false });
      const feed = channels.get(name)?.feed;
      // Its last connection closed meanwhile.
      if (!feed) throw new BrokerUnavailable({ uncertain: false });
      return feed;
    },
    hasHistory: (name) => (channels.get(name)?.feed.head?.offset ?? 0) > 0,
    brokerHandlers: {
      handleMessage(name, position, body) {
        if (tracing) {
          logger.debug({ event: 'received', room: name, position }, 'received a message from the broker');
        }
        channels.get(name)?.feed.handleMessage(position, body);
      },
      handleAnnouncement: (name, body, except) =>
        void deliver(name, encodeTextFrame(body), except, isPresenceEvent(body)),
      handleRestored: () => syncAll(),
    },
  };
}
