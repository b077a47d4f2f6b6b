/** What another back-end is told: each event, signed, at least once and in order, across failures of everyone involved. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startApp } from '../harness/app.ts';
import { connect } from '../harness/client.ts';
import { type RedisServer, startRedis } from '../harness/redis.ts';
import { startReceiver, WEBHOOK_SECRET, type WebhookReceiver } from '../harness/webhook-receiver.ts';

// A Redis for each test: one that was killed keeps its lease for a while.
let redis: RedisServer;
beforeEach(async () => {
  redis = await startRedis();
});
afterEach(() => redis[Symbol.asyncDispose]());

/** Leases and backoffs have to end, on a machine that may be busy. */
const LONG = { timeout: 60_000 };

const withReceiver = ({ url }: WebhookReceiver, more: Record<string, string> = {}) => ({
  ...{ BROKER: 'redis', REDIS_URL: redis.url, INSTANCE_ID: 'app1' },
  ...{ WEBHOOK_URL: url, WEBHOOK_SECRET },
  ...more,
});

/** Of a type, each once. */
const of = (receiver: WebhookReceiver, type: string) => [
  ...new Map(receiver.events.filter((each) => each.type === type).map((each) => [each.id, each])).values(),
];

test.each(['redis', 'memory'])('tells every event, with BROKER=%s', async (broker) => {
  await using receiver = await startReceiver();
  await using app = await startApp(withReceiver(receiver, { BROKER: broker }));
  await using ann = await connect(app, { as: 'ann', protocols: ['wsfleet.v1'] });
  await ann.request('join_room', { room: 'told' });
  await ann.request('chat', { room: 'told', content: 'hello' });
  await ann.request('direct', { to: { userId: 'u-bob' }, content: 'psst' });
  await ann.request('leave_room', { room: 'told' });
  await ann.close();
  await receiver.until('the end of ann', (events) => events.some(({ type }) => type === 'disconnected'));

  const who = { userId: 'u-ann', username: 'ann' };
  const from = { ...who, clientId: ann.clientId, instanceId: 'app1' };
  const position = { epoch: expect.any(String), offset: 1 };
  const every = { id: expect.any(String), timestamp: expect.any(Number) };
  expect(receiver.events).toEqual([
    { ...every, type: 'connected', ...from },
    { ...every, type: 'joined', room: 'told', ...who, memberCount: 1 },
    { ...every, type: 'published', room: 'told', from, content: 'hello', position },
    { ...every, type: 'published', room: '@user:u-bob', from, content: 'psst', position },
    { ...every, type: 'left', room: 'told', ...who, memberCount: 0 },
    { ...every, type: 'disconnected', ...from, code: 1000 },
  ]);
});

test('tells only what is chosen', async () => {
  await using receiver = await startReceiver();
  await using app = await startApp(withReceiver(receiver, { WEBHOOK_EVENTS: 'joined, disconnected' }));
  await using ann = await connect(app, { as: 'ann' });
  await ann.request('join_room', { room: 'chosen' });
  await ann.request('chat', { room: 'chosen', content: 'hello' });
  await ann.close();
  await receiver.until('the end of ann', (events) => events.some(({ type }) => type === 'disconnected'));
  expect(receiver.events.map(({ type }) => type)).toEqual(['joined', 'disconnected']);
});

test('keeps events while the receiver fails or is silent, and members notice nothing', LONG, async () => {
  await using receiver = await startReceiver();
  await using app = await startApp(withReceiver(receiver, { WEBHOOK_EVENTS: 'published' }));
  await using ann = await connect(app, { as: 'ann' });
  await ann.request('join_room', { room: 'away' });
  const contents: string[] = [];
  for (const answer of [500, 'silent', 302, 200] as const) {
    receiver.answer = answer;
    receiver.failed = 0;
    for (let i = 0; i < 100; i += 1) {
      contents.push(`${answer} ${i}`);
      const { type } = await ann.request('chat', { room: 'away', content: `${answer} ${i}` });
      expect(type).toBe('ack');
    }
    if (answer !== 200) await receiver.until('an attempt', () => receiver.failed > 0, 20_000);
  }
  await receiver.until('all of them', () => of(receiver, 'published').length === 400, 30_000);
  expect(of(receiver, 'published').map(({ content }) => content)).toEqual(contents);
  await app.log('webhook_failing');
  await app.log('webhook_recovered');
  expect(await app.metric('ws_webhook_events_total{outcome="queued"}')).toBe(400);
  expect(await app.metric('ws_webhook_failures_total')).toBeGreaterThanOrEqual(3);
  expect(receiver.dropped).toBe(0);
});

