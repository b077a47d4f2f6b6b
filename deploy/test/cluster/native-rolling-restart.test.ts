/** make rolling-restart, rebalance and loadtest on a native cluster. */
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createApiCaller, createApiReader, useEveryOperation } from '../harness/api.ts';
import { createFleet, type Fleet, pids, succeed, table } from '../harness/fleet.ts';
import { expectLoadTestToPass } from '../harness/load-test.ts';
import { startPythonClient } from '../harness/python-client.ts';
import { createTestCluster, type Status, type TestCluster, until } from '../harness/test-cluster.ts';

/** How soon a client has to be back. */
const BACK_MS = 5_000;

let cluster: TestCluster;
let fleet: Fleet;

beforeAll(async () => {
  cluster = await createTestCluster({ DRIVER: 'native', API_PUBLIC: 'true' });
  fleet = createFleet(cluster);
  await succeed(cluster, 'up');
});

afterAll(async () => {
  fleet?.leave();
  await cluster?.close();
});

test('rolls under 300 clients: none refused, none late, every instance exits 0', async () => {
  await fleet.connect(300, 100);
  const before = await cluster.status();
  expect(before.instances.every(({ connections }) => (connections ?? 0) > 0)).toBe(true);

  const others = await Promise.all(['pia', 'pit'].map((name) => startPythonClient(cluster, name, 'python')));
  const rolling = succeed(cluster, 'rolling-restart');
  let rolled = false;
  void rolling.finally(() => {
    rolled = true;
  });
  await Promise.all(others.map((client) => client.publish(() => rolled)));
  const roll = await rolling;
  for (const name of ['app1', 'app2', 'app3'])
    expect(roll.stdout).toMatch(new RegExp(`^ +${name}( +\\d+){3} +0( +[\\d.]+){2} +0$`, 'm'));
  expect(fleet.clients.flatMap((client) => client.refusals)).toEqual([]);
  expect(fleet.clients.flatMap((client) => client.failures)).toEqual([]);
  expect(fleet.clients.filter((client) => client.lateness > BACK_MS)).toEqual([]);
  expect(fleet.clients.filter((client) => client.instanceId === undefined)).toEqual([]);
  expect(fleet.clients.flatMap((client) => client.moves).every(({ reason }) => reason === 'slot')).toBe(true);
  const after = await cluster.status();
  for (const { name } of after.instances) expect(pids(after)[name]).not.toBe(pids(before)[name]);

  expect(roll.stdout).toMatch(
    /The probe: \d+ messages, \d{3,} deliveries; lost 0, duplicated 0, out of order 0; refused handshakes 0$/m,
  );
  expect(roll.stdout).toMatch(/Delivery gap, the longest of each member: p50 [\d.]+ ms, p99 [\d.]+ ms/);
  // The probe has left; 1.5 times the average is what a roll may leave behind.
  expect(fullness(after)).toBeLessThanOrEqual(1.5);
  fleet.leave();

  // A client of another make lost nothing either: each has what both were acknowledged, once and in one order.
  const acknowledged = others.flatMap((client) => client.acknowledged);
  for (const client of others) {
    for (const content of acknowledged) await client.until(content);
    expect(client.received).toHaveLength(acknowledged.length);
    expect(client.received).toEqual(others[0]?.received);
    for (const { acknowledged: own } of others) {
      expect(client.received.filter((content) => own.includes(content))).toEqual(own);
    }
  }
  for (const client of others) await client.close();
});

test('replaces the secret: nobody is logged out, and nothing is lost that other back-ends publish meanwhile', async () => {
  const secretOf = () => /^JWT_SECRET=(\w+)$/m.exec(readFileSync(cluster.envFile, 'utf8'))?.[1];
  const old = secretOf();
  await fleet.connect(60);
  const callers = Array.from({ length: 4 }, (_, n) => createApiCaller(cluster, `caller${n}`));
  const reader = createApiReader(cluster, 'api-roll');
  const rotating = succeed(cluster, 'rotate-secret');
  let rotated = false;
  void rotating.finally(() => {
    rotated = true;
  });
  const [used] = await Promise.all([
    useEveryOperation(cluster, () => rotated),
    ...callers.map((caller) => caller.publish('api-roll', () => rotated)),
  ]);
  const { stdout } = await rotating;
  expect(stdout).toContain('JWT_SECRET is new');
  expect(used).toBeGreaterThan(20);

  expect(secretOf()).toMatch(/^[0-9a-f]{64}$/);
  expect(secretOf()).not.toBe(old);
  expect(stdout).not.toContain(secretOf());
  expect(readFileSync(cluster.envFile, 'utf8')).toMatch(new RegExp(`^JWT_SECRETS=${old}$`, 'm'));
  // They still have the tokens that the old secret signed.
  expect(fleet.clients.flatMap((client) => [...client.refusals, ...client.failures])).toEqual([]);
  expect(fleet.clients.filter((client) => client.instanceId === undefined)).toEqual([]);
  fleet.leave();

  const sent = callers.reduce((sum, caller) => sum + caller.sent, 0);
  expect(sent).toBeGreaterThan(1000);
  const seen = await reader.read();
  for (const { name, sent: count } of callers) {
    const own = seen.filter((content) => content.startsWith(`${name} `));
    expect(own).toEqual(Array.from({ length: count }, (_, n) => `${name} ${n}`));
  }
  expect(seen).toHaveLength(sent);
});

/** How many times the average the fullest instance holds. */
function fullness({ instances }: Status): number {
  const counts = instances.map(({ connections }) => connections ?? 0);
  return (Math.max(...counts) * counts.length) / counts.reduce((sum, count) => sum + count, 0);
}

test('passes a load test in which every instance is replaced, with clients on all of them', () =>
  expectLoadTestToPass(cluster));

test('rebalances what a repaired instance lacks, and drops nobody', async () => {
  await fleet.connect(90);
  await succeed(cluster, 'kill', { INSTANCE: 'app1' });
  await until('the fleet.clients of app1 are back', BACK_MS, () =>
    fleet.clients.every(({ instanceId }) => instanceId !== undefined),
  );
  await succeed(cluster, 'up');
  for (const client of fleet.clients) client.moves.length = 0;
  expect(fleet.on('app1')).toEqual([]);

  const { stdout } = await succeed(cluster, 'rebalance');
  expect(stdout).toMatch(
    /^Balance: app1=\d+ app2=\d+ app3=\d+ connections; the fullest holds [\d.]+ times the average/m,
  );
  expect(fullness(await cluster.status())).toBeLessThanOrEqual(1.5);
  expect(fleet.clients.flatMap(({ moves }) => moves).every(({ reason }) => reason === 'slot')).toBe(true);
  fleet.leave();
});

test('ends a roll that lost a message with exit code 1', async () => {
  // The probe, and nothing else, takes one message for another sender's. Its position counts as seen, so no resume brings
  // it again; and the first message of all is no second copy, which the client would drop.
  const deaf = `
    if (process.argv[1].endsWith('probe.ts')) {
      const { parse } = JSON;
      let messages = 0;
      JSON.parse = (text) => {
        const value = parse(text);
        if (value?.type === 'message' && ++messages === 1) value.payload.from.userId = 'nobody';
        return value;
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
  await succeed(cluster, 'up');
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
