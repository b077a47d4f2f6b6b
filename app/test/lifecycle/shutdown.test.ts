/** The way out: real signals to a real process, and its exit code. */
import { describe, expect, test } from 'vitest';
import { type App, spawnApp, startApp } from '../harness/app.ts';
import { connect, refusal } from '../harness/client.ts';
import { openRawWebSocket } from '../harness/raw.ts';
import { startRedis } from '../harness/redis.ts';
import { tokenFor } from '../harness/tokens.ts';

/** The app keeps its clients for as long as the test needs: they leave by themselves. */
const patient = { DRAIN_WINDOW: '1s', DRAIN_GRACE: '10s', SHUTDOWN_DEADLINE: '15s' };

/** Makes the app throw where nobody catches: on SIGUSR2, and a rejection on SIGWINCH. */
const bomb = [
  '--import',
  `data:text/javascript,${encodeURIComponent(`
    process.on('SIGUSR2', () => { throw new Error('a bug of ours'); });
    process.on('SIGWINCH', () => { Promise.reject(new Error('a rejection of ours')); });
  `)}`,
];

const took = (app: App) => app.lines.find(({ event }) => event === 'stopped')?.['tookMs'];

describe.for(['SIGTERM', 'SIGINT'] as const)('%s', (signal) => {
  test('without clients ends the process at once with exit code 0', async () => {
    await using app = await startApp(patient);
    app.signal(signal);
    expect(await app.exited).toEqual({ code: 0, signal: null });
    expect(took(app)).toBeLessThan(1000);
  });

  test('turns newcomers away with 503 while the listener stays open and the process lives', async () => {
    await using app = await startApp(patient);
    await using client = await connect(app);
    expect((await app.internal('/health/ready')).status).toBe(200);
    app.signal(signal);
    await client.next('server_shutdown');

    const refused = await refusal(app, {});
    expect(refused).toMatchObject({ status: 503 });
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
    expect(JSON.parse(refused.body)).toMatchObject({ error: { code: 'DRAINING' } });
    expect(await app.internal('/health/ready')).toMatchObject({
      status: 503,
      json: { status: 'not_ready', draining: true, broker: 'up' },
    });
    for (const path of ['/health', '/status', '/metrics']) expect((await app.internal(path)).status).toBe(200);
    expect((await app.public('/health')).status).toBe(200);
    expect(await app.metric('ws_draining')).toBe(1);
    expect(await app.internal('/status')).toMatchObject({ json: { state: 'draining', connections: 1 } });
    // Who is still here is still served.
    expect(await client.request('chat', { content: 'last words' })).toMatchObject({ type: 'ack' });
    await client.close();
    expect(await app.exited).toMatchObject({ code: 0 });
  });
});

test('the process ends when the last client has left, not when its grace is over', async () => {
  await using app = await startApp(patient);
  const clients = await Promise.all(Array.from({ length: 5 }, () => connect(app)));
  app.signal('SIGTERM');
  for (const client of clients) {
    await client.next('server_shutdown');
    await client.close();
  }
  expect(await app.exited).toMatchObject({ code: 0 });
  expect(took(app)).toBeLessThan(5000);
});

test('slots are spread evenly over the drain window, and each connection is closed with 1012 after its own', async () => {
  const grace = 200;
  const window = 400;
  await using app = await startApp({
    DRAIN_WINDOW: `${window}ms`,
    DRAIN_GRACE: `${grace}ms`,
    SHUTDOWN_DEADLINE: '10s',
  });
  const clients = await Promise.all(Array.from({ length: 40 }, () => connect(app)));
  app.signal('SIGTERM');
  const leaving = await Promise.all(
    clients.map(async (client) => {
      const { payload } = await client.next('server_shutdown');
      const toldAt = performance.now();
      const closed = await client.closed;
      return { slot: payload.reconnectInMs, closed, after: performance.now() - toldAt };
    }),
  );
  const slots = leaving.map(({ slot }) => slot).sort((a, b) => a - b);
  expect(slots[0]).toBe(0);
  expect(slots.at(-1)).toBeLessThan(window);
  const gaps = slots.slice(1).map((slot, i) => slot - (slots[i] ?? 0));
  expect(Math.max(...gaps) - Math.min(...gaps)).toBeLessThanOrEqual(1);
  expect(Math.min(...gaps)).toBeGreaterThan(0);
  for (const { slot, closed, after } of leaving) {
    expect(closed).toEqual({ code: 1012, reason: 'instance is restarting' });
    // The word and the close come over the same socket: what it shows can only be a little early or late.
    expect(after).toBeGreaterThan(slot + grace - 50);
    expect(after).toBeLessThan(slot + grace + 1500);
  }
  expect(await app.exited).toMatchObject({ code: 0 });
});

test('a small instance drains faster than its window', async () => {
  await using app = await startApp({ DRAIN_WINDOW: '5s', DRAIN_GRACE: '0ms', SHUTDOWN_DEADLINE: '10s' });
  const clients = await Promise.all([connect(app), connect(app)]);
  app.signal('SIGTERM');
  for (const client of clients) expect((await client.next('server_shutdown')).payload.reconnectInMs).toBeLessThan(500);
  expect(await app.exited).toMatchObject({ code: 0 });
  expect(took(app)).toBeLessThan(2000);
});

