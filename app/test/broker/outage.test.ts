/** What clients see while Redis is away, and of instances that die or stall. */
import { beforeAll, describe, expect, test } from 'vitest';
import { type App, spawnApp, startApp } from '../harness/app.ts';
import { connect, type Greeted } from '../harness/client.ts';
import { type RedisServer, startRedis } from '../harness/redis.ts';

const LEASE_MS = 500;

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedis();
  return () => redis[Symbol.asyncDispose]();
});

const start = (id: string, server = redis, env = {}) =>
  startApp({ BROKER: 'redis', REDIS_URL: server.url, INSTANCE_ID: id, PRESENCE_LEASE: `${LEASE_MS}ms`, ...env });

const userIds = async (client: Greeted, room: string) => {
  const { payload } = await client.request('list_members', { room });
  return 'members' in payload ? payload.members.map(({ userId }) => userId).sort() : payload;
};

const received = (app: App, type: string) => () => app.metric(`ws_messages_received_total{type="${type}"}`);

describe('without Redis', () => {
  test('sockets stay, publishes are refused, the instance is not ready; it recovers by itself', async () => {
    await using server = await startRedis();
    await using app1 = await start('app1', server);
    await using app2 = await start('app2', server);
    await using alice = await connect(app1, { as: 'alice' });
    await using bob = await connect(app2, { as: 'bob' });
    for (const client of [alice, bob]) await client.request('join_room', { room: 'room' });

    await server.kill();
    for (const app of [app1, app2]) await app.log('redis_down');
    for (const [type, payload] of [
      ['chat', { room: 'room', content: 'lost?' }],
      ['chat', { content: 'lost?' }],
      ['direct', { to: { userId: 'u-bob' }, content: 'lost?' }],
      ['typing', { room: 'room', isTyping: true }],
      ['join_room', { room: 'another' }],
      ['list_members', { room: 'room' }],
    ] as const) {
      const { payload: error } = await alice.request(type, payload);
      expect(error).toMatchObject({ code: 'UNAVAILABLE', retryAfter: expect.any(Number) });
    }
    for (const type of ['ping', 'list_rooms']) expect((await bob.request(type)).type).not.toBe('error');
    expect(await app1.internal('/health/ready')).toMatchObject({
      status: 503,
      json: { status: 'not_ready', draining: false, broker: 'down' },
    });
    expect(await app1.internal('/status')).toMatchObject({ json: { state: 'unavailable', connections: 1 } });
    expect(await app1.metric('ws_broker_up')).toBe(0);
    expect((await app1.public('/health')).status).toBe(200);

    const carol = await connect(app1, { as: 'carol' });
    await server.start();
    for (const app of [app1, app2]) await app.log('redis_up', ({ time }) => Number(time) > Number(downAt(app)));
    expect((await app1.internal('/health/ready')).status).toBe(200);
    expect(await app1.metric('ws_broker_up')).toBe(1);
    expect(await alice.request('chat', { room: 'room', content: 'here again' })).toMatchObject({ type: 'ack' });
    expect(await bob.next('message')).toMatchObject({ payload: { room: 'room', content: 'here again' } });
    // Redis came back empty: the instances wrote presence again.
    await expect.poll(() => userIds(bob, 'room')).toEqual(['u-alice', 'u-bob']);
    // Clients that connected meanwhile get live messages too.
    await bob.request('chat', { content: 'to everyone' });
    await carol.next('message', ({ content }) => content === 'to everyone');
    await carol.close();
    expect(alice.all('message').filter(({ payload }) => payload.content === 'lost?')).toEqual([]);
  });

  test('a message whose answer was lost is refused as uncertain', async () => {
    await using server = await startRedis();
    await using app = await start('app1', server);
    await using alice = await connect(app, { as: 'alice' });
    server.signal('SIGSTOP');
    const sending = alice.request('chat', { content: 'stored or not?' });
    await expect.poll(received(app, 'chat')).toBe(1);
    await server.kill();
    expect(await sending).toMatchObject({ payload: { code: 'UNAVAILABLE', uncertain: true } });
  });

  test('a join whose answer was lost leaves no ghost among the members', async () => {
    await using server = await startRedis();
    await using app = await start('app1', server);
    await using alice = await connect(app, { as: 'alice' });
    await using bob = await connect(app, { as: 'bob' });
    await bob.request('join_room', { room: 'haunted' });
    server.signal('SIGSTOP');
    const joining = alice.request('join_room', { room: 'haunted' });
    await expect.poll(received(app, 'join_room')).toBe(2);
    await server.kill();
    expect(await joining).toMatchObject({ payload: { code: 'UNAVAILABLE' } });
    expect(await alice.request('list_rooms')).toMatchObject({ payload: { rooms: [] } });

    await server.start();
    await app.log('redis_up', ({ time }) => Number(time) > Number(downAt(app)));
    await expect.poll(() => userIds(bob, 'haunted')).toContain('u-bob');
    expect(await userIds(bob, 'haunted')).toEqual(['u-bob']);
  });

  test('a second join whose answer was lost leaves the member in the room', async () => {
    await using server = await startRedis();
    await using app = await start('app1', server);
    await using alice = await connect(app, { as: 'alice' });
    await alice.request('join_room', { room: 'again' });
    server.signal('SIGSTOP');
    const joining = alice.request('join_room', { room: 'again' });
    await expect.poll(received(app, 'join_room')).toBe(2);
    await server.kill();
    expect(await joining).toMatchObject({ payload: { code: 'UNAVAILABLE' } });
    await server.start();
    await app.log('redis_up', ({ time }) => Number(time) > Number(downAt(app)));
    expect(await alice.request('chat', { room: 'again', content: 'still in' })).toMatchObject({ type: 'ack' });
    await expect.poll(() => userIds(alice, 'again')).toEqual(['u-alice']);
  });

  test('an instance that starts before Redis says that it is not ready, and listens when Redis is there', async () => {
    await using server = await startRedis();
    await server.kill();
    await using app = await spawnApp({ BROKER: 'redis', REDIS_URL: server.url });
    await app.log('redis_error');
    expect(app.lines.some(({ event }) => event === 'listening')).toBe(false);
    await server.start();
    await app.log('listening');
  });

  test('an instance that still waits for its first Redis stops on SIGTERM with exit code 0', async () => {
    await using server = await startRedis();
    await server.kill();
    await using app = await spawnApp({ BROKER: 'redis', REDIS_URL: server.url });
    await app.log('redis_error');
    expect(await app.stop()).toMatchObject({ code: 0 });
    expect(app.output).not.toContain('uncaught');
  });

  test('the wrong password is said, and keeps the instance from listening', async () => {
    await using server = await startRedis({ password: 'right' });
    await using app = await spawnApp({ BROKER: 'redis', REDIS_URL: server.url, REDIS_PASSWORD: 'wrong' });
    expect(String((await app.log('redis_error'))['reason'])).toMatch(/WRONGPASS|password/);
    await using right = await start('app1', server, { REDIS_PASSWORD: 'right' });
    expect((await right.internal('/health/ready')).status).toBe(200);
  });
});

