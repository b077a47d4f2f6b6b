/** The server API: every operation with right and wrong input, against the specification, and over several instances. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createClient } from '../../client/src/index.ts';
import { file, renderApi } from '../../tools/api-docs.ts';
import { call, type Reply } from '../harness/api.ts';
import { type App, startApp } from '../harness/app.ts';
import { connect } from '../harness/client.ts';
import { collectOutput, run } from '../harness/process.ts';
import { type RedisServer, startRedis } from '../harness/redis.ts';
import { tokenFor } from '../harness/tokens.ts';

const SHOP = 'shop-secret-0123456789abcdefghijklmnop';
const READER = 'reader-secret-0123456789abcdefghijklmno';
const ADMIN = 'admin-secret-0123456789abcdefghijklmnop';
const NEXT = 'the-next-secret-0123456789abcdefghijklm';
const API_KEYS = [
  `shop:publish:${SHOP}`,
  `shop:publish:${NEXT}`,
  `reader:presence+history:${READER}`,
  `admin:manage:${ADMIN}`,
].join(', ');

let redis: RedisServer;
let app: App;
let other: App;
beforeAll(async () => {
  redis = await startRedis();
  const env = { BROKER: 'redis', REDIS_URL: redis.url, API_KEYS, API_PORT: '0', PRESENCE_GRACE: '10s' };
  [app, other] = await Promise.all([
    startApp({ ...env, INSTANCE_ID: 'app1' }),
    startApp({ ...env, INSTANCE_ID: 'app2' }),
  ]);
});
afterAll(async () => {
  await Promise.all([app.kill(), other.kill()]);
  await redis[Symbol.asyncDispose]();
});

describe('the specification', () => {
  test('is the one in docs, and what the listener shows', async () => {
    expect(readFileSync(file, 'utf8')).toBe(await renderApi());
    const { status, json } = await call(app, 'GET', '/openapi.json');
    expect(status).toBe(200);
    expect(json).toMatchObject({ openapi: '3.1.1', paths: expect.any(Object) });
  });

  const message = { room: 'spec', content: 'hello' };
  /** One right call of each operation, and wrong ones with the field that is wrong. */
  const examples: Record<
    string,
    { key: string; path: string; body?: unknown; wrong: { body?: unknown; path?: string; field: string }[] }
  > = {
    publish: {
      key: SHOP,
      path: '/v1/publish',
      body: message,
      wrong: [
        { body: { ...message, room: '@all' }, field: 'room' },
        { body: { ...message, room: 'no blanks' }, field: 'room' },
        { body: { ...message, content: '' }, field: 'content' },
        { body: { ...message, content: 7 }, field: 'content' },
        { body: { ...message, id: '' }, field: 'id' },
        { body: { ...message, id: 'x'.repeat(129) }, field: 'id' },
        { body: { ...message, more: 1 }, field: 'request' },
        { body: [], field: 'request' },
        { body: [message, { room: 'spec' }], field: '1.content' },
        { body: Array.from({ length: 1001 }, () => message), field: 'request' },
        { body: 7, field: 'request' },
      ],
    },
    direct: {
      key: SHOP,
      path: '/v1/direct',
      body: { userId: 'u-ada', content: { order: 7 } },
      wrong: [{ body: { content: 'x' }, field: 'userId' }],
    },
    broadcast: {
      key: SHOP,
      path: '/v1/broadcast',
      body: { rooms: ['a', 'b'], content: 'to both' },
      wrong: [
        { body: { rooms: [], content: 'x' }, field: 'rooms' },
        { body: { rooms: ['a b'], content: 'x' }, field: 'rooms.0' },
      ],
    },
    members: {
      key: READER,
      path: '/v1/rooms/spec/members',
      wrong: [{ path: '/v1/rooms/a%20b/members', field: 'room' }],
    },
    count: { key: READER, path: '/v1/rooms/spec/count', wrong: [{ path: '/v1/rooms/@all/count', field: 'room' }] },
    history: {
      key: READER,
      path: '/v1/rooms/spec/history',
      wrong: [
        { path: '/v1/rooms/spec/history?limit=0', field: 'limit' },
        { path: '/v1/rooms/spec/history?limit=1001', field: 'limit' },
        { path: '/v1/rooms/spec/history?after=7', field: 'after' },
        { path: '/v1/rooms/spec/history?from=7', field: 'request' },
      ],
    },
    connections: {
      key: READER,
      path: '/v1/users/u-ada/connections',
      wrong: [{ path: `/v1/users/${'x'.repeat(129)}/connections`, field: 'userId' }],
    },
    disconnect: {
      key: ADMIN,
      path: '/v1/disconnect',
      body: { userId: 'nobody' },
      wrong: [
        { body: {}, field: 'request' },
        { body: { userId: 'a', clientId: 'b' }, field: 'request' },
        { body: { userId: 'a', code: 1000 }, field: 'code' },
      ],
    },
    revoke: {
      key: ADMIN,
      path: '/v1/revoke',
      body: { userId: 'nobody' },
      wrong: [
        { body: {}, field: 'request' },
        { body: { userId: 'a', jti: 'b' }, field: 'request' },
        { body: { jti: '' }, field: 'jti' },
      ],
    },
    subscribe: {
      key: ADMIN,
      path: '/v1/users/nobody/rooms/spec',
      wrong: [{ path: '/v1/users/nobody/rooms/a%20b', field: 'room' }],
    },
    unsubscribe: {
      key: ADMIN,
      path: '/v1/users/nobody/rooms/spec',
      wrong: [{ path: '/v1/users/nobody/rooms/a%20b', field: 'room' }],
    },
    stats: { key: ADMIN, path: '/v1/stats', wrong: [] },
  };

  test('holds for every operation: right input, wrong input, no key, the wrong key', async () => {
    const { json: document } = await call(app, 'GET', '/openapi.json');
    const ajv = new Ajv2020({ strict: false, validateFormats: false });
    ajv.addSchema(document, 'api');
    const operations = Object.entries<Record<string, { operationId: string }>>(document.paths).flatMap(
      ([path, methods]) => Object.entries(methods).map(([method, { operationId }]) => ({ path, method, operationId })),
    );
    expect(operations.map(({ operationId }) => operationId).sort()).toEqual(Object.keys(examples).sort());
    for (const { path, method, operationId } of operations) {
      const example = examples[operationId];
      if (!example) throw new Error(`no example of ${operationId}`);
      const says = (status: number, type: string, value: unknown) => {
        const pointer = ['paths', path, method, 'responses', status, 'content', type, 'schema']
          .map((part) => encodeURIComponent(String(part).replaceAll('~', '~0').replaceAll('/', '~1')))
          .join('/');
        const validate = ajv.compile({ $ref: `api#/${pointer}` });
        expect(
          validate(value),
          `${operationId} ${status}: ${JSON.stringify(value)} ${JSON.stringify(validate.errors)}`,
        ).toBe(true);
      };
      const refused = (reply: Reply, status: number, code: string) => {
        expect(reply, `${operationId} ${JSON.stringify(reply.json)}`).toMatchObject({ status, json: { status, code } });
        expect(reply.headers.get('content-type')).toMatch(/^application\/problem\+json/);
        says(status, 'application/problem+json', reply.json);
      };
      const ask = (more: object) =>
        call(app, method.toUpperCase(), example.path, { key: example.key, body: example.body, ...more });
      const right = await ask({});
      expect(right.status, `${operationId} ${JSON.stringify(right.json)}`).toBe(200);
      says(200, 'application/json', right.json);
      for (const { field, ...wrong } of example.wrong) {
        const reply = await call(app, method.toUpperCase(), wrong.path ?? example.path, {
          key: example.key,
          body: wrong.body ?? example.body,
        });
        refused(reply, 400, 'INVALID_REQUEST');
        expect(reply.json.errors[0].field, `${operationId} ${JSON.stringify(reply.json)}`).toBe(field);
      }
      const keyless = await ask({ key: undefined });
      refused(keyless, 401, 'UNAUTHORIZED');
      expect(keyless.headers.get('www-authenticate')).toBe('Bearer');
      refused(await ask({ key: `${SHOP}x` }), 401, 'UNAUTHORIZED');
      const forbidden = await ask({ key: example.key === ADMIN ? SHOP : ADMIN });
      refused(forbidden, 403, 'FORBIDDEN');
      expect(document.paths[path][method].description).toContain(forbidden.json.scope);
    }
  });

  test('answers what is no request of it', async () => {
    const key = SHOP;
    expect(await call(app, 'GET', '/v1/nothing', { key })).toMatchObject({ status: 404, json: { code: 'NOT_FOUND' } });
    const wrong = await call(app, 'PUT', '/v1/publish', { key, body: {} });
    expect(wrong).toMatchObject({ status: 405, json: { code: 'METHOD_NOT_ALLOWED' } });
    expect(wrong.headers.get('allow')).toBe('POST');
    const code = async (options: object) => (await call(app, 'POST', '/v1/publish', { key, ...options })).json.code;
    expect(await code({ text: '{' })).toBe('INVALID_JSON');
    expect(await code({ text: 'room=a', headers: { 'Content-Type': 'text/plain' } })).toBe('UNSUPPORTED_MEDIA_TYPE');
    expect(await code({ text: JSON.stringify('x'.repeat(9_000_000)) })).toBe('BODY_TOO_LARGE');
    expect(await code({ body: { room: 'a', content: 'x'.repeat(4097) } })).toBe('CONTENT_TOO_LONG');
    expect(await code({ text: `{"room":"a","content":${'{"a":'.repeat(4000)}1${'}'.repeat(4000)}}` })).toBe(
      'CONTENT_TOO_LONG',
    );
  });

  test('is not on the public listener, and there is no listener without keys', async () => {
    expect((await app.public('/v1/stats', { headers: { Authorization: `Bearer ${ADMIN}` } })).status).toBe(404);
    await using closed = await startApp();
    expect(closed.lines.find(({ event }) => event === 'listening')).not.toHaveProperty('apiPort');
  });
});

