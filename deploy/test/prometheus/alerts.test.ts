/**
 * Alerts for real: faults in a native cluster, found by its Prometheus and delivered by its Alertmanager to a webhook.
 * The rules are those of deploy/prometheus with every time in them divided by SPEED.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { createClient } from 'redis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { FleetClient } from '../harness/fleet-client.ts';
import { createTestCluster, type TestCluster, until } from '../harness/test-cluster.ts';

const SPEED = 4;
const CLIENTS = 150;
const MAX_CONNECTIONS = 250;
/** How soon an alert has to be at the webhook; far more than any takes. */
const TOLD_MS = 90_000;

interface Told {
  name: string;
  status: string;
  at: number;
}

let webhook: Server;
let cluster: TestCluster;
let token: string;
const told: Told[] = [];
const clients: FleetClient[] = [];
const seconds: [name: string, seconds: number][] = [];

beforeAll(async () => {
  webhook = createServer(async (request, response) => {
    const { alerts } = JSON.parse(await text(request)) as {
      alerts: { status: string; labels: { alertname: string } }[];
    };
    for (const { status, labels } of alerts) told.push({ name: labels.alertname, status, at: performance.now() });
    response.end();
  });
  await new Promise<void>((resolve) => void webhook.listen(0, '127.0.0.1', resolve));
  cluster = await createTestCluster({
    DRIVER: 'native',
    ALERTS: 'true',
    ALERT_WEBHOOK: `http://127.0.0.1:${(webhook.address() as AddressInfo).port}/`,
    AUDIT_INTERVAL: '1s',
    MAX_CONNECTIONS: String(MAX_CONNECTIONS),
    MAX_CONTENT_LENGTH: '60000',
    MAX_BUFFERED_BYTES: '100000',
    RATE_LIMIT_PER_MINUTE: '1000000',
    RATE_LIMIT_BURST: '100000',
    // All clients have one token.
    MAX_CONNECTIONS_PER_USER: '100000',
  });
  const { code, stderr } = await cluster.make('up');
  expect(code, stderr).toBe(0);
  token = await cluster.token('someone');
  // A Prometheus that has just started has seen no instance yet; the rules as they are wait for longer.
  await until(
    'Prometheus has found the instances',
    60_000,
    async () => (await cluster.query('up{job="app"} == 1')).length === 3,
  );
  await speedUp();
  await connect(CLIENTS, (index) => `127.0.${index + 1}.1`);
});

afterAll(async () => {
  for (const client of clients) client.close();
  await cluster?.close();
  webhook?.close();
  console.log(
    [
      `seconds from the fault to the webhook, with the rules ${SPEED} times as fast:`,
      ...seconds.map(([name, each]) => `  ${name.padEnd(28)}${each.toFixed(1).padStart(5)}`),
    ].join('\n'),
  );
});

