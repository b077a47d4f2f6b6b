/**
 * The broker between instances. A room is a stream of its last messages, a meta hash with its epoch and offset, and a
 * channel. All keys of a room share a slot of Redis Cluster. See publish.lua and resume.lua.
 *
 * On a channel a message is `EPOCH:OFFSET:EXCEPT \n BODY`, so that fan-out parses no JSON; without EPOCH and OFFSET it is
 * an announcement, which nobody keeps.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { RESP_TYPES } from 'redis';
import type { Position } from '../protocol.ts';
import type { Broker, BrokerHandlers, Entry, Page, Retention } from './broker.ts';
import type { RedisLink } from './redis-link.ts';
import { loadScript } from './redis-script.ts';

const CHANNEL_PREFIX = 'wsfleet:room:';
const NEWLINE = 0x0a;

/** The canary is published to this instance itself. When it is late, the subscriber link is dead, however open it looks. */
const CANARY_INTERVAL_MS = 800;
const CANARY_LATE_MS = 2000;
const RETRY_MS = 250;

const file = (name: string) => new URL(name, import.meta.url);
const publishScript = loadScript(file('room.lua'), file('publish.lua'));
const resumeScript = loadScript(file('room.lua'), file('resume.lua'));

const buffers = { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } };

export function createRedisBroker(options: {
  link: RedisLink;
  handlers: BrokerHandlers;
  retentionOf(room: string): Retention;
}): Broker {
  const { link, handlers, retentionOf } = options;
  const wanted = new Set<string>();
  const closed = new AbortController();
  const self = randomBytes(6).toString('base64url');
  let epochs = 0;

  /** A name that no epoch ever had. Redis uses it only when it starts a new epoch. */
  const freshEpoch = () => `${self}.${(++epochs).toString(36)}`;
  const metaKey = (room: string) => `wsfleet:{${room}}:meta`;
  const streamKey = (room: string) => `wsfleet:{${room}}:stream`;
  /** The length keeps publisher `a` with id `b:1` apart from publisher `a:b` with id `1`. */
  const idKey = (room: string, publisher: string, id = '') =>
    `wsfleet:{${room}}:id:${publisher.length}:${publisher}:${id}`;

  function handleRaw(message: Buffer, channel: Buffer): void {
    const end = message.indexOf(NEWLINE);
    if (end < 0) return;
    const room = channel.toString('utf8', CHANNEL_PREFIX.length);
    const [epoch, offset, except] = message.toString('latin1', 0, end).split(':');
    const body = message.subarray(end + 1);
    if (epoch) handlers.handleMessage(room, { epoch, offset: Number(offset) }, body);
    else handlers.handleAnnouncement(room, body, except || undefined);
  }

  async function run<T>(command: () => Promise<T>): Promise<T> {
    if (!link.ready) throw link.refusals.refuse();
    try {
      return await command();
    } catch (error) {
      throw link.refusals.refuse(error);
    }
  }

  const canaryChannel = `wsfleet:canary:${self}`;
  let canarySeen = 0;
  /** The same, without the allowance for a stall. */
  let canaryHeard = performance.now();
  const handleCanary = () => {
    canarySeen = performance.now();
    canaryHeard = canarySeen;
  };
  let ticked = performance.now();
  const canary = setInterval(() => {
    const now = performance.now();
    const stalled = now - ticked > 2 * CANARY_INTERVAL_MS;
    ticked = now;
    if (!link.ready) return;
    // After a stall of this process the canaries are late only because they have not been read yet.
    if (stalled) canarySeen = now;
    if (now - canarySeen > CANARY_LATE_MS) {
      canarySeen = now;
      link.replaceSubscriber();
      return;
    }
    link.commands.sendCommand(['PUBLISH', canaryChannel, '']).catch(() => undefined);
  }, CANARY_INTERVAL_MS);

  async function restore(): Promise<void> {
    canarySeen = performance.now();
    const { subscriber } = link;
    try {
      await subscriber.subscribe(canaryChannel, handleCanary, true);
      const channels = [...wanted].map((room) => CHANNEL_PREFIX + room);
      if (channels.length > 0) await subscriber.subscribe(channels, handleRaw, true);
      handlers.handleRestored();
    } catch {
      // The link went down again, and restores when it is back.
    }
  }
  const onUp = () => void restore();
  link.events.on('up', onUp);

  /** Retries if the link broke meanwhile: node-redis would resubscribe after the reconnect. */
  function leave(room: string): void {
    link.subscriber.unsubscribe(CHANNEL_PREFIX + room, handleRaw, true).catch(() => {
      if (!wanted.has(room) && !closed.signal.aborted) leave(room);
    });
  }

  return {
    get ready() {
      return link.ready;
    },
    get refusing() {
      return link.refusals.current;
    },
    get canaryAge() {
      return performance.now() - canaryHeard;
    },
    get links() {
      return { commands: link.commands.isReady, subscriber: link.subscriber.isReady };
    },
    publish: (room, body, publisher, id) =>
      run(async () => {
        const { size, ttl } = retentionOf(room);
        const keys = [metaKey(room), streamKey(room), idKey(room, publisher, id)];
        const args = [
          freshEpoch(),
          body,
          CHANNEL_PREFIX + room,
          String(size),
          String(ttl),
          id === undefined ? '0' : '1',
        ];
        const [epoch, offset, duplicate] = await publishScript.run<[string, number, number]>(link.commands, keys, args);
        link.refusals.accept();
        return { position: { epoch, offset }, duplicate: duplicate === 1 };
      }),
    announce: (room, body, except) =>
      run(() => link.commands.sendCommand<number>(['PUBLISH', CHANNEL_PREFIX + room, `::${except ?? ''}\n${body}`])),
    resume: (room, position, limit) =>
      run(async () => {
        const { epoch, offset } = position ?? { epoch: '', offset: 0 };
        const args = [freshEpoch(), epoch, String(offset), String(limit), String(retentionOf(room).ttl)];
        const answer = await resumeScript.run<(Buffer | number)[]>(
          link.commands,
          [metaKey(room), streamKey(room)],
          args,
          buffers,
        );
        return readPage(answer);
      }),
    async subscribe(room) {
      wanted.add(room);
      while (wanted.has(room) && !closed.signal.aborted) {
        try {
          return await link.subscriber.subscribe(CHANNEL_PREFIX + room, handleRaw, true);
        } catch {
          // The link is down or Redis refuses: wait before the next attempt.
          if (link.ready) await delay(RETRY_MS * (0.5 + Math.random()), undefined, { ref: false });
          else await once(link.events, 'up', { signal: closed.signal }).catch(() => undefined);
        }
      }
    },
    unsubscribe(room) {
      wanted.delete(room);
      leave(room);
    },
    async close() {
      clearInterval(canary);
      link.events.off('up', onUp);
      closed.abort();
      await link.close();
    },
  };
}

function readPage([recovery, reason, from, epochName, head, ...rest]: (Buffer | number)[]): Page {
  const epoch = String(epochName);
  const entries: Entry[] = [];
  for (let i = 0; i + 1 < rest.length; i += 2) entries.push({ offset: Number(rest[i]), body: rest[i + 1] as Buffer });
  const position = (offset: unknown): Position => ({ epoch, offset: Number(offset) });
  return {
    recovery: String(recovery) as Page['recovery'],
    ...(String(reason) !== '' && { reason: String(reason) as NonNullable<Page['reason']> }),
    from: position(from),
    entries,
    head: position(head),
  };
}