describe('publish', () => {
  test('reaches members on every instance, once for each id, in order, as text and as objects', async () => {
    await using ada = await connect(other, { as: 'ada' });
    await ada.request('join_room', { room: 'orders' });
    const contents = [...Array.from({ length: 20 }, (_, n) => `no ${n}`), { order: 7, items: ['tea'] }];
    for (const [n, content] of contents.entries()) {
      const on = n % 2 === 0 ? app : other;
      const { json } = await call(on, 'POST', '/v1/publish', {
        key: n % 3 === 0 ? SHOP : NEXT,
        body: { room: 'orders', content, id: `order-${n}` },
      });
      expect(json).toMatchObject({ position: { offset: n + 1 }, duplicate: false });
    }
    // The id of the first again: on the other instance, with the other key of the same name, and as a header.
    const again = await call(other, 'POST', '/v1/publish', {
      key: NEXT,
      body: { room: 'orders', content: 'no 0' },
      headers: { 'Idempotency-Key': 'order-0' },
    });
    expect(again.json).toMatchObject({ position: { offset: 1 }, duplicate: true });
    await ada.next('message', ({ content }) => typeof content === 'object');
    expect(ada.all('message').map(({ payload }) => payload.content)).toEqual(contents);
    expect(ada.all('message')[0]?.payload.from).toEqual({
      ...{ userId: 'api:shop', username: 'shop', clientId: '@api', instanceId: 'app1' },
    });
  });

  test('takes a batch in its order, and answers each message', async () => {
    await using ada = await connect(other, { as: 'ada' });
    await ada.request('join_room', { room: 'batch' });
    const batch = Array.from({ length: 1000 }, (_, n) => ({ room: 'batch', content: `${n}`, id: `batch-${n}` }));
    batch[500] = { ...batch[500], content: 'x'.repeat(4097) } as (typeof batch)[0];
    const { status, json } = await call(app, 'POST', '/v1/publish', { key: SHOP, body: batch });
    expect(status).toBe(200);
    expect(json).toHaveLength(1000);
    expect(json[500]).toMatchObject({ status: 400, code: 'CONTENT_TOO_LONG' });
    await ada.next('message', ({ content }) => content === '999');
    const expected = batch.map(({ content }) => content).filter((_, n) => n !== 500);
    expect(ada.all('message').map(({ payload }) => payload.content)).toEqual(expected);
    const { json: again } = await call(other, 'POST', '/v1/publish', { key: SHOP, body: batch.slice(0, 10) });
    expect(again.every(({ duplicate }: { duplicate: boolean }) => duplicate)).toBe(true);
  });

  test('refuses an Idempotency-Key that is not the id, or stands for a batch', async () => {
    const headers = { 'Idempotency-Key': 'one' };
    const message = { room: 'keys', content: 'x' };
    for (const body of [{ ...message, id: 'two' }, [message]]) {
      const { status, json } = await call(app, 'POST', '/v1/publish', { key: SHOP, body, headers });
      expect({ status, field: json.errors?.[0].field }).toEqual({ status: 400, field: 'Idempotency-Key' });
    }
  });

  test('a broadcast reaches everyone or the rooms that it names, a direct message the user, also later', async () => {
    await using ada = await connect(app, { as: 'ada' });
    await using bob = await connect(other, { as: 'bob' });
    await bob.request('join_room', { room: 'one' });
    const post = (path: string, body: object) => call(app, 'POST', path, { key: SHOP, body });
    await post('/v1/broadcast', { content: 'to all' });
    for (const client of [ada, bob]) {
      expect((await client.next('message', ({ room }) => room === '@all')).payload.content).toBe('to all');
    }
    const { json } = await post('/v1/broadcast', { rooms: ['one', 'two'], content: 'to rooms', id: 'rooms' });
    expect(json.results).toHaveLength(2);
    expect((await bob.next('message', ({ room }) => room === 'one')).payload.content).toBe('to rooms');
    await post('/v1/direct', { userId: 'u-bob', content: 'to bob' });
    expect((await bob.next('message', ({ room }) => room === '@me')).payload.content).toBe('to bob');
    expect(ada.all('message').map(({ payload }) => payload.content)).toEqual(['to all']);

    await post('/v1/direct', { userId: 'u-cleo', content: 'while you were out' });
    await using cleo = await connect(other, { as: 'cleo', protocols: ['wsfleet.v1'] });
    await cleo.request('join_room', { room: '@me', position: { epoch: '0', offset: 0 } });
    expect((await cleo.next('message')).payload.content).toBe('while you were out');
  });

  test('has a limit for each key, and says when to try again', async () => {
    await using slow = await startApp({ API_KEYS, API_PORT: '0', API_RATE_LIMIT: '5' });
    const batch = Array.from({ length: 20 }, () => ({ room: 'a', content: 'x' }));
    const { json } = await call(slow, 'POST', '/v1/publish', { key: SHOP, body: batch });
    expect(json.at(-1)).toMatchObject({ status: 429, code: 'RATE_LIMITED' });
    expect(json.filter((each: object) => 'position' in each).length).toBeGreaterThanOrEqual(5);
    const body = { room: 'a', content: 'x' };
    const refused = await call(slow, 'POST', '/v1/publish', { key: SHOP, body });
    expect(refused.status).toBe(429);
    expect(refused.headers.get('retry-after')).toBe('1');
    expect((await call(slow, 'POST', '/v1/publish', { key: NEXT, body })).status).toBe(200);
  });

  test('is refused with 503 while Redis is away, and stored once when it is sent again', async () => {
    await using own = await startRedis();
    await using lone = await startApp({ BROKER: 'redis', REDIS_URL: own.url, API_KEYS, API_PORT: '0' });
    const body = { room: 'away', content: 'x', id: 'only-once' };
    await own.kill();
    await lone.log('redis_down');
    const refused = await call(lone, 'POST', '/v1/publish', { key: SHOP, body });
    expect(refused).toMatchObject({ status: 503, json: { code: 'UNAVAILABLE' } });
    expect(refused.headers.get('retry-after')).toBe('1');
    const { json } = await call(lone, 'POST', '/v1/publish', { key: SHOP, body: [body, body] });
    expect(json.map(({ status }: { status: number }) => status)).toEqual([503, 503]);
    await own.start();
    await expect
      .poll(async () => (await call(lone, 'POST', '/v1/publish', { key: SHOP, body })).json)
      .toMatchObject({ position: { offset: 1 } });
    expect((await call(lone, 'POST', '/v1/publish', { key: SHOP, body })).json).toMatchObject({ duplicate: true });
  });
});

