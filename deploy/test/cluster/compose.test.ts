import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setInterval as every } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { FleetClient } from '../harness/fleet-client.ts';
import { expectLoadTestToPass } from '../harness/load-test.ts';
import { createTestCluster, type Output, run, type Status, type TestCluster, until } from '../harness/test-cluster.ts';

const PARTS = ['app1', 'app2', 'app3', 'nginx', 'redis', 'prometheus', 'redis-exporter', 'nginx-exporter'];
/** How soon a client has to be back. */
const BACK_MS = 5_000;
/** The ranges that engines give their networks: clients of a published port come from one of these. */
const GATEWAYS = '10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,198.18.0.0/15';

/** Prints the first notification about NGINX; earlier tests may have caused others. */
const WEBHOOK = `require('node:http').createServer(async (request, response) => {
  let body = '';
  for await (const chunk of request) body += chunk;
  response.end();
  if (body.includes('WsfleetNginxDown')) process.stdout.write(body, () => process.exit());
}).listen(8000);
setTimeout(() => process.exit(1), 100_000);`;

const project = `wsfleet-test-${process.pid}`;
const engine = spawnSync('docker', ['info'], { timeout: 20_000 }).status === 0;
if (!engine) console.warn('skipped: no Docker engine');

describe.skipIf(!engine)(`the compose driver${engine ? '' : ' (skipped: no Docker engine)'}`, () => {
  let cluster: TestCluster;
  let firstUp: Output;
  let token: string;
  const clients: FleetClient[] = [];

  beforeAll(async () => {
    cluster = await createTestCluster({
      DRIVER: 'compose',
      COMPOSE_PROJECT_NAME: project,
      TRUSTED_PROXIES: GATEWAYS,
      RATE_LIMIT_PER_MINUTE: '100000',
      RATE_LIMIT_BURST: '10000',
      // All clients have one token.
      MAX_CONNECTIONS_PER_USER: '100000',
    });
    firstUp = await cluster.make('up');
    token = (await cluster.make('token', { NAME: 'alice' })).stdout.trim();
  });

  afterAll(async () => {
    leave();
    await cluster?.close();
  });

  /** A client that NGINX takes for one at another network's address for every `network`. */
  function client(network: number): FleetClient {
    const created = new FleetClient({
      url: `ws://127.0.0.1:${cluster.port}/ws`,
      token,
      forwardedFor: `20.0.${network}.1`,
    });
    clients.push(created);
    return created;
  }

  async function connect(count: number, networks = count): Promise<FleetClient[]> {
    const joining = Array.from({ length: count }, (_, index) => client(index % networks));
    await Promise.all(joining.map((each) => each.connect()));
    return joining;
  }

  function leave(): void {
    for (const each of clients.splice(0)) each.close();
  }

  const on = (instance: string) => clients.filter(({ instanceId }) => instanceId === instance);

  test('ends make up with a table in which all is well, and its URLs', () => {
    expect(firstUp, firstUp.stderr).toMatchObject({ code: 0 });
    const { grafana, ...parts } = table(firstUp.stdout);
    expect(Object.keys(parts)).toEqual(PARTS);
    // It is there, or said to be left out.
    if (grafana === undefined)
      expect(firstUp.stderr).toMatch(/^Continuing without Grafana: \S+ cannot be pulled\..*$/m);
    expect(new Set(Object.values(table(firstUp.stdout)))).toEqual(new Set(['ready', 'running']));
    expect(firstUp.stdout).toContain(`http://localhost:${cluster.port}`);
  });

  test('publishes through the server API', async () => {
    const { stdout, stderr } = await cluster.make('publish', { ROOM: 'published', CONTENT: 'hello' });
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toMatchObject({ position: { offset: 1 }, duplicate: false });
  });

  test('leaves what runs alone when make up is run again', async () => {
    const before = containers(await cluster.status());
    expect(await cluster.make('up')).toMatchObject({ code: 0 });
    expect(containers(await cluster.status())).toEqual(before);
  });

  test('serves two clients on different instances that both see the same order of 2,000 messages', async () => {
    const joined = await connect(12);
    const [alice] = joined;
    const bob = joined.find(({ instanceId }) => instanceId !== alice?.instanceId);
    if (!alice || !bob) throw new Error('all clients are on one instance');
    for (let i = 0; i < 1000; i += 1) {
      alice.send('chat', { content: `alice ${i}` });
      bob.send('chat', { content: `bob ${i}` });
    }
    await until('both have all messages', 30_000, () => [alice, bob].every(({ messages }) => messages.length === 2000));
    const contents = ({ messages }: FleetClient) => messages.map(({ content }) => content);
    expect(contents(alice)).toEqual(contents(bob));
    expect(new Set(alice.messages.map(({ from }) => from.instanceId)).size).toBe(2);
    leave();
  });

  test('shows nothing internal on the public listener, and no token or secret in logs and process arguments', async () => {
    const page = `http://127.0.0.1:${cluster.port}`;
    for (const path of ['/metrics', '/status', '/health/ready', '/stub_status']) {
      expect((await fetch(page + path)).status, path).toBe(404);
    }
    const byQuery = new FleetClient({ url: `${page.replace('http', 'ws')}/ws?token=${token}`, token: '' });
    await byQuery.connect();
    byQuery.close();
    // NGINX logs a connection when it has ended.
    const logs = await until('the connection is logged', BACK_MS, async () => {
      const { stdout } = await cluster.make('logs', { FOLLOW: '0' });
      return stdout.includes('"GET /ws HTTP/1.1" 101') && stdout;
    });
    expect(logs).toContain('listening on port');
    const secrets = [
      ...readFileSync(cluster.envFile, 'utf8').matchAll(/^(?:JWT_SECRET=|REDIS_PASSWORD=|API_KEYS=.*:)(\w+)$/gm),
    ];
    expect(secrets).toHaveLength(3);
    for (const secret of [token, ...secrets.map(([, value = '']) => value)]) {
      expect(logs).not.toContain(secret);
      for (const container of Object.values(containers(await cluster.status()))) {
        expect((await run('docker', ['top', container])).stdout).not.toContain(secret);
      }
    }
  });

  test('scales to five and to two without dropping a connection on those that stay', async () => {
    await connect(60);
    expect(await cluster.make('scale', { N: '5' })).toMatchObject({ code: 0 });
    expect(clients.flatMap(({ moves }) => moves)).toEqual([]);
    await until('Prometheus scrapes five', 60_000, async () => (await scraped()).join() === 'app1,app2,app3,app4,app5');

    await connect(60);
    expect(on('app4').length + on('app5').length).toBeGreaterThan(0);
    const staying = [...on('app1'), ...on('app2')];
    expect(await cluster.make('scale', { N: '2' })).toMatchObject({ code: 0 });
    expect(staying.flatMap(({ moves }) => moves)).toEqual([]);
    expect(new Set(clients.map(({ instanceId }) => instanceId))).toEqual(new Set(['app1', 'app2']));
    expect(clients.flatMap(({ refusals, failures }) => [...refusals, ...failures])).toEqual([]);
    expect((await cluster.status()).instances.map(({ name, state }) => `${name} ${state}`)).toEqual([
      'app1 ready',
      'app2 ready',
    ]);
    expect(await cluster.make('scale', { N: '3' })).toMatchObject({ code: 0 });
    leave();
  });

  const scraped = async () => (await cluster.query('up{job="app"} == 1')).map(({ instance }) => instance).sort();

  test('rolls under 300 clients and a stream of new ones: none refused, none late, every instance exits 0', async () => {
    await connect(300, 100);
    const before = await cluster.status();
    expect(before.instances.every(({ connections }) => (connections ?? 0) > 0)).toBe(true);

    const arrivals = stream(50);
    const roll = await cluster.make('rolling-restart');
    const arrived = await arrivals.end();
    expect(roll, roll.stderr).toMatchObject({ code: 0 });
    for (const name of ['app1', 'app2', 'app3'])
      expect(roll.stdout).toMatch(new RegExp(`^ +${name}( +\\d+){3} +0( +[\\d.]+){2} +0$`, 'm'));
    expect(clients.flatMap(({ refusals, failures }) => [...refusals, ...failures])).toEqual([]);
    expect(clients.filter(({ lateness }) => lateness > BACK_MS)).toEqual([]);
    expect(clients.filter(({ instanceId }) => instanceId === undefined)).toEqual([]);
    expect(clients.flatMap(({ moves }) => moves).every(({ reason }) => reason === 'slot')).toBe(true);
    expect(arrived.count).toBeGreaterThan(100);
    expect(arrived.refused).toEqual([]);
    expect(roll.stdout).toMatch(/lost 0, duplicated 0, out of order 0; refused handshakes 0$/m);
    const after = await cluster.status();
    for (const { name, container } of before.instances) expect(containers(after)[name]).not.toBe(container);
    const counts = after.instances.map(({ connections }) => connections ?? 0);
    expect(Math.max(...counts)).toBeLessThanOrEqual((1.5 * counts.reduce((sum, count) => sum + count, 0)) / 3);
    leave();
  });

  test('passes a load test in which every instance is replaced, with clients on all of them', () =>
    // The roll begins only after the image is built.
    expectLoadTestToPass(cluster, '120s'));

  test('runs every container without what it does not need', async () => {
    const { stdout: ids } = await run('docker', [
      'ps',
      '-q',
      '--filter',
      `label=com.docker.compose.project=${project}`,
    ]);
    const { stdout } = await run('docker', ['inspect', ...ids.trim().split('\n')]);
    const containers = JSON.parse(stdout) as {
      Name: string;
      Config: { User: string; Env: string[] };
      HostConfig: {
        ReadonlyRootfs: boolean;
        CapDrop: string[];
        CapAdd: string[] | null;
        SecurityOpt: string[];
        Privileged: boolean;
        PidsLimit: number;
        Memory: number;
        PortBindings: Record<string, { HostIp: string }[]>;
      };
      NetworkSettings: { Networks: Record<string, unknown> };
    }[];
    expect(containers.length).toBeGreaterThanOrEqual(PARTS.length);
    for (const { Name, Config, HostConfig: host, NetworkSettings } of containers) {
      expect(Config.User, Name).toMatch(/^[1-9]\d*:\d+$/);
      expect(host, Name).toMatchObject({ ReadonlyRootfs: true, CapDrop: ['ALL'], CapAdd: null, Privileged: false });
      expect(host.SecurityOpt, Name).toContain('no-new-privileges:true');
      expect(host.PidsLimit, Name).toBeGreaterThan(0);
      expect(host.Memory, Name).toBeGreaterThan(0);
      for (const bindings of Object.values(host.PortBindings)) {
        for (const { HostIp } of bindings) expect(HostIp, Name).toBe('127.0.0.1');
      }
      // Instances and Redis are reached from inside alone, and reach nothing outside.
      if (/-(app\d+|redis)-\d$/.test(Name)) {
        expect(Object.keys(NetworkSettings.Networks), Name).toEqual([`${project}_backend`]);
      }
    }
    const { stdout: internal } = await run('docker', [
      'network',
      'inspect',
      '-f',
      '{{.Internal}}',
      `${project}_backend`,
    ]);
    expect(internal.trim()).toBe('true');
  });

  test('answers handshakes while an instance is killed, shows it, and repairs it', async () => {
    await connect(60);
    const orphans = on('app2');
    expect(orphans.length).toBeGreaterThan(0);
    const others = clients.filter((each) => !orphans.includes(each));
    const before = containers(await cluster.status());
    const arrivals = stream(20);
    expect(await cluster.make('kill', { INSTANCE: 'app2' })).toMatchObject({ code: 0 });

    await until('all clients of app2 are back', BACK_MS, () =>
      orphans.every(({ instanceId }) => /^app[13]$/.test(instanceId ?? '')),
    );
    expect(others.flatMap(({ moves }) => moves)).toEqual([]);
    expect((await arrivals.end()).refused).toEqual([]);
    const status = await cluster.make('status');
    expect(status.code).not.toBe(0);
    expect(status.stderr).toContain('app2');
    expect(table(status.stdout)['app2']).toBe('exited:137');

    expect(await cluster.make('kill', { INSTANCE: 'redis' })).toMatchObject({ code: 0 });
    const repaired = await cluster.make('up');
    expect(repaired, repaired.stderr).toMatchObject({ code: 0 });
    expect(new Set(Object.values(table(repaired.stdout)))).toEqual(new Set(['ready', 'running']));
    const { app1, app3, nginx, prometheus } = before;
    expect(containers(await cluster.status())).toMatchObject({ app1, app3, nginx, prometheus });
    expect(others.flatMap(({ moves }) => moves)).toEqual([]);
    leave();
  });

  test('does not begin a roll with settings that the app refuses, and says why', async () => {
    const before = containers(await cluster.status());
    const { code, stderr } = await cluster.make('rolling-restart', { LOG_LEVEL: 'shouting' });
    expect(code).not.toBe(0);
    expect(stderr).toContain('The app does not start:');
    expect(stderr).toContain('LOG_LEVEL');
    expect(containers(await cluster.status())).toEqual(before);
  });

  test('stops a roll at an instance that does not come back, with exit code 1; make up repairs that', async () => {
    const before = containers(await cluster.status());
    const rolling = cluster.make('rolling-restart');
    // It is killed as soon as it is there again.
    const again = await until('app1 starts again', 60_000, async () => {
      const { stdout } = await run('docker', ['inspect', '-f', '{{.Id}} {{.State.Running}}', `${project}-app1-1`]);
      const [id = '', running] = stdout.trim().split(' ');
      return running === 'true' && !id.startsWith(before['app1'] ?? '') && id;
    });
    await run('docker', ['kill', again]);
    const { code, stdout, stderr } = await rolling;
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/Error 1$/m); // make's own code is 2
    expect(stderr).toContain('The rolling restart stopped at app1');
    expect(stdout).not.toContain('app2 (2 of 3)');
    expect(table((await cluster.make('status')).stdout)).toMatchObject({ app1: 'exited:137', app2: 'ready' });

    expect(await cluster.make('up')).toMatchObject({ code: 0 });
    const { app2, app3 } = before;
    expect(containers(await cluster.status())).toMatchObject({ app2, app3 });
  });

  test('watches Redis and NGINX, shows the dashboards, and tells a webhook that NGINX is down', async () => {
    for (const promql of ['redis_up == 1', 'nginx_up == 1']) {
      await until(promql, 30_000, async () => (await cluster.query(promql)).length === 1);
    }
    const page = await fetch(`http://127.0.0.1:${cluster.settings['PROMETHEUS_PORT']}/consoles/wsfleet.html`);
    expect(page.status).toBe(200);
    expect(await page.text()).toContain('<title>wsfleet</title>');

    // In a container: what listens on this machine's loopback is not to be reached from there.
    const webhook = run('docker', [
      ...['run', '--rm', '--name', `${project}-webhook`, '--network', `${project}_backend`, `${project}-app`],
      ...['node', '-e', WEBHOOK],
    ]);
    const alerts = { ALERTS: 'true', ALERT_WEBHOOK: `http://${project}-webhook:8000/` };
    const up = await cluster.make('up', alerts);
    expect(up, up.stderr).toMatchObject({ code: 0 });
    await run('docker', ['kill', `${project}-nginx-1`]);
    const { stdout } = await webhook;
    expect(JSON.parse(stdout)).toMatchObject({
      status: 'firing',
      alerts: [{ labels: { alertname: 'WsfleetNginxDown', severity: 'critical' } }],
    });
    expect(await cluster.make('up', alerts)).toMatchObject({ code: 0 });
    expect(table((await cluster.make('status', alerts)).stdout)).toMatchObject({
      nginx: 'running',
      alertmanager: 'running',
    });
  });

  test('serves TLS with a self-signed certificate that it says it made, and redirects to it', async () => {
    const up = await cluster.make('up', { TLS: 'true' });
    expect(up, up.stderr).toMatchObject({ code: 0 });
    expect(up.stdout).toContain('self-signed');
    const redirect = await fetch(`http://127.0.0.1:${cluster.port}/ws`, { redirect: 'manual' });
    expect(redirect.status).toBe(301);
    const location = redirect.headers.get('location') ?? '';
    expect(location).toBe(`https://127.0.0.1:${cluster.settings['TLS_PORT']}/ws`);
    const secure = new FleetClient({ url: location.replace('https', 'wss'), token, rejectUnauthorized: false });
    await secure.connect();
    secure.close();
  });

  test('names the container that has a port', async () => {
    const other = await createTestCluster({
      DRIVER: 'compose',
      COMPOSE_PROJECT_NAME: `${project}-other`,
      PUBLIC_PORT: String(cluster.port),
    });
    const { code, stderr } = await other.make('up');
    await other.close();
    expect(code).not.toBe(0);
    expect(stderr).toContain(`port ${cluster.port} is taken by the container ${project}-nginx-1`);
  });

  test('leaves no container and no network behind, and after make clean no data', async () => {
    const left = async (kind: string) =>
      (await run('docker', [kind, 'ls', '-q', '--filter', `label=com.docker.compose.project=${project}`])).stdout;
    expect(await cluster.make('down')).toMatchObject({ code: 0 });
    expect((await run('docker', ['ps', '-aq', '--filter', `name=${project}-`])).stdout).toBe('');
    expect(await left('network')).toBe('');
    expect(await left('volume')).not.toBe('');
    const status = await cluster.make('status');
    expect(status.code).not.toBe(0);
    expect(status.stderr).toContain('make up');

    expect(await cluster.make('clean')).toMatchObject({ code: 0 });
    expect(await left('volume')).toBe('');
    expect((await run('docker', ['images', '-q', `${project}-app`])).stdout).toBe('');
  });

  /** New clients at a rate per second, each of which leaves when it is greeted. */
  function stream(rate: number): { end(): Promise<{ count: number; refused: (string | number)[] }> } {
    const refused: (string | number)[] = [];
    const greeted: Promise<void>[] = [];
    const ending = new AbortController();
    const running = (async () => {
      try {
        for await (const _ of every(1000 / rate, undefined, { signal: ending.signal })) {
          greeted.push(handshake(greeted.length).catch((reason: Error) => void refused.push(reason.message)));
        }
      } catch (error) {
        if (!ending.signal.aborted) throw error;
      }
    })();
    return {
      async end() {
        ending.abort();
        await running;
        await Promise.all(greeted);
        return { count: greeted.length, refused };
      },
    };
  }

  function handshake(network: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(`ws://127.0.0.1:${cluster.port}/ws`, {
        headers: { Authorization: `Bearer ${token}`, 'X-Forwarded-For': `20.1.${network % 256}.1` },
        handshakeTimeout: 10_000,
      });
      // An instance that is killed later takes along whom it had let in: that is no refusal.
      socket.on('open', () => resolve());
      socket.on('error', reject);
      socket.on('message', () => socket.close());
    });
  }
});

/** The table's lines, `● app1  ready ...`, as name and state. */
function table(output: string): Record<string, string> {
  return Object.fromEntries(
    [...output.matchAll(/^● (\S+) +(\S+)/gm)].map(([, name = '', state = '']) => [name, state]),
  );
}

const containers = (status: Status): Record<string, string> =>
  Object.fromEntries([...status.instances, ...status.parts].map(({ name, container }) => [name, container ?? '']));
