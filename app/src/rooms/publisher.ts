/**
 * Publishes what connections and the server API send. A message always takes the same way, local or remote: it goes to the broker and
 * reaches the hub only when it comes back. So every member sees one order.
 */
import { type Broker, BrokerUnavailable, type Receipt } from '../broker/broker.ts';
import type { Config } from '../config.ts';
import type { Connection } from '../connection/connection.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import {
  type Content,
  closeBody,
  encodeOpenMessage,
  parseOpenMessage,
  ROOM_ALL,
  ROOM_ME,
  roomOfUser,
  type Sender,
  type ServerMessages,
} from '../protocol.ts';
import type { Webhooks } from '../webhooks/webhooks.ts';
import { ANY_USER, type Authorize, forbidden, notInRoom, type Refusal } from './authorize.ts';
import type { DirectMessages } from './direct-messages.ts';
import { memberOf } from './presence-events.ts';

type Ack = ServerMessages['ack'];

export interface Publisher {
  /**
   * To a room, or without one to everyone. With an `id`, resending it is harmless.
   * @throws {BrokerUnavailable}
   */
  publish(
    connection: Connection,
    message: {
      room?: string | undefined;
      content: string;
      /** False: the connection itself does not get it, unless by a replay. */
      echo?: boolean | undefined;
      id?: string | undefined;
    },
  ): Promise<Ack | Refusal>;
  /** To a user, who also gets it after coming back, or to one connection, live only. @throws {BrokerUnavailable} */
  direct(
    connection: Connection,
    message: { to: { userId: string } | { clientId: string }; content: string; id?: string | undefined },
  ): Promise<Ack | Refusal>;
  /** What the server API says, to a room, `@all` or a user. Ids count for each `from.username`. @throws {BrokerUnavailable} */
  publishFor(
    from: Sender,
    to: { room: string } | { userId: string },
    content: Content,
    id?: string | undefined,
  ): Promise<Receipt>;
}

export function createPublisher(options: {
  config: Config;
  broker: Broker;
  directMessages: DirectMessages;
  /** Whether a room is known to have messages. */
  hasHistory(room: string): boolean;
  authorize: Authorize;
  webhooks: Pick<Webhooks, 'tells' | 'store'> | undefined;
  metrics: Metrics;
  logger: Logger;
}): Publisher {
  const { config, broker, authorize, webhooks, metrics, logger } = options;
  /** Whether single messages are logged, as in subscriptions.ts. */
  const tracing = logger.isLevelEnabled('debug');

  /** A message without its position. */
  const openMessage = (connection: Connection, room: string, content: string, echo?: boolean) => {
    const from = { ...memberOf(connection), clientId: connection.id, instanceId: config.INSTANCE_ID };
    return encodeOpenMessage({ room, from, content }, { echo });
  };

  async function publish(
    connection: Connection,
    channel: string,
    body: string,
    messageId?: string,
  ): Promise<Ack | Refusal> {
    // A room without history is one more key in Redis, and anyone can think of names.
    const wait = options.hasHistory(channel) ? 0 : connection.newRooms.wait();
    if (wait > 0) {
      const message = 'too many rooms without messages (NEW_ROOMS_PER_MINUTE)';
      return { refused: 'RATE_LIMITED', message, retryAfter: wait };
    }
    // The kit's client never reuses an id and resends on another connection; a plain client may just count.
    const publisher = connection.explicit ? connection.user.userId : connection.id;
    const ack = await store(connection.id, channel, body, publisher, messageId);
    if (ack.position.offset === 1 && !ack.duplicate) connection.newRooms.take();
    return ack;
  }

  async function store(
    clientId: string,
    channel: string,
    body: string,
    publisher: string,
    messageId?: string,
  ): Promise<Receipt> {
    const begin = performance.now();
    const receipt = await broker.publish(channel, body, publisher, messageId);
    metrics.publishDuration.observe((performance.now() - begin) / 1000);
    metrics.messagesPublished.inc();
    if (webhooks?.tells('published')) await tellPublished(webhooks, channel, body, receipt);
    if (tracing) {
      const { position, duplicate } = receipt;
      logger.debug(
        { event: 'published', clientId, messageId, room: channel, position, duplicate },
        'the broker took a message',
      );
    }
    return receipt;
  }

  /** Before the ack, so that the sender repeats a message that was stored and not told. */
  async function tellPublished(
    { store: tell }: Pick<Webhooks, 'store'>,
    channel: string,
    body: string,
    { position }: Receipt,
  ): Promise<void> {
    const { from, content } = parseOpenMessage(body).payload;
    try {
      const id = `${channel}:${position.epoch}:${position.offset}`;
      await tell('published', { room: channel, from, content, position }, id);
    } catch (cause) {
      throw new BrokerUnavailable({ uncertain: true, cause });
    }
  }

  return {
    async publish(connection, { room = ROOM_ALL, content, echo, id }) {
      if (room === ROOM_ME) return forbidden('use direct to write to a user');
      if (room !== ROOM_ALL && !connection.rooms.has(room)) return notInRoom(room);
      const refusal = await authorize.refuse(connection, 'publish', room);
      if (refusal) return refusal;
      return publish(connection, room, openMessage(connection, room, content, echo), id);
    },

    async direct(connection, { to, content, id }) {
      const refusal = await authorize.refuse(connection, 'publish', 'userId' in to ? roomOfUser(to.userId) : ANY_USER);
      if (refusal) return refusal;
      const body = openMessage(connection, ROOM_ME, content);
      if ('userId' in to) return publish(connection, roomOfUser(to.userId), body, id);
      const exists = await options.directMessages.send(to.clientId, body + closeBody());
      if (!exists) return { refused: 'NOT_FOUND', message: 'there is no such connection' };
      return { position: null, duplicate: false };
    },

    async publishFor(from, to, content, id) {
      const [room, channel] = 'userId' in to ? [ROOM_ME, roomOfUser(to.userId)] : [to.room, to.room];
      // No user's id has a control character.
      return store(from.clientId, channel, encodeOpenMessage({ room, from, content }), `\0${from.username}`, id);
    },
  };
}
