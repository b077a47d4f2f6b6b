/**
 * One instance: joins the hub (its own connections) and the broker (all instances).
 *
 * One path for local and remote: a message goes to the broker and reaches the hub only when it comes back, so that
 * every member sees one order.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { type Broker, BrokerUnavailable } from './broker/broker.ts';
import type { Connection } from './connection/connection.ts';
import type { Drain } from './lifecycle/drain.ts';
import type { Logger } from './observability/logger.ts';
import type { Metrics } from './observability/metrics.ts';
import type { Throughput } from './observability/throughput.ts';
import {
  closeBody,
  type ErrorCode,
  encode,
  encodeOpenMessage,
  type Position,
  ROOM_ALL,
  ROOM_ME,
  ROOM_PATTERN,
  type ServerMessages,
} from './protocol.ts';
import type { Hub } from './rooms/hub.ts';
import { memberOf, type PresenceEvents } from './rooms/presence-events.ts';
import type { Reader, Recovery } from './rooms/room-feed.ts';
import { channelOf, channelOfClient, channelOfUser, ownChannels, type Subscriptions } from './rooms/subscriptions.ts';

/** A command that the instance does not carry out, and why. A value, not an exception: the other side did it. */
export interface Refusal {
  refused: ErrorCode;
  message: string;
}

export type Ack = ServerMessages['ack'];

export interface Status {
  instanceId: string;
  state: 'ready' | 'unavailable' | 'draining';
  uptimeSeconds: number;
  connections: number;
  /** Those of them that were sent away and are still here. */
  leaving: number;
  /** That connections of this instance are in. */
  rooms: number;
  /** From clients, over the last ten seconds. */
  messagesPerSecond: number;
  /** To members, over the last ten seconds. */
  deliveriesPerSecond: number;
  rssBytes: number;
  pid: number;
  version: string;
}

export interface Instance {
  readonly id: string;
  readonly connections: ReadonlyMap<string, Connection>;
  readonly draining: boolean;
  readonly brokerReady: boolean;
  /** Takes a new connection in; resolves when its live messages flow and it has been greeted. */
  open(connection: Connection): Promise<void>;
  /** Takes the connection out of its rooms; without a goodbye its user may come back unnoticed. */
  handleClosing(connection: Connection, goodbye: boolean): void;
  handleClosed(connection: Connection): void;
  /**
   * Puts the connection into the room, from `position` on or from now. `begin` is called before the first message.
   * @throws {BrokerUnavailable} before `begin`
   */
  join(
    connection: Connection,
    room: string,
    position: Position | undefined,
    begin: (joined: Recovery & { memberCount: number }) => void,
  ): Promise<Refusal | undefined>;
  leave(connection: Connection, room: string): Promise<Refusal | undefined>;
  /**
   * To a room, or without one to everyone. With an `id`, sending it again is harmless.
   * @throws {BrokerUnavailable}
   */
  publish(
    connection: Connection,
    message: { room?: string | undefined; content: string; id?: string | undefined },
  ): Promise<Ack | Refusal>;
  /** To a user, who gets it on coming back too, or to one connection, live only. @throws {BrokerUnavailable} */
  direct(
    connection: Connection,
    message: { to: { userId: string } | { clientId: string }; content: string; id?: string | undefined },
  ): Promise<Ack | Refusal>;
  /** To the others in the room; not kept. @throws {BrokerUnavailable} */
  typing(connection: Connection, room: string, isTyping: boolean): Promise<Refusal | undefined>;
  members(connection: Connection, room: string): Promise<ServerMessages['members'] | Refusal>;
  /**
   * Stops taking connections and sends those that are here away, each at its own slot of the window; resolves when
   * the last one has gone.
   */
  drain(): Promise<void>;
  /** Sends `count` more connections away, those that have been here longest first. @returns how many there were to send */
  rebalance(count: number): number;
  status(): Status;
}

/** How long a new connection waits for its channels before it is greeted without them. */
const OPEN_DEADLINE_MS = 1000;

