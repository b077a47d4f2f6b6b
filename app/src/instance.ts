/**
 * One instance: joins the hub (its own connections) and the broker (all instances).
 *
 * One path for local and remote: a message goes to the broker and reaches the hub only when it comes back, so that
 * every member sees one order.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { type Broker, BrokerUnavailable, type OnMessage, type Receipt } from './broker/broker.ts';
import type { Connection } from './connection.ts';
import { encodeTextFrame } from './frame.ts';
import type { Hub } from './hub.ts';
import type { Logger } from './logger.ts';
import type { Metrics } from './metrics.ts';
import type { OnGone, Presence } from './presence/presence.ts';
import {
  type ErrorCode,
  encode,
  type Member,
  ROOM_ALL,
  ROOM_ME,
  ROOM_PATTERN,
  type Sender,
  type ServerMessages,
} from './protocol.ts';
import type { Throughput } from './throughput.ts';
import type { TimerWheel } from './timer-wheel.ts';

/** A command that the instance does not carry out, and why. A value, not an exception: the other side did it. */
export interface Refusal {
  refused: ErrorCode;
  message: string;
}

export interface Status {
  instanceId: string;
  state: 'ready' | 'unavailable' | 'draining';
  uptimeSeconds: number;
  connections: number;
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
  /** Takes the connection out of its rooms. */
  handleClosing(connection: Connection): void;
  handleClosed(connection: Connection): void;
  /** @throws {BrokerUnavailable} */
  join(connection: Connection, room: string): Promise<{ memberCount: number } | Refusal>;
  leave(connection: Connection, room: string): Promise<Refusal | undefined>;
  /** To a room, or without one to everyone. @throws {BrokerUnavailable} */
  publish(connection: Connection, room: string | undefined, content: string): Promise<Receipt | Refusal>;
  /** @throws {BrokerUnavailable} */
  direct(
    connection: Connection,
    to: { userId: string } | { clientId: string },
    content: string,
  ): Promise<Receipt | Refusal>;
  /** To the others in the room; not kept. @throws {BrokerUnavailable} */
  typing(connection: Connection, room: string, isTyping: boolean): Promise<Refusal | undefined>;
  members(connection: Connection, room: string): Promise<ServerMessages['members'] | Refusal>;
  /** Where the broker's messages arrive. */
  deliver: OnMessage;
  /** Where presence reports members of dead instances. */
  handleGone: OnGone;
  /**
   * Stops taking connections and sends those that are here away, each at its own slot of the window; resolves when
   * the last one has gone.
   */
  drain(): Promise<void>;
  status(): Status;
}

/** Reconnects a second that a drain asks of the rest of the cluster at most: a small instance drains at once. */
const DRAIN_RATE_PER_SECOND = 40;
/** How long a new connection waits for its subscriptions before it is greeted without them. */
const OPEN_DEADLINE_MS = 1000;
const MEMBER_LIST_LIMIT = 1000;

const channelOfUser = (userId: string) => `@user:${userId}`;
const channelOfClient = (clientId: string) => `@client:${clientId}`;

