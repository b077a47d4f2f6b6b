import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { around } from '../../../app/tools/metrics-docs.ts';
import { portProblem } from '../../cluster/drivers/native/port.ts';
import { FleetClient } from '../harness/fleet-client.ts';
import { expectLoadTestToPass } from '../harness/load-test.ts';
import { createTestCluster, type Output, type Status, type TestCluster, until } from '../harness/test-cluster.ts';

const PARTS = ['app1', 'app2', 'app3', 'nginx', 'redis', 'prometheus', 'redis-exporter', 'nginx-exporter'];
/** How soon a client has to be back. */
const BACK_MS = 5_000;

let cluster: TestCluster;
let firstUp: Output;
const clients: FleetClient[] = [];

beforeAll(async () => {
  cluster = await createTestCluster({ DRIVER: 'native' });
  firstUp = await cluster.make('up');
});

afterAll(async () => {
  leave();
  await cluster?.close();
});

async function succeed(target: string, settings?: Record<string, string>): Promise<Output> {
  const output = await cluster.make(target, settings);
  expect(output.code, output.stderr).toBe(0);
  return output;
}

/** Connects through NGINX, from so many different networks of the loopback interface. */
async function connect(count: number, networks = count): Promise<FleetClient[]> {
  const joining = await Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const token = await cluster.token(`user${index}`);
      const localAddress = `127.0.${1 + (index % networks)}.1`;
      return new FleetClient({ url: `ws://127.0.0.1:${cluster.port}/ws`, token, localAddress });
    }),
  );
  clients.push(...joining);
  await Promise.all(joining.map((client) => client.connect()));
  return joining;
}

function leave(): void {
  for (const client of clients.splice(0)) client.close();
}

/** The table's lines, `● app1  ready ...`, as name and state. */
function table(output: string): Record<string, string> {
  return Object.fromEntries(
    [...output.matchAll(/^● (\S+) +(\S+)/gm)].map(([, name = '', state = '']) => [name, state]),
  );
}

const pids = (status: Status) =>
  Object.fromEntries([...status.instances, ...status.parts].map((part) => [part.name, part.pid]));
const on = (instance: string) => clients.filter((client) => client.instanceId === instance);

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
  return [...readFileSync(cluster.envFile, 'utf8').matchAll(/^(?:JWT_SECRET|REDIS_PASSWORD)=(.+)$/gm)].map(
    ([, value = '']) => value,
  );
}