test('another instance sends what a killed one left', LONG, async () => {
  await using receiver = await startReceiver();
  receiver.answer = 503;
  await using first = await startApp(withReceiver(receiver, { WEBHOOK_EVENTS: 'published' }));
  await using ann = await connect(first, { as: 'ann' });
  await ann.request('join_room', { room: 'killed' });
  for (let i = 0; i < 50; i += 1) await ann.request('chat', { room: 'killed', content: String(i) });
  await receiver.until('an attempt', () => receiver.failed > 0);
  await first.kill();
  await using _second = await startApp(withReceiver(receiver, { INSTANCE_ID: 'app2' }));
  receiver.answer = 200;
  // The lease of the killed one has to end.
  await receiver.until('all of them', () => of(receiver, 'published').length === 50, 30_000);
  expect(of(receiver, 'published').map(({ content }) => Number(content))).toEqual(
    Array.from({ length: 50 }, (_, i) => i),
  );
});

test('an instance that shuts down says its last events and lets another one send at once', LONG, async () => {
  await using receiver = await startReceiver();
  await using first = await startApp(withReceiver(receiver));
  await using ann = await connect(first, { as: 'ann' });
  await ann.request('join_room', { room: 'drained' });
  await receiver.until('the join', (events) => events.some(({ type }) => type === 'joined'));
  receiver.answer = 503;
  await first.stop();
  receiver.answer = 200;
  await using _second = await startApp(withReceiver(receiver, { INSTANCE_ID: 'app2' }));
  await receiver.until('the end of ann', (events) => events.some(({ type }) => type === 'disconnected'), 8000);
  expect(of(receiver, 'disconnected')).toMatchObject([{ userId: 'u-ann', code: 1012, instanceId: 'app1' }]);
});

test('tells the receiver how many events a full queue dropped', LONG, async () => {
  await using receiver = await startReceiver();
  receiver.answer = 503;
  await using app = await startApp(withReceiver(receiver, { WEBHOOK_QUEUE_SIZE: '10', WEBHOOK_EVENTS: 'published' }));
  await using ann = await connect(app, { as: 'ann' });
  await ann.request('join_room', { room: 'full' });
  for (let i = 0; i < 25; i += 1) await ann.request('chat', { room: 'full', content: String(i) });
  await app.log('webhook_dropped');
  receiver.answer = 200;
  await receiver.until('the rest', () => of(receiver, 'published').length === 10, 20_000);
  expect(of(receiver, 'published').map(({ content }) => content)).toEqual(
    Array.from({ length: 10 }, (_, i) => String(i + 15)),
  );
  expect(receiver.dropped).toBe(15);
  expect(await app.metric('ws_webhook_events_total{outcome="dropped"}')).toBe(15);
});

test('a message whose event Redis did not take is not acknowledged, and is told when it is sent again', async () => {
  await using receiver = await startReceiver();
  await using app = await startApp(withReceiver(receiver, { WEBHOOK_EVENTS: 'published' }));
  await using ann = await connect(app, { as: 'ann', protocols: ['wsfleet.v1'] });
  await ann.request('join_room', { room: 'refused' });
  // The queue's command meets a key of another kind.
  await redis.command('SET', 'wsfleet:{webhooks}:queue', 'broken');
  ann.send({ type: 'chat', payload: { room: 'refused', content: 'hello' }, id: 'm1' });
  expect(await ann.next('error')).toMatchObject({ payload: { code: 'UNAVAILABLE', uncertain: true }, id: 'm1' });
  await redis.command('DEL', 'wsfleet:{webhooks}:queue');
  ann.send({ type: 'chat', payload: { room: 'refused', content: 'hello' }, id: 'm1' });
  expect(await ann.next('ack')).toMatchObject({ payload: { duplicate: true }, id: 'm1' });
  await receiver.until('the message', (events) => events.length === 1);
  expect(ann.all('message')).toHaveLength(1);
});
