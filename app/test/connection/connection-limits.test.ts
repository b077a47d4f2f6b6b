/** How many connections an address, a user and an instance may have, each at its edge, and what a user may send. */
import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config.ts';
import { toNetwork } from '../../src/connection/connection-limits.ts';
import { startApp } from '../harness/app.ts';
import { connect, refusal } from '../harness/client.ts';
import { frame, openRawWebSocket } from '../harness/raw.ts';
import { SECRET, tokenFor } from '../harness/tokens.ts';

const codeOf = ({ body }: { body: string }) => (JSON.parse(body) as { error: { code: string } }).error.code;

test.each([
  ['192.0.2.7', '192.0.2.7'],
  ['::ffff:192.0.2.7', '192.0.2.7'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:db8:1:2::9', '2001:db8:1:2::/64'],
  ['2001:db8::1', '2001:db8:0:0::/64'],
  ['nonsense', 'nonsense'],
])('%s counts as %s', (address, network) => expect(toNetwork(address)).toBe(network));

describe('an address', () => {
  test('has as many connections as it may; one that closes makes room', async () => {
    await using app = await startApp({ MAX_CONNECTIONS_PER_ADDRESS: '3' });
    const clients = await Promise.all(['a', 'b', 'c'].map((as) => connect(app, { as })));
    const refused = await refusal(app, { as: 'd' });
    expect({ status: refused.status, code: codeOf(refused), retryAfter: refused.headers['retry-after'] }).toEqual({
      ...{ status: 429, code: 'ADDRESS_LIMIT', retryAfter: '5' },
    });
    // Another address is not concerned.
    await using elsewhere = await connect(app, { as: 'd', localAddress: '127.0.7.7' });
    expect(elsewhere.userId).toBe('u-d');
    await clients[0]?.close();
    await app.log('disconnected');
    await using back = await connect(app, { as: 'd' });
    expect(back.userId).toBe('u-d');
    expect(await app.metric('ws_handshakes_refused_total{reason="ADDRESS_LIMIT"}')).toBe(1);
    for (const client of clients) await client[Symbol.asyncDispose]();
  });

  test('is the one that a trusted proxy names, an IPv6 one with its /64', async () => {
    await using app = await startApp({ MAX_CONNECTIONS_PER_ADDRESS: '1' });
    const from = (address: string) => ({
      headers: { 'X-Forwarded-For': address, Authorization: `Bearer ${tokenFor('a')}` },
    });
    await using _first = await connect(app, from('2001:db8:1:2::1'));
    expect((await refusal(app, from('2001:db8:1:2:ffff::2'))).status).toBe(429);
    await using other = await connect(app, from('2001:db8:1:3::1'));
    expect(other.userId).toBe('u-a');
  });

  test('cannot take more by asking all at once', async () => {
    await using app = await startApp({ MAX_CONNECTIONS_PER_ADDRESS: '5' });
    const outcomes = await Promise.all(
      Array.from({ length: 40 }, (_, i) =>
        connect(app, { as: `user${i}` }).catch((error: { status: number }) => error.status),
      ),
    );
    const open = outcomes.filter((outcome) => typeof outcome !== 'number');
    expect(open).toHaveLength(5);
    expect(outcomes.filter((outcome) => outcome === 429)).toHaveLength(35);
    for (const client of open) await (client as AsyncDisposable)[Symbol.asyncDispose]();
  });
});

describe('a user', () => {
  test('has as many connections as they may: the newest is refused', async () => {
    await using app = await startApp({ MAX_CONNECTIONS_PER_USER: '2' });
    await using _one = await connect(app, { as: 'ann' });
    await using _two = await connect(app, { as: 'ann', localAddress: '127.0.7.7' });
    const refused = await refusal(app, { as: 'ann', localAddress: '127.0.8.8' });
    expect({ status: refused.status, code: codeOf(refused) }).toEqual({ status: 429, code: 'USER_LIMIT' });
    await using bob = await connect(app, { as: 'bob' });
    expect(bob.userId).toBe('u-bob');
  });

  test('or the oldest is closed, and does not come back', async () => {
    await using app = await startApp({ MAX_CONNECTIONS_PER_USER: '2', USER_LIMIT_REFUSES: 'oldest' });
    await using one = await connect(app, { as: 'ann' });
    await using two = await connect(app, { as: 'ann' });
    await using three = await connect(app, { as: 'ann' });
    expect(await one.closed).toEqual({ code: 4504, reason: 'connection limit' });
    for (const each of [two, three]) expect((await each.request('ping')).type).toBe('pong');
  });

  test('sends no more through many connections than the factor allows', async () => {
    await using app = await startApp({
      ...{ RATE_LIMIT_PER_MINUTE: '1', RATE_LIMIT_BURST: '4', RATE_LIMIT_USER_FACTOR: '2' },
    });
    const clients = await Promise.all(Array.from({ length: 5 }, () => connect(app, { as: 'ann' })));
    const answers = await Promise.all(
      clients.flatMap((client) => Array.from({ length: 4 }, () => client.request('ping'))),
    );
    expect(answers.filter(({ type }) => type === 'pong')).toHaveLength(8);
    expect(answers.filter(({ type }) => type === 'error')).toHaveLength(12);
    await using bob = await connect(app, { as: 'bob' });
    expect((await bob.request('ping')).type).toBe('pong');
    for (const client of clients) await client[Symbol.asyncDispose]();
  });
});

test('a user is the first to write to so many rooms and users, and may go on in those', async () => {
  await using app = await startApp({ NEW_ROOMS_PER_MINUTE: '3' });
  await using ann = await connect(app, { as: 'ann' });
  await using again = await connect(app, { as: 'ann' });
  const write = async (client: typeof ann, room: string) => {
    await client.request('join_room', { room });
    return await client.request('chat', { room, content: 'x' });
  };
  expect((await write(ann, 'one')).type).toBe('ack');
  expect((await write(again, 'two')).type).toBe('ack');
  expect((await ann.request('direct', { to: { userId: 'u-bob' }, content: 'x' })).type).toBe('ack');
  const refused = { type: 'error', payload: { code: 'RATE_LIMITED', retryAfter: expect.any(Number) } };
  expect(await write(ann, 'three')).toMatchObject(refused);
  expect(await again.request('direct', { to: { userId: 'u-eve' }, content: 'x' })).toMatchObject(refused);
  // What has messages is not concerned, and nobody else.
  for (const room of ['one', 'two']) expect((await write(ann, room)).type).toBe('ack');
  await using bob = await connect(app, { as: 'bob' });
  expect((await write(bob, 'three')).type).toBe('ack');
  await ann.next('message', ({ room }) => room === 'two');
  expect((await write(ann, 'three')).type).toBe('ack');
});

test('a connection that floods with pings or pongs is closed', async () => {
  await using app = await startApp();
  for (const opcode of [9, 10]) {
    using raw = await openRawWebSocket(app.port, tokenFor('flooder'));
    raw.write(Buffer.concat(Array.from({ length: 100 }, () => frame({ opcode, payload: 'x' }))));
    // Or cut by ws, when the pongs cannot be written as fast as the pings come.
    expect(opcode === 9 ? [4029, 1006] : [4029]).toContain(await raw.closeCode());
  }
  await using ann = await connect(app, { as: 'ann' });
  for (let i = 0; i < 40; i += 1) ann.socket.ping();
  expect((await ann.request('ping')).type).toBe('pong');
});

test('an instance whose event loop stays late refuses new connections with 503, and keeps those that it has', {
  timeout: 60_000,
}, async () => {
  await using app = await startApp({ MAX_EVENT_LOOP_LAG: '20ms' });
  await using ann = await connect(app, { as: 'ann' });
  // Stops and goes: most of the time it is late.
  let on = true;
  const stutter = (async () => {
    while (on) {
      app.signal('SIGSTOP');
      await new Promise((resolve) => setTimeout(resolve, 250));
      app.signal('SIGCONT');
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  })();
  try {
    await expect
      .poll(() => refusal(app, { as: 'bob' }).then(codeOf, () => 'accepted'), { timeout: 15_000 })
      .toBe('OVERLOADED');
  } finally {
    on = false;
    await stutter;
  }
  expect((await app.internal('/health/ready')).status).toBe(200);
  expect((await ann.request('ping')).type).toBe('pong');
  await expect
    .poll(
      () =>
        connect(app, { as: 'bob' }).then(
          (client) => client.userId,
          () => '',
        ),
      { timeout: 15_000 },
    )
    .toBe('u-bob');
});

test('a flood of refused handshakes is counted, and logged a few times a second', async () => {
  await using app = await startApp();
  const flood = await Promise.all(
    Array.from({ length: 400 }, () => refusal(app, { token: 'x' }).then(({ status }) => status)),
  );
  expect(new Set(flood)).toEqual(new Set([401]));
  expect(await app.metric('ws_handshakes_refused_total{reason="TOKEN_MALFORMED"}')).toBe(400);
  const lines = app.lines.filter(({ event }) => event === 'handshake_refused');
  expect(lines.length).toBeGreaterThan(0);
  expect(lines.length).toBeLessThan(200);
  await using _friend = await connect(app, { as: 'ann' });
});

test('a foreign origin is logged', async () => {
  await using app = await startApp();
  expect((await refusal(app, { as: 'ann', headers: { origin: 'https://evil.example' } })).status).toBe(403);
  expect(await app.log('handshake_refused')).toMatchObject({
    code: 'ORIGIN_FORBIDDEN',
    origin: 'https://evil.example',
  });
});

test('a token in the URL can be forbidden', async () => {
  await using app = await startApp({ ALLOW_QUERY_TOKEN: 'false' });
  const refused = await refusal(app, { token: null, path: `/ws?token=${tokenFor('ann')}` });
  expect({ status: refused.status, code: codeOf(refused) }).toEqual({ status: 401, code: 'TOKEN_MISSING' });
  await using ann = await connect(app, { as: 'ann' });
  expect(ann.userId).toBe('u-ann');
});

test('a setting may be in a file, as Docker and Kubernetes have secrets', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'wsfleet-secrets-'));
  try {
    const file = join(folder, 'secret');
    writeFileSync(file, `${SECRET}\n`);
    await using app = await startApp({ JWT_SECRET: '', JWT_SECRET_FILE: file });
    await using ann = await connect(app, { as: 'ann' });
    expect(ann.userId).toBe('u-ann');
    expect(() => loadConfig({ JWT_SECRET_FILE: join(folder, 'none') })).toThrow(
      /JWT_SECRET_FILE: .* cannot be read \(ENOENT\)/,
    );
  } finally {
    await rm(folder, { recursive: true });
  }
});
