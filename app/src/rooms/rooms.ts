/** Which rooms a connection is in: join, leave, and who else is there. */
import { type Broker, BrokerUnavailable } from '../broker/broker.ts';
import type { Config } from '../config.ts';
import type { Connection, ConnectionUser } from '../connection/connection.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import { encode, type Position, ROOM_ALL, ROOM_ME, ROOM_PATTERN, type ServerMessages } from '../protocol.ts';
import { type Authorize, forbidden, may, notInRoom, type Refusal } from './authorize.ts';
import type { Hub } from './hub.ts';
import { memberOf, type PresenceEvents } from './presence-events.ts';
import type { Reader, Recovery } from './room-feed.ts';
import { channelOf, implicitChannels, type Subscriptions } from './subscriptions.ts';

export interface Rooms {
  /** Subscribes to the channels that a connection gets without joining, if any; resolves when their messages flow. */
  open(connection: Connection): Promise<unknown> | undefined;
  /** Takes the connection out of everything. `done`: its user said goodbye and leaves at once, without grace period. */
  close(connection: Connection, done: boolean): void;
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
  /** Takes over a new token's claims. @returns the rooms that the new token does not allow and that were left */
  updateUser(connection: Connection, user: ConnectionUser): Promise<string[]>;
  /** To the others in the room; not stored. @throws {BrokerUnavailable} */
  typing(connection: Connection, room: string, isTyping: boolean): Promise<Refusal | undefined>;
  members(connection: Connection, room: string): Promise<ServerMessages['members'] | Refusal>;
}

export function createRooms(options: {
  config: Config;
  hub: Hub<Connection>;
  broker: Broker;
  subscriptions: Subscriptions;
  presenceEvents: PresenceEvents;
  authorize: Authorize;
  metrics: Metrics;
  logger: Logger;
}): Rooms {
  const { config, hub, broker, subscriptions, presenceEvents, authorize, metrics, logger } = options;
  /** Whether single messages are logged, as in subscriptions.ts. */
  const tracing = logger.isLevelEnabled('debug');

  const isMember = (connection: Connection, room: string) => connection.rooms.has(room) && !room.startsWith('@');

  async function joinRefusal(connection: Connection, room: string): Promise<Refusal | undefined> {
    const reserved = connection.explicit && (room === ROOM_ALL || room === ROOM_ME);
    if (!reserved && !ROOM_PATTERN.test(room)) return forbidden('this room cannot be joined');
    if (!connection.rooms.has(room) && connection.rooms.size >= config.MAX_ROOMS_PER_CONNECTION) {
      return { refused: 'TOO_MANY_ROOMS', message: `at most ${config.MAX_ROOMS_PER_CONNECTION} rooms a connection` };
    }
    return await authorize.refuse(connection, 'join', room);
  }

  async function subscribe(connection: Connection, channel: string): Promise<void> {
    subscriptions.attach(channel);
    await subscriptions.opened(channel);
    if (connection.state === 'open' && implicitChannels(connection).includes(channel)) hub.join(channel, connection);
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
        // On a second join it gets no live messages until it has caught up.
        hub.leave(channel, connection);
        metrics.resumes.inc(recovery.recovery);
        metrics.messagesReplayed.inc(recovery.replayed);
        if (tracing) {
          logger.debug(
            { event: 'joined', clientId: connection.id, room: channel, ...recovery },
            'a member joined; its replay starts here',
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

  async function leave(connection: Connection, room: string): Promise<Refusal | undefined> {
    if (!connection.rooms.delete(room)) return notInRoom(room);
    subscriptions.detach(connection, channelOf(connection, room));
    await presenceEvents.leave(connection, room, true);
    return undefined;
  }

  /** Undoes a join that did not come about. */
  function giveUp(connection: Connection, room: string, already: boolean): void {
    if (already || !connection.rooms.delete(room)) return;
    subscriptions.detach(connection, channelOf(connection, room));
    void presenceEvents.leave(connection, room, true);
  }

  return {
    open(connection) {
      const channels = implicitChannels(connection);
      if (channels.length === 0) return undefined;
      return Promise.allSettled(channels.map((channel) => subscribe(connection, channel)));
    },

    close(connection, done) {
      for (const channel of implicitChannels(connection)) subscriptions.detach(connection, channel);
      for (const room of connection.rooms) {
        subscriptions.detach(connection, channelOf(connection, room));
        void presenceEvents.leave(connection, room, done);
      }
      connection.rooms.clear();
    },

    async join(connection, room, position, begin) {
      const refusal = await joinRefusal(connection, room);
      // Closed while AUTH_URL was asked: it has already left.
      if (refusal || connection.state !== 'open') return refusal;
      if (!broker.ready) throw new BrokerUnavailable({ uncertain: false });
      const channel = channelOf(connection, room);
      const already = connection.rooms.has(room);
      if (!already) {
        connection.rooms.add(room);
        subscriptions.attach(channel);
      }
      try {
        const feed = await subscriptions.feed(channel);
        // Closed meanwhile: it has already left, and entering it now would leave a ghost.
        if (connection.state !== 'open') return undefined;
        const memberCount = await presenceEvents.enter(connection, room);
        if (memberCount === undefined) {
          giveUp(connection, room, already);
          return { refused: 'ROOM_FULL', message: `${room} is full (rooms.yml)` };
        }
        await feed.catchUp(
          readerFor(connection, room, channel, (recovery) => begin({ ...recovery, memberCount })),
          // Without the right to the history, it begins now.
          may(connection.user, 'history', room) ? position : undefined,
        );
        return undefined;
      } catch (error) {
        // Presence may have entered it before the failure.
        giveUp(connection, room, already);
        throw error;
      }
    },

    leave,

    async updateUser(connection, user) {
      const before = implicitChannels(connection);
      Object.assign(connection.user, user);
      const after = implicitChannels(connection);
      for (const channel of before) if (!after.includes(channel)) subscriptions.detach(connection, channel);
      await Promise.all(
        after.filter((channel) => !before.includes(channel)).map((channel) => subscribe(connection, channel)),
      );
      const lost = [...connection.rooms].filter((room) => !may(user, 'join', room));
      for (const room of lost) await leave(connection, room);
      return lost;
    },

    async typing(connection, room, isTyping) {
      if (!isMember(connection, room)) return notInRoom(room);
      const refusal = authorize.refuseAtOnce(connection, 'publish', room);
      if (refusal) return refusal;
      await broker.announce(room, encode('typing', { room, ...memberOf(connection), isTyping }), connection.id);
      return undefined;
    },

    async members(connection, room) {
      if (!isMember(connection, room)) return notInRoom(room);
      return authorize.refuseAtOnce(connection, 'presence', room) ?? presenceEvents.list(room);
    },
  };
}