describe('the examples in docs', () => {
  test.for<[string, string]>([
    ['sh', 'publish.sh'],
    ['node', 'publish.mjs'],
    ['python3', 'publish.py'],
  ])('%s %s publishes once, however often it is run', async ([program, name], { skip }) => {
    const needs = name === 'publish.sh' ? 'curl' : program;
    if (spawnSync(needs, ['--version']).error) skip(`${needs} is not installed`);
    const example = fileURLToPath(new URL(`../../../docs/examples/${name}`, import.meta.url));
    const port = app.lines.find(({ event }) => event === 'listening')?.['apiPort'];
    const env = { PATH: process.env['PATH'] ?? '', API: `http://127.0.0.1:${port}`, SECRET: SHOP };
    for (const duplicate of [false, true]) {
      const { child, exited } = await run(program, [example, 'examples', `from ${name}`, name], { env });
      const output = collectOutput(child);
      expect(await exited, output.stderr).toMatchObject({ code: 0 });
      expect(JSON.parse(output.stdout)).toMatchObject({ position: { epoch: expect.any(String) }, duplicate });
    }
    const { child, exited } = await run(program, [example, 'no room', 'x', name], { env });
    const output = collectOutput(child);
    expect(await exited).not.toMatchObject({ code: 0 });
    expect(output.stdout + output.stderr).toContain('INVALID_REQUEST');
  });
});

