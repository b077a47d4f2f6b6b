import { describe, expect } from 'vitest';
import type { Client } from '../src/client.ts';
import { memoryStorage, next, reach, test } from './fixture.ts';
import type { Peer, ScriptedServer } from './scripted-server.ts';

const from = { userId: 'bob', username: 'Bob', clientId: 'c9', instanceId: 'app3' };
const at = (offset: number, epoch = 'e') => ({ epoch, offset });
const message = (offset: number, epoch = 'e') => ({
  type: 'message',
  payload: { room: 'lobby', from, content: `m${offset}`, position: at(offset, epoch) },
});

interface Joined {
  recovery?: string;
  reason?: string;
  position: { epoch: string; offset: number };
}

/** Answers the next join of the lobby. @returns the position that the client asked for */
async function acceptLobby(peer: Peer, joined: Joined): Promise<unknown> {
  const { id, payload } = await peer.next('join_room');
  peer.send('joined_room', { room: 'lobby', memberCount: 1, recovery: 'none', replayed: 0, ...joined }, id);
  return payload['position'];
}

function contents(client: Client): string[] {
  const seen: string[] = [];
  client.on('message', ({ content }) => seen.push(String(content)));
  return seen;
}

/** Ends the connection, waits out the backoff, and greets the next one. */
async function reconnect(
  client: Client,
  peer: Peer,
  server: ScriptedServer,
  advance: (ms: number) => void,
): Promise<Peer> {
  peer.terminate();
  await reach(client, 'waiting');
  advance(1_000);
  const again = await server.accept();
  again.greet('app2');
  return again;
}

describe('a room', () => {
  test('is joined again from the last message that was passed on, and what comes again is dropped', async ({
    open,
    server,
    clock,
  }) => {
    const { client, peer } = await open({ rooms: ['lobby'] });
    const seen = contents(client);
    expect(await acceptLobby(peer, { position: at(4) })).toBeUndefined();
    peer.sendTogether([message(5), message(6), message(6), message(5)]);
    await expect.poll(() => seen).toEqual(['m5', 'm6']);
    const again = await reconnect(client, peer, server, clock.advance);
    expect(await acceptLobby(again, { recovery: 'recovered', position: at(5) })).toEqual(at(6));
    again.sendTogether([message(6), message(7)]);
    await expect.poll(() => seen).toEqual(['m5', 'm6', 'm7']);
  });

  test('goes on across a new epoch that lost nothing', async ({ open, server, clock }) => {
    const { client, peer } = await open({ rooms: ['lobby'] });
    const seen = contents(client);
    await acceptLobby(peer, { position: at(0) });
    peer.sendTogether([message(1), message(2, 'f')]);
    await expect.poll(() => seen).toEqual(['m1', 'm2']);
    const again = await reconnect(client, peer, server, clock.advance);
    expect(await acceptLobby(again, { recovery: 'recovered', position: at(2, 'f') })).toEqual(at(2, 'f'));
  });

  test('says `rewound` and shows what comes again after the fork', async ({ open, server, clock }) => {
    const { client, peer } = await open({ rooms: ['lobby'] });
    const seen = contents(client);
    await acceptLobby(peer, { position: at(0) });
    peer.sendTogether([message(1), message(2), message(3)]);
    await expect.poll(() => seen).toHaveLength(3);
    const rewound = next(client, 'rewound');
    const again = await reconnect(client, peer, server, clock.advance);
    await acceptLobby(again, { recovery: 'rewound', position: at(1, 'f') });
    expect(await rewound).toEqual([{ room: 'lobby', position: at(1, 'f') }]);
    again.sendTogether([message(2, 'f')]);
    await expect.poll(() => seen).toEqual(['m1', 'm2', 'm3', 'm2']);
  });

  test.for(['trimmed', 'unknown_epoch', 'invalid'])(
    'says `gap` with the reason %s',
    async (reason, { open, server, clock }) => {
      const { client, peer } = await open({ rooms: ['lobby'] });
      await acceptLobby(peer, { position: at(1) });
      const gap = next(client, 'gap');
      const again = await reconnect(client, peer, server, clock.advance);
      await acceptLobby(again, { recovery: 'gap', reason, position: at(40) });
      expect(await gap).toEqual([{ room: 'lobby', reason, position: at(40) }]);
    },
  );

  test('hears of a break while it is connected, too', async ({ open }) => {
    const { client, peer } = await open({ rooms: ['lobby'] });
    const seen = contents(client);
    await acceptLobby(peer, { position: at(5) });
    const rewound = next(client, 'rewound');
    peer.send('gap', { room: 'lobby', reason: 'rewound', position: at(3, 'f') });
    expect(await rewound).toEqual([{ room: 'lobby', position: at(3, 'f') }]);
    peer.sendTogether([message(4, 'f')]);
    await expect.poll(() => seen).toEqual(['m4']);
  });

  test('has its position from the storage after a page load, until it is left', async ({ open, server }) => {
    const storage = memoryStorage();
    const first = await open({ rooms: ['lobby'], storage });
    await acceptLobby(first.peer, { position: at(0) });
    const seen = contents(first.client);
    first.peer.sendTogether([message(1), message(2)]);
    await expect.poll(() => seen).toHaveLength(2);
    await first.client.close();
    const second = await open({ rooms: ['lobby'], storage });
    expect(await acceptLobby(second.peer, { recovery: 'recovered', position: at(2) })).toEqual(at(2));
    const left = second.client.leave('lobby');
    second.peer.send('left_room', { room: 'lobby' }, (await second.peer.next('leave_room')).id);
    await left;
    expect(server.count).toBe(2);
    expect(storage.getItem('wsfleet:position:lobby')).toBeNull();
  });
});