/** Divides the times in the generated configuration, and makes Prometheus and Alertmanager read it. */
async function speedUp(): Promise<void> {
  const units: Record<string, number> = { s: 1000, m: 60_000, h: 3_600_000 };
  const faster = (file: string, times: RegExp) => {
    const path = join(cluster.dir, 'native', file);
    const write = (_: string, before: string, count: string, unit: string) =>
      `${before}${Math.round((Number(count) * (units[unit] ?? 0)) / SPEED)}ms`;
    writeFileSync(path, readFileSync(path, 'utf8').replaceAll(times, write));
  };
  faster('prometheus/prometheus.yml', /((?:interval|timeout): )(\d+)([smh])/g);
  for (const rules of ['alerts', 'recording'])
    faster(`prometheus/rules/${rules}.yml`, /(\bfor: |\[|\boffset )(\d+)([smh])/g);
  faster('alertmanager/alertmanager.yml', /(group_(?:wait|interval): )(\d+)([smh])/g);
  for (const part of ['prometheus', 'alertmanager']) await kill(part, 'HUP');
  await until('Prometheus runs the faster rules', 10_000, async () => {
    const { groups } = await prometheus<{ groups: { rules: { name: string; duration?: number }[] }[] }>('rules');
    const rule = groups.flatMap(({ rules }) => rules).find(({ name }) => name === 'WsfleetInstanceDown');
    return rule?.duration === 30 / SPEED;
  });
}

async function prometheus<T>(path: string): Promise<T> {
  const response = await fetch(`http://127.0.0.1:${cluster.settings['PROMETHEUS_PORT']}/api/v1/${path}`);
  return ((await response.json()) as { data: T }).data;
}

async function firing(): Promise<string[]> {
  const { alerts } = await prometheus<{ alerts: { state: string; labels: { alertname: string } }[] }>('alerts');
  return alerts.flatMap(({ state, labels }) => (state === 'firing' ? [labels.alertname] : []));
}

/** Waits until the alert of a fault that began at `since` is at the webhook, and sees it in Prometheus. */
async function alerted(name: string, since: number): Promise<void> {
  const { at } = await until(`${name} at the webhook`, TOLD_MS, () =>
    told.find((each) => each.name === name && each.status === 'firing' && each.at >= since),
  );
  expect(await firing()).toContain(name);
  seconds.push([name, (at - since) / 1000]);
}

async function kill(part: string, signal = 'KILL'): Promise<void> {
  const { code, stderr } = await cluster.make('kill', { INSTANCE: part, SIGNAL: signal });
  expect(code, stderr).toBe(0);
}

async function repair(): Promise<void> {
  const { code, stderr } = await cluster.make('up');
  expect(code, stderr).toBe(0);
}

async function connect(count: number, localAddress: (index: number) => string): Promise<FleetClient[]> {
  const url = `ws://127.0.0.1:${cluster.port}/ws`;
  const joining = Array.from(
    { length: count },
    (_, index) => new FleetClient({ url, token, localAddress: localAddress(index) }),
  );
  clients.push(...joining);
  await Promise.all(joining.map((client) => client.connect()));
  return joining;
}

/** Does something again and again until what it waits for is there. */
async function during<T>(ms: number, something: () => unknown, awaited: Promise<T>): Promise<T> {
  let over = false;
  const end = awaited.finally(() => {
    over = true;
  });
  end.catch(() => undefined);
  while (!over) {
    await something();
    await delay(ms);
  }
  return end;
}

const base = () => Number(cluster.settings['NATIVE_PORT_BASE']);

/** A handshake with a token that nobody signed; resolves when it is refused. */
async function tryForged(): Promise<void> {
  const socket = new WebSocket(`ws://127.0.0.1:${cluster.port}/ws`, { headers: { Authorization: `Bearer ${token}x` } });
  await new Promise((resolve) => socket.once('error', resolve));
}

/** A reader of the room `busy` on app1, straight at its own port: what waits for it waits there. */
async function openReader(): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${base() + 1}/ws`, { headers: { Authorization: `Bearer ${token}` } });
  socket.on('error', () => undefined);
  await new Promise((resolve) => socket.once('open', resolve));
  const joined = new Promise<void>((resolve) => {
    socket.on('message', (data) => {
      if (String(data).includes('"joined_room"')) resolve();
    });
  });
  socket.send(JSON.stringify({ type: 'join_room', payload: { room: 'busy' } }));
  await joined;
  return socket;
}

describe('a rolling restart under clients', () => {
  test('fires nothing', async () => {
    // As far back as the rule for reconnect storms looks.
    await until(
      'there is a past',
      60_000,
      async () => (await cluster.query('cluster:ws_connections:sum offset 30s')).length > 0,
    );
    const roll = cluster.make('rolling-restart');
    const { code, stderr } = await during(100, () => clients[0]?.send('chat', { content: 'still here' }), roll);
    expect(code, stderr).toBe(0);
    expect(clients.flatMap(({ moves }) => moves).length).toBeGreaterThanOrEqual(CLIENTS);
    expect(await cluster.query('count_over_time(ALERTS{alertstate="firing"}[5m])')).toEqual([]);
    expect(told).toEqual([]);
  });
});

describe('the webhook reports a fault:', () => {
  test('forged tokens, readers that do not read, an instance that is nearly full, one that is too busy, FLUSHALL', async () => {
    const status = await cluster.status();
    const busy = status.instances.find(({ name }) => name === 'app3')?.pid;
    if (!busy) throw new Error('app3 does not run');

    async function forge(): Promise<void> {
      const since = performance.now();
      await during(100, tryForged, alerted('WsfleetAuthFailures', since));
    }

    async function stall(): Promise<void> {
      const since = performance.now();
      const stop = async () => {
        process.kill(busy as number, 'SIGSTOP');
        await delay(500);
        process.kill(busy as number, 'SIGCONT');
      };
      await during(150, stop, alerted('WsfleetEventLoopLag', since));
    }

    async function fill(): Promise<void> {
      const [first] = await connect(1, () => '127.1.1.1');
      const { instances } = await cluster.status();
      const here = instances.find(({ name }) => name === first?.instanceId)?.connections ?? 0;
      const since = performance.now();
      await connect(Math.round(0.9 * MAX_CONNECTIONS) - here, () => '127.1.1.1');
      await alerted('WsfleetNearConnectionLimit', since);
    }

    async function flush(): Promise<void> {
      const [, password] = /^REDIS_PASSWORD=(.+)$/m.exec(readFileSync(cluster.envFile, 'utf8')) ?? [];
      const redis = createClient({ url: `redis://127.0.0.1:${base()}`, ...(password && { password }) });
      await redis.connect();
      const since = performance.now();
      await redis.sendCommand(['FLUSHALL']);
      redis.destroy();
      await Promise.all([alerted('WsfleetGapsTold', since), alerted('WsfleetRedisReplaced', since)]);
    }

    async function stopReading(): Promise<void> {
      const readers = await Promise.all(Array.from({ length: 8 }, openReader));
      const talker = await openReader();
      for (const reader of readers) reader.pause();
      const since = performance.now();
      const frame = JSON.stringify({ type: 'chat', payload: { room: 'busy', content: 'x'.repeat(60_000) } });
      const closed = async () => {
        const metrics = await (await fetch(`http://127.0.0.1:${base() + 51}/metrics`)).text();
        return Number(/^ws_slow_consumers_total (\d+)/m.exec(metrics)?.[1]) === readers.length;
      };
      const talk = () => {
        for (let i = 0; i < 10; i += 1) talker.send(frame);
      };
      await during(20, talk, until('all slow readers are closed', 60_000, closed));
      await alerted('WsfleetSlowConsumers', since);
      for (const socket of [talker, ...readers]) socket.terminate();
    }

    await flush();
    await Promise.all([forge(), stall(), fill(), stopReading()]);
  });

  test('NGINX that is restarted, and all who come back', async () => {
    // A deploy explains it for so long.
    const deploy = 'max_over_time(ws_draining[45s]) == 1 or changes(process_start_time_seconds{job="app"}[45s]) > 0';
    await until('no deploy is near', 60_000, async () => (await cluster.query(deploy)).length === 0);
    const since = performance.now();
    await kill('nginx');
    await repair();
    await alerted('WsfleetReconnectStorm', since);
  });

  test('an instance that is killed', async () => {
    const since = performance.now();
    await kill('app2');
    await alerted('WsfleetInstanceDown', since);
  });

  test('Redis and NGINX that are down', async () => {
    const since = performance.now();
    await Promise.all([kill('redis'), kill('nginx')]);
    await Promise.all([alerted('WsfleetRedisDown', since), alerted('WsfleetNginxDown', since)]);
  });

  test('no instance that is left', async () => {
    const since = performance.now();
    await Promise.all([kill('app1'), kill('app3')]);
    await alerted('WsfleetAllDown', since);
  });
});