test('a client stays in the room that it was joined to, across connections, until it is taken out', async () => {
  const client = createClient({
    ...{ url: `${app.origin}/ws`, token: tokenFor('guest'), rooms: [], backoff: { base: 1, cap: 50 } },
  });
  const seen: unknown[] = [];
  client.on('message', ({ content }) => seen.push(content));
  const opened = () =>
    new Promise<void>((resolve) => {
      const off = client.on('state', ({ name }) => {
        if (name !== 'open') return;
        off();
        resolve();
      });
    });
  const publish = (content: string) =>
    call(other, 'POST', '/v1/publish', { key: SHOP, body: { room: 'invited', content } });
  const first = opened();
  client.connect();
  await first;
  const room = '/v1/users/u-guest/rooms/invited';
  expect((await call(other, 'POST', room, { key: ADMIN })).json).toEqual({ joined: 1, refused: 0 });
  await expect.poll(() => client.rooms).toEqual(['invited']);
  await publish('one');
  await expect.poll(() => seen).toEqual(['one']);
  const again = opened();
  await call(other, 'POST', '/v1/disconnect', { key: ADMIN, body: { userId: 'u-guest', code: 4000 } });
  await publish('two');
  await again;
  await expect.poll(() => seen).toEqual(['one', 'two']);
  expect((await call(other, 'DELETE', room, { key: ADMIN })).json).toEqual({ left: 1 });
  await expect.poll(() => client.rooms).toEqual([]);
  await client.close();
});

