import { describe, expect, expectTypeOf } from 'vitest';
import type { ServerMessages } from '../src/protocol.ts';
import { next, test } from './fixture.ts';

describe('requests', () => {
  test('find their answers by id, in whatever order these come', async ({ open }) => {
    const { client, peer } = await open();
    const first = client.request('chat', { content: 'one', room: 'lobby' });
    const second = client.request('chat', { content: 'two', room: 'lobby' });
    const [a, b] = [await peer.next('chat'), await peer.next('chat')];
    expect(a.payload).toEqual({ content: 'one', room: 'lobby' });
    expect(a.id).not.toBe(b.id);
    peer.send('ack', { position: null, duplicate: true }, b.id);
    peer.send('ack', { position: { epoch: 'e', offset: 7 }, duplicate: false }, a.id);
    expect(await first).toEqual({ position: { epoch: 'e', offset: 7 }, duplicate: false });
    expect(await second).toEqual({ position: null, duplicate: true });
    expectTypeOf(first).resolves.toEqualTypeOf<ServerMessages['ack']>();
  });

  test('never use an id twice, nor one of another client', async ({ open }) => {
    const { client, peer } = await open();
    const other = await open();
    void client.chat('one').catch(() => {});
    void other.client.chat('one').catch(() => {});
    expect((await peer.next('chat')).id).not.toBe((await other.peer.next('chat')).id);
  });

  test('fail with what the server says', async ({ open }) => {
    const { client, peer } = await open();
    const refused = client.request('direct', { to: { userId: 'bob' }, content: 'psst' });
    const { id, payload } = await peer.next('direct');
    expect(payload).toEqual({ to: { userId: 'bob' }, content: 'psst' });
    peer.send('error', { code: 'RATE_LIMITED', message: 'too many', retryAfter: 900, field: 'content' }, id);
    await expect(refused).rejects.toMatchObject({
      name: 'RequestError',
      code: 'RATE_LIMITED',
      message: 'too many',
      retryAfter: 900,
      field: 'content',
      uncertain: false,
    });
  });

  test('fail with TIMEOUT when there is no answer in time', async ({ open, clock }) => {
    const { client, peer } = await open({ requestTimeout: 2_000 });
    const failed = expect(client.listMembers('lobby')).rejects.toMatchObject({ code: 'TIMEOUT', uncertain: true });
    const { id } = await peer.next('list_members');
    clock.advance(2_000);
    await failed;
    // Late: nobody waits for it any more, and nothing breaks.
    const late = next(client, 'members');
    peer.send('members', { room: 'lobby', members: [], memberCount: 0 }, id);
    await late;
  });

  test('fail with CONNECTION_LOST when the connection ends under them', async ({ open }) => {
    const { client, peer } = await open();
    const failed = expect(client.request('chat', { content: 'hello' })).rejects.toMatchObject({
      code: 'CONNECTION_LOST',
      uncertain: true,
    });
    await peer.next('chat');
    peer.terminate();
    await failed;
  });

  test('measure the round trip', async ({ open, clock }) => {
    const { client, peer } = await open();
    const trip = client.ping();
    const { id } = await peer.next('ping');
    clock.advance(12);
    peer.send('pong', {}, id);
    expect(await trip).toBe(12);
  });
});

describe('events', () => {
  test('carry each type of frame with the server’s time', async ({ open }) => {
    const { client, peer } = await open();
    const message = next(client, 'message');
    const joined = next(client, 'user_joined');
    const from = { userId: 'bob', username: 'Bob', clientId: 'c9', instanceId: 'app3' };
    peer.send('message', { room: '@all', from, content: 'hi' });
    peer.send('user_joined', { room: 'lobby', userId: 'bob', username: 'Bob', memberCount: 2 });
    expect(await message).toEqual([{ room: '@all', from, content: 'hi' }, 1_700_000_000_000]);
    expect((await joined)[0]).toMatchObject({ username: 'Bob' });
  });

  test('tell of errors that answer no request', async ({ open }) => {
    const { client, peer } = await open();
    const error = next(client, 'error');
    client.typing('lobby', true);
    expect((await peer.next('typing')).payload).toEqual({ room: 'lobby', isTyping: true });
    peer.send('error', { code: 'NOT_IN_ROOM', message: 'join lobby first' });
    expect((await error)[0]).toMatchObject({ code: 'NOT_IN_ROOM' });
  });

  test('pass over frames that are no envelopes', async ({ open }) => {
    const { client, peer } = await open();
    const seen: unknown[] = [];
    client.on('message', (payload) => seen.push(payload));
    const pong = next(client, 'pong');
    for (const text of [
      '',
      'nonsense',
      'null',
      '[]',
      '{"type":1}',
      '{"type":"message"}',
      '{"type":"message","payload":3}',
    ]) {
      peer.sendRaw(text);
    }
    peer.sendRaw(Buffer.from('{"type":"message","payload":{}}'));
    peer.send('pong', {});
    await pong;
    expect(seen).toEqual([]);
  });

  test('end for a listener that is taken off', async ({ open }) => {
    const { client, peer } = await open();
    let count = 0;
    const off = client.on('pong', () => {
      count += 1;
      off();
    });
    peer.send('pong', {});
    peer.send('pong', {});
    const last = next(client, 'rooms');
    peer.send('rooms', { rooms: [] });
    await last;
    expect(count).toBe(1);
  });
});
