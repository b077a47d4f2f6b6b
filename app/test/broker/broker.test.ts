import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import {
  BEGINNING,
  type Broker,
  type BrokerHandlers,
  BrokerUnavailable,
  type Retention,
} from '../../src/broker/broker.ts';
import { createMemoryBroker } from '../../src/broker/memory-broker.ts';
import { createRedisBroker } from '../../src/broker/redis-broker.ts';
import { createRedisLink, type RedisLink } from '../../src/broker/redis-link.ts';
import { createLogger } from '../../src/observability/logger.ts';
import { within } from '../harness/process.ts';
import { type RedisServer, startRedis } from '../harness/redis.ts';

interface Delivery {
  room: string;
  body: string;
  except: string | undefined;
}

/** One instance's side of the broker, with all that was delivered to it. */
interface Side {
  broker: Broker;
  deliveries: Delivery[];
  link?: RedisLink;
  /** Resolves when this many have been delivered. */
  delivered(count: number): Promise<Delivery[]>;
}

/** Two instances' sides, which are the same one where the broker is in memory. */
type Open = (kept?: Retention) => Promise<[Side, Side]>;

const silent = createLogger({ instanceId: 'test', level: 'silent', format: 'json' });

const BEGINNING_POSITION = { epoch: BEGINNING, offset: 0 };
const retention = { size: 1000, ttl: 600_000 };

function createSide(make: (handlers: BrokerHandlers) => Broker): Side {
  const deliveries: Delivery[] = [];
  const waiting = new Set<() => void>();
  function add(delivery: Delivery): void {
    deliveries.push(delivery);
    for (const look of waiting) look();
  }
  const broker = make({
    handleMessage: (room, _position, body) => add({ room, body: body.toString(), except: undefined }),
    handleAnnouncement: (room, body, except) => add({ room, body: body.toString(), except }),
    handleRestored: () => undefined,
  });
  return {
    broker,
    deliveries,
    delivered(count) {
      const { promise, resolve } = Promise.withResolvers<Delivery[]>();
      const look = () => {
        if (deliveries.length >= count) resolve(deliveries);
      };
      waiting.add(look);
      look();
      return within(promise, () => `${count} deliveries, ${deliveries.length} came`);
    },
  };
}

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedis();
  return () => redis[Symbol.asyncDispose]();
});

async function openRedisSide(server: RedisServer = redis, kept = retention): Promise<Side> {
  const link = createRedisLink({ url: server.url, password: '', instanceId: 'test', logger: silent });
  const side = createSide((handlers) => createRedisBroker({ link, handlers, retentionOf: () => kept }));
  // After the broker, which subscribes its canary when the link comes up.
  await link.connect();
  onTestFinished(() => side.broker.close());
  return Object.assign(side, { link });
}

const openRedis: Open = async (kept) => [await openRedisSide(redis, kept), await openRedisSide(redis, kept)];
async function openMemory(kept = retention): Promise<[Side, Side]> {
  const side = createSide((handlers) => createMemoryBroker({ handlers, retentionOf: () => kept }));
  onTestFinished(() => side.broker.close());
  return [side, side];
}

const bodies = (deliveries: Delivery[]) => deliveries.map(({ body }) => body);

