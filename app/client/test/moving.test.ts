import { describe, expect } from 'vitest';
import type { Client } from '../src/client.ts';
import { next, reach, test } from './fixture.ts';
import type { Peer } from './scripted-server.ts';

const from = { userId: 'bob', username: 'Bob', clientId: 'c9', instanceId: 'app3' };
const joined = (room: string) => ({
  room,
  memberCount: 1,
  recovery: 'none',
  position: { epoch: 'e', offset: 0 },
  replayed: 0,
});

/** Resolves when the client has heard it. */
async function shutDown(client: Client, peer: Peer, reconnectInMs: number): Promise<void> {
  const heard = next(client, 'server_shutdown');
  peer.send('server_shutdown', { reconnectInMs });
  await heard;
}

describe('an instance that restarts', () => {
  test('is left at its slot, after the next connection is in every room', async ({ open, server, clock }) => {
    const { client, peer } = await open({ rooms: ['@all', 'lobby'] });
    await peer.acceptJoins(['@all', 'lobby']);
    const states: unknown[] = [];
    const messages: string[] = [];
    client.on('state', (state) => states.push(state));
    client.on('message', ({ content }) => messages.push(String(content)));
    clock.advance(5_000);
    await shutDown(client, peer, 4_000);
    clock.advance(3_999);
    expect(server.count).toBe(1);
    clock.advance(1);
    const second = await server.accept();
    second.greet('app2');
    const joins = [await second.next('join_room'), await second.next('join_room')];
    // Until it is in the lobby, the old connection brings it.
    second.send('message', { room: 'lobby', from, content: 'one' });
    peer.send('message', { room: 'lobby', from, content: 'one' });
    await expect.poll(() => messages).toEqual(['one']);
    expect(client.state).toMatchObject({ instanceId: 'app1' });
    // From then on the new one does: in the very read that has the answer.
    second.sendTogether([
      {
        type: 'joined_room',
        payload: joined('lobby'),
        id: String(joins.find((join) => join.payload['room'] === 'lobby')?.id),
      },
      { type: 'message', payload: { room: 'lobby', from, content: 'two' } },
    ]);
    await expect.poll(() => messages).toEqual(['one', 'two']);
    peer.send('message', { room: 'lobby', from, content: 'two' });
    peer.send('message', { room: '@all', from, content: 'to all' });
    await expect.poll(() => messages).toEqual(['one', 'two', 'to all']);
    expect(states).toEqual([]);
    second.send('joined_room', joined('@all'), joins.find((join) => join.payload['room'] === '@all')?.id);
    expect(await peer.closed).toBe(1000);
    expect(states).toEqual([{ name: 'open', clientId: 'client-2', instanceId: 'app2', reconnects: 1 }]);
  });

  test('is left only when its answers have come', async ({ open, server, clock }) => {
    const { client, peer } = await open();
    const acked = client.chat('hello');
    const { id } = await peer.next('chat');
    await shutDown(client, peer, 0);
    clock.advance(1_000);
    const second = await server.accept();
    second.greet('app2');
    await expect.poll(() => client.state).toMatchObject({ instanceId: 'app2' });
    peer.send('ack', { position: null, duplicate: false }, id);
    expect(await acked).toEqual({ position: null, duplicate: false });
    expect(await peer.closed).toBe(1000);
  });

  test('serves on while there is nowhere to go', async ({ open, server, clock }) => {
    const { client, peer } = await open();
    clock.advance(5_000);
    await shutDown(client, peer, 1_000);
    clock.advance(1_000);
    (await server.accept()).terminate();
    // Half of the first ceiling.
    await expect.poll(() => clock.delays).toContain(500);
    expect(client.state).toMatchObject({ name: 'open', instanceId: 'app1' });
    clock.advance(500);
    (await server.accept()).greet('app2');
    await expect.poll(() => client.state).toMatchObject({ instanceId: 'app2' });
    expect(await peer.closed).toBe(1000);
  });

  test('that closes before the slot is come back to at the slot', async ({ open, server, clock }) => {
    const { client, peer } = await open();
    clock.advance(5_000);
    await shutDown(client, peer, 8_000);
    clock.advance(2_000);
    peer.close(1012);
    const { retryAt } = await reach(client, 'waiting');
    expect(retryAt - clock.now()).toBe(6_000);
    clock.advance(6_000);
    expect((await server.accept()).token).toBe('t0');
  });

  test('that closes while the next connection joins is replaced at once', async ({ open, server, clock }) => {
    const { client, peer } = await open({ rooms: ['lobby'] });
    await peer.acceptJoins(['lobby']);
    clock.advance(5_000);
    await shutDown(client, peer, 0);
    clock.advance(0);
    const second = await server.accept();
    second.greet('app2');
    const { id } = await second.next('join_room');
    peer.terminate();
    expect(await reach(client, 'open')).toBeDefined();
    await expect.poll(() => client.state).toMatchObject({ name: 'open', instanceId: 'app2' });
    second.send('joined_room', joined('lobby'), id);
  });

  test('that sends a newcomer away at once does not make it run in circles', async ({ open, server, clock }) => {
    const { client, peer } = await open();
    const waits: (number | undefined)[] = [];
    let last = peer;
    for (let turn = 0; turn < 4; turn += 1) {
      const before = [...clock.delays];
      await shutDown(client, last, 0);
      const wait = clock.delays.find((delay) => !before.includes(delay)) ?? 0;
      waits.push(wait);
      clock.advance(wait);
      last = await server.accept();
      last.greet(`app${turn}`);
      await expect.poll(() => client.state).toMatchObject({ instanceId: `app${turn}` });
    }
    expect(waits).toEqual([500, 1_000, 2_000, 4_000]);
  });

  test('that is followed by a refusal for good ends the client when it goes', async ({ open, server, clock }) => {
    const { client, peer } = await open();
    clock.advance(5_000);
    await shutDown(client, peer, 0);
    clock.advance(0);
    const second = await server.accept();
    second.close(4503, 'forbidden');
    await second.closed;
    expect(client.state).toMatchObject({ name: 'open', instanceId: 'app1' });
    peer.close(4505, 'kicked');
    expect(await reach(client, 'closed')).toMatchObject({ code: 4505 });
  });

  test('leaves no hole when the next connection dies after it has joined', async ({ open, server, clock }) => {
    const { client, peer } = await open({ rooms: ['lobby', 'attic'] });
    await peer.acceptJoins(['lobby', 'attic']);
    const messages: string[] = [];
    client.on('message', ({ content }) => messages.push(String(content)));
    clock.advance(5_000);
    await shutDown(client, peer, 0);
    clock.advance(0);
    const second = await server.accept();
    second.greet('app2');
    // In the lobby already, and not yet in the attic: from now on the new connection brings the lobby.
    second.send('joined_room', { ...joined('lobby'), recovery: 'recovered' }, (await second.next('join_room')).id);
    const at = (offset: number) => ({ room: 'lobby', from, content: `m${offset}`, position: { epoch: 'e', offset } });
    second.send('message', at(1));
    await expect.poll(() => messages).toEqual(['m1']);
    peer.send('message', at(1));
    peer.send('message', at(2));
    second.terminate();
    // What it had dropped of the old connection has to come again.
    const again = await peer.next('join_room');
    expect(again.payload).toEqual({ room: 'lobby', position: { epoch: 'e', offset: 1 } });
    peer.send('message', at(3));
    peer.send('joined_room', { ...joined('lobby'), recovery: 'recovered' }, again.id);
    for (const offset of [2, 3]) peer.send('message', at(offset));
    await expect.poll(() => messages).toEqual(['m1', 'm2', 'm3']);
  });

  test('leaves no hole when both connections were asked to join before either answered', async ({
    open,
    server,
    clock,
  }) => {
    const { client, peer } = await open();
    const messages: string[] = [];
    client.on('message', ({ content }) => messages.push(String(content)));
    clock.advance(5_000);
    await shutDown(client, peer, 0);
    void client.join('lobby');
    const first = await peer.next('join_room');
    clock.advance(0);
    const second = await server.accept();
    second.greet('app2');
    const { id } = await second.next('join_room');
    peer.send('joined_room', joined('lobby'), first.id);
    peer.send('message', { room: 'lobby', from, content: 'm1', position: { epoch: 'e', offset: 1 } });
    await expect.poll(() => messages).toEqual(['m1']);
    // It begins where the room was when it was asked, which is past what the application has.
    second.send('joined_room', { ...joined('lobby'), position: { epoch: 'e', offset: 2 } }, id);
    expect((await second.next('join_room')).payload).toEqual({ room: 'lobby', position: { epoch: 'e', offset: 1 } });
  });
});
