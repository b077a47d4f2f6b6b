import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { createRedisLink, type RedisLink } from '../../src/broker/redis-link.ts';
import { createLogger } from '../../src/observability/logger.ts';
import { createMemoryPresence } from '../../src/presence/memory-presence.ts';
import type { Presence } from '../../src/presence/presence.ts';
import { createRedisPresence } from '../../src/presence/redis-presence.ts';
import { within } from '../harness/process.ts';
import { type RedisServer, startRedis } from '../harness/redis.ts';

// Long enough that a busy machine does not miss a renewal.
const LEASE_MS = 1500;
const GRACE_MS = 1000;

interface Gone {
  room: string;
  userId: string;
  memberCount: number;
}

interface Side {
  presence: Presence;
  link?: RedisLink;
  /** What it reported of dead instances. */
  gone: Gone[];
}

const silent = createLogger({ instanceId: 'test', level: 'silent', format: 'json' });
const alice = { userId: 'u-alice', username: 'Alice' };
const bob = { userId: 'u-bob', username: 'Bob' };

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedis();
  return () => redis[Symbol.asyncDispose]();
});

async function openRedisSide(server = redis): Promise<Required<Side>> {
  const link = createRedisLink({ url: server.url, password: '', instanceId: 'test', logger: silent });
  const gone: Gone[] = [];
  const presence = createRedisPresence({
    link,
    lease: LEASE_MS,
    grace: GRACE_MS,
    onGone: (room, { userId }, memberCount) => void gone.push({ room, userId, memberCount }),
    logger: silent,
  });
  await link.connect();
  onTestFinished(async () => {
    await presence.close();
    await link.close();
  });
  return { presence, link, gone };
}

async function openMemorySides(): Promise<[Side, Side]> {
  const gone: Gone[] = [];
  const presence = createMemoryPresence({
    grace: GRACE_MS,
    onGone: (room, { userId }, memberCount) => void gone.push({ room, userId, memberCount }),
  });
  onTestFinished(() => presence.close());
  return [
    { presence, gone },
    { presence, gone },
  ];
}

const userIds = async (side: Side, room: string) =>
  (await side.presence.members(room, 100)).members.map(({ userId }) => userId).sort();

/** Polls, because a lease ends without an event on this side of Redis. */
const eventually = { timeout: 4 * LEASE_MS, interval: 20 };