describe.each<{ name: string; open: Open }>([
  { name: 'memory', open: openMemory },
  { name: 'Redis', open: openRedis },
])('the $name broker', ({ open }) => {
  test('is ready once it is open, and not after it was closed', async () => {
    const [{ broker }] = await open();
    expect(broker.ready).toBe(true);
    await broker.close();
    expect(broker.ready).toBe(false);
    await expect(broker.publish('r', 'x', 'publisher')).rejects.toThrow(BrokerUnavailable);
  });

  test('brings a message to every subscriber, the publisher’s own side included, and not inside its call', async () => {
    const [a, b] = await open();
    await Promise.all([a.broker.subscribe('own'), b.broker.subscribe('own')]);
    const publishing = a.broker.publish('own', '{"text":"ü\\n"}', 'publisher');
    expect(a.deliveries).toEqual([]);
    expect(await publishing).toMatchObject({ duplicate: false });
    for (const side of [a, b]) {
      expect(await side.delivered(1)).toEqual([{ room: 'own', body: '{"text":"ü\\n"}', except: undefined }]);
    }
  });

  test('carries a body with line breaks as it stands, and the connection that must not get it', async () => {
    const [a, b] = await open();
    await b.broker.subscribe('except');
    await a.broker.announce('except', 'one\ntwo\n', 'client-7');
    expect(await b.delivered(1)).toEqual([{ room: 'except', body: 'one\ntwo\n', except: 'client-7' }]);
  });

  test('says that nobody listens to a room', async () => {
    const [a, b] = await open();
    expect(await a.broker.announce('nobody', 'x')).toBe(0);
    await b.broker.subscribe('nobody');
    expect(await a.broker.announce('nobody', 'x')).toBeGreaterThan(0);
  });

  test('keeps rooms apart', async () => {
    const [a, b] = await open();
    await Promise.all(['apart:1', 'apart:2'].map((room) => b.broker.subscribe(room)));
    await a.broker.publish('apart:3', 'x', 'publisher');
    await a.broker.publish('apart:2', 'y', 'publisher');
    expect(await b.delivered(1)).toMatchObject([{ room: 'apart:2', body: 'y' }]);
  });

  test('shows all subscribers of a room one order, with each publisher’s messages in theirs', async () => {
    const [a, b] = await open();
    await Promise.all([a.broker.subscribe('order'), b.broker.subscribe('order')]);
    const count = 500;
    const publishAll = (side: Side, name: string) =>
      Array.from({ length: count }, (_, i) => side.broker.publish('order', `${name}${i}`, 'publisher'));
    await Promise.all([...publishAll(a, 'a'), ...publishAll(b, 'b')]);
    const seen = bodies(await a.delivered(2 * count));
    expect(seen).toHaveLength(2 * count);
    expect(bodies(await b.delivered(2 * count))).toEqual(seen);
    for (const name of ['a', 'b']) {
      const own = seen.filter((body) => body.startsWith(name));
      expect(own).toEqual(Array.from({ length: count }, (_, i) => `${name}${i}`));
    }
  });

  test('delivers nothing of a room that was left', async () => {
    const [a, b] = await open();
    await Promise.all([b.broker.subscribe('left'), b.broker.subscribe('kept')]);
    b.broker.unsubscribe('left');
    // Confirmed after the unsubscribe was: what is published from here on cannot be from before it.
    await b.broker.subscribe('later');
    await a.broker.publish('left', 'x', 'publisher');
    await a.broker.publish('kept', 'y', 'publisher');
    expect(bodies(await b.delivered(1))).toEqual(['y']);
  });

  test.each([1, 2, 3])('stays subscribed after %i quick rounds of leaving and coming back', async (rounds) => {
    const [a, b] = await open();
    const room = `quick:${rounds}`;
    const subscribing = [b.broker.subscribe(room)];
    for (let i = 0; i < rounds; i += 1) {
      b.broker.unsubscribe(room);
      subscribing.push(b.broker.subscribe(room));
    }
    await Promise.all(subscribing);
    await a.broker.publish(room, 'here', 'publisher');
    expect(bodies(await b.delivered(1))).toEqual(['here']);
  });

  test('delivers once to who subscribed twice', async () => {
    const [a, b] = await open();
    await Promise.all([b.broker.subscribe('twice'), b.broker.subscribe('twice')]);
    await a.broker.publish('twice', '1', 'publisher');
    await a.broker.publish('twice', '2', 'publisher');
    expect(bodies(await b.delivered(2))).toEqual(['1', '2']);
  });

  test('takes a message that comes again with its id once, wherever it comes, and says where it is', async () => {
    const [a, b] = await open();
    await b.broker.subscribe('again');
    const first = await a.broker.publish('again', '1', 'publisher', 'id');
    expect(await b.broker.publish('again', '1', 'publisher', 'id')).toEqual({ ...first, duplicate: true });
    await a.broker.publish('again', '2', 'publisher', 'another');
    expect(bodies(await b.delivered(2))).toEqual(['1', '2']);
  });

  test('an id counts per publisher and room, whatever characters the names contain', async () => {
    const [{ broker }] = await open();
    const publishes = [
      ['own:1', 'a', 'b:1'],
      ['own:1', 'a:b', '1'],
      ['own:1', 'a', '1'],
      ['own:2', 'a', '1'],
    ] as const;
    for (const [room, publisher, id] of publishes) {
      expect(await broker.publish(room, 'x', publisher, id)).toMatchObject({ duplicate: false });
    }
  });

  test('goes on from a position in pages, and without one from the head', async () => {
    const [a, b] = await open();
    const positions = [];
    for (let i = 1; i <= 5; i += 1) positions.push((await a.broker.publish('pages', `${i}`, 'publisher')).position);
    const [first, , third, , last] = positions;
    const page = await b.broker.resume('pages', first, 2);
    expect(page).toMatchObject({ recovery: 'recovered', from: first, head: last });
    expect(page.entries.map(({ offset, body }) => `${offset} ${body}`)).toEqual(['2 2', '3 3']);
    expect((await b.broker.resume('pages', third, 2)).entries.map(({ offset }) => offset)).toEqual([4, 5]);
    expect(await b.broker.resume('pages', last, 2)).toMatchObject({ recovery: 'recovered', from: last, entries: [] });
    expect(await b.broker.resume('pages', undefined, 2)).toMatchObject({ from: last, entries: [], head: last });
  });

  test('says that history was trimmed, and gives what there is', async () => {
    const [{ broker }] = await open({ size: 3, ttl: 600_000 });
    const { position } = await broker.publish('trimmed', '1', 'publisher');
    for (let i = 2; i <= 6; i += 1) await broker.publish('trimmed', `${i}`, 'publisher');
    const page = await broker.resume('trimmed', position, 10);
    expect(page).toMatchObject({ recovery: 'gap', reason: 'trimmed', from: { offset: 3 } });
    expect(page.entries.map(({ offset }) => offset)).toEqual([4, 5, 6]);
    expect(await broker.resume('trimmed', page.from, 10)).toMatchObject({ recovery: 'recovered' });
  });

  test('says that it does not know an epoch, or a position in it, and where the room goes on', async () => {
    const [{ broker }] = await open();
    const { position } = await broker.publish('unknown', '1', 'publisher');
    const { epoch } = position;
    const unknown = await broker.resume('unknown', { epoch: 'another', offset: 7 }, 10);
    expect(unknown).toMatchObject({ recovery: 'gap', reason: 'unknown_epoch', from: { epoch, offset: 0 } });
    expect(unknown.entries.map(({ offset }) => offset)).toEqual([1]);
    const ahead = await broker.resume('unknown', { epoch, offset: 7 }, 10);
    expect(ahead).toMatchObject({ recovery: 'gap', reason: 'invalid', from: position, entries: [] });
  });

  test('keeps the offsets of a room that is followed, after its history and ids have expired', async () => {
    const [{ broker }] = await open({ size: 10, ttl: 300 });
    await broker.subscribe('old');
    const { position: first } = await broker.publish('old', '1', 'publisher', 'id');
    const { position: second } = await broker.publish('old', '2', 'publisher');
    await expect
      .poll(() => broker.resume('old', first, 10), { timeout: 5000 })
      .toMatchObject({
        ...{ recovery: 'gap', reason: 'trimmed', from: second, entries: [] },
      });
    expect(await broker.publish('old', '1', 'publisher', 'id')).toEqual({
      position: { epoch: first.epoch, offset: 3 },
      duplicate: false,
    });
  });

  test('forgets a room that nobody follows together with its history, and then begins a new epoch', async () => {
    const [{ broker }] = await open({ size: 10, ttl: 300 });
    const { position } = await broker.publish('gone', '1', 'publisher', 'id');
    // Asked more often, it would be followed.
    await expect
      .poll(() => broker.resume('gone', position, 10), { interval: 700, timeout: 5000 })
      .toEqual({
        ...{
          recovery: 'gap',
          reason: 'unknown_epoch',
          from: BEGINNING_POSITION,
          head: BEGINNING_POSITION,
          entries: [],
        },
      });
    const again = await broker.publish('gone', '2', 'publisher', 'id');
    expect(again).toMatchObject({ position: { offset: 1 }, duplicate: false });
    expect(again.position.epoch).not.toBe(position.epoch);
    expect(await broker.resume('gone', position, 10)).toMatchObject({ recovery: 'gap', reason: 'unknown_epoch' });
  });

  test('continues from the position of an empty room with its first message, and says when that was trimmed', async () => {
    const [a, b] = await open({ size: 2, ttl: 600_000 });
    const empty = await b.broker.resume('empty', undefined, 10);
    expect(empty).toEqual({ recovery: 'recovered', from: BEGINNING_POSITION, head: BEGINNING_POSITION, entries: [] });
    expect(await b.broker.resume('empty', BEGINNING_POSITION, 10)).toEqual(empty);
    const { position } = await a.broker.publish('empty', '1', 'publisher');
    const page = await b.broker.resume('empty', BEGINNING_POSITION, 10);
    expect(page).toMatchObject({ recovery: 'recovered', from: { epoch: position.epoch, offset: 0 }, head: position });
    expect(page.entries.map(({ offset }) => offset)).toEqual([1]);
    for (const body of ['2', '3']) await a.broker.publish('empty', body, 'publisher');
    expect(await b.broker.resume('empty', BEGINNING_POSITION, 10)).toMatchObject({
      ...{ recovery: 'gap', reason: 'trimmed', from: { offset: 1 } },
    });
    expect(await b.broker.resume('empty', { epoch: BEGINNING, offset: 1 }, 10)).toMatchObject({
      ...{ recovery: 'gap', reason: 'invalid', from: { offset: 3 } },
    });
  });

  test('an unsubscribe of what was never subscribed does nothing', async () => {
    const [a, b] = await open();
    b.broker.unsubscribe('never');
    await b.broker.subscribe('ever');
    await a.broker.publish('ever', 'x', 'publisher');
    expect(bodies(await b.delivered(1))).toEqual(['x']);
  });
});

