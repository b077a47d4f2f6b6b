/** Each fault turns its own thresholds red, and no others, so a green threshold means something. */
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type App, startApp } from '../../app/test/harness/app.ts';
import { killGroup } from '../../app/test/harness/process.ts';
import { type RedisServer, startRedis } from '../../app/test/harness/redis.ts';
import { SECRET } from '../../app/test/harness/tokens.ts';
import { freePorts, until } from '../../deploy/test/harness/test-cluster.ts';
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

const leak = (what: string) => ['--import', new URL(`leak.ts?${what}`, import.meta.url).href];

/** Resolves once the instance has taken so many messages. */
const published = (app: App, count: number) =>
  until(`${count} messages`, 30_000, async () => (await app.metric('ws_messages_published_total')) >= count);

test.concurrent('without a fault everything is green', async () => {
  await using app = await startInstance('app1');
  const { code, red } = await runScript(script('steady'), { ...load, URL: `${app.origin}/ws`, DURATION: '3s' });
  expect({ code, red }).toEqual({ code: 0, red: [] });
});

test.concurrent('an instance that is killed, without resuming: lost', async () => {
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

test.concurrent('the same, resuming: green', async () => {
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

const repeatingDirects = (): Meddle => (text, send) => {
  send(text);
  if (text.includes('"room":"@me"')) send(text);
};
const keeping = (): Meddle => () => {};
const mistaking = (): Meddle => (text, send) => send(text.replace('"pong"', '"ping"'));

test.concurrent.each([
  { does: 'repeats frames: doubled', meddle: repeating, red: ['doubled count==0'] },
  { does: 'swaps frames: disordered', meddle: swapping, red: ['disordered count==0'] },
  { does: 'repeats directs: doubled', meddle: repeatingDirects, name: 'chat', red: ['doubled count==0'] },
  { does: 'keeps acks: verified', type: 'ack', meddle: keeping, red: ['clients_verified count==12'] },
  { does: 'keeps an answer: proved', type: 'pong', meddle: keeping, name: 'smoke', red: ['proved count==156'] },
  // What failed is not proved, either.
  {
    ...{ does: 'gives a wrong answer: failed, and proved', type: 'pong', meddle: mistaking, name: 'smoke' },
    red: ['proved count==156', 'failed count==0'],
  },
])('a proxy that $does', async ({ type, meddle, name = 'steady', red: wanted }) => {
  await using app = await startInstance('app1');
  await using gate = await startMeddler(app.origin, meddle, type);
  // 6 clients publish 31 messages each in a room: the last is never one to be held back.
  const { code, red } = await runScript(script(name), { ...load, URL: gate.url, DURATION: '6.2s' });
  expect({ code, red }).toEqual({ code: 99, red: wanted });
});

test.concurrent('nothing that makes clients move: reconnects', async () => {
  await using app = await startInstance('app1');
  const { code, red } = await runScript(script('rolling'), { ...load, URL: `${app.origin}/ws`, DURATION: '3s' });
  expect({ code, red }).toEqual({ code: 99, red: ['reconnects count>=12'] });
});

test.concurrent('an instance that is stopped instead of killed: ended 1006', async () => {
  await using app1 = await startInstance('app1');
  await using app2 = await startInstance('app2');
  // As NGINX would, it sends nobody to an instance that drains.
  let hold = 0;
  await using gate = await startBalancer([app1.port, app2.port], () => hold);
  const { code, red } = await runScript(script('crash'), { ...load, URL: gate.url }, [], {
    async whileRunning() {
      await published(app1, 30);
      hold = 2000;
      await app1.stop();
    },
  });
  expect({ code, red }).toEqual({ code: 99, red: ['ended_1006 count>=1'] });
});

test.concurrent('a proxy that keeps those waiting who come back: back after', async () => {
  await using app1 = await startInstance('app1');
  await using app2 = await startInstance('app2');
  let hold = 0;
  await using gate = await startBalancer([app1.port, app2.port], () => hold);
  const { code, red } = await runScript(script('crash'), { ...load, URL: gate.url, SETTLE: '12s' }, [], {
    async whileRunning() {
      await published(app1, 30);
      hold = 6000;
      await app1.kill();
    },
  });
  expect({ code, red }).toEqual({ code: 99, red: ['back_after p(99)<=5000'] });
});

test.concurrent('NGINX that counts failures, as it does by default: refused', async () => {
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

test.concurrent('an instance that stalls: latency', async () => {
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

test.concurrent('a machine that stalls, runner and instance alike: green', async () => {
  await using app = await startInstance('app1');
  const { code, red } = await runScript(script('steady'), { ...load, URL: `${app.origin}/ws` }, [], {
    async whileRunning(runner) {
      await published(app, 30);
      killGroup(runner, 'SIGSTOP');
      app.signal('SIGSTOP');
      await delay(1500);
      app.signal('SIGCONT');
      killGroup(runner, 'SIGCONT');
    },
  });
  expect({ code, red }).toEqual({ code: 0, red: [] });
});

/** Histories are full long before the memory is first looked at: what grows after that is a leak. */
const full = { HISTORY_SIZE: '50', RECENT_FRAMES_BYTES: '1000000' };

test.concurrent.each([
  ['nothing leaks: green', [], { CLIENTS: '40', ROOMS: '20', DURATION: '24s' }, []],
  [
    'a listener leaks with every message: memory',
    ...([leak('listeners'), { CLIENTS: '40', ROOMS: '20', DURATION: '24s' }, ['memory_growth max<5']] as const),
  ],
  ['an open file leaks with every message: handles', leak('files'), { DURATION: '10s' }, ['handle_growth max<5']],
] as const)('%s', async (_what, nodeArgs, more, wanted) => {
  await using app = await startInstance('app1', full, [...nodeArgs]);
  const { internalPort } = await app.log('listening');
  await using prometheus = await startPrometheus([`127.0.0.1:${internalPort}`]);
  const env = { ...load, ...more, URL: `${app.origin}/ws`, PROMETHEUS: prometheus.url };
  const { code, red } = await runScript(script('soak'), env);
  expect({ code, red }).toEqual({ code: wanted.length > 0 ? 99 : 0, red: wanted });
});

test.concurrent('a Prometheus that knows no instance: watched', async () => {
  await using app = await startInstance('app1');
  await using prometheus = await startPrometheus([]);
  const env = { ...load, URL: `${app.origin}/ws`, PROMETHEUS: prometheus.url, DURATION: '3s' };
  const { code, red } = await runScript(script('soak'), env);
  expect({ code, red }).toEqual({ code: 99, red: ['watched count>=1'] });
});

test.concurrent('an instance that is restarted late: unwatched', async () => {
  const port = await freePorts();
  const other = { INTERNAL_PORT: String(port) };
  await using app1 = await startInstance('app1', full);
  const app2 = await startInstance('app2', other);
  await using again = new AsyncDisposableStack();
  again.use(app2);
  const { internalPort } = await app1.log('listening');
  await using prometheus = await startPrometheus([`127.0.0.1:${internalPort}`, `127.0.0.1:${port}`]);
  const env = { ...load, CLIENTS: '4', RATE: '2', DURATION: '12s' };
  const { code, red } = await runScript(
    script('soak'),
    { ...env, URL: `${app1.origin}/ws`, PROMETHEUS: prometheus.url },
    [],
    {
      async whileRunning() {
        // After 8.5 of the 12 s.
        await published(app1, 68);
        await app2.kill();
        again.use(await startInstance('app2', other));
      },
    },
  );
  expect({ code, red }).toEqual({ code: 99, red: ['unwatched count==0'] });
});
