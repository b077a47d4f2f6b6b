/** The rules of one connection, seen from its socket. */
import { beforeAll, describe, expect, test } from 'vitest';
import { type App, startApp } from '../harness/app.ts';
import { connect } from '../harness/client.ts';
import { frame, openRawWebSocket } from '../harness/raw.ts';
import { tokenFor } from '../harness/tokens.ts';

let app: App;
beforeAll(async () => {
  app = await startApp();
  return () => app.kill();
});

test('nothing follows the server’s close frame, however much is said in the room', async () => {
  await using talker = await connect(app, { as: 'talker' });
  using leaver = await openRawWebSocket(app.port, tokenFor('leaver'));
  // Its close frame is answered; it keeps TCP open, as a client may for a while.
  leaver.write(frame({ opcode: 8, payload: Buffer.from([0x03, 0xe8]) }));
  expect(await leaver.closeCode()).toBe(1000);
  await talker.request('chat', { content: 'anyone?' });
  await talker.next('message', ({ content }) => content === 'anyone?');
  leaver.socket.end();
  await leaver.end();
  expect(leaver.frames.at(-1)?.opcode).toBe(8);
});

test('nothing follows the close frame of a connection that broke the protocol', async () => {
  await using talker = await connect(app, { as: 'talker' });
  using breaker = await openRawWebSocket(app.port, tokenFor('breaker'));
  breaker.write(frame({ opcode: 1, payload: 'not masked', mask: false }));
  expect(await breaker.closeCode()).toBe(1002);
  await talker.request('chat', { content: 'still?' });
  await talker.next('message', ({ content }) => content === 'still?');
  breaker.socket.end();
  await breaker.end();
  expect(breaker.frames.at(-1)?.opcode).toBe(8);
});

test.for<[string, number, Buffer]>([
  ['a close frame', 1000, frame({ opcode: 8, payload: Buffer.from([0x03, 0xe8]) })],
  ['a frame that breaks the protocol', 1002, frame({ opcode: 1, payload: '{}', mask: false })],
])('messages and %s that arrive together: nothing follows the server’s close frame', async ([, code, last]) => {
  using client = await openRawWebSocket(app.port, tokenFor('together'));
  const ping = frame({ opcode: 1, payload: '{"type":"ping"}' });
  client.write(Buffer.concat([ping, ping, ping, last]));
  expect(await client.closeCode()).toBe(code);
  client.socket.end();
  await client.end();
  expect(client.frames.map(({ opcode }) => opcode).indexOf(8)).toBe(client.frames.length - 1);
});

test.for<[string, number, Buffer]>([
  ['a frame that is too big', 1009, frame({ opcode: 1, payload: Buffer.alloc(65_537, 'x') })],
  ['invalid UTF-8', 1007, frame({ opcode: 1, payload: Buffer.from([0xc3, 0x28]) })],
  ['a frame without a mask', 1002, frame({ opcode: 1, payload: '{}', mask: false })],
])('log and metrics count %s as %d', async ([, code, bytes]) => {
  await using own = await startApp();
  using client = await openRawWebSocket(own.port, tokenFor('breaker'));
  client.write(bytes);
  expect(await client.closeCode()).toBe(code);
  client.socket.end();
  expect(await own.log('disconnected')).toMatchObject({ code });
  expect(await own.metric(`ws_connections_closed_total{code="${code}"}`)).toBe(1);
});

test('a close code that a client invented gets no label', async () => {
  await using own = await startApp();
  await using client = await connect(own);
  expect(await client.close(4321)).toMatchObject({ code: 4321 });
  await own.log('disconnected');
  expect(await own.metric('ws_connections_closed_total{code="other"}')).toBe(1);
});