test('reading a room writes nothing to Redis, and a followed room keeps its offsets however long nobody writes', async () => {
  const { broker } = await openRedisSide();
  for (let i = 0; i < 100; i += 1) await broker.resume(`read:${i}`, i % 2 ? BEGINNING_POSITION : undefined, 1);
  expect(await redis.command('KEYS', '*{read:*')).toEqual([]);

  const { position } = await broker.publish('quiet', 'x', 'publisher');
  await redis.command('PEXPIRE', 'wsfleet:{quiet}:meta', '1000');
  await broker.resume('quiet', position, 1);
  expect(Number(await redis.command('PTTL', 'wsfleet:{quiet}:meta'))).toBeGreaterThan(retention.ttl / 2);
});

describe('the Redis broker while Redis is away', () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server[Symbol.asyncDispose]());

  const happened = (side: Side, event: 'up' | 'down') => {
    const { promise, resolve } = Promise.withResolvers<void>();
    side.link?.events.once(event, resolve);
    return within(promise, () => `the link to be ${event}`);
  };

  async function outage(sides: Side[], meanwhile: () => Promise<void> | void = () => undefined): Promise<void> {
    const down = sides.map((side) => happened(side, 'down'));
    await server.kill();
    await Promise.all(down);
    await meanwhile();
    const up = sides.map((side) => happened(side, 'up'));
    await server.start();
    await Promise.all(up);
  }

  test('refuses publishes as surely not taken, says that it is not ready, and takes them again afterwards', async () => {
    const a = await openRedisSide(server);
    await a.broker.subscribe('room');
    await outage([a], async () => {
      expect(a.broker.ready).toBe(false);
      const refused = await a.broker.publish('room', 'x', 'publisher').catch((error: unknown) => error);
      expect(refused).toBeInstanceOf(BrokerUnavailable);
      expect(refused).toMatchObject({ uncertain: false, retryAfter: expect.any(Number) });
    });
    expect(a.broker.ready).toBe(true);
    await a.broker.publish('room', 'y', 'publisher');
    expect(bodies(await a.delivered(1))).toEqual(['y']);
  });

  test('a publish whose answer is lost is refused as uncertain', async () => {
    const a = await openRedisSide(server);
    server.signal('SIGSTOP');
    const publishing = a.broker.publish('room', 'x', 'publisher').catch((error: unknown) => error);
    await outage([a]);
    expect(await publishing).toMatchObject({ name: 'BrokerUnavailable', uncertain: true });
  });

  test('subscriptions come back by themselves, those too that were asked for in between', async () => {
    const [a, b] = [await openRedisSide(server), await openRedisSide(server)];
    await b.broker.subscribe('before');
    let subscribing: Promise<void> | undefined;
    await outage([a, b], () => {
      subscribing = b.broker.subscribe('during');
    });
    await subscribing;
    await a.broker.publish('before', '1', 'publisher');
    await a.broker.publish('during', '2', 'publisher');
    expect(bodies(await b.delivered(2))).toEqual(['1', '2']);
  });

  test('a subscription whose confirmation was lost is made again', async () => {
    const [a, b] = [await openRedisSide(server), await openRedisSide(server)];
    server.signal('SIGSTOP');
    const subscribing = b.broker.subscribe('lost');
    await outage([a, b]);
    await subscribing;
    await a.broker.publish('lost', 'x', 'publisher');
    expect(bodies(await b.delivered(1))).toEqual(['x']);
  });

  test('a room that was left during the outage is not listened to after it', async () => {
    const [a, b] = [await openRedisSide(server), await openRedisSide(server)];
    await b.broker.subscribe('given up');
    await outage([a, b], () => b.broker.unsubscribe('given up'));
    await b.broker.subscribe('kept');
    expect(await a.broker.announce('given up', 'x')).toBe(0);
  });

  test('a room whose unsubscribe was under way when the link broke is not listened to after it', async () => {
    const [a, b] = [await openRedisSide(server), await openRedisSide(server)];
    await b.broker.subscribe('given up late');
    server.signal('SIGSTOP');
    b.broker.unsubscribe('given up late');
    await outage([a, b]);
    await b.broker.subscribe('kept');
    expect(await a.broker.announce('given up late', 'x')).toBe(0);
  });

  test('a room that was left and wanted again during the outage is listened to after it', async () => {
    const [a, b] = [await openRedisSide(server), await openRedisSide(server)];
    await b.broker.subscribe('wanted');
    let subscribing: Promise<void> | undefined;
    await outage([a, b], () => {
      b.broker.unsubscribe('wanted');
      subscribing = b.broker.subscribe('wanted');
    });
    await subscribing;
    await a.broker.publish('wanted', 'x', 'publisher');
    expect(bodies(await b.delivered(1))).toEqual(['x']);
  });

  test('a Redis that is silent with its links open is noticed, and is up again when it speaks', async () => {
    const a = await openRedisSide(server);
    const down = happened(a, 'down');
    server.signal('SIGSTOP');
    await down;
    await expect(a.broker.publish('room', 'x', 'publisher')).rejects.toThrow(BrokerUnavailable);
    const up = happened(a, 'up');
    server.signal('SIGCONT');
    await up;
    await a.broker.subscribe('room');
    await a.broker.publish('room', 'y', 'publisher');
    expect(bodies(await a.delivered(1))).toEqual(['y']);
  });

  test('a killed link comes back, whichever of the two it was', async () => {
    const a = await openRedisSide(server);
    await a.broker.subscribe('room');
    for (const type of ['pubsub', 'normal']) {
      const [down, up] = [happened(a, 'down'), happened(a, 'up')];
      await server.command('CLIENT', 'KILL', 'TYPE', type);
      await down;
      await up;
    }
    await a.broker.publish('room', 'x', 'publisher');
    expect(bodies(await a.delivered(1))).toEqual(['x']);
  });
});