describe.each<{ name: string; open(): Promise<[Side, Side]> }>([
  { name: 'memory', open: openMemorySides },
  { name: 'Redis', open: async () => [await openRedisSide(), await openRedisSide()] },
])('presence in $name', ({ open }) => {
  test('counts users over all instances, and says who is new', async () => {
    const [a, b] = await open();
    expect(await a.presence.join('count', 'c1', alice)).toEqual({ changed: true, memberCount: 1 });
    expect(await b.presence.join('count', 'c2', bob)).toEqual({ changed: true, memberCount: 2 });
    const { members, memberCount } = await b.presence.members('count', 100);
    expect(memberCount).toBe(2);
    expect(members).toHaveLength(2);
    expect(members).toEqual(expect.arrayContaining([alice, bob]));
  });

  test('a user with two connections counts once, and is gone with the last of them', async () => {
    const [a, b] = await open();
    await a.presence.join('twice', 'c1', alice);
    expect(await b.presence.join('twice', 'c2', alice)).toEqual({ changed: false, memberCount: 1 });
    expect(await a.presence.leave('twice', 'c1', true)).toEqual({ changed: false, memberCount: 1 });
    expect(await userIds(a, 'twice')).toEqual(['u-alice']);
    expect(await b.presence.leave('twice', 'c2', true)).toEqual({ changed: true, memberCount: 0 });
    expect(await userIds(a, 'twice')).toEqual([]);
  });

  test('joining again with the same connection changes nothing', async () => {
    const [a] = await open();
    await a.presence.join('again', 'c1', alice);
    expect(await a.presence.join('again', 'c1', alice)).toEqual({ changed: false, memberCount: 1 });
    expect(await a.presence.leave('again', 'c1', true)).toEqual({ changed: true, memberCount: 0 });
  });

  test('leaving a room that the connection is not in changes nothing', async () => {
    const [a] = await open();
    await a.presence.join('not in', 'c1', alice);
    expect(await a.presence.leave('not in', 'c2', true)).toEqual({ changed: false, memberCount: 1 });
    expect(await a.presence.leave('never was', 'c1', true)).toEqual({ changed: false, memberCount: 0 });
  });

  test('rooms are apart', async () => {
    const [a, b] = await open();
    await a.presence.join('apart:1', 'c1', alice);
    expect(await b.presence.join('apart:2', 'c1', alice)).toEqual({ changed: true, memberCount: 1 });
    await a.presence.leave('apart:1', 'c1', true);
    expect(await userIds(a, 'apart:2')).toEqual(['u-alice']);
  });

  test('lists as many members as were asked for, and counts all', async () => {
    const [a] = await open();
    const users = Array.from({ length: 12 }, (_, i) => ({ userId: `u${i}`, username: `User ${i}` }));
    await Promise.all(users.map((user, i) => a.presence.join('large', `c${i}`, user)));
    const { members, memberCount } = await a.presence.members('large', 5);
    expect(members).toHaveLength(5);
    expect(memberCount).toBe(12);
  });

  test('names come back unchanged, whatever characters they contain', async () => {
    const [a, b] = await open();
    const odd = { userId: '__proto__', username: 'Zoë "x" \\ 日本\n' };
    await a.presence.join('odd', 'c1', odd);
    expect((await b.presence.members('odd', 10)).members).toEqual([odd]);
    expect(await b.presence.leave('odd', 'c1', true)).toEqual({ changed: true, memberCount: 0 });
  });

  test('a user who comes back within the grace time neither left nor joined', async () => {
    const [a, b] = await open();
    await a.presence.join('grace', 'c1', alice);
    expect(await a.presence.leave('grace', 'c1', false)).toEqual({ changed: false, memberCount: 1 });
    expect(await userIds(b, 'grace')).toEqual(['u-alice']);
    expect(await b.presence.join('grace', 'c2', alice)).toEqual({ changed: false, memberCount: 1 });
    // A later absence has ended: the first one would have.
    await a.presence.join('grace marker', 'c3', bob);
    await a.presence.leave('grace marker', 'c3', false);
    await expect.poll(() => userIds(a, 'grace marker'), eventually).toEqual([]);
    expect(await userIds(b, 'grace')).toEqual(['u-alice']);
    expect([...a.gone, ...b.gone].filter(({ room }) => room === 'grace')).toEqual([]);
  });

  test('a user who does not come back is reported gone, once', async () => {
    const [a, b] = await open();
    await a.presence.join('no grace', 'c1', alice);
    await b.presence.join('no grace', 'c2', bob);
    await a.presence.leave('no grace', 'c1', false);
    const gone = () => (a.gone === b.gone ? a.gone : [...a.gone, ...b.gone]);
    await expect.poll(gone, eventually).toEqual([{ room: 'no grace', userId: 'u-alice', memberCount: 1 }]);
    expect(await userIds(b, 'no grace')).toEqual(['u-bob']);
  });

  test('one caller speaks for a room in each interval', async () => {
    const [a, b] = await open();
    const claims = await Promise.all([a, b, a, b].map((side) => side.presence.claimInterval('spoken', 60_000)));
    expect(claims.filter(Boolean)).toHaveLength(1);
  });

  test('a connection that leaves while its join is under way is not in the room', async () => {
    const [a] = await open();
    const joining = a.presence.join('hasty', 'c1', alice);
    const leaving = a.presence.leave('hasty', 'c1', true);
    await Promise.all([joining, leaving]);
    expect(await userIds(a, 'hasty')).toEqual([]);
  });
});

