import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { describe, expect } from 'vitest';
import { WebSocket } from 'ws';
import type { SocketConstructor } from '../src/socket.ts';
import { next, reach, test } from './fixture.ts';

describe('connecting', () => {
  test('offers the protocol and the token as subprotocols, and keeps the token out of the URL', async ({
    open,
    server,
  }) => {
    const { peer } = await open({ url: server.url.replace('ws:', 'http:'), token: 'aaa.bbb.ccc' });
    expect(peer.protocols).toEqual(['wsfleet.v1', 'bearer.aaa.bbb.ccc']);
    expect(peer.request.url).toBe('/ws');
  });

  test('goes from idle over connecting to open, and says where it is', async ({ server, start }) => {
    const states: string[] = [];
    const client = start({ token: () => Promise.resolve('t1') });
    client.on('state', ({ name }) => states.push(name));
    expect(client.state).toEqual({ name: 'connecting', failures: 0 });
    const peer = await server.accept();
    expect(peer.token).toBe('t1');
    const authenticated = next(client, 'authenticated');
    peer.greet('app2');
    expect(await reach(client, 'open')).toEqual({
      name: 'open',
      clientId: 'client-1',
      instanceId: 'app2',
      reconnects: 0,
    });
    await authenticated;
    expect(client.user).toMatchObject({ userId: 'u1', username: 'alice' });
    expect(states).toEqual(['open']);
  });

  test('speaks through the constructor that it is given', async ({ open }) => {
    const { client, peer } = await open({ WebSocket: WebSocket as SocketConstructor });
    const answer = client.listRooms();
    peer.send('rooms', { rooms: ['lobby'] }, (await peer.next('list_rooms')).id);
    expect(await answer).toEqual(['lobby']);
  });

  test('asks the token provider for every attempt', async ({ server, start, clock }) => {
    let asked = 0;
    const client = start({ token: async () => `t${++asked}` });
    const first = await server.accept();
    first.terminate();
    await reach(client, 'waiting');
    clock.advance(1_000);
    const second = await server.accept();
    expect([first.token, second.token]).toEqual(['t1', 't2']);
  });

  test('tries again when the provider fails, and says so', async ({ server, start, clock }) => {
    let asked = 0;
    const client = start({
      token: () => {
        asked += 1;
        if (asked === 1) throw new Error('no network');
        return 'late';
      },
    });
    const [error] = await next(client, 'error');
    expect(error).toMatchObject({ code: 'NO_TOKEN', cause: new Error('no network') });
    await reach(client, 'waiting');
    clock.advance(1_000);
    expect((await server.accept()).token).toBe('late');
  });

  test('closes when the provider has no token', async ({ start }) => {
    const client = start({ token: () => undefined });
    expect(await reach(client, 'closed')).toMatchObject({ reason: 'no token' });
  });

  test('closes when no handshake can carry the token', async ({ start }) => {
    const client = start({ token: 'two words' });
    await reach(client, 'closed');
  });

  test('gives up an attempt that takes too long', async ({ start, clock }) => {
    const silent = createServer();
    silent.listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const client = start({ url: `ws://127.0.0.1:${(silent.address() as AddressInfo).port}/ws`, connectTimeout: 3_000 });
    const [socket] = await once(silent, 'connection');
    clock.advance(2_999);
    expect(client.state.name).toBe('connecting');
    clock.advance(1);
    expect(client.state).toMatchObject({ name: 'waiting', code: 1006, reason: 'no connection in time' });
    socket.destroy();
    silent.close();
  });

  test('does not take a handshake without `connected` for a connection', async ({ server, start }) => {
    const client = start();
    await server.accept();
    await expect(client.request('chat', { content: 'early' })).rejects.toMatchObject({
      code: 'NOT_CONNECTED',
      uncertain: false,
    });
    expect(client.state.name).toBe('connecting');
  });
});

describe('close', () => {
  test('says 1000, fails what is under way and does not come back', async ({ open, server, clock }) => {
    const { client, peer } = await open();
    const pending = client.chat('hello');
    await peer.next('chat');
    const failed = expect(pending).rejects.toMatchObject({ code: 'CLOSED', uncertain: true });
    await client.close();
    await failed;
    expect(await peer.closed).toBe(1000);
    expect(client.state).toEqual({ name: 'closed', code: 1000, reason: 'done' });
    expect(clock.delays).toEqual([]);
    expect(server.count).toBe(1);
  });

  test('stops a client that waits for its next attempt', async ({ open, clock }) => {
    const { client, peer } = await open();
    peer.terminate();
    await reach(client, 'waiting');
    await client.close();
    expect(client.state.name).toBe('closed');
    expect(clock.delays).toEqual([]);
  });

  test('stops a client whose provider has not answered yet', async ({ start, server, clock }) => {
    const { promise, resolve } = Promise.withResolvers<string>();
    const client = start({ token: () => promise });
    await client.close();
    resolve('late');
    await promise;
    expect(client.state.name).toBe('closed');
    expect(server.count).toBe(0);
    expect(clock.delays).toEqual([]);
  });

  test('can be followed by connect', async ({ open, server }) => {
    const { client } = await open({ rooms: ['lobby'] });
    await client.close();
    client.connect();
    const again = await server.accept();
    again.greet('app2');
    expect(await reach(client, 'open')).toMatchObject({ instanceId: 'app2', reconnects: 0 });
    await again.acceptJoins(['lobby']);
  });
});