describe('reading', () => {
  test('tells members and their count over all instances', async () => {
    await using ada = await connect(app, { as: 'ada' });
    await using bob = await connect(other, { as: 'bob' });
    for (const client of [ada, bob]) await client.request('join_room', { room: 'readers' });
    const { json } = await call(app, 'GET', '/v1/rooms/readers/members', { key: READER });
    expect(json.memberCount).toBe(2);
    expect(json.members).toEqual(expect.arrayContaining([{ userId: 'u-bob', username: 'bob' }]));
    const { json: count } = await call(other, 'GET', '/v1/rooms/readers/count', { key: READER });
    expect(count).toEqual({ room: 'readers', memberCount: 2 });
  });

  test('pages through the history of a room, and says when it does not continue', async () => {
    const batch = Array.from({ length: 25 }, (_, n) => ({ room: 'past', content: `${n}` }));
    await call(app, 'POST', '/v1/publish', { key: SHOP, body: batch });
    const seen: string[] = [];
    let after = '';
    for (let more = true; more; ) {
      const { json } = await call(other, 'GET', `/v1/rooms/past/history?limit=10${after}`, { key: READER });
      expect(json.recovery).toBe('recovered');
      seen.push(...json.messages.map(({ content }: { content: string }) => content));
      after = `&after=${json.next}`;
      more = json.more;
    }
    expect(seen).toEqual(batch.map(({ content }) => content));
    const { json } = await call(app, 'GET', '/v1/rooms/past/history?after=never.1:3', { key: READER });
    expect(json.recovery).toBe('gap');
    const { json: none } = await call(app, 'GET', '/v1/rooms/never/history', { key: READER });
    expect(none).toEqual({ messages: [], recovery: 'recovered', next: '0:0', more: false });
  });
});

