import { describe, expect } from 'vitest';
import { closeCodes } from '../../src/close-codes.ts';
import { next, reach, test } from './fixture.ts';

describe('reconnecting', () => {
  test('waits longer from attempt to attempt until a connection has lasted', async ({ open, server, clock }) => {
    let { client, peer } = await open({ backoff: { base: 1_000, cap: 3_000 }, stableAfter: 5_000 });
    const waits: number[] = [];
    const come = async () => {
      const { retryAt } = await reach(client, 'waiting');
      waits.push(retryAt - clock.now());
      clock.advance(retryAt - clock.now());
      peer = await server.accept();
    };
    peer.terminate();
    await come();
    // A handshake that fails, and connections that do not last, count on.
    peer.terminate();
    await come();
    for (let turn = 0; turn < 2; turn += 1) {
      peer.greet();
      await reach(client, 'open');
      peer.terminate();
      await come();
    }
    peer.greet();
    await reach(client, 'open');
    clock.advance(5_000);
    peer.terminate();
    await come();
    // random is 0.5: half the ceiling each.
    expect(waits).toEqual([500, 1_000, 1_500, 1_500, 500]);
  });

  test('says why it waits and when it tries again', async ({ open, clock }) => {
    const { client, peer } = await open();
    peer.close(1013, 'overloaded, come back later');
    expect(await reach(client, 'waiting')).toEqual({
      name: 'waiting',
      failures: 1,
      retryAt: clock.now() + 500,
      code: 1013,
      reason: 'overloaded, come back later',
    });
  });

  test('tries at once when told to', async ({ open, server }) => {
    const { client, peer } = await open();
    client.retry();
    expect(server.count).toBe(1);
    peer.terminate();
    await reach(client, 'waiting');
    client.retry();
    (await server.accept()).greet('app2');
    expect(await reach(client, 'open')).toMatchObject({ instanceId: 'app2', reconnects: 1 });
  });

  for (const [name, { code, comeback }] of Object.entries(closeCodes)) {
    const expected = comeback === 'never' ? 'closed' : comeback === 'new-token' ? 'closed' : 'waiting';
    test(`is ${expected} after ${code} (${name}) with a fixed token`, async ({ open }) => {
      const { client, peer } = await open();
      peer.close(code, 'because');
      expect(await reach(client, expected)).toMatchObject({ code, reason: 'because' });
    });
  }

  test('comes back at once with a new token after 4001', async ({ open, server, clock }) => {
    let asked = 0;
    const { client, peer } = await open({ token: () => `t${++asked}` });
    clock.advance(5_000);
    peer.close(4001);
    const { retryAt } = await reach(client, 'waiting');
    expect(retryAt).toBe(clock.now());
    clock.advance(0);
    expect((await server.accept()).token).toBe('t2');
  });

  test('comes back after 4001 with a fixed token that was replaced', async ({ open, server, clock }) => {
    const { client, peer } = await open();
    const renewed = client.refreshToken('t9');
    const { id, payload } = await peer.next('refresh_token');
    expect(payload).toEqual({ token: 't9' });
    peer.send('authenticated', { userId: 'u1', username: 'alice', expiresAt: 2 }, id);
    expect(await renewed).toMatchObject({ expiresAt: 2 });
    peer.close(4001);
    await reach(client, 'waiting');
    clock.advance(1_000);
    expect((await server.accept()).token).toBe('t9');
  });

  test('renews its token when the server says that it ends', async ({ open }) => {
    let asked = 0;
    const { client, peer } = await open({ token: () => `t${++asked}` });
    peer.send('token_expiring', { expiresAt: 1 });
    const { id, payload } = await peer.next('refresh_token');
    expect(payload).toEqual({ token: 't2' });
    const authenticated = next(client, 'authenticated');
    peer.send('authenticated', { userId: 'u1', username: 'alice', expiresAt: 99 }, id);
    await authenticated;
    expect(client.user?.expiresAt).toBe(99);
  });
});

describe('heartbeat', () => {
  const heartbeat = { interval: 30_000, timeout: 10_000 };

  test('asks only when the server has been silent', async ({ open, clock }) => {
    const { client, peer } = await open({ heartbeat });
    clock.advance(20_000);
    const heard = next(client, 'rooms');
    peer.send('rooms', { rooms: [] });
    await heard;
    clock.advance(29_999);
    client.typing('lobby', true);
    expect((await peer.next()).type).toBe('typing');
    clock.advance(1);
    expect((await peer.next()).type).toBe('ping');
  });

  test('stays while the server answers', async ({ open, clock, server }) => {
    const { client, peer } = await open({ heartbeat });
    clock.advance(10_000);
    for (let turn = 0; turn < 3; turn += 1) {
      clock.advance(20_000);
      await peer.next('ping');
      const pong = next(client, 'pong');
      peer.send('pong', {});
      await pong;
      clock.advance(10_000);
    }
    expect(client.state.name).toBe('open');
    expect(server.count).toBe(1);
  });

  test('leaves a server that does not answer in time', async ({ open, clock }) => {
    const { client, peer } = await open({ heartbeat });
    clock.advance(30_000);
    await peer.next('ping');
    clock.advance(9_999);
    expect(client.state.name).toBe('open');
    clock.advance(1);
    expect(client.state).toMatchObject({ name: 'waiting', code: 4000 });
  });

  test('takes its times from the server', async ({ open, clock }) => {
    const { client, peer } = await open();
    clock.advance(30_000);
    await peer.next('ping');
    clock.advance(10_000);
    expect(client.state.name).toBe('waiting');
  });
});