export function createInstance(options: {
  id: string;
  version: string;
  hub: Hub<Connection>;
  broker: Broker;
  presence: Presence;
  wheel: TimerWheel;
  metrics: Metrics;
  throughput: Throughput;
  logger: Logger;
  maxRooms: number;
  drainWindow: number;
  drainGrace: number;
  greeting: Pick<ServerMessages['connected'], 'heartbeat' | 'limits'>;
}): Instance {
  const { id, hub, broker, presence, wheel, metrics, throughput, logger } = options;
  /** Channels that have members here, and when the broker has confirmed them. */
  const subscriptions = new Map<string, Promise<void>>();
  let draining = false;
  let handleEmpty: (() => void) | undefined;

  /** The hub's and the broker's name of a room as this connection calls it. */
  const channelOf = (connection: Connection, room: string) =>
    room === ROOM_ME ? channelOfUser(connection.user.userId) : room;

  /** Channels that a connection is on without joining. A plain one gets broadcasts and its directs live. */
  const ownChannels = (connection: Connection) =>
    connection.explicit
      ? [channelOfClient(connection.id)]
      : [channelOfClient(connection.id), channelOfUser(connection.user.userId), ROOM_ALL];

  function attach(connection: Connection, channel: string): Promise<void> {
    if (hub.join(channel, connection)) subscriptions.set(channel, broker.subscribe(channel));
    return subscriptions.get(channel) ?? Promise.resolve();
  }

  function detach(connection: Connection, channel: string): void {
    if (!hub.leave(channel, connection)) return;
    // Instances that keep listening to rooms without members take CPU from everyone.
    subscriptions.delete(channel);
    broker.unsubscribe(channel);
  }

  const sender = (connection: Connection): Sender => ({
    userId: connection.user.userId,
    username: connection.user.username,
    clientId: connection.id,
    instanceId: id,
  });
  const member = ({ user }: Connection): Member => ({ userId: user.userId, username: user.username });

  async function publish(room: string, body: string, except?: string): Promise<Receipt> {
    const receipt = await broker.publish(room, body, except);
    metrics.messagesPublished.inc();
    return receipt;
  }

  /** Says something to a room that is not worth failing a command for. */
  function announce(room: string, body: string, except?: string): void {
    publish(room, body, except).catch((error: unknown) => {
      logger.debug({ event: 'announce_failed', err: error }, 'a presence event could not be published');
    });
  }

  const announceLeft = (room: string, who: Member, memberCount: number) =>
    announce(room, encode('user_left', { room, ...who, memberCount }));

  /** Presence lives behind the broker: when it fails, so does the command. */
  async function available<T>(answer: Promise<T>): Promise<T> {
    try {
      return await answer;
    } catch (cause) {
      throw new BrokerUnavailable({ uncertain: true, cause });
    }
  }

  function requireReady(): void {
    if (!broker.ready) throw new BrokerUnavailable({ uncertain: false });
  }

  async function leavePresence(connection: Connection, room: string): Promise<void> {
    if (room.startsWith('@')) return;
    const { changed, memberCount } = await presence.leave(room, connection.id);
    if (changed) announceLeft(room, member(connection), memberCount);
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

  function sendAway(connection: Connection, slot: number): void {
    connection.send('server_shutdown', { reconnectInMs: slot });
    wheel.schedule(slot + options.drainGrace, (late) => late.closeWhenIdle('DRAIN'), connection);
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
      metrics.connections.set(hub.connections.size);
      const attached = Promise.all(ownChannels(connection).map((channel) => attach(connection, channel)));
      await Promise.race([attached, delay(OPEN_DEADLINE_MS, undefined, { ref: false })]);
      connection.send('connected', { clientId: connection.id, instanceId: id, ...options.greeting });
      connection.send('authenticated', { ...member(connection), expiresAt: connection.user.expiresAt });
      if (draining) sendAway(connection, 0);
    },

    handleClosing(connection) {
      for (const channel of ownChannels(connection)) detach(connection, channel);
      for (const room of connection.rooms) {
        detach(connection, channelOf(connection, room));
        leavePresence(connection, room).catch(() => undefined);
      }
      connection.rooms.clear();
    },

    handleClosed(connection) {
      hub.remove(connection);
      metrics.connections.set(hub.connections.size);
      if (hub.connections.size === 0) handleEmpty?.();
    },

    async join(connection, room) {
      const refusal = joinRefusal(connection, room);
      if (refusal) return refusal;
      requireReady();
      const already = connection.rooms.has(room);
      connection.rooms.add(room);
      try {
        await attach(connection, channelOf(connection, room));
        // Closed meanwhile: it has left already, and entering it now would leave a ghost.
        if (connection.state !== 'open' || room.startsWith('@')) return { memberCount: 0 };
        const { changed, memberCount } = await available(presence.join(room, connection.id, member(connection)));
        if (changed) announce(room, encode('user_joined', { room, ...member(connection), memberCount }), connection.id);
        return { memberCount };
      } catch (error) {
        if (!already && connection.rooms.delete(room)) {
          detach(connection, channelOf(connection, room));
          // It may have been entered all the same.
          leavePresence(connection, room).catch(() => undefined);
        }
        throw error;
      }
    },

    async leave(connection, room) {
      if (!connection.rooms.delete(room)) return notInRoom(room);
      detach(connection, channelOf(connection, room));
      // What Redis did not hear of now leaves with this instance's old lease.
      await leavePresence(connection, room).catch(() => undefined);
      return undefined;
    },

    async publish(connection, room = ROOM_ALL, content) {
      if (room !== ROOM_ALL && !connection.rooms.has(room)) return notInRoom(room);
      if (room === ROOM_ME) return { refused: 'ROOM_FORBIDDEN', message: 'use direct to write to a user' };
      return publish(room, encode('message', { room, from: sender(connection), content }));
    },

    async direct(connection, to, content) {
      const channel = 'userId' in to ? channelOfUser(to.userId) : channelOfClient(to.clientId);
      const receipt = await publish(channel, encode('message', { room: ROOM_ME, from: sender(connection), content }));
      return receipt.receivers > 0 ? receipt : { refused: 'NOT_FOUND', message: 'nobody is connected by that name' };
    },

    async typing(connection, room, isTyping) {
      if (!connection.rooms.has(room) || room.startsWith('@')) return notInRoom(room);
      await publish(room, encode('typing', { room, ...member(connection), isTyping }), connection.id);
      return undefined;
    },

    async members(connection, room) {
      if (!connection.rooms.has(room) || room.startsWith('@')) return notInRoom(room);
      requireReady();
      return { room, ...(await available(presence.members(room, MEMBER_LIST_LIMIT))) };
    },

    deliver(channel, body, except) {
      const receivers = hub.deliver(channel, encodeTextFrame(body), except);
      metrics.messagesDelivered.inc(receivers);
      throughput.delivered(receivers);
    },

    handleGone: announceLeft,

    async drain() {
      draining = true;
      metrics.draining.set(1);
      const leaving = [...hub.connections.values()];
      const window = Math.min(options.drainWindow, (leaving.length / DRAIN_RATE_PER_SECOND) * 1000);
      logger.info(
        { event: 'draining', connections: leaving.length, windowMs: Math.round(window) },
        'sending connections away',
      );
      leaving.forEach((connection, index) => {
        sendAway(connection, Math.round((index / leaving.length) * window));
      });
      if (hub.connections.size === 0) return;
      await new Promise<void>((resolve) => {
        handleEmpty = resolve;
      });
    },

    status: () => ({
      instanceId: id,
      state: draining ? 'draining' : broker.ready ? 'ready' : 'unavailable',
      uptimeSeconds: Math.round(process.uptime()),
      connections: hub.connections.size,
      rooms: hub.roomCount,
      ...throughput.rates(),
      rssBytes: process.memoryUsage.rss(),
      pid: process.pid,
      version: options.version,
    }),
  };
}
