/** `echo: false`: everyone gets the message but the connection that sent it, live and after a backfill. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createClient } from '../../client/src/index.ts';
import { call } from '../harness/api.ts';
import { type App, startApp } from '../harness/app.ts';
import { connect } from '../harness/client.ts';
import { type RedisServer, startRedis } from '../harness/redis.ts';
import { tokenFor } from '../harness/tokens.ts';

const KEY = 'admin-secret-0123456789abcdefghijklmnop';

let redis: RedisServer;
let app: App;
let other: App;
beforeAll(async () => {
  redis = await startRedis();
  const env = { BROKER: 'redis', REDIS_URL: redis.url, API_KEYS: `admin:manage:${KEY}`, API_PORT: '0' };
  [app, other] = await Promise.all([
    startApp({ ...env, INSTANCE_ID: 'app1' }),
    startApp({ ...env, INSTANCE_ID: 'app2' }),
  ]);
});
afterAll(async () => {
  await Promise.all([app.kill(), other.kill()]);
  await redis[Symbol.asyncDispose]();
});

test('the sender does not get it; their other connections and everyone else do', async () => {
  await using ann = await connect(app, { as: 'ann', protocols: ['wsfleet.v1'] });
  await using annElsewhere = await connect(other, { as: 'ann', protocols: ['wsfleet.v1'] });
  await using bob = await connect(app, { as: 'bob', protocols: ['wsfleet.v1'] });
  for (const each of [ann, annElsewhere, bob]) await each.request('join_room', { room: 'echo' });
  expect(await ann.request('chat', { room: 'echo', content: 'quiet', echo: false })).toMatchObject({
    type: 'ack',
    payload: { position: { offset: 1 } },
  });
  await ann.request('chat', { room: 'echo', content: 'loud' });
  for (const each of [ann, annElsewhere, bob]) await each.next('message', ({ content }) => content === 'loud');
  expect(ann.all('message').map(({ payload }) => payload.content)).toEqual(['loud']);
  for (const each of [annElsewhere, bob]) {
    expect(each.all('message').map(({ payload }) => payload.content)).toEqual(['quiet', 'loud']);
    expect(each.all('message')[0]).toMatchObject({ echo: false, payload: { from: { clientId: ann.clientId } } });
  }
});

test('a value that is no boolean is refused', async () => {
  await using ann = await connect(app, { as: 'ann' });
  await ann.request('join_room', { room: 'echo' });
  expect(await ann.request('chat', { room: 'echo', content: 'x', echo: 'no' })).toMatchObject({
    payload: { code: 'INVALID_PAYLOAD', field: 'echo' },
  });
});

test('a replay brings it, marked, so that a client can tell it as its own', async () => {
  let ann = await connect(app, { as: 'ann', protocols: ['wsfleet.v1'] });
  const first = ann.clientId;
  const joined = await ann.request('join_room', { room: 'replayed' });
  await ann.request('chat', { room: 'replayed', content: 'quiet', echo: false });
  await ann.close();
  ann = await connect(other, { as: 'ann', protocols: ['wsfleet.v1'] });
  await using _closing = ann;
  ann.send({
    type: 'join_room',
    payload: { room: 'replayed', position: (joined.payload as { position: object }).position },
  });
  expect(await ann.next('message')).toMatchObject({
    echo: false,
    payload: { content: 'quiet', from: { clientId: first } },
  });
});

test('the kit’s client never gets it, also when a replay brings it', async () => {
  await using bob = await connect(app, { as: 'bob' });
  await bob.request('join_room', { room: 'kit' });
  const client = createClient({
    url: `${app.origin}/ws`,
    token: tokenFor('kit'),
    rooms: ['kit'],
    backoff: { base: 1, cap: 50 },
  });
  const seen: unknown[] = [];
  client.on('message', ({ content }) => seen.push(content));
  client.connect();
  await client.join('kit');
  await client.chat('quiet', 'kit', { echo: false });
  await bob.next('message');
  // Its next connection resumes before the quiet message: nothing has told it a later position.
  const open = new Promise<void>((resolve) => {
    let lost = false;
    client.on('state', ({ name }) => {
      if (name !== 'open') lost = true;
      else if (lost) resolve();
    });
  });
  await call(app, 'POST', '/v1/disconnect', { key: KEY, body: { userId: 'u-kit', code: 4000 } });
  await open;
  await client.chat('loud', 'kit');
  await expect.poll(() => seen).toContain('loud');
  expect(seen).toEqual(['loud']);
  await client.close();
});
