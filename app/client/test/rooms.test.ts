import { describe, expect } from 'vitest';
import { next, reach, test } from './fixture.ts';

describe('rooms', () => {
  test('are joined again on every connection, the reserved ones too', async ({ start, server, clock }) => {
    const client = start({ rooms: ['@all', '@me'] });
    const lobby = client.join('lobby');
    const first = await server.accept();
    first.greet();
    await first.acceptJoins(['@all', '@me', 'lobby']);
    expect(await lobby).toEqual({
      room: 'lobby',
      memberCount: 1,
      recovery: 'none',
      position: { epoch: 'e', offset: 0 },
      replayed: 0,
    });
    first.terminate();
    await reach(client, 'waiting');
    clock.advance(1_000);
    const second = await server.accept();
    second.greet();
    await second.acceptJoins(['@all', '@me', 'lobby']);
    expect(client.rooms).toEqual(['@all', '@me', 'lobby']);
  });

  test('are `@all` and `@me` unless told otherwise', async ({ open }) => {
    const { peer } = await open({ rooms: undefined } as object);
    await peer.acceptJoins(['@all', '@me']);
  });

  test('that were left are not joined again', async ({ open, server, clock }) => {
    const { client, peer } = await open({ rooms: ['@me', 'lobby'] });
    await peer.acceptJoins(['@me', 'lobby']);
    const left = client.leave('lobby');
    const { id, payload } = await peer.next('leave_room');
    expect(payload).toEqual({ room: 'lobby' });
    peer.send('left_room', { room: 'lobby' }, id);
    await left;
    peer.terminate();
    await reach(client, 'waiting');
    clock.advance(1_000);
    const again = await server.accept();
    again.greet();
    expect((await again.next('join_room')).payload).toMatchObject({ room: '@me' });
    expect(client.rooms).toEqual(['@me']);
  });

  test('that the server refuses for good are not wanted any more', async ({ open }) => {
    const { client, peer } = await open();
    const error = next(client, 'error');
    const joined = client.join('secret');
    peer.send('error', { code: 'ROOM_FORBIDDEN', message: 'no' }, (await peer.next('join_room')).id);
    await expect(joined).rejects.toMatchObject({ code: 'ROOM_FORBIDDEN' });
    expect(await error).toMatchObject([{ code: 'ROOM_FORBIDDEN' }, 'secret']);
    expect(client.rooms).toEqual([]);
  });

  test('are asked for again when the server says after what time', async ({ open, clock }) => {
    const { client, peer } = await open();
    const joined = client.join('lobby');
    peer.send('error', { code: 'RATE_LIMITED', message: 'slowly', retryAfter: 900 }, (await peer.next('join_room')).id);
    await expect.poll(() => clock.delays).toContain(900);
    clock.advance(900);
    await peer.acceptJoins(['lobby']);
    expect(await joined).toMatchObject({ room: 'lobby' });
  });

  test('are asked for once, however long the replay takes, and again when the connection is silent', async ({
    open,
    clock,
  }) => {
    const { client, peer } = await open({ rooms: ['lobby'] });
    await peer.next('join_room');
    for (let offset = 1; offset <= 3; offset += 1) {
      clock.advance(6_000);
      const message = next(client, 'message');
      peer.send('message', { room: '@all', from: {}, content: 'slowly', position: { epoch: 'e', offset } });
      await message;
    }
    clock.advance(9_999);
    client.ping().catch(() => {});
    expect(await peer.next()).toMatchObject({ type: 'ping' });
    clock.advance(1);
    await expect.poll(() => clock.delays).toContain(0);
    clock.advance(0);
    expect(await peer.next()).toMatchObject({ type: 'join_room' });
  });

  test('are joined on the next connection when this one ends first', async ({ open, server, clock }) => {
    const { client, peer } = await open();
    const joined = client.join('lobby');
    await peer.next('join_room');
    peer.terminate();
    await reach(client, 'waiting');
    clock.advance(1_000);
    const again = await server.accept();
    again.greet();
    await again.acceptJoins(['lobby']);
    expect(await joined).toMatchObject({ room: 'lobby' });
  });

  test('keep no one waiting when they are left or the client is closed', async ({ open }) => {
    const { client } = await open();
    const left = client.join('lobby');
    void client.leave('lobby').catch(() => {});
    await expect(left).rejects.toMatchObject({ code: 'LEFT' });
    const closed = client.join('lobby');
    await client.close();
    await expect(closed).rejects.toMatchObject({ code: 'CLOSED' });
  });

  test('are joined a few at a time', async ({ open }) => {
    const { peer } = await open({ rooms: Array.from({ length: 30 }, (_, index) => `room-${index}`) });
    const first = await peer.next('join_room');
    await expect.poll(() => peer.unread.length).toBe(7);
    peer.send(
      'joined_room',
      { room: 'room-0', memberCount: 1, recovery: 'none', position: { epoch: 'e', offset: 0 }, replayed: 0 },
      first.id,
    );
    await expect.poll(() => peer.unread.length).toBe(8);
  });
});