export function createInstance(options: {
  id: string;
  version: string;
  hub: Hub<Connection>;
  broker: Broker;
  channels: Subscriptions;
  presenceEvents: PresenceEvents;
  drain: Drain;
  metrics: Metrics;
  throughput: Throughput;
  logger: Logger;
  maxRooms: number;
  greeting: Pick<ServerMessages['connected'], 'heartbeat' | 'limits'>;
}): Instance {
  const { id, hub, broker, channels, presenceEvents, metrics, throughput, logger } = options;
  /** Whether messages are followed, as in channels.ts. */
  const following = logger.isLevelEnabled('debug');
  const leaving = new Set<Connection>();
  let draining = false;
  let handleEmpty: (() => void) | undefined;

  /** @returns the time over which they go, in ms */
  function sendAway(connections: readonly Connection[]): number {
    for (const connection of connections) leaving.add(connection);
    return options.drain.sendAway(connections);
  }

  /** A message but for its position. */
  const openMessage = (connection: Connection, room: string, content: string) =>
    encodeOpenMessage({ room, from: { ...memberOf(connection), clientId: connection.id, instanceId: id }, content });

  async function publish(connection: Connection, channel: string, body: string, messageId?: string): Promise<Ack> {
    // A kit's client makes ids that never repeat, and sends again on another connection; a plain one may just count.
    const publisher = connection.explicit ? connection.user.userId : connection.id;
    const begin = performance.now();
    const receipt = await broker.publish(channel, body, publisher, messageId);
    metrics.publishDuration.observe((performance.now() - begin) / 1000);
    metrics.messagesPublished.inc();
    if (following) {
      const { position, duplicate } = receipt;
      logger.debug(
        { event: 'published', clientId: connection.id, messageId, room: channel, position, duplicate },
        'the broker took a message',
      );
    }
    return receipt;
  }

  function readerFor(
    connection: Connection,
    room: string,
    channel: string,
    begin: (recovery: Recovery) => void,
  ): Reader {
    return {
      get open() {
        return connection.state === 'open' && connection.rooms.has(room);
      },
      begin(recovery) {
        // Joined again: from here on it catches up, and enters anew.
        hub.leave(channel, connection);
        metrics.resumes.inc(recovery.recovery);
        metrics.messagesReplayed.inc(recovery.replayed);
        if (following) {
          logger.debug(
            { event: 'joined', clientId: connection.id, room: channel, ...recovery },
            'a member joined; what it missed comes from here on',
          );
        }
        begin(recovery);
      },
      write: (frames) => connection.write(frames),
      drained: () => connection.drained(),
      handleGap: (reason, position) => connection.send('gap', { room, reason, position }),
      enter: () => void (connection.state === 'open' && hub.join(channel, connection)),
    };
  }

  const notInRoom = (room: string): Refusal => ({ refused: 'NOT_IN_ROOM', message: `join ${room} first` });

  function joinRefusal(connection: Connection, room: string): Refusal | undefined {
    const reserved = connection.explicit && (room === ROOM_ALL || room === ROOM_ME);
    if (!reserved && !ROOM_PATTERN.test(room)) {
      return { refused: 'ROOM_FORBIDDEN', message: 'this room cannot be joined' };
    }
    if (!reserved && connection.user.rooms && !connection.user.rooms.includes(room)) {
      return { refused: 'ROOM_FORBIDDEN', message: `the token does not allow ${room}` };
    }
    if (!connection.rooms.has(room) && connection.rooms.size >= options.maxRooms) {
      return { refused: 'TOO_MANY_ROOMS', message: `at most ${options.maxRooms} rooms a connection` };
    }
    return undefined;
  }

  return {
    id,
    connections: hub.connections,
    get draining() {
      return draining;
    },
    get brokerReady() {
      return broker.ready;
    },

    async open(connection) {
      hub.add(connection);
      metrics.connectionsOpened.inc();
      const attached = ownChannels(connection).map(async (name) => {
        channels.attach(name);
        await channels.opened(name);
        if (connection.state === 'open') hub.join(name, connection);
      });
      await Promise.race([Promise.allSettled(attached), delay(OPEN_DEADLINE_MS, undefined, { ref: false })]);
      connection.send('connected', { clientId: connection.id, instanceId: id, ...options.greeting });
      connection.send('authenticated', { ...memberOf(connection), expiresAt: connection.user.expiresAt });
      if (draining) sendAway([connection]);
    },

    handleClosing(connection, goodbye) {
      options.drain.handleLeaving(connection);
      for (const channel of ownChannels(connection)) channels.detach(connection, channel);
      for (const room of connection.rooms) {
        channels.detach(connection, channelOf(connection, room));
        void presenceEvents.leave(connection, room, goodbye);
      }
      connection.rooms.clear();
    },

    handleClosed(connection) {
      hub.remove(connection);
      leaving.delete(connection);
      if (hub.connections.size === 0) handleEmpty?.();
    },

    async join(connection, room, position, begin) {
      const refusal = joinRefusal(connection, room);
      if (refusal) return refusal;
      if (!broker.ready) throw new BrokerUnavailable({ uncertain: false });
      const name = channelOf(connection, room);
      const already = connection.rooms.has(room);
      if (!already) {
        connection.rooms.add(room);
        channels.attach(name);
      }
      try {
        const feed = await channels.feed(name);
        // Closed meanwhile: it has left already, and entering it now would leave a ghost.
        if (connection.state !== 'open') return undefined;
        const memberCount = await presenceEvents.enter(connection, room);
        await feed.catchUp(
          readerFor(connection, room, name, (recovery) => begin({ ...recovery, memberCount })),
          position,
        );
        return undefined;
      } catch (error) {
        if (!already && connection.rooms.delete(room)) {
          channels.detach(connection, name);
          // It may have been entered all the same.
          void presenceEvents.leave(connection, room, true);
        }
        throw error;
      }
    },

    async leave(connection, room) {
      if (!connection.rooms.delete(room)) return notInRoom(room);
      channels.detach(connection, channelOf(connection, room));
      await presenceEvents.leave(connection, room, true);
      return undefined;
    },

    async publish(connection, { room = ROOM_ALL, content, id: messageId }) {
      if (room !== ROOM_ALL && !connection.rooms.has(room)) return notInRoom(room);
      if (room === ROOM_ME) return { refused: 'ROOM_FORBIDDEN', message: 'use direct to write to a user' };
      return publish(connection, room, openMessage(connection, room, content), messageId);
    },

    async direct(connection, { to, content, id: messageId }) {
      const body = openMessage(connection, ROOM_ME, content);
      if ('userId' in to) return publish(connection, channelOfUser(to.userId), body, messageId);
      const receivers = await broker.announce(channelOfClient(to.clientId), body + closeBody());
      if (receivers === 0) return { refused: 'NOT_FOUND', message: 'there is no such connection' };
      return { position: null, duplicate: false };
    },

    async typing(connection, room, isTyping) {
      if (!connection.rooms.has(room) || room.startsWith('@')) return notInRoom(room);
      await broker.announce(room, encode('typing', { room, ...memberOf(connection), isTyping }), connection.id);
      return undefined;
    },

    async members(connection, room) {
      if (!connection.rooms.has(room) || room.startsWith('@')) return notInRoom(room);
      return presenceEvents.list(room);
    },

    async drain() {
      draining = true;
      const all = [...hub.connections.values()];
      const windowMs = sendAway(all);
      logger.info({ event: 'draining', connections: all.length, windowMs }, 'sending connections away');
      if (hub.connections.size === 0) return;
      await new Promise<void>((resolve) => {
        handleEmpty = resolve;
      });
    },

    rebalance(count) {
      const some = [...hub.connections.values()].filter((connection) => !leaving.has(connection)).slice(0, count);
      const windowMs = sendAway(some);
      logger.info({ event: 'rebalancing', connections: some.length, windowMs }, 'sending some connections away');
      return some.length;
    },

    status: () => ({
      instanceId: id,
      state: draining ? 'draining' : broker.ready ? 'ready' : 'unavailable',
      uptimeSeconds: Math.round(process.uptime()),
      connections: hub.connections.size,
      leaving: leaving.size,
      rooms: channels.roomCount,
      ...throughput.rates(),
      rssBytes: process.memoryUsage.rss(),
      pid: process.pid,
      version: options.version,
    }),
  };
}