/** When the log last said that Redis was gone. */
const downAt = (app: App) => app.lines.findLast(({ event }) => event === 'redis_down')?.['time'];

describe('another instance', () => {
  test('that is killed: its members leave within two leases, with user_left', async () => {
    await using app1 = await start('app1');
    await using app2 = await start('app2');
    await using alice = await connect(app1, { as: 'alice' });
    const [bob, alice2] = [await connect(app2, { as: 'bob' }), await connect(app2, { as: 'alice' })];
    for (const client of [alice, alice2, bob]) await client.request('join_room', { room: 'killed' });

    await app2.kill();
    const killedAt = performance.now();
    expect((await bob.closed).code).toBe(1006);
    expect(await alice.next('user_left')).toMatchObject({ payload: { userId: 'u-bob', memberCount: 1 } });
    expect(performance.now() - killedAt).toBeLessThan(2 * LEASE_MS + 200);
    expect(await userIds(alice, 'killed')).toEqual(['u-alice']);
    expect(alice.all('user_left')).toHaveLength(1);
    await alice2.closed;
  });

  test('that stalls beyond its lease enters its members again when it comes back', async () => {
    await using app1 = await start('app1');
    await using app2 = await start('app2');
    await using alice = await connect(app1, { as: 'alice' });
    await using bob = await connect(app2, { as: 'bob' });
    for (const client of [alice, bob]) await client.request('join_room', { room: 'stalled' });

    app2.signal('SIGSTOP');
    expect(await alice.next('user_left')).toMatchObject({ payload: { userId: 'u-bob', memberCount: 1 } });
    expect(await userIds(alice, 'stalled')).toEqual(['u-alice']);
    app2.signal('SIGCONT');
    await expect.poll(() => userIds(alice, 'stalled')).toEqual(['u-alice', 'u-bob']);
    expect(await alice.request('chat', { room: 'stalled', content: 'welcome back' })).toMatchObject({ type: 'ack' });
    await bob.next('message', ({ content }) => content === 'welcome back');
  });

  test('that stops: its members leave after their grace time, and each room is told', async () => {
    await using app1 = await start('app1', redis, { PRESENCE_LEASE: '60s' });
    await using app2 = await start('app2', redis, { PRESENCE_LEASE: '60s' });
    await using alice = await connect(app1, { as: 'alice' });
    await using bob = await connect(app2, { as: 'bob' });
    for (const client of [alice, bob]) await client.request('join_room', { room: 'stopped' });
    expect(await app2.stop()).toMatchObject({ code: 0 });
    expect(await bob.closed).toMatchObject({ code: 1012 });
    expect(await alice.next('user_left')).toMatchObject({ payload: { userId: 'u-bob', memberCount: 1 } });
  });
});
