/** A Redis that answers and refuses: clients, logs, readiness and metrics say why. */
import { expect, test } from 'vitest';
import { type App, startApp } from '../harness/app.ts';
import { connect } from '../harness/client.ts';
import { type RedisServer, startRedis } from '../harness/redis.ts';

const start = (redis: RedisServer) => startApp({ BROKER: 'redis', REDIS_URL: redis.url });
const refusals = (app: App, reason: string) => app.metric(`ws_broker_refusals_total{reason="${reason}"}`);

const cases = [
  {
    state: 'a full Redis',
    reason: 'full',
    message: 'Redis is out of memory',
    cause: [['CONFIG', 'SET', 'maxmemory', '1']],
    end: [['CONFIG', 'SET', 'maxmemory', '0']],
  },
  {
    state: 'a read-only replica',
    reason: 'read_only',
    message: 'Redis is read-only',
    cause: [['REPLICAOF', '127.0.0.1', '1']],
    end: [['REPLICAOF', 'NO', 'ONE']],
  },
];

test.each(cases)(
  '$state is reported to clients, in the log, in readiness and as a metric, and recovers by itself',
  async ({ reason, message, cause, end }) => {
    await using redis = await startRedis();
    await using app = await start(redis);
    await using client = await connect(app, { as: 'alice' });
    await client.request('join_room', { room: 'room' });
    await client.request('chat', { room: 'room', content: 'before' });

    for (const command of cause) await redis.command(...command);
    for (const [type, payload] of [
      ['chat', { room: 'room', content: 'x' }],
      ['direct', { to: { userId: 'u-bob' }, content: 'x' }],
      ['join_room', { room: 'another' }],
    ] as const) {
      const { payload: error } = await client.request(type, payload);
      expect(error).toEqual({ code: 'UNAVAILABLE', message, retryAfter: 1000 });
    }
    expect(await app.log('redis_refuses')).toMatchObject({ level: 'warn', reason });
    for (let i = 0; i < 50; i += 1) await client.request('chat', { room: 'room', content: 'x' });
    expect(app.lines.filter(({ event }) => event === 'redis_refuses')).toHaveLength(1);
    expect(await refusals(app, reason)).toBeGreaterThanOrEqual(53);
    expect(await refusals(app, 'unreachable')).toBe(0);
    expect(await app.internal('/health/ready')).toMatchObject({
      status: 200,
      json: { status: 'ready', broker: 'up', refusing: reason },
    });

    for (const command of end) await redis.command(...command);
    await expect.poll(async () => (await client.request('chat', { room: 'room', content: 'after' })).type).toBe('ack');
    await expect
      .poll(async () => {
        await client.request('chat', { room: 'room', content: 'after' });
        return app.lines.filter(({ event }) => event === 'redis_accepts').length;
      })
      .toBe(1);
    expect((await app.internal('/health/ready')).json).not.toHaveProperty('refusing');
    const contents = new Set(client.all('message').map(({ payload }) => payload.content));
    expect([...contents]).toEqual(['before', 'after']);
  },
);

test('a Redis that cannot be reached counts as unreachable', async () => {
  await using redis = await startRedis();
  await using app = await start(redis);
  await using client = await connect(app, { as: 'alice' });
  await redis.kill();
  await app.log('redis_down');
  const { payload } = await client.request('chat', { content: 'x' });
  expect(payload).toEqual({ code: 'UNAVAILABLE', message: 'Redis cannot be reached', retryAfter: 1000 });
  expect(await refusals(app, 'unreachable')).toBe(1);
});
