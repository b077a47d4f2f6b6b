/** Each fault turns its own threshold red, and no other: so a green one says something. */
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type App, startApp } from '../../app/test/harness/app.ts';
import { type RedisServer, startRedis } from '../../app/test/harness/redis.ts';
import { SECRET } from '../../app/test/harness/tokens.ts';
import { until } from '../../deploy/test/test-cluster.ts';
import { type Meddle, startBalancer, startMeddler } from './gate.ts';
import { startNginx, startPrometheus } from './parts.ts';
import { runScript } from './run-script.ts';

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis[Symbol.asyncDispose]());

const script = (name: string) => fileURLToPath(new URL(`../${name}.ts`, import.meta.url));

const startInstance = (name: string, env: Record<string, string> = {}, nodeArgs: string[] = []): Promise<App> =>
  startApp({ BROKER: 'redis', REDIS_URL: redis.url, INSTANCE_ID: name, ...env }, nodeArgs);

/** A short run; GAP_P99 is for a busy machine, and far below what the faults about time do. */
const load = {
  ...{ JWT_SECRET: SECRET, CLIENTS: '12', ROOMS: '2', PER_VU: '6', RATE: '5' },
  ...{ CONNECT: '2s', DURATION: '6s', SETTLE: '4s', GAP_P99: '700' },
};

const leak = new URL('leak.ts', import.meta.url).href;

/** Resolves once the instance has taken so many messages. */
const published = (app: App, count: number) =>
  until(`${count} messages`, 30_000, async () => (await app.metric('ws_messages_published_total')) >= count);

test('without a fault everything is green', async () => {
  await using app = await startInstance('app1');
  const { code, red } = await runScript(script('steady'), { ...load, URL: `${app.origin}/ws`, DURATION: '3s' });
  expect({ code, red }).toEqual({ code: 0, red: [] });
});

test('an instance that is killed, without resuming: lost', async () => {
  await using app1 = await startInstance('app1');
  await using app2 = await startInstance('app2');
  await using gate = await startBalancer([app1.port, app2.port]);
  const { code, red } = await runScript(script('crash'), { ...load, URL: gate.url, RESUME: 'false' }, [], {
    async whileRunning() {
      await published(app1, 30);
      await app1.kill();
    },
  });
  expect({ code, red }).toEqual({ code: 99, red: ['lost count==0'] });
});

test('the same, resuming: green', async () => {
  await using app1 = await startInstance('app1');
  await using app2 = await startInstance('app2');
  await using gate = await startBalancer([app1.port, app2.port]);
  const { code, red } = await runScript(script('crash'), { ...load, URL: gate.url }, [], {
    async whileRunning() {
      await published(app1, 30);
      await app1.kill();
    },
  });
  expect({ code, red }).toEqual({ code: 0, red: [] });
});

/** Every so many messages of a connection. */
const EVERY = 20;

function repeating(): Meddle {
  let count = 0;
  return (text, send) => {
    count += 1;
    send(text);
    if (count % EVERY === 0) send(text);
  };
}

function swapping(): Meddle {
  let count = 0;
  let held: string | undefined;
  return (text, send) => {
    count += 1;
    if (held === undefined && count % EVERY === 0) {
      held = text;
      return;
    }
    send(text);
    if (held !== undefined) send(held);
    held = undefined;
  };
}

test.each([
  ['repeats frames: doubled', repeating, 'doubled count==0'],
  ['swaps frames: disordered', swapping, 'disordered count==0'],
])('a proxy that %s', async (_what, createMeddle, threshold) => {
  await using app = await startInstance('app1');
  await using gate = await startMeddler(app.origin, createMeddle);
  // 6 clients publish 31 messages each in a room: the last is never one to be held back.
  const { code, red } = await runScript(script('steady'), { ...load, URL: gate.url, DURATION: '6.2s' });
  expect({ code, red }).toEqual({ code: 99, red: [threshold] });
});

test('NGINX that counts failures, as it does by default: refused', async () => {
  const slots = { DRAIN_WINDOW: '300ms', DRAIN_GRACE: '100ms' };
  await using app1 = await startInstance('app1', slots);
  await using app2 = await startInstance('app2', slots);
  // After a failure it lets through one connection for each fail_timeout, until one of them has ended: with the default
  // of 10 s the test would take minutes.
  const servers = [app1, app2].map(({ port }) => `server 127.0.0.1:${port} fail_timeout=1s;\n`);
  await using nginx = await startNginx(servers.join(''));
  await using again = new AsyncDisposableStack();
  const run = { ...load, URL: nginx.url, GAP_P99: '60000', SETTLE: '20s' };
  const { code, red } = await runScript(script('steady'), run, [], {
    async whileRunning() {
      await published(app1, 20);
      for (const [index, app] of [app1, app2].entries()) {
        await app.stop();
        again.use(await startInstance(`app${index + 3}`, { ...slots, PORT: String(app.port) }));
      }
    },
  });
  expect({ code, red }).toEqual({ code: 99, red: ['refused count==0'] });
});

test('an instance that stalls: latency', async () => {
  await using app1 = await startInstance('app1');
  await using app2 = await startInstance('app2');
  await using gate = await startBalancer([app1.port, app2.port]);
  const { code, red } = await runScript(script('steady'), { ...load, URL: gate.url }, [], {
    async whileRunning() {
      await published(app1, 30);
      app1.signal('SIGSTOP');
      await delay(2500);
      app1.signal('SIGCONT');
    },
  });
  expect({ code, red: red.sort() }).toEqual({
    code: 99,
    red: ['delivery_gap p(99)<=700', 'delivery_latency p(99)<=700'],
  });
});

test.each([
  ['nothing leaks: green', [], []],
  ['a listener leaks with every message: memory', ['--import', leak], ['memory_growth max<5']],
])('%s', async (_what, nodeArgs, wanted) => {
  // Histories are full long before the memory is first looked at: what grows after that is a leak.
  const full = { HISTORY_SIZE: '50', RECENT_FRAMES_BYTES: '1000000' };
  await using app = await startInstance('app1', full, nodeArgs);
  const { internalPort } = await app.log('listening');
  await using prometheus = await startPrometheus([`127.0.0.1:${internalPort}`]);
  const { red } = await runScript(script('soak'), {
    ...load,
    ...{ URL: `${app.origin}/ws`, PROMETHEUS: prometheus.url, DURATION: '24s' },
    ...{ CLIENTS: '40', ROOMS: '20', RATE: '5' },
  });
  expect(red).toEqual(wanted);
});