describe('the native driver', () => {
  test('ends make up with a table in which all is well, and its URLs', () => {
    expect(firstUp, firstUp.stderr).toMatchObject({ code: 0 });
    expect(Object.keys(table(firstUp.stdout))).toEqual(PARTS);
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

  test('carries a message from one instance to another', async () => {
    const [sender, ...others] = await connect(12);
    const receiver = others.find((client) => client.instanceId !== sender?.instanceId);
    expect(receiver).toBeDefined();
    sender?.send('chat', { content: 'hello' });
    const message = await until('the message', BACK_MS, () => receiver?.messages[0]);
    expect(message).toMatchObject({ content: 'hello', from: { instanceId: sender?.instanceId } });
    leave();
  });

  test('shows its secrets neither in process arguments nor in logs', async () => {
    const { stdout } = await cluster.make('logs', { FOLLOW: '0' });
    expect(stdout).toContain('listening on port');
    expect(secrets()).toHaveLength(2);
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
    await connect(60);
    const orphans = on('app2');
    expect(orphans.length).toBeGreaterThan(0);
    const others = clients.filter((client) => !orphans.includes(client));
    const before = pids(await cluster.status());
    await succeed('kill', { INSTANCE: 'app2' });

    await until('all clients of app2 are back', BACK_MS, () =>
      orphans.every((client) => /^app[13]$/.test(client.instanceId ?? '')),
    );
    expect(Math.max(...orphans.map((client) => client.lateness))).toBeLessThan(BACK_MS);
    expect(others.flatMap((client) => client.moves)).toEqual([]);
    const status = await cluster.make('status');
    expect(status.code).not.toBe(0);
    expect(table(status.stdout)['app2']).toBe('exited:137');

    const repaired = await succeed('up');
    expect(table(repaired.stdout)['app2']).toBe('ready');
    const { app2, ...rest } = pids(await cluster.status());
    expect(app2).not.toBe(before['app2']);
    expect(before).toMatchObject(rest);
    leave();
  });

  test('shows that Redis and NGINX were killed, and repairs them without touching the instances', async () => {
    const before = pids(await cluster.status());
    for (const name of ['redis', 'nginx']) {
      await succeed('kill', { INSTANCE: name });
    }
    const status = await until('the instances notice', BACK_MS, async () => {
      const { code, stdout } = await cluster.make('status');
      const rows = table(stdout);
      return rows['app1'] === 'unavailable' && { code, rows };
    });
    expect(status.code).not.toBe(0);
    expect(status.rows).toMatchObject({ redis: 'exited:137', nginx: 'exited:137', prometheus: 'running' });

    await succeed('up');
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
      expect(stderr).toContain(`port ${redisPort} for prometheus is also used by redis (choose another with PROMETHEUS_PORT=...)`);
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
    await connect(60);
    await succeed('scale', { N: '5' });
    expect(clients.flatMap((client) => client.moves)).toEqual([]);
    expect(Object.keys(table((await cluster.make('status')).stdout))).toEqual([
      'app1',
      'app2',
      'app3',
      'app4',
      'app5',
      ...PARTS.slice(3),
    ]);
    await until('Prometheus scrapes five', 30_000, async () => (await scraped()).join() === 'app1,app2,app3,app4,app5');

    await connect(30);
    expect(on('app4').length + on('app5').length).toBeGreaterThan(0);
    const staying = [...on('app1'), ...on('app2')];
    await succeed('scale', { N: '2' });
    expect(staying.flatMap((client) => client.moves)).toEqual([]);
    expect(new Set(clients.map((client) => client.instanceId))).toEqual(new Set(['app1', 'app2']));
    expect(clients.flatMap((client) => client.refusals)).toEqual([]);
    expect((await cluster.status()).instances.map(({ name, state }) => [name, state])).toEqual([
      ['app1', 'ready'],
      ['app2', 'ready'],
    ]);

    await succeed('scale', { N: '3' });
    leave();
  });

  const scraped = async () => (await cluster.query('up{job="app"} == 1')).map(({ instance }) => instance).sort();

  test('watches Redis and NGINX', async () => {
    const documented = around.map(([name = '']) => name);
    for (const promql of ['redis_up == 1', 'nginx_up == 1', 'redis_memory_max_bytes > 0', ...documented]) {
      await until(promql, 30_000, async () => (await cluster.query(promql)).length === 1);
    }
  });

  test('rolls under 300 clients: none refused, none late, every instance exits 0', async () => {
    await connect(300, 100);
    const before = await cluster.status();
    expect(before.instances.every(({ connections }) => (connections ?? 0) > 0)).toBe(true);

    const roll = await succeed('rolling-restart');
    for (const name of ['app1', 'app2', 'app3'])
      expect(roll.stdout).toMatch(new RegExp(`^ +${name}( +\\d+){3} +0( +[\\d.]+){2} +0$`, 'm'));
    expect(clients.flatMap((client) => client.refusals)).toEqual([]);
    expect(clients.flatMap((client) => client.failures)).toEqual([]);
    expect(clients.filter((client) => client.lateness > BACK_MS)).toEqual([]);
    expect(clients.filter((client) => client.instanceId === undefined)).toEqual([]);
    expect(clients.flatMap((client) => client.moves).every(({ reason }) => reason === 'slot')).toBe(true);
    const after = await cluster.status();
    for (const { name } of after.instances) expect(pids(after)[name]).not.toBe(pids(before)[name]);

    expect(roll.stdout).toMatch(
      /The probe: \d+ messages, \d{3,} deliveries; lost 0, duplicated 0, out of order 0; refused handshakes 0$/m,
    );
    expect(roll.stdout).toMatch(/Delivery gap, the longest of each member: p50 [\d.]+ ms, p99 [\d.]+ ms/);
    // The probe has left; 1.5 times the average is what a roll may leave behind.
    expect(fullness(after)).toBeLessThanOrEqual(1.5);
    leave();
  });

  /** How many times the average the fullest instance holds. */
  function fullness({ instances }: Status): number {
    const counts = instances.map(({ connections }) => connections ?? 0);
    return (Math.max(...counts) * counts.length) / counts.reduce((sum, count) => sum + count, 0);
  }

  test('passes a load test in which every instance is replaced, with clients on all of them', () =>
    expectLoadTestToPass(cluster));

  test('rebalances what a repaired instance lacks, and drops nobody', async () => {
    await connect(90);
    await succeed('kill', { INSTANCE: 'app1' });
    await until('the clients of app1 are back', BACK_MS, () =>
      clients.every(({ instanceId }) => instanceId !== undefined),
    );
    await succeed('up');
    for (const client of clients) client.moves.length = 0;
    expect(on('app1')).toEqual([]);

    const { stdout } = await succeed('rebalance');
    expect(stdout).toMatch(
      /^Balance: app1=\d+ app2=\d+ app3=\d+ connections; the fullest holds [\d.]+ times the average/m,
    );
    expect(fullness(await cluster.status())).toBeLessThanOrEqual(1.5);
    expect(clients.flatMap(({ moves }) => moves).every(({ reason }) => reason === 'slot')).toBe(true);
    leave();
  });

  test('ends a roll that lost a message with exit code 1', async () => {
    // The probe, and nothing else, overhears one message.
    const deaf = `
      if (process.argv[1].endsWith('probe.ts')) {
        const { parse } = JSON;
        let messages = 0;
        JSON.parse = (text) => {
          const value = parse(text);
          return value?.type === 'message' && ++messages === 100 ? { ...value, type: 'pong' } : value;
        };
      }`;
    const { code, stdout, stderr } = await cluster.make('rolling-restart', {
      NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(deaf)}`,
    });
    expect(code).not.toBe(0);
    expect(stdout).toContain('lost 1, duplicated 0, out of order 0');
    expect(stderr).toContain('did not arrive exactly once and in order');
    expect((await cluster.status()).ok).toBe(true);
  });

  test('stops a roll at an instance that does not come back, with exit code 1; make up repairs that', async () => {
    const before = await cluster.status();
    const internalUrl = before.instances.find(({ name }) => name === 'app1')?.url ?? '';
    const rolling = cluster.make('rolling-restart');
    // Its port is taken the moment it is free.
    const squatter = await until('the port of app1 is free', 60_000, () => squat(Number(new URL(internalUrl).port)));
    const { code, stdout, stderr } = await rolling;
    squatter.close();
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/Error 1$/m); // make's own code is 2
    expect(stderr).toContain('The rolling restart stopped at app1');
    expect(stderr).toContain('taken by node');
    expect(stderr).toContain('make up');
    expect(stdout).not.toContain('app2 (2 of 3)');

    const rows = table((await cluster.make('status')).stdout);
    expect(rows).toMatchObject({ app1: 'stopped', app2: 'ready', app3: 'ready' });
    await succeed('up');
    const { app2, app3 } = pids(before);
    expect(pids(await cluster.status())).toMatchObject({ app2, app3 });
  });

  function squat(port: number): Promise<Server | undefined> {
    return new Promise((resolve) => {
      const server = createServer();
      server.once('listening', () => resolve(server)).once('error', () => resolve(undefined));
      server.listen(port, '127.0.0.1');
    });
  }

  test('leaves no process and no port behind', async () => {
    const ids = Object.values(pids(await cluster.status()));
    await succeed('down');
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
    await succeed('down');
    expect(table((await cluster.make('status')).stdout)['app1']).toBe('stopped');
  });
});
