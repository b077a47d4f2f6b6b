import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { around } from '../../../app/tools/metrics-docs.ts';
import { portProblem } from '../../cluster/drivers/native/port.ts';
import { createFleet, type Fleet, pids, succeed, table } from '../harness/fleet.ts';
import { FleetClient } from '../harness/fleet-client.ts';
import { createTestCluster, type Output, type TestCluster, until } from '../harness/test-cluster.ts';

const root = resolve(import.meta.dirname, '../../..');
const SERVICES = ['app1', 'app2', 'app3', 'nginx', 'redis', 'prometheus', 'redis-exporter', 'nginx-exporter'];
/** How soon a client has to be back. */
const BACK_MS = 5_000;

let cluster: TestCluster;
let fleet: Fleet;
let firstUp: Output;

beforeAll(async () => {
  cluster = await createTestCluster({ DRIVER: 'native' });
  fleet = createFleet(cluster);
  firstUp = await cluster.make('up');
});

afterAll(async () => {
  fleet?.leave();
  await cluster?.close();
});

/** Command lines of this machine's processes, zombies left out. */
function commandLines(): string[] {
  return readdirSync('/proc').flatMap((pid) => {
    try {
      return /^\d+$/.test(pid) ? [readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')] : [];
    } catch {
      return [];
    }
  });
}

function secrets(): string[] {
  return [
    ...readFileSync(cluster.envFile, 'utf8').matchAll(/^(?:JWT_SECRET=|REDIS_PASSWORD=|API_KEYS=.*:)(\w+)$/gm),
  ].map(([, value = '']) => value);
}

describe('the native driver', () => {
  test('ends make up with a table in which all is well, and its URLs', () => {
    expect(firstUp, firstUp.stderr).toMatchObject({ code: 0 });
    expect(Object.keys(table(firstUp.stdout))).toEqual(SERVICES);
    expect(new Set(Object.values(table(firstUp.stdout)))).toEqual(new Set(['ready', 'running']));
    expect(firstUp.stdout).toContain(`http://localhost:${cluster.port}`);
  });

  test('leaves what runs alone when make up is run again', async () => {
    const before = pids(await cluster.status());
    const outputs = await Promise.all([cluster.make('up'), cluster.make('up')]);
    expect(outputs.map(({ code }) => code)).toEqual([0, 0]);
    expect(pids(await cluster.status())).toEqual(before);
  });

  test('prints a token that opens a connection through NGINX', async () => {
    const { stdout } = await cluster.make('token', { NAME: 'alice' });
    expect(stdout).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+\n$/);
    for (const path of ['/ws', '/']) {
      const client = new FleetClient({ url: `ws://127.0.0.1:${cluster.port}${path}`, token: stdout.trim() });
      await client.connect();
      expect(client.instanceId).toMatch(/^app[123]$/);
      client.close();
    }
  });

  test('publishes through the server API, which is not reached from outside', async () => {
    const message = { ROOM: 'published', CONTENT: 'it\'s "quoted"', ID: 'only-once' };
    const first = await succeed(cluster, 'publish', message);
    expect(JSON.parse(first.stdout)).toMatchObject({ position: { offset: 1 }, duplicate: false });
    const second = await succeed(cluster, 'publish', message);
    expect(JSON.parse(second.stdout)).toMatchObject({ position: { offset: 1 }, duplicate: true });
    const { code, stderr } = await cluster.make('publish', { ROOM: 'no blanks', CONTENT: 'x' });
    expect(code).not.toBe(0);
    expect(stderr).toContain('INVALID_REQUEST');
    expect((await fetch(`http://127.0.0.1:${cluster.port}/v1/stats`)).status).toBe(404);
  });

  test('carries a message from one instance to another', async () => {
    const [sender, ...others] = await fleet.connect(12);
    const receiver = others.find((client) => client.instanceId !== sender?.instanceId);
    expect(receiver).toBeDefined();
    sender?.send('chat', { content: 'hello' });
    const message = await until('the message', BACK_MS, () => receiver?.messages[0]);
    expect(message).toMatchObject({ content: 'hello', from: { instanceId: sender?.instanceId } });
    fleet.leave();
  });

  test('lets through so many handshakes of one address, while others get in', async () => {
    const statusOf = (localAddress: string, token: string) =>
      new Promise<number>((resolve, reject) => {
        const request = get({
          ...{ host: '127.0.0.1', port: cluster.port, path: '/ws', localAddress, agent: false },
          headers: {
            ...{ Connection: 'Upgrade', Upgrade: 'websocket', Authorization: `Bearer ${token}` },
            ...{ 'Sec-WebSocket-Version': '13', 'Sec-WebSocket-Key': 'AAAAAAAAAAAAAAAAAAAAAA==' },
          },
        });
        request.on('upgrade', (_response, socket) => {
          socket.destroy();
          resolve(101);
        });
        request.on('response', (response) => {
          response.resume();
          resolve(response.statusCode ?? 0);
        });
        request.on('error', reject);
      });
    const token = await cluster.token('honest');
    let flooding = true;
    const statuses: number[] = [];
    const flood = Promise.all(
      Array.from({ length: 50 }, async () => {
        while (flooding && statuses.length < 20_000) statuses.push(await statusOf('127.0.66.6', 'nonsense'));
      }),
    );
    await until('the limit', 60_000, () => statuses.filter((status) => status === 429).length > 500);
    for (let i = 1; i <= 20; i += 1) expect(await statusOf(`127.0.${i}.7`, token)).toBe(101);
    flooding = false;
    await flood;
    expect(new Set(statuses)).toEqual(new Set([401, 429]));
    // A page is no handshake.
    expect((await fetch(`http://127.0.0.1:${cluster.port}/`)).status).toBe(200);
  });

  test('shows its secrets neither in process arguments nor in logs', async () => {
    const { stdout } = await cluster.make('logs', { FOLLOW: '0' });
    expect(stdout).toContain('listening on port');
    expect(secrets()).toHaveLength(3);
    for (const secret of secrets()) {
      expect(commandLines().filter((line) => line.includes(secret))).toEqual([]);
      expect(stdout).not.toContain(secret);
    }
  });

  test('raises the limit of open files as far as it may', async () => {
    const { app1 } = pids(await cluster.status());
    const [, soft, hard] = /^Max open files +(\d+) +(\d+)/m.exec(readFileSync(`/proc/${app1}/limits`, 'utf8')) ?? [];
    expect(soft).toBe(hard);
  });

  test('shows an instance that was killed, whose clients are back elsewhere, and repairs it', async () => {
    await fleet.connect(60);
    const orphans = fleet.on('app2');
    expect(orphans.length).toBeGreaterThan(0);
    const others = fleet.clients.filter((client) => !orphans.includes(client));
    const before = pids(await cluster.status());
    await succeed(cluster, 'kill', { INSTANCE: 'app2' });

    await until('all fleet.clients of app2 are back', BACK_MS, () =>
      orphans.every((client) => /^app[13]$/.test(client.instanceId ?? '')),
    );
    expect(Math.max(...orphans.map((client) => client.lateness))).toBeLessThan(BACK_MS);
    expect(others.flatMap((client) => client.moves)).toEqual([]);
    const status = await cluster.make('status');
    expect(status.code).not.toBe(0);
    expect(table(status.stdout)['app2']).toBe('exited:137');

    const repaired = await succeed(cluster, 'up');
    expect(table(repaired.stdout)['app2']).toBe('ready');
    const { app2, ...rest } = pids(await cluster.status());
    expect(app2).not.toBe(before['app2']);
    expect(before).toMatchObject(rest);
    fleet.leave();
  });

  test('shows that Redis and NGINX were killed, and repairs them without touching the instances', async () => {
    const before = pids(await cluster.status());
    for (const name of ['redis', 'nginx']) {
      await succeed(cluster, 'kill', { INSTANCE: name });
    }
    const status = await until('the instances notice', BACK_MS, async () => {
      const { code, stdout } = await cluster.make('status');
      const rows = table(stdout);
      return rows['app1'] === 'unavailable' && { code, rows };
    });
    expect(status.code).not.toBe(0);
    expect(status.rows).toMatchObject({ redis: 'exited:137', nginx: 'exited:137', prometheus: 'running' });

    await succeed(cluster, 'up');
    const after = await cluster.status();
    expect(after.instances.map(({ state }) => state)).toEqual(['ready', 'ready', 'ready']);
    const { redis, nginx, ...others } = before;
    expect(pids(after)).toMatchObject(others);
    for (const [name, pid] of Object.entries({ redis, nginx })) expect(pids(after)[name]).not.toBe(pid);
  });

  test('names the owner of a port that is taken, and starts nothing', async () => {
    const other = await createTestCluster({ DRIVER: 'native' });
    const squatter = createServer().listen(other.port, '127.0.0.1');
    const redisPort = String(other.settings['NATIVE_PORT_BASE']);
    try {
      const { code, stderr } = await other.make('up', { PROMETHEUS_PORT: redisPort });
      expect(code).not.toBe(0);
      expect(stderr).toMatch(new RegExp(`port ${other.port}\\b.* taken by node \\(pid ${process.pid}\\)`));
      expect(stderr).toContain(
        `port ${redisPort} for prometheus is also used by redis (choose another with PROMETHEUS_PORT=...)`,
      );
      const { instances, parts } = await other.status();
      expect(new Set([...instances, ...parts].map(({ state }) => state))).toEqual(new Set(['stopped']));
    } finally {
      squatter.close();
      await other.close();
    }
  });

  test('does not begin a deploy with settings that the app refuses, and says why', async () => {
    const before = pids(await cluster.status());
    for (const target of ['up', 'rolling-restart']) {
      const { code, stderr } = await cluster.make(target, { DRAIN_WINDOW: 'soon' });
      expect(code).not.toBe(0);
      expect(stderr).toContain('DRAIN_WINDOW');
    }
    expect(pids(await cluster.status())).toEqual(before);
  });

  test('scales to five and to two without dropping a connection on those that stay', async () => {
    await fleet.connect(60);
    await succeed(cluster, 'scale', { N: '5' });
    expect(fleet.clients.flatMap((client) => client.moves)).toEqual([]);
    expect(Object.keys(table((await cluster.make('status')).stdout))).toEqual([
      'app1',
      'app2',
      'app3',
      'app4',
      'app5',
      ...SERVICES.slice(3),
    ]);
    await until('Prometheus scrapes five', 30_000, async () => (await scraped()).join() === 'app1,app2,app3,app4,app5');

    await fleet.connect(30);
    expect(fleet.on('app4').length + fleet.on('app5').length).toBeGreaterThan(0);
    const staying = [...fleet.on('app1'), ...fleet.on('app2')];
    await succeed(cluster, 'scale', { N: '2' });
    expect(staying.flatMap((client) => client.moves)).toEqual([]);
    expect(new Set(fleet.clients.map((client) => client.instanceId))).toEqual(new Set(['app1', 'app2']));
    expect(fleet.clients.flatMap((client) => client.refusals)).toEqual([]);
    expect((await cluster.status()).instances.map(({ name, state }) => [name, state])).toEqual([
      ['app1', 'ready'],
      ['app2', 'ready'],
    ]);

    await succeed(cluster, 'scale', { N: '3' });
    fleet.leave();
  });

  const scraped = async () => (await cluster.query('up{job="app"} == 1')).map(({ instance }) => instance).sort();

  test('watches Redis and NGINX', async () => {
    const documented = around.map(([name = '']) => name);
    for (const promql of ['redis_up == 1', 'nginx_up == 1', 'redis_memory_max_bytes > 0', ...documented]) {
      await until(promql, 30_000, async () => (await cluster.query(promql)).length === 1);
    }
  });

  /** One wrong value for every setting that is checked. */
  const wrong = {
    ...{ INSTANCES: 'many', PUBLIC_PORT: '0', TLS: 'maybe', TLS_PORT: 'x', STICKY_MODE: 'cookie', ALERTS: '1' },
    ...{ PROMETHEUS_PORT: '99999', NATIVE_PORT_BASE: 'low', DRIVER: 'podman', TRUSTED_PROXIES: 'nobody' },
  };

  test.each(Object.entries(wrong))(
    '%s=%s keeps make up from starting, and status and logs from nothing',
    async (name, value) => {
      const setting = { [name]: value };
      const up = await cluster.make('up', setting);
      expect(up.code).not.toBe(0);
      expect(up.stderr).toContain(`${name}=${value}: expected`);
      const [right, status, logs] = await Promise.all([
        cluster.make('status'),
        cluster.make('status', setting),
        cluster.make('logs', { ...setting, FOLLOW: '0', INSTANCE: 'app1' }),
      ]);
      expect(status.code, status.stderr).toBe(0);
      expect(table(status.stdout)).toEqual(table(right.stdout));
      expect(logs.stdout).toContain('listening on port');
    },
  );

  test('a deploy of code that does not start says so in a line and leaves all alone; status, top, logs and kill work with it', async () => {
    const before = pids(await cluster.status());
    const copy = mkdtempSync(join(tmpdir(), 'wsfleet-broken-'));
    try {
      for (const name of ['app', 'deploy', 'Makefile', 'package.json', '.env.example']) {
        cpSync(join(root, name), join(copy, name), { recursive: true });
      }
      symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
      writeFileSync(join(copy, 'app/src/config.ts'), '<<<<<<< HEAD\n');
      const make = (target: string, more = {}) => cluster.make(target, { PACKAGES_READY: copy, ...more }, copy);

      const deploy = await make('rolling-restart');
      expect(deploy.code).not.toBe(0);
      const [line, ...rest] = deploy.stderr.trim().split('\n');
      expect(line).toMatch(/^The app does not start: SyntaxError.*\(app\/src\/config\.ts:1\)$/);
      expect(rest).toEqual([expect.stringMatching(/^make: /)]);
      expect(pids(await cluster.status())).toEqual(before);

      const outputs = await Promise.all([
        make('status'),
        make('top'),
        make('logs', { FOLLOW: '0' }),
        make('token', { NAME: 'a' }),
      ]);
      expect(outputs.map(({ code }) => code)).toEqual([0, 0, 0, 0]);
      await make('kill', { INSTANCE: 'app3' });
      const repair = await make('up');
      expect(repair.code).not.toBe(0);
      expect(repair.stderr).toContain('The app does not start');
      const { app3: _, ...others } = before;
      expect(pids(await cluster.status())).toMatchObject(others);
    } finally {
      rmSync(copy, { recursive: true });
    }
    await succeed(cluster, 'up');
  });

  test('leaves no process and no port behind, whatever is wrong with the settings', async () => {
    const ids = Object.values(pids(await cluster.status()));
    await succeed(cluster, 'down', wrong);
    for (const id of ids) expect(() => process.kill(Number(id), 0)).toThrow('ESRCH');
    expect(commandLines().filter((line) => line.includes(cluster.dir))).toEqual([]);
    const base = Number(cluster.settings['NATIVE_PORT_BASE']);
    for (const port of [base, base + 1, base + 51, base + 90, base + 91, base + 100, base + 101, base + 103]) {
      expect(await portProblem('127.0.0.1', port)).toBeUndefined();
    }
    const status = await cluster.make('status');
    expect(status.code).not.toBe(0);
    expect(status.stderr).toContain('make up');
  });

  test('does not take a process that has got the pid of an instance for that instance', async () => {
    writeFileSync(join(cluster.dir, 'native/run/app1.pid'), `${process.pid} 1\n`);
    expect(table((await cluster.make('status')).stdout)['app1']).toBe('exited:unknown');
    const { code, stderr } = await cluster.make('kill', { INSTANCE: 'app1' });
    expect(code).not.toBe(0);
    expect(stderr).toContain('app1 is not running');
    await succeed(cluster, 'down');
    expect(table((await cluster.make('status')).stdout)['app1']).toBe('stopped');
  });
});
