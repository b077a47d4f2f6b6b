/** The table of metrics, what an instance exposes and docs/metrics.md are one; and no client makes a series. */
import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { createAuth } from '../../src/connection/auth.ts';
import { metricLabels } from '../../src/metric-labels.ts';
import { type MetricRow, metricDefinitions } from '../../src/observability/metric-definitions.ts';
import { encodeOpenMessage, readTimestamp } from '../../src/protocol.ts';
import { file, ofNode, renderMetrics } from '../../tools/metrics-docs.ts';
import { type App, startApp } from '../harness/app.ts';
import { connect, refusal } from '../harness/client.ts';
import { frame, openRawWebSocket } from '../harness/raw.ts';
import { startRedis } from '../harness/redis.ts';
import { tokenFor } from '../harness/tokens.ts';

const rows: MetricRow[] = Object.values(metricDefinitions);

/** Every series of an instance, `name{labels}`. */
async function seriesOf(app: App): Promise<string[]> {
  const { text } = await app.internal('/metrics');
  return text.split('\n').flatMap((line) => (line === '' || line.startsWith('#') ? [] : [line.replace(/ \S+$/, '')]));
}

test('docs/metrics.md is what the table says (else: npm run metrics-docs)', async () => {
  expect(await readFile(file, 'utf8')).toBe(renderMetrics());
});