describe('leases in Redis', () => {
  test('a dead instance’s members leave within two leases, and are reported once', async () => {
    const [a, b, dead] = [await openRedisSide(), await openRedisSide(), await openRedisSide()];
    await a.presence.join('dead', 'c1', alice);
    await dead.presence.join('dead', 'c2', alice);
    await dead.presence.join('dead', 'c3', bob);
    await dead.link.close();
    await expect.poll(() => userIds(a, 'dead'), eventually).toEqual(['u-alice']);
    await expect
      .poll(() => [...a.gone, ...b.gone], eventually)
      .toEqual([{ room: 'dead', userId: 'u-bob', memberCount: 1 }]);
  });

  test('an instance that closes takes its members with it at once', async () => {
    const [a, b] = [await openRedisSide(), await openRedisSide()];
    await b.presence.join('closing', 'c1', bob);
    await b.presence.close();
    expect(await userIds(a, 'closing')).toEqual([]);
  });

  test('members stay for as long as their instance renews', async () => {
    const [a, b] = [await openRedisSide(), await openRedisSide()];
    await b.presence.join('renewed', 'c1', bob);
    const other = await openRedisSide();
    await other.presence.join('renewed marker', 'c2', alice);
    await other.link.close();
    // A lease that began later has ended: this one was renewed.
    await expect.poll(() => userIds(a, 'renewed marker'), eventually).toEqual([]);
    expect(await userIds(a, 'renewed')).toEqual(['u-bob']);
    expect([...a.gone, ...b.gone].filter(({ room }) => room === 'renewed')).toEqual([]);
  });

  test('after Redis lost everything, the instances write their members again', async () => {
    await using server = await startRedis();
    const [a, b] = [await openRedisSide(server), await openRedisSide(server)];
    await a.presence.join('lost', 'c1', alice);
    await b.presence.join('lost', 'c2', bob);
    await server.command('FLUSHALL');
    await expect.poll(() => userIds(a, 'lost'), eventually).toEqual(['u-alice', 'u-bob']);
    expect(await b.presence.leave('lost', 'c2', true)).toEqual({ changed: true, memberCount: 1 });
  });

  test('a member that left while Redis was away is gone when it is back, the others are there', async () => {
    await using server = await startRedis();
    const [a, b] = [await openRedisSide(server), await openRedisSide(server)];
    await a.presence.join('away', 'c1', alice);
    await b.presence.join('away', 'c2', bob);
    const ups = [a, b].map(({ link }) => new Promise<void>((resolve) => void link.events.once('up', resolve)));
    const downs = [a, b].map(({ link }) => new Promise<void>((resolve) => void link.events.once('down', resolve)));
    await server.kill();
    await within(Promise.all(downs), () => 'both links to be down');
    await expect(b.presence.leave('away', 'c2', true)).rejects.toThrow();
    await server.start();
    await within(Promise.all(ups), () => 'both links to be up');
    await expect.poll(() => userIds(a, 'away'), eventually).toEqual(['u-alice']);
  });

  test('a join whose answer was lost leaves no ghost once its connection has left', async () => {
    await using server = await startRedis();
    const [a, b] = [await openRedisSide(server), await openRedisSide(server)];
    await b.presence.join('ghost', 'c1', bob);
    const down = new Promise<void>((resolve) => void a.link.events.once('down', resolve));
    const up = new Promise<void>((resolve) => void a.link.events.once('up', resolve));
    server.signal('SIGSTOP');
    const joining = a.presence.join('ghost', 'c2', alice).catch(() => 'failed');
    await server.kill();
    await within(down, () => 'the link to be down');
    expect(await joining).toBe('failed');
    await a.presence.leave('ghost', 'c2', true).catch(() => undefined);
    await server.start();
    await within(up, () => 'the link to be up');
    await expect.poll(() => userIds(b, 'ghost'), eventually).toEqual(['u-bob']);
  });
});
