import { once } from 'node:events';
import { expect, test } from 'vitest';
import { startApp } from '../harness/app.ts';
import { connect } from '../harness/client.ts';
import { within } from '../harness/process.ts';

const quick = { HEARTBEAT_INTERVAL: '300ms', HEARTBEAT_TIMEOUT: '150ms' };

test('closes a client that does not pong with code 4000, and keeps one that does', async () => {
  await using app = await startApp(quick);
  await using alive = await connect(app, { as: 'alive' });
  await using silent = await connect(app, { as: 'silent', autoPong: false });
  expect(await silent.closed).toEqual({ code: 4000, reason: 'heartbeat timeout' });
  for (let pings = 0; pings < 3; pings += 1) await within(once(alive.socket, 'ping'), () => 'a ping');
  expect(await alive.request('ping')).toMatchObject({ type: 'pong' });
  expect(await app.log('disconnected', (line) => line['code'] === 4000)).toMatchObject({ clientId: silent.clientId });
  expect(await app.metric('ws_connections_closed_total{code="4000"}')).toBe(1);
});

test('pings come one interval after the pong before', async () => {
  await using app = await startApp(quick);
  await using client = await connect(app);
  await within(once(client.socket, 'ping'), () => 'the first ping');
  const first = performance.now();
  await within(once(client.socket, 'ping'), () => 'the second ping');
  expect(performance.now() - first).toBeGreaterThanOrEqual(280);
});

test('a client that only pings, and never pongs, is closed too: its pings are no answer', async () => {
  await using app = await startApp(quick);
  await using client = await connect(app, { autoPong: false });
  // Each pong of the server calls forth the next ping, not so many that it is a flood: busy, and still not answering.
  client.socket.on('pong', () => setTimeout(() => client.socket.ping(), 20));
  client.socket.ping();
  expect((await client.closed).code).toBe(4000);
});

test('connections that opened together are pinged apart', async () => {
  await using app = await startApp({ HEARTBEAT_INTERVAL: '1s', HEARTBEAT_TIMEOUT: '500ms' });
  const clients = await Promise.all(Array.from({ length: 100 }, (_, i) => connect(app, { as: `c${i}` })));
  const times = await Promise.all(
    clients.map(async ({ socket }) => {
      await within(once(socket, 'ping'), () => 'a ping');
      return performance.now();
    }),
  );
  const start = Math.min(...times);
  // By chance alone: 10 of 100 in each tenth of the interval, and practically never 30.
  const tenths = Array.from(
    { length: 10 },
    (_, i) => times.filter((at) => Math.floor((at - start) / 100) === i).length,
  );
  expect(Math.max(...tenths)).toBeLessThan(30);
  expect(Math.max(...times) - start).toBeGreaterThan(500);
  for (const client of clients) client.socket.terminate();
});