test('an instance exposes what the table lists, from the start, and nothing else of ours', async () => {
  await using app = await startApp();
  const expected = rows.flatMap(({ name, type, label }) => {
    if (type === 'histogram') return [`${name}_bucket`, `${name}_sum`, `${name}_count`];
    if (!label) return [name];
    // A counter’s open end; a gauge is read for its values alone.
    const values = [...metricLabels[label.values], ...(type === 'counter' ? ['other'] : [])];
    return values.map((value) => `${name}{${label.name}="${value}"}`);
  });
  const exposed = (await seriesOf(app)).filter((series) => series.startsWith('ws_'));
  expect(new Set(exposed.map((series) => series.replace(/\{le=.*/, '')))).toEqual(new Set(expected));

  const { text } = await app.internal('/metrics');
  for (const { name, type, help } of rows) {
    expect(text).toContain(`# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`);
    expect(name).toMatch(type === 'counter' ? /_total$/ : /^ws_(?!.*_total$)/);
  }
  for (const [name, type, , label] of ofNode) {
    expect(text).toContain(`# TYPE ${name} ${type}\n`);
    expect(text).toMatch(new RegExp(`^${name}${label ? `\\w*\\{.*\\b${label}=` : ' '}`, 'm'));
  }
});

test('a flood of hostile types, rooms, users, ids and close codes adds no series', async () => {
  await using app = await startApp();
  const atRest = await seriesOf(app);
  const hostile = (i: number) => [`h${i}`, `"} 1\n${i}`, `__proto__${i}`, `é${i}`, 'constructor'][i % 5] as string;
  const users = Array.from({ length: 40 }, (_, i) => i);
  await Promise.all(
    users.map(async (i) => {
      const client = await connect(app, {
        as: `user ${hostile(i).replace('\n', ' ')}`,
        path: `/ws?${encodeURIComponent(hostile(i))}=1`,
      });
      await client.request('join_room', { room: `room.${i}` });
      for (let n = 0; n < 25; n += 1) {
        await Promise.all([
          client.request(hostile(i * n), { room: hostile(n) }),
          client.request('join_room', { room: hostile(i + n), position: { epoch: `e${n}`, offset: n } }),
          client.request('join_room', { room: `room.${i}`, position: { epoch: `e${n}`, offset: n } }),
          client.request('chat', { room: `room.${i}`, content: hostile(n) }),
          client.request('refresh_token', { token: hostile(n) }),
        ]);
      }
      client.send('{');
      client.send(Buffer.from([i]));
      await client.close(3000 + ((i * 97) % 1999));
    }),
  );
  const forger = createAuth({ secret: 'x'.repeat(32), issuer: '', audience: '' });
  const forged = forger.sign({ userId: '"}', username: '"}' }, 60_000);
  for (const token of [null, 'x', '"}', forged]) await refusal(app, { token });
  await refusal(app, { path: '/nowhere"}', as: 'lost' });
  await refusal(app, { headers: { Origin: 'http://evil.example/"}' }, as: 'stranger' });
  await using broken = await openRawWebSocket(app.port, tokenFor('breaker'));
  broken.write(frame({ opcode: 3, payload: 'reserved' }));
  await broken.closeCode();

  const flooded = await seriesOf(app);
  console.log(`series of an instance: ${atRest.length} at rest, ${flooded.length} after the flood`);
  expect(await app.metric('ws_messages_received_total{type="unknown"}')).toBe(1000);
  expect(flooded).toEqual(atRest);
  expect(await app.metric('ws_auth_failures_total{reason="TOKEN_INVALID"}')).toBe(1);
  expect(await app.metric('ws_auth_failures_total{reason="TOKEN_MISSING"}')).toBe(1);
  expect(await app.metric('ws_auth_failures_total{reason="TOKEN_MALFORMED"}')).toBe(1002);
});

test('a message’s time is read from its bytes', () => {
  const from = { userId: 'u', username: 'u', clientId: 'c', instanceId: 'i' };
  const begin = Date.now();
  const body = Buffer.from(encodeOpenMessage({ room: 'r', from, content: '"timestamp":1' }));
  expect(readTimestamp(body)).toBeGreaterThanOrEqual(begin);
  expect(readTimestamp(body)).toBeLessThanOrEqual(Date.now());
  for (const other of ['', '{}', '{"type":"message","timestamp":17', '{"type":"message","timestamp":"2026-11-25"}']) {
    expect(readTimestamp(Buffer.from(other))).toBeUndefined();
  }
});

test('what is gauged is what is there', async () => {
  await using app = await startApp({ MAX_CONNECTIONS: '7' });
  await using alice = await connect(app, { as: 'alice' });
  await using bob = await connect(app, { as: 'bob' });
  for (const client of [alice, bob]) await client.request('join_room', { room: 'cellar' });
  await bob.request('join_room', { room: 'attic' });
  await alice.request('chat', { room: 'cellar', content: 'x'.repeat(100) });
  await bob.next('message');
  const samples: Record<string, number> = {
    ws_connections: 2,
    ws_connections_limit: 7,
    // @all is the third.
    ws_rooms: 3,
    ws_members: 3,
    ws_ready: 1,
    ws_draining: 0,
    ws_drain_remaining: 0,
    'ws_redis_link_up{link="subscriber"}': 1,
    ws_publish_duration_seconds_count: 1,
    ws_delivery_latency_seconds_count: 1,
    'ws_delivery_latency_seconds_bucket{le="5"}': 1,
    ws_rate_limited_total: 0,
  };
  for (const [sample, value] of Object.entries(samples)) {
    expect([sample, await app.metric(sample)]).toEqual([sample, value]);
  }
  expect(await app.metric('ws_delivered_bytes_total')).toBeGreaterThan(400);
  expect(await app.metric('ws_received_bytes_total')).toBeGreaterThan(200);
  expect(await app.metric('ws_recent_frames_bytes')).toBeGreaterThan(100);
});

test('a drain tells who is left, and how late each went', async () => {
  await using app = await startApp({ DRAIN_WINDOW: '0ms', DRAIN_GRACE: '1s' });
  await using quick = await connect(app);
  await using slow = await connect(app);
  app.signal('SIGTERM');
  await Promise.all([quick.next('server_shutdown'), slow.next('server_shutdown')]);
  expect(await app.metric('ws_drain_remaining')).toBe(2);
  await quick.close();
  await expect.poll(() => app.metric('ws_drain_remaining')).toBe(1);
  expect(await app.metric('ws_draining')).toBe(1);
  expect(await app.metric('ws_ready')).toBe(0);
  expect(await app.metric('ws_drain_slot_lateness_seconds_count')).toBe(1);
  expect(await slow.closed).toMatchObject({ code: 1012 });
});

test('an audit that overtakes messages on their way has found nothing', async () => {
  await using redis = await startRedis();
  await using app = await startApp({ BROKER: 'redis', REDIS_URL: redis.url, AUDIT_INTERVAL: '200ms' });
  await using alice = await connect(app, { as: 'alice' });
  await alice.request('join_room', { room: 'cellar' });
  for (let round = 0; round < 60; round += 1) {
    await Promise.all(Array.from({ length: 50 }, () => alice.request('chat', { room: 'cellar', content: 'x' })));
  }
  for (let i = 0; i < 3000; i += 1) await alice.next('message');
  const published = await app.metric('ws_messages_published_total');
  expect(published).toBe(3000);
  // What was read and did not come would be counted by the next audit of the room.
  await alice.request('chat', { room: 'cellar', content: 'last' });
  await alice.next('message');
  expect(await app.metric('ws_holes_filled_total')).toBe(0);
  expect(await app.metric('ws_audit_findings_total')).toBe(0);
});

test('an outage of Redis shows in the metrics: links, recoveries, canary, backfills, epochs', async () => {
  await using redis = await startRedis();
  await using app = await startApp({ BROKER: 'redis', REDIS_URL: redis.url, AUDIT_INTERVAL: '200ms' });
  await using alice = await connect(app, { as: 'alice' });
  await alice.request('join_room', { room: 'cellar' });
  await alice.request('chat', { room: 'cellar', content: 'one' });
  await alice.next('message');
  await expect.poll(() => app.metric('ws_canary_age_seconds')).toBeLessThan(1);
  expect(await app.metric('ws_epochs_seen_total')).toBe(0);
  expect(await app.metric('ws_holes_filled_total')).toBe(0);

  // Kept and not sent, as by a link that loses it: only the audit can notice.
  const [meta, stream] = ['wsfleet:{cellar}:meta', 'wsfleet:{cellar}:stream'];
  const [[, [, body]]] = (await redis.command('XRANGE', stream, '1-0', '1-0')) as [[string, [string, string]]];
  await redis.command('XADD', stream, '2-0', 'b', body);
  await redis.command('HSET', meta, 'offset', '2');
  await alice.next('message');
  await expect.poll(() => app.metric('ws_audit_findings_total')).toBe(1);
  expect(await app.metric('ws_holes_filled_total')).toBe(1);

  await redis.kill();
  await expect.poll(() => app.metric('ws_redis_link_up{link="commands"}')).toBe(0);
  expect(await app.metric('ws_ready')).toBe(0);
  await redis.start();
  await alice.next('gap');
  expect(await app.metric('ws_gaps_told_total{reason="unknown_epoch"}')).toBeGreaterThan(0);
  expect(await app.metric('ws_epochs_seen_total')).toBeGreaterThan(0);
  for (const link of metricLabels.redisLinks) {
    await expect.poll(() => app.metric(`ws_redis_reconnects_total{link="${link}"}`)).toBe(1);
  }
});