describe('the outbox', () => {
  test('keeps what is sent without a connection, and sends it in order, one after the other', async ({
    start,
    server,
  }) => {
    const client = start();
    const acks = [client.chat('one'), client.chat('two')];
    const peer = await server.accept();
    peer.greet();
    const first = await peer.next('chat');
    expect(first.payload).toEqual({ content: 'one' });
    expect(peer.unread).toEqual([]);
    peer.send('ack', { position: at(1), duplicate: false }, first.id);
    const second = await peer.next('chat');
    expect(second.payload).toEqual({ content: 'two' });
    peer.send('ack', { position: at(2), duplicate: false }, second.id);
    expect(await Promise.all(acks)).toMatchObject([{ position: at(1) }, { position: at(2) }]);
  });

  test('sends again with the same id what was not acknowledged when the connection ended', async ({
    open,
    server,
    clock,
  }) => {
    const { client, peer } = await open();
    const ack = client.chat('hello');
    const { id } = await peer.next('chat');
    const again = await reconnect(client, peer, server, clock.advance);
    const repeated = await again.next('chat');
    expect(repeated).toMatchObject({ id, payload: { content: 'hello' } });
    again.send('ack', { position: at(1), duplicate: true }, id);
    expect(await ack).toEqual({ position: at(1), duplicate: true });
  });

  test.for([
    { code: 'UNAVAILABLE', retryAfter: 700 },
    { code: 'UNAVAILABLE', retryAfter: 700, uncertain: true },
    { code: 'RATE_LIMITED', retryAfter: 700 },
  ])('waits and sends again after %o', async (refusal, { open, clock }) => {
    const { client, peer } = await open();
    const ack = client.chat('hello');
    const { id } = await peer.next('chat');
    peer.send('error', { message: 'later', ...refusal }, id);
    await expect.poll(() => clock.delays).toContain(700);
    clock.advance(700);
    expect((await peer.next('chat')).id).toBe(id);
    peer.send('ack', { position: at(1), duplicate: false }, id);
    await ack;
  });

  test('gives up what is refused for good, and goes on', async ({ open }) => {
    const { client, peer } = await open();
    const refused = expect(client.chat('secret', 'vault')).rejects.toMatchObject({ code: 'NOT_IN_ROOM' });
    const ack = client.chat('hello');
    peer.send('error', { code: 'NOT_IN_ROOM', message: 'no' }, (await peer.next('chat')).id);
    await refused;
    const { id, payload } = await peer.next('chat');
    expect(payload).toEqual({ content: 'hello' });
    peer.send('ack', { position: at(1), duplicate: false }, id);
    await ack;
  });

  test('waits until the rooms are joined', async ({ start, server }) => {
    const client = start({ rooms: ['lobby'] });
    void client.chat('hello', 'lobby');
    const peer = await server.accept();
    peer.greet();
    const join = await peer.next('join_room');
    expect(peer.unread).toEqual([]);
    peer.send(
      'joined_room',
      { room: 'lobby', memberCount: 1, recovery: 'none', replayed: 0, position: at(0) },
      join.id,
    );
    expect((await peer.next('chat')).payload).toEqual({ content: 'hello', room: 'lobby' });
  });

  test('takes no more than its limit', async ({ start }) => {
    const client = start({ outboxLimit: 2 });
    void client.chat('one');
    void client.chat('two');
    await expect(client.chat('three')).rejects.toMatchObject({ code: 'OUTBOX_FULL', uncertain: false });
  });

  test('is sent after a page load, with the ids it had', async ({ open }) => {
    const storage = memoryStorage();
    const first = await open({ storage });
    void first.client.chat('one');
    void first.client.direct({ userId: 'bob' }, 'two');
    const { id } = await first.peer.next('chat');
    await first.client.close();
    const second = await open({ storage });
    expect(await second.peer.next('chat')).toMatchObject({ id, payload: { content: 'one' } });
    second.peer.send('ack', { position: at(1), duplicate: true }, id);
    const direct = await second.peer.next('direct');
    second.peer.send('ack', { position: at(1), duplicate: false }, direct.id);
    await expect.poll(() => storage.getItem('wsfleet:outbox')).toBeNull();
  });

  test('joins the rooms of what was stored before it is sent after a page load', async ({ open }) => {
    const storage = memoryStorage();
    const first = await open({ storage });
    void first.client.chat('hello', 'lobby');
    const { id } = await first.peer.next('chat');
    await first.client.close();
    const { client, peer } = await open({ rooms: ['@me'], storage });
    expect(client.rooms).toEqual(['@me', 'lobby']);
    await peer.acceptJoins(['@me', 'lobby']);
    expect(await peer.next()).toMatchObject({ type: 'chat', id, payload: { content: 'hello', room: 'lobby' } });
  });

  test('tells with its room of a message from before a page load that is refused for good', async ({ open }) => {
    const storage = memoryStorage();
    const first = await open({ storage });
    void first.client.chat('secret', 'vault');
    const { id } = await first.peer.next('chat');
    await first.client.close();
    const { client, peer } = await open({ storage });
    const errors: unknown[][] = [];
    client.on('error', (...args) => errors.push(args));
    peer.send('error', { code: 'ROOM_FORBIDDEN', message: 'no' }, (await peer.next('join_room')).id);
    await peer.next('chat');
    peer.send('error', { code: 'NOT_IN_ROOM', message: 'join it first' }, id);
    await expect
      .poll(() => errors)
      .toMatchObject([
        [{ code: 'ROOM_FORBIDDEN' }, 'vault'],
        [{ code: 'NOT_IN_ROOM' }, 'vault'],
      ]);
    expect(storage.getItem('wsfleet:outbox')).toBeNull();
  });

  test('sends what a storage keeps after close and connect, before what is new', async ({ open, server }) => {
    const { client, peer } = await open({ storage: memoryStorage() });
    const errors: unknown[] = [];
    client.on('error', (error) => errors.push(error));
    const one = client.chat('one');
    const two = client.chat('two');
    const { id } = await peer.next('chat');
    await client.close();
    await expect(one).rejects.toMatchObject({ code: 'CLOSED', uncertain: true });
    await expect(two).rejects.toMatchObject({ code: 'CLOSED', uncertain: false });
    const three = client.chat('three');
    client.connect();
    const again = await server.accept();
    again.greet();
    const sent = [];
    for (let offset = 1; offset <= 3; offset += 1) {
      const frame = await again.next('chat');
      sent.push(frame.payload['content']);
      if (offset === 1) expect(frame.id).toBe(id);
      again.send('ack', { position: at(offset), duplicate: false }, frame.id);
    }
    expect(sent).toEqual(['one', 'two', 'three']);
    expect(await three).toMatchObject({ position: at(3) });
    expect(errors).toEqual([]);
  });

  test('drops without a storage what waited when the client was closed', async ({ open, server }) => {
    const { client } = await open();
    const dropped = client.chat('hello');
    await client.close();
    await expect(dropped).rejects.toMatchObject({ code: 'CLOSED' });
    client.connect();
    const again = await server.accept();
    again.greet();
    void client.chat('next');
    expect((await again.next('chat')).payload).toEqual({ content: 'next' });
  });

  test('goes on without a storage that fails', async ({ open }) => {
    const full = () => {
      throw new Error('QuotaExceededError');
    };
    const { client, peer } = await open({ storage: { getItem: full, setItem: full, removeItem: full } });
    const ack = client.chat('hello');
    peer.send('ack', { position: at(1), duplicate: false }, (await peer.next('chat')).id);
    await ack;
  });
});