test('messages that come in one read are all handled, in order', async () => {
  using client = await openRawWebSocket(app.port, tokenFor('hasty'));
  const count = 500;
  const sent = Array.from({ length: count }, (_, i) =>
    frame({ opcode: 1, payload: JSON.stringify({ type: 'chat', payload: { content: `hasty ${i}` }, id: String(i) }) }),
  );
  client.write(Buffer.concat(sent));
  const acks = () =>
    client.frames
      .map(({ payload }) => JSON.parse(payload.toString()) as { type: string; id?: string })
      .filter(({ type }) => type === 'ack');
  await client.until(() => (client.bytes.includes(`"id":"${count - 1}"`) ? true : undefined), 'the last answer');
  expect(acks().map(({ id }) => id)).toEqual(sent.map((_, i) => String(i)));
});

test('a message in fragments, with a ping between them, is one message', async () => {
  using client = await openRawWebSocket(app.port, tokenFor('fragments'));
  client.write(frame({ opcode: 1, payload: '{"type":"pi', fin: false }));
  client.write(frame({ opcode: 9, payload: 'between' }));
  client.write(frame({ opcode: 0, payload: 'ng","id":"whole"}' }));
  const answer = await client.until(() => client.frames.find(({ payload }) => payload.includes('"whole"')), 'the pong');
  expect(JSON.parse(answer.payload.toString())).toMatchObject({ type: 'pong', id: 'whole' });
  expect(client.frames.find(({ opcode }) => opcode === 10)?.payload.toString()).toBe('between');
});

describe('the rate limit', () => {
  const limits = { RATE_LIMIT_PER_MINUTE: '60', RATE_LIMIT_BURST: '5', RATE_LIMIT_ABUSE: '10' };

  test('refuses what is beyond the burst, under its id, and says when to try again', async () => {
    await using own = await startApp(limits);
    await using client = await connect(own);
    for (let i = 0; i < 5; i += 1) expect(await client.request('ping')).toMatchObject({ type: 'pong' });
    const { payload } = await client.request('ping');
    expect(payload).toMatchObject({ code: 'RATE_LIMITED' });
    const { retryAfter } = payload as { retryAfter: number };
    expect(retryAfter).toBeGreaterThan(0);
    expect(retryAfter).toBeLessThanOrEqual(1000);
    expect(await own.metric('ws_messages_refused_total{code="RATE_LIMITED"}')).toBe(1);
  });

  test('is one connection’s own', async () => {
    await using own = await startApp(limits);
    await using loud = await connect(own, { as: 'same' });
    await using quiet = await connect(own, { as: 'same' });
    for (let i = 0; i < 6; i += 1) await loud.request('ping');
    expect(await quiet.request('ping')).toMatchObject({ type: 'pong' });
  });

  test('counts binary frames and nonsense too', async () => {
    await using own = await startApp(limits);
    await using client = await connect(own);
    for (const bad of ['{', '[]', '{}', Buffer.from([1]), Buffer.from([2])]) client.send(bad);
    expect(await client.request('ping')).toMatchObject({ payload: { code: 'RATE_LIMITED' } });
  });

  test('never closes a client that waits for retryAfterMs, however often it is refused', async () => {
    await using own = await startApp({ RATE_LIMIT_PER_MINUTE: '3000', RATE_LIMIT_BURST: '1', RATE_LIMIT_ABUSE: '2' });
    await using client = await connect(own);
    let refused = 0;
    for (let i = 0; i < 40 && refused < 5; i += 1) {
      const { payload } = await client.request('ping');
      if (!('retryAfter' in payload)) continue;
      refused += 1;
      await new Promise((resolve) => setTimeout(resolve, Number(payload.retryAfter)));
      expect(await client.request('ping')).toMatchObject({ type: 'pong' });
    }
    expect(refused).toBe(5);
  });

  test('closes who goes on with 4029, after as many refusals as are set', async () => {
    await using own = await startApp(limits);
    await using client = await connect(own);
    for (let i = 0; i < 5; i += 1) await client.request('ping');
    for (let i = 0; i < 100; i += 1) client.send({ type: 'ping' });
    expect(await client.closed).toEqual({ code: 4029, reason: 'rate limited' });
    expect(client.all('error')).toHaveLength(10);
  });
});
