/**
 * The broker between instances: Redis publish/subscribe, one channel per room. Redis carries a channel's messages to
 * all its subscribers in one order. On the wire a message is `EXCEPT \n BODY`, so that fan-out parses no JSON.
 */
import { once } from 'node:events';
import { ErrorReply } from 'redis';
import { type Broker, BrokerUnavailable, type OnMessage } from './broker.ts';
import type { RedisLink } from './redis-link.ts';

const CHANNEL_PREFIX = 'wsfleet:room:';
const NEWLINE = 0x0a;

export function createRedisBroker({ link, onMessage }: { link: RedisLink; onMessage: OnMessage }): Broker {
  const wanted = new Set<string>();
  const closed = new AbortController();

  function handleMessage(message: Buffer, channel: Buffer): void {
    const end = message.indexOf(NEWLINE);
    if (end < 0) return;
    const except = end === 0 ? undefined : message.toString('utf8', 0, end);
    onMessage(channel.toString('utf8', CHANNEL_PREFIX.length), message.subarray(end + 1), except);
  }

  /** Again if the link broke under it: node-redis would go on listening after the reconnect. */
  function leave(room: string): void {
    link.subscriber.unsubscribe(CHANNEL_PREFIX + room, handleMessage, true).catch(() => {
      if (!wanted.has(room) && !closed.signal.aborted) leave(room);
    });
  }

  return {
    get ready() {
      return link.ready;
    },
    async publish(room, body, except) {
      if (!link.ready) throw new BrokerUnavailable({ uncertain: false });
      try {
        const receivers = await link.commands.sendCommand<number>([
          'PUBLISH',
          CHANNEL_PREFIX + room,
          `${except ?? ''}\n${body}`,
        ]);
        return { position: null, duplicate: false, receivers };
      } catch (error) {
        // An error that Redis itself answered means not taken; a lost connection means nobody knows.
        throw new BrokerUnavailable({ uncertain: !(error instanceof ErrorReply), cause: error });
      }
    },
    async subscribe(room) {
      wanted.add(room);
      // node-redis takes up its confirmed subscriptions again after a reconnect, but not one that was under way.
      while (wanted.has(room) && !closed.signal.aborted) {
        try {
          return await link.subscriber.subscribe(CHANNEL_PREFIX + room, handleMessage, true);
        } catch {
          if (!link.ready) await once(link.events, 'up', { signal: closed.signal }).catch(() => undefined);
        }
      }
    },
    unsubscribe(room) {
      wanted.delete(room);
      leave(room);
    },
    async close() {
      closed.abort();
      await link.close();
    },
  };
}
