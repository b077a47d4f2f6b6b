import { expect, test } from 'vitest';
import type { ServerMessages } from '../../src/protocol.ts';
import { startApp } from '../harness/app.ts';
import { connect } from '../harness/client.ts';
import { frame, openRawWebSocket } from '../harness/raw.ts';
import { tokenFor } from '../harness/tokens.ts';

/** Far more than the kernel's buffers between two sockets of one machine take. */
const FLOOD = 200;
const content = 'x'.repeat(60_000);

const env = { MAX_CONTENT_LENGTH: '60000', MAX_BUFFERED_BYTES: '1000000' };

test('closes a reader that stops reading with code 4008, and holds nobody else up', async () => {
  await using app = await startApp(env);
  await using publisher = await connect(app, { as: 'publisher' });
  await using reader = await connect(app, { as: 'reader' });
  await using slow = await connect(app, { as: 'slow' });
  for (const client of [publisher, reader, slow]) await client.request('join_room', { room: 'busy' });
  slow.socket.pause();

  for (let i = 0; i < FLOOD; i += 1) {
    expect(await publisher.request('chat', { room: 'busy', content })).toMatchObject({ type: 'ack' });
  }
  expect(await reader.next('user_left')).toMatchObject({ payload: { userId: 'u-slow', memberCount: 2 } });
  for (let i = 0; i < FLOOD; i += 1) await reader.next('message');

  // What it had been sent before comes, then why it was closed.
  slow.socket.resume();
  expect(await slow.closed).toEqual({ code: 4008, reason: 'slow consumer' });
  expect(slow.all('message').length).toBeLessThan(FLOOD);
  expect(await app.metric('ws_connections_closed_total{code="4008"}')).toBe(1);
  expect(await app.metric('ws_slow_consumers_total')).toBe(1);
});

test.each([
  ['memory', {}],
  ['the history', { RECENT_FRAMES_BYTES: '0' }],
])('a long replay from %s waits for its reader, and nobody waits for it', async (_from, more) => {
  await using app = await startApp({ ...env, ...more });
  await using publisher = await connect(app, { as: 'publisher' });
  await using slow = await connect(app, { as: 'slow' });
  const joined = await publisher.request('join_room', { room: 'long' });
  const { position: start } = joined.payload as ServerMessages['joined_room'];
  const chat = () => publisher.request('chat', { room: 'long', content });
  for (let i = 0; i < FLOOD; i += 1) await chat();

  slow.send({ type: 'join_room', payload: { room: 'long', position: start } });
  slow.socket.pause();
  for (let i = 0; i < 5; i += 1) {
    expect(await chat()).toMatchObject({ type: 'ack' });
    await publisher.request('direct', { to: { userId: 'u-slow' }, content: 'meanwhile' });
  }
  for (let i = 0; i < FLOOD + 5; i += 1) await publisher.next('message');

  slow.socket.resume();
  const offsets: number[] = [];
  while (offsets.length < FLOOD + 5) {
    const { room, position } = (await slow.next('message')).payload;
    if (room === 'long' && position) offsets.push(position.offset);
  }
  expect(offsets).toEqual(Array.from({ length: FLOOD + 5 }, (_, index) => index + 1));
  expect(await app.metric('ws_slow_consumers_total')).toBe(0);
});

test('cuts a slow reader that never reads its close frame, and frees what waited for it', async () => {
  await using app = await startApp(env);
  await using publisher = await connect(app, { as: 'publisher' });
  await using slow = await connect(app, { as: 'slow' });
  slow.socket.pause();
  for (let i = 0; i < FLOOD; i += 1) await publisher.request('direct', { to: { userId: 'u-slow' }, content }).catch();
  expect(await app.log('disconnected', (line) => line['clientId'] === slow.clientId)).toMatchObject({ code: 4008 });
  expect(await app.metric('ws_connections')).toBe(1);
});

test('closes a client that asks and does not read the answers with code 4008', async () => {
  await using app = await startApp(env);
  await using watcher = await connect(app, { as: 'watcher' });
  using greedy = await openRawWebSocket(app.port, tokenFor('greedy'));
  await watcher.request('join_room', { room: 'watched' });
  const text = (type: string, payload = {}) => frame({ opcode: 1, payload: JSON.stringify({ type, payload }) });
  const rooms = ['watched', ...Array.from({ length: 90 }, (_, i) => `${'r'.repeat(120)}${i}`)];
  for (const room of rooms) greedy.write(text('join_room', { room }));
  const joined = () => greedy.frames.filter(({ payload }) => payload.includes('"joined_room"')).length;
  await greedy.until(() => joined() === rooms.length || undefined, 'the last room');
  greedy.socket.pause();
  // As many as the server reads at once, and answers in one turn of the event loop: 15 MB.
  greedy.write(Buffer.concat(Array.from({ length: 1300 }, () => text('list_rooms'))));
  expect(await watcher.next('user_left')).toMatchObject({ payload: { userId: 'u-greedy' } });
  greedy.socket.resume();
  expect(await greedy.closeCode()).toBe(4008);
});

test('cuts a client that sends pings and does not read the pongs', async () => {
  await using app = await startApp(env);
  using greedy = await openRawWebSocket(app.port, tokenFor('greedy'));
  greedy.socket.pause();
  const pings = Buffer.concat(Array.from({ length: 1000 }, () => frame({ opcode: 9, payload: 'p'.repeat(125) })));
  for (let i = 0; i < 100; i += 1) greedy.write(pings);
  await app.log('disconnected');
  expect(await app.metric('ws_connections')).toBe(0);
});
