/** Rooms, users and connections come and go, and leave nothing behind: neither in Redis nor in the instance. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SUBPROTOCOL } from '../../src/protocol.ts';
import { type App, startApp } from '../harness/app.ts';
import { connect } from '../harness/client.ts';
import { type RedisServer, startRedis } from '../harness/redis.ts';

const CONNECTIONS = 50;
const ROOMS_EACH = 20;
const ROUNDS = 6;
/** A room or a connection that stays takes more than this over all rounds. */
const MAX_GROWTH_BYTES = 1_000_000;

const reportHeap = `data:text/javascript,process.on('SIGUSR2',()=>{gc();gc();console.log(JSON.stringify({
  event:'heap',sent:performance.now(),used:process.memoryUsage().heapUsed}))})`.replaceAll(/\s/g, '');

let redis: RedisServer;
let app: App;
beforeAll(async () => {
  redis = await startRedis();
  const env = {
    BROKER: 'redis',
    REDIS_URL: redis.url,
    HISTORY_TTL: '1s',
    PRESENCE_GRACE: '100ms',
    PRESENCE_LEASE: '1s',
  };
  app = await startApp({ ...env, PRESENCE_DETAIL_MAX: '5' }, ['--expose-gc', '--import', reportHeap]);
});
afterAll(async () => {
  await app[Symbol.asyncDispose]();
  await redis[Symbol.asyncDispose]();
});

const keys = async () => ((await redis.command('KEYS', '*')) as string[]).sort();
/** Of an instance that holds nothing: the leases' own. */
const atRest = (names: readonly string[]) => names.every((name) => name.startsWith('wsfleet:{presence}:'));

/** Every way to leave something behind: rooms without a message, messages, ids, directs, typing, both ways of leaving. */
async function churn(round: number): Promise<void> {
  await Promise.all(
    Array.from({ length: CONNECTIONS }, async (_, i) => {
      const client = await connect(app, { as: `r${round}-${i}`, protocols: i % 2 ? [SUBPROTOCOL] : [] });
      const rooms = Array.from({ length: ROOMS_EACH }, (_, n) => `room-${round}-${i}-${n}`);
      for (const room of rooms) await client.request('join_room', { room });
      await client.request('join_room', { room: `shared-${round}` });
      await client.request('join_room', { room: `unknown-${round}-${i}`, position: { epoch: 'gone', offset: 7 } });
      for (const room of rooms.slice(0, 2)) await client.request('chat', { room, content: 'x'.repeat(200) });
      await client.request('direct', { to: { userId: `nobody-${round}-${i}` }, content: 'x' });
      await client.request('direct', { to: { clientId: `nobody-${round}-${i}` }, content: 'x' });
      client.send({ type: 'typing', payload: { room: rooms[0], isTyping: true } });
      for (const room of rooms.slice(0, 5)) await client.request('leave_room', { room });
      if (i % 3 === 0) client.socket.terminate();
      else client.socket.close(i % 3 === 1 ? 1000 : 3000);
      await client.closed;
    }),
  );
  await expect
    .poll(async () => (await app.internal('/status')).json, { timeout: 8000 })
    .toMatchObject({
      connections: 0,
      rooms: 0,
    });
}

async function heapUsed(): Promise<number> {
  const before = app.lines.length;
  app.signal('SIGUSR2');
  const line = await app.log('heap', (each) => app.lines.indexOf(each) >= before);
  return Number(line['used']);
}

test('rooms that are joined and left without a message leave no key in Redis', async () => {
  await using client = await connect(app, { as: 'reader', protocols: [SUBPROTOCOL] });
  for (let i = 0; i < 80; i += 1) {
    await client.request('join_room', { room: `quiet-${i}`, ...(i % 2 && { position: { epoch: '0', offset: 0 } }) });
    await client.request('leave_room', { room: `quiet-${i}` });
  }
  expect((await keys()).filter((name) => name.includes('quiet'))).toEqual([]);
});

test('after a churn of rooms, users and connections, Redis and the heap are where they were', async () => {
  await churn(0);
  const before = await heapUsed();
  for (let round = 1; round <= ROUNDS; round += 1) await churn(round);
  await expect.poll(async () => atRest(await keys()), { timeout: 8000 }).toBe(true);
  // A collection right after the churn leaves garbage; what is kept stays in every one.
  await expect.poll(async () => (await heapUsed()) - before, { timeout: 8000 }).toBeLessThan(MAX_GROWTH_BYTES);
}, 60_000);
