/**
 * The broker's channels that connections of this instance are on: opened with the first, closed with the last. Rooms are
 * followed by a feed; a single connection's channel is live only.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { type Broker, type BrokerHandlers, BrokerUnavailable } from '../broker/broker.ts';
import type { Config } from '../config.ts';
import type { Connection } from '../connection/connection.ts';
import { encodeTextFrame } from '../connection/frame.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import type { Throughput } from '../observability/throughput.ts';
import { encode, type Position, ROOM_ALL, ROOM_ME, readTimestamp } from '../protocol.ts';
import { isAllowed } from './authorize.ts';
import type { Hub } from './hub.ts';
import type { RecentFrames } from './recent-frames.ts';
import { createRoomFeed, type RoomFeed } from './room-feed.ts';

/** How long a join waits for a channel before it is refused. */
const FLOWING_DEADLINE_MS = 3000;
/** The audit goes through the channels in this many parts. */
const AUDIT_PARTS = 10;

const USER_PREFIX = '@user:';
const CLIENT_PREFIX = '@client:';
const isRoom = (name: string) => !name.startsWith(USER_PREFIX) && !name.startsWith(CLIENT_PREFIX);
export const channelOfUser = (userId: string): string => USER_PREFIX + userId;
export const channelOfClient = (clientId: string): string => CLIENT_PREFIX + clientId;

/** The hub's and the broker's name of a room as this connection calls it. */
export const channelOf = (connection: Connection, room: string): string =>
  room === ROOM_ME ? channelOfUser(connection.user.userId) : room;

/**
 * Channels that a connection gets without joining, as far as its token allows them: direct messages to it, and for a
 * plain connection also direct messages to its user and broadcasts.
 */
export function implicitChannels({ id, user, explicit }: Connection): string[] {
  const direct = explicit ? [channelOfClient(id)] : [channelOfClient(id), channelOfUser(user.userId)];
  return [
    ...(isAllowed(user.rooms, ROOM_ME) ? direct : []),
    ...(!explicit && isAllowed(user.rooms, ROOM_ALL) ? [ROOM_ALL] : []),
  ];
}

interface Channel {
  /** None for a single connection's channel. */
  feed: RoomFeed | undefined;
  /** Its messages flow. */
  opened: Promise<void>;
  /** Connections that are on it or about to be. */
  users: number;
  auditPart: number;
}

export interface Subscriptions {
  /** Rooms among the channels: all but those of a single user or connection. */
  readonly roomCount: number;
  /** Opens the channel for one more connection, which gets nothing before it is in the hub's room. */
  attach(name: string): void;
  /** Takes one connection off the channel, and closes it after the last. */
  detach(connection: Connection, name: string): void;
  /** Resolves when the channel's messages flow, however long that takes. */
  opened(name: string): Promise<void>;
  /** The feed of a room that flows. @throws {BrokerUnavailable} when that takes too long */
  feed(name: string): Promise<RoomFeed>;
  readonly brokerHandlers: BrokerHandlers;
}

export function createSubscriptions(options: {
  config: Config;
  hub: Hub<Connection>;
  broker: Broker;
  recent: RecentFrames;
  metrics: Metrics;
  throughput: Throughput;
  logger: Logger;
}): Subscriptions {
  const { hub, broker, metrics, throughput, logger } = options;
  const channels = new Map<string, Channel>();
  /** A message can be followed by its position; asked once, so that it costs nothing else. */
  const following = logger.isLevelEnabled('debug');

  function deliver(name: string, frame: Buffer, except?: string): number {
    const receivers = hub.deliver(name, frame, except);
    metrics.messagesDelivered.inc(receivers);
    metrics.deliveredBytes.inc(receivers * frame.length);
    throughput.delivered(receivers);
    return receivers;
  }

  /** @param body what the frame was made of, unless its message is from a time before */
  function deliverMessage(name: string, frame: Buffer, position: Position, body: Buffer | undefined): void {
    const members = deliver(name, frame);
    // The instances' clocks are taken to be one: a machine's, or kept together by NTP.
    const takenAt = body && members > 0 ? readTimestamp(body) : undefined;
    if (takenAt !== undefined) metrics.deliveryLatency.observe(Math.max(0, Date.now() - takenAt) / 1000);
    if (following) {
      logger.debug({ event: 'delivered', room: name, position, members }, 'a message is on its way to members here');
    }
  }

  function open(name: string): Omit<Channel, 'users' | 'auditPart'> {
    if (name.startsWith(CLIENT_PREFIX)) return { feed: undefined, opened: broker.subscribe(name) };
    const feed = createRoomFeed({
      room: name,
      broker,
      recent: options.recent,
      deliver: (frame, position, body) => deliverMessage(name, frame, position, body),
      handleHoles(messages, found) {
        metrics.holesFilled.inc(messages);
        metrics.auditFindings.inc(found);
      },
      handleEpoch: () => metrics.epochsSeen.inc(),
      handleGap(reason, position) {
        metrics.gapsTold.inc(reason);
        logger.warn({ event: 'gap', reason, position }, 'a history could not be continued; its members are told');
        const room = name.startsWith(USER_PREFIX) ? ROOM_ME : name;
        deliver(name, encodeTextFrame(Buffer.from(encode('gap', { room, reason, position }))));
      },
    });
    return { feed, opened: feed.opened };
  }

  /** @param part of the audit; without one, all that the link may have missed */
  function syncAll(part?: number): void {
    const audit = part !== undefined;
    for (const { feed, auditPart } of channels.values()) {
      if (feed?.head && (!audit || part === auditPart)) feed.sync(audit).catch(() => undefined);
    }
  }

  let auditedPart = 0;
  setInterval(() => {
    auditedPart = (auditedPart + 1) % AUDIT_PARTS;
    if (broker.ready) syncAll(auditedPart);
  }, options.config.AUDIT_INTERVAL / AUDIT_PARTS).unref();

  let count = 0;
  let roomCount = 0;
  const opened = (name: string) => channels.get(name)?.opened ?? Promise.resolve();

  return {
    get roomCount() {
      return roomCount;
    },
    attach(name) {
      const channel = channels.get(name) ?? { ...open(name), users: 0, auditPart: count++ % AUDIT_PARTS };
      if (channel.users === 0 && isRoom(name)) roomCount += 1;
      channels.set(name, channel);
      channel.opened.catch(() => undefined);
      channel.users += 1;
    },
    detach(connection, name) {
      hub.leave(name, connection);
      const channel = channels.get(name);
      if (!channel) return;
      channel.users -= 1;
      if (channel.users > 0) return;
      // Instances that keep listening to rooms without members take CPU from everyone.
      channels.delete(name);
      if (isRoom(name)) roomCount -= 1;
      if (channel.feed) channel.feed.close();
      else broker.unsubscribe(name);
    },
    opened,
    async feed(name) {
      const late = delay(FLOWING_DEADLINE_MS, 'late' as const, { ref: false });
      if ((await Promise.race([opened(name), late])) === 'late') throw new BrokerUnavailable({ uncertain: false });
      const feed = channels.get(name)?.feed;
      // Closed meanwhile, with its last connection.
      if (!feed) throw new BrokerUnavailable({ uncertain: false });
      return feed;
    },
    brokerHandlers: {
      handleMessage(name, position, body) {
        if (following) {
          logger.debug({ event: 'received', room: name, position }, 'a message came from the broker');
        }
        channels.get(name)?.feed?.handleMessage(position, body);
      },
      handleAnnouncement: (name, body, except) => void deliver(name, encodeTextFrame(body), except),
      handleRestored: () => syncAll(),
    },
  };
}
