/** rooms.yml: which options a room has, what they do, and what is wrong with a file, by line and key. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadRoomOptions } from '../src/room-options.ts';
import { call } from './harness/api.ts';
import { type App, spawnApp, startApp } from './harness/app.ts';
import { connect } from './harness/client.ts';
import { type RedisServer, startRedis } from './harness/redis.ts';

const folder = mkdtempSync(join(tmpdir(), 'wsfleet-rooms-'));
afterAll(() => rmSync(folder, { recursive: true }));

function write(text: string): string {
  const path = join(folder, `${Math.random()}.yml`);
  writeFileSync(path, text);
  return path;
}

const load = (text: string) => loadRoomOptions({ ROOMS_FILE: write(text), HISTORY_SIZE: 1000, HISTORY_TTL: 600_000 });

describe('the file', () => {
  test('the kit has one, with the defaults', async () => {
    const optionsOf = await loadRoomOptions({ ROOMS_FILE: 'rooms.yml', HISTORY_SIZE: 7, HISTORY_TTL: 8 });
    const defaults = { history: { size: 7, ttl: 8 }, presence: true, events: true, publish: 'members' };
    expect(optionsOf('lobby')).toEqual(defaults);
  });

  test('of the keys that fit a room the longest counts, alone', async () => {
    const optionsOf = await load(
      [
        '"*": { presence: false }',
        'orders.*: { history: { size: 5 }, events: false }',
        'orders.7: { publish: api }',
        'orders.7*: { maxMembers: 9 }',
      ].join('\n'),
    );
    expect(optionsOf('lobby')).toMatchObject({ presence: false, events: true, history: { size: 1000 } });
    expect(optionsOf('orders.1')).toMatchObject({ presence: true, events: false, history: { size: 5, ttl: 600_000 } });
    expect(optionsOf('orders.7')).toMatchObject({ publish: 'api', maxMembers: undefined, history: { size: 1000 } });
    expect(optionsOf('orders.77')).toMatchObject({ publish: 'members', maxMembers: 9 });
    expect(optionsOf('@all')).toMatchObject({ presence: true });
    expect(optionsOf('@user:ann')).toMatchObject({ presence: true });
  });

  test.each([
    ['a: {\n', [/:2: /]],
    ['[]', [/:\d+: the file: /]],
    [
      'lobby:\n  history:\n    size: 0\n    ttl: 5 minutes\n',
      [/:3: lobby > history > size: /, /:4: lobby > history > ttl: expected a duration/],
    ],
    ['lobby:\n  presence: true\n\n  retention: 5\n', [/:4: lobby > retention: unknown option$/]],
    ['# a comment\n"@all": { presence: false }\n', [/:2: @all: expected a room, or its beginning and \*$/]],
    ['"a*b": {}\n', [/:1: a\*b: expected a room/]],
    ['a: { publish: nobody }\n', [/:1: a > publish: /]],
    ['a:\n  presence: false\n  maxMembers: 3\n', [/:3: a > maxMembers: needs presence/]],
    ['a: {}\na: {}\n', [/:2: /]],
    ['a: &x { presence: false }\nb: *y\n', [/: Unresolved alias/]],
  ])('%j is refused by line and key', async (text, expected) => {
    const error = await load(text).catch((problem: unknown) => problem);
    const { problems } = error as { problems: string[] };
    expect(problems).toEqual(expected.map((pattern) => expect.stringMatching(pattern)));
    for (const problem of problems) expect(problem).toMatch(/^ROOMS_FILE: \//);
  });

  test('an alias bomb does not grow', async () => {
    const levels = Array.from(
      { length: 9 },
      (_, i) =>
        `a${i}: &a${i} [${Array(9)
          .fill(i ? `*a${i - 1}` : 'x')
          .join(', ')}]`,
    );
    await expect(load(levels.join('\n'))).rejects.toThrow(/alias/);
  });

  test('the process says what is wrong, and exits 78', async () => {
    await using app = await spawnApp({ ROOMS_FILE: write('lobby: { presense: true }') });
    expect(await app.log('config_invalid')).toMatchObject({
      problems: [expect.stringMatching(/\.yml:1: lobby > presense: unknown option$/)],
    });
    expect((await app.exited).code).toBe(78);
    await using missing = await spawnApp({ ROOMS_FILE: '/nowhere/rooms.yml' });
    expect(await missing.log('config_invalid')).toMatchObject({
      problems: ['ROOMS_FILE: /nowhere/rooms.yml: cannot be read (ENOENT)'],
    });
  });
});

const ROOMS = `
short*: { history: { size: 3 } }
brief*: { history: { ttl: 300ms } }
blind*: { presence: false }
quiet*: { events: false }
small*: { maxMembers: 2 }
board*: { publish: api }
`;
const KEY = 'shop-secret-0123456789abcdefghijklmnop';

describe.each(['redis', 'memory'])('what options do, with BROKER=%s', (broker) => {
  let redis: RedisServer;
  let app: App;
  beforeAll(async () => {
    redis = await startRedis();
    app = await startApp({
      ...{ BROKER: broker, REDIS_URL: redis.url, ROOMS_FILE: write(ROOMS) },
      ...{ API_KEYS: `shop:publish+presence+history:${KEY}`, API_PORT: '0' },
    });
  });
  afterAll(async () => {
    await app.kill();
    await redis[Symbol.asyncDispose]();
  });

  const publish = (room: string, content: string) =>
    call(app, 'POST', '/v1/publish', { key: KEY, body: { room, content } });
  const history = async (room: string) =>
    (await call(app, 'GET', `/v1/rooms/${room}/history`, { key: KEY })).json.messages.map(
      ({ content }: { content: string }) => content,
    );

  test('a room keeps as many messages as it says', async () => {
    for (const each of ['1', '2', '3', '4', '5']) {
      await publish('short.1', each);
      await publish('long', each);
    }
    // Redis trims whole nodes of a stream only with an exact MAXLEN.
    expect(await history('short.1')).toEqual(['3', '4', '5']);
    expect(await history('long')).toEqual(['1', '2', '3', '4', '5']);
  });

  test('and for as long', async () => {
    await publish('brief', 'gone soon');
    await publish('lasting', 'here');
    await expect.poll(() => history('brief'), { timeout: 5000 }).toEqual([]);
    expect(await history('lasting')).toEqual(['here']);
  });

  test('without presence nobody is counted, listed or announced', async () => {
    await using ann = await connect(app, { as: 'ann' });
    await using bob = await connect(app, { as: 'bob' });
    await ann.request('join_room', { room: 'blind' });
    expect(await bob.request('join_room', { room: 'blind' })).toMatchObject({ payload: { memberCount: 0 } });
    expect(await ann.request('list_members', { room: 'blind' })).toMatchObject({
      payload: { members: [], memberCount: 0 },
    });
    await bob.request('chat', { room: 'blind', content: 'hello' });
    await ann.next('message');
    expect(ann.all('user_joined')).toEqual([]);
  });

  test('without events members are counted and listed, and nobody is told', async () => {
    await using ann = await connect(app, { as: 'ann' });
    await using bob = await connect(app, { as: 'bob' });
    await ann.request('join_room', { room: 'quiet' });
    expect(await bob.request('join_room', { room: 'quiet' })).toMatchObject({ payload: { memberCount: 2 } });
    await bob.request('leave_room', { room: 'quiet' });
    expect(await ann.request('list_members', { room: 'quiet' })).toMatchObject({ payload: { memberCount: 1 } });
    await ann.request('chat', { room: 'quiet', content: 'hello' });
    await ann.next('message');
    expect([...ann.all('user_joined'), ...ann.all('user_left')]).toEqual([]);
  });

  test('a full room takes nobody but who is in it, until someone leaves', async () => {
    await using ann = await connect(app, { as: 'ann' });
    await using again = await connect(app, { as: 'ann' });
    await using bob = await connect(app, { as: 'bob' });
    await using eve = await connect(app, { as: 'eve' });
    const joined = { type: 'joined_room', payload: { memberCount: 2 } };
    await ann.request('join_room', { room: 'small' });
    expect(await bob.request('join_room', { room: 'small' })).toMatchObject(joined);
    expect(await again.request('join_room', { room: 'small' })).toMatchObject(joined);
    const full = await eve.request('join_room', { room: 'small' });
    expect(full).toMatchObject({ type: 'error', payload: { code: 'ROOM_FULL', field: 'room' } });
    expect(await eve.request('chat', { room: 'small', content: 'hm' })).toMatchObject({
      payload: { code: 'NOT_IN_ROOM' },
    });
    expect(await eve.request('list_rooms')).toMatchObject({ payload: { rooms: [] } });
    await bob.request('chat', { room: 'small', content: 'us' });
    await ann.next('message');
    expect(eve.all('message')).toEqual([]);
    await bob.request('leave_room', { room: 'small' });
    expect(await eve.request('join_room', { room: 'small' })).toMatchObject(joined);
  });

  test('only the server API publishes where it says so', async () => {
    await using ann = await connect(app, { as: 'ann' });
    await ann.request('join_room', { room: 'board.news' });
    expect(await ann.request('chat', { room: 'board.news', content: 'mine' })).toMatchObject({
      payload: {
        code: 'FORBIDDEN',
        right: 'publish',
        message: 'only the server API publishes in board.news (rooms.yml)',
      },
    });
    ann.send({ type: 'typing', payload: { room: 'board.news', isTyping: true } });
    expect(await ann.next('error')).toMatchObject({ payload: { code: 'FORBIDDEN', right: 'publish' } });
    await publish('board.news', 'news');
    expect(await ann.next('message')).toMatchObject({ payload: { content: 'news' } });
  });
});