describe('managing', () => {
  test('lists a user’s connections and closes them, wherever they are', async () => {
    await using here = await connect(app, { as: 'dora' });
    await using there = await connect(other, { as: 'dora' });
    await using bystander = await connect(other, { as: 'eve' });
    await there.request('join_room', { room: 'dora-was-here' });
    const { json } = await call(app, 'GET', '/v1/users/u-dora/connections', { key: READER });
    expect(json.connections.map(({ instanceId }: { instanceId: string }) => instanceId).sort()).toEqual([
      'app1',
      'app2',
    ]);
    const rooms = json.connections.find(({ instanceId }: { instanceId: string }) => instanceId === 'app2').rooms;
    expect(rooms).toEqual(['dora-was-here']);

    const [{ clientId }] = json.connections.filter(({ instanceId }: { instanceId: string }) => instanceId === 'app2');
    const post = (on: App, body: object) => call(on, 'POST', '/v1/disconnect', { key: ADMIN, body });
    expect((await post(app, { clientId, code: 4123 })).json).toEqual({ disconnected: 1 });
    expect(await there.closed).toMatchObject({ code: 4123, reason: 'kicked' });
    expect((await post(app, { clientId })).json).toEqual({ disconnected: 0 });
    expect((await post(other, { userId: 'u-dora' })).json).toEqual({ disconnected: 1 });
    expect(await here.closed).toMatchObject({ code: 4505 });
    // Whoever was closed for good is gone at once, not after PRESENCE_GRACE.
    expect((await bystander.request('ping')).type).toBe('pong');
    await other.log('api_managed', (line) => line['key'] === 'admin' && line['operation'] === 'disconnect');
  });

  test('lets a user’s connections join and leave a room, as far as their tokens allow it', async () => {
    await using here = await connect(app, { as: 'finn' });
    await using there = await connect(other, { as: 'finn' });
    const path = '/v1/users/u-finn/rooms/invited';
    expect((await call(app, 'POST', path, { key: ADMIN })).json).toEqual({ joined: 2, refused: 0 });
    for (const client of [here, there]) await client.next('joined_room', ({ room }) => room === 'invited');
    await call(app, 'POST', '/v1/publish', { key: SHOP, body: { room: 'invited', content: 'welcome' } });
    for (const client of [here, there]) expect((await client.next('message')).payload.content).toBe('welcome');
    expect((await call(other, 'DELETE', path, { key: ADMIN })).json).toEqual({ left: 2 });
    for (const client of [here, there]) await client.next('left_room', ({ room }) => room === 'invited');
  });

  test('tells what every instance says about itself, and no secret', async () => {
    const { json } = await call(app, 'GET', '/v1/stats', { key: ADMIN });
    expect(json.instances.map(({ instanceId }: { instanceId: string }) => instanceId).sort()).toEqual(['app1', 'app2']);
    for (const secret of [SHOP, NEXT, READER, ADMIN]) {
      expect(app.output).not.toContain(secret);
      expect(JSON.stringify(json)).not.toContain(secret);
    }
  });
});