test('a command that was read before the drain is acknowledged before the close; who has none is closed at once', async () => {
  await using redis = await startRedis();
  await using app = await startApp({ BROKER: 'redis', REDIS_URL: redis.url, SHUTDOWN_DEADLINE: '8s' });
  await using busy = await connect(app, { as: 'busy' });
  await using idle = await connect(app, { as: 'idle' });
  redis.signal('SIGSTOP');
  const sending = busy.request('chat', { content: 'under way' });
  await expect.poll(() => app.metric('ws_messages_received_total{type="chat"}')).toBe(1);
  app.signal('SIGTERM');
  expect(await idle.closed).toMatchObject({ code: 1012 });
  await expect.poll(() => app.metric('ws_connections')).toBe(1);
  redis.signal('SIGCONT');
  expect(await sending).toMatchObject({ type: 'ack' });
  expect(await busy.closed).toMatchObject({ code: 1012 });
  expect(await app.exited).toMatchObject({ code: 0 });
});

test('a client that does not answer the close frame is cut before the deadline, and the exit code is 0', async () => {
  await using app = await startApp({ DRAIN_WINDOW: '50ms', DRAIN_GRACE: '0ms', SHUTDOWN_DEADLINE: '2500ms' });
  using stubborn = await openRawWebSocket(app.port, tokenFor('stubborn'));
  app.signal('SIGTERM');
  expect(await stubborn.closeCode()).toBe(1012);
  expect(await app.log('stragglers_terminated')).toMatchObject({ stragglers: 1 });
  await stubborn.end();
  expect(await app.exited).toMatchObject({ code: 0 });
  expect(took(app)).toBeLessThan(2500);
});

test.for([1, 500])(
  'a client that keeps talking, %d messages at a time, is closed with 1012 all the same',
  async (ahead) => {
    await using redis = await startRedis();
    await using app = await startApp({ BROKER: 'redis', REDIS_URL: redis.url, DRAIN_GRACE: '200ms' });
    await using talker = await connect(app);
    const talk = () => talker.send({ type: 'chat', content: 'and another thing' });
    talker.socket.on('message', (data) => {
      if (String(data).includes('"ack"')) talk();
    });
    for (let i = 0; i < ahead; i += 1) talk();
    app.signal('SIGTERM');
    expect(await talker.closed).toMatchObject({ code: 1012 });
    expect(await app.exited).toMatchObject({ code: 0 });
    expect(took(app)).toBeLessThan(2000);
  },
);

test('a shutdown that misses its deadline ends with exit code 1', async () => {
  await using redis = await startRedis();
  await using app = await startApp({ BROKER: 'redis', REDIS_URL: redis.url, SHUTDOWN_DEADLINE: '2500ms' });
  redis.signal('SIGSTOP');
  app.signal('SIGTERM');
  expect(await app.exited).toMatchObject({ code: 1 });
  expect(await app.log('shutdown_deadline')).toMatchObject({ level: 'fatal' });
});

test.for([
  ['SIGTERM', 'SIGTERM'],
  ['SIGINT', 'SIGTERM'],
  ['SIGTERM', 'SIGINT'],
] as const)('%s, then %s: exits at once with 1', async ([first, second]) => {
  await using app = await startApp(patient);
  await using client = await connect(app);
  app.signal(first);
  await client.next('server_shutdown');
  app.signal(second);
  expect(await app.exited).toEqual({ code: 1, signal: null });
  expect(await client.closed).toMatchObject({ code: 1006 });
  expect(app.lines.at(-1)).toMatchObject({ event: 'second_signal', signal: second });
});

test.for([
  ['an error that nobody catches', 'SIGUSR2', /a bug of ours/],
  ['a rejection that nobody handles', 'SIGWINCH', /a rejection of ours/],
] as const)('%s drains, then ends the process with 1', async ([, signal, why]) => {
  await using app = await startApp({}, bomb);
  await using client = await connect(app);
  app.signal(signal);
  expect(await client.next('server_shutdown')).toMatchObject({ payload: { reconnectInMs: expect.any(Number) } });
  expect(await client.closed).toMatchObject({ code: 1012 });
  expect(await app.exited).toMatchObject({ code: 1 });
  const { err, level } = await app.log('uncaught');
  expect(level).toBe('fatal');
  expect((err as { message: string }).message).toMatch(why);
});

test('an uncaught error during a drain lets the drain go on, and the exit code tells', async () => {
  await using app = await startApp(patient, bomb);
  await using client = await connect(app);
  app.signal('SIGTERM');
  await client.next('server_shutdown');
  app.signal('SIGUSR2');
  await app.log('uncaught');
  expect(await client.request('chat', { content: 'still served' })).toMatchObject({ type: 'ack' });
  await client.close();
  expect(await app.exited).toMatchObject({ code: 1 });
});

test('a signal while an uncaught error drains exits at once', async () => {
  await using app = await startApp(patient, bomb);
  await using client = await connect(app);
  app.signal('SIGUSR2');
  await client.next('server_shutdown');
  app.signal('SIGTERM');
  expect(await app.exited).toMatchObject({ code: 1 });
});

test('a signal right after the start ends the process in order', async () => {
  await using app = await spawnApp(patient);
  await app.log('listening');
  expect(await app.stop()).toEqual({ code: 0, signal: null });
  expect(app.lines.map(({ event }) => event)).toEqual(['listening', 'signal', 'draining', 'stopped']);
});
