/** The claim `rights`: who x what x which room, as a table; every refusal names the right that lacks. */
import jwt from 'jsonwebtoken';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { rights as allRights, type Right } from '../../src/protocol.ts';
import { type App, startApp } from '../harness/app.ts';
import { connect, refusal } from '../harness/client.ts';
import { SECRET } from '../harness/tokens.ts';

let app: App;
beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.kill());

type Rights = Record<string, Right[]>;
const sign = (rights: object, sub = 'u-1', more: object = {}) =>
  jwt.sign({ sub, rights, exp: Math.floor(Date.now() / 1000) + 600, ...more }, SECRET);

const who: Record<string, Rights> = {
  nobody: {},
  reader: { 'orders.*': ['join', 'history'] },
  writer: { 'orders.*': ['join', 'publish'] },
  watcher: { 'orders.7': ['join', 'presence'] },
  clerk: { 'orders.*': ['join'], 'orders.7': ['publish', 'presence'] },
  announcer: { '@all': ['publish'] },
  penpal: { '@user:u-ada': ['publish'] },
  postman: { '@user:*': ['publish'] },
  anyone: { '*': [...allRights] },
};
const rooms = ['orders.7', 'orders.8', 'orders', 'lobby'];

/** What the table above says, written down once more by hand. */
const expected: Record<string, Record<Right, string[]>> = {
  nobody: { join: [], publish: [], presence: [], history: [] },
  reader: { join: ['orders.7', 'orders.8'], publish: [], presence: [], history: ['orders.7', 'orders.8'] },
  writer: { join: ['orders.7', 'orders.8'], publish: ['orders.7', 'orders.8'], presence: [], history: [] },
  watcher: { join: ['orders.7'], publish: [], presence: ['orders.7'], history: [] },
  clerk: { join: ['orders.7', 'orders.8'], publish: ['orders.7'], presence: ['orders.7'], history: [] },
  announcer: { join: [], publish: [], presence: [], history: [] },
  penpal: { join: [], publish: [], presence: [], history: [] },
  postman: { join: [], publish: [], presence: [], history: [] },
  anyone: { join: rooms, publish: rooms, presence: rooms, history: rooms },
};

describe.for(Object.keys(who))('%s', (name) => {
  const lacks = (right: Right) => ({ type: 'error', payload: { code: 'FORBIDDEN', right } });

  test.for(rooms)('in %s', async (room) => {
    const may = (right: Right) => expected[name]?.[right].includes(room) ?? false;
    await using other = await connect(app, { as: 'other' });
    await other.request('join_room', { room });
    await other.request('chat', { room, content: 'before' });
    await using client = await connect(app, { token: sign(who[name] as Rights) });
    const joined = await client.request('join_room', { room, position: { epoch: '0', offset: 0 } });
    if (!may('join')) {
      expect(joined).toMatchObject(lacks('join'));
      return;
    }
    expect(joined).toMatchObject({ type: 'joined_room', payload: { recovery: may('history') ? 'recovered' : 'none' } });
    const answers: [Right, string, object, string | undefined][] = [
      ['publish', 'chat', { room, content: 'x' }, 'ack'],
      ['presence', 'list_members', { room }, 'members'],
    ];
    for (const [right, type, payload, answer] of answers) {
      expect(await client.request(type, payload)).toMatchObject(may(right) ? { type: answer } : lacks(right));
    }
    if (!may('publish')) {
      expect(await client.request('typing', { room, isTyping: true })).toMatchObject(lacks('publish'));
    }
  });

  test('to everyone, to a user and to a connection', async () => {
    await using ada = await connect(app, { token: sign({ '@me': ['join'] }, 'u-ada') });
    await using client = await connect(app, { token: sign(who[name] as Rights) });
    const answers: [string, object, boolean][] = [
      ['chat', { content: 'x' }, ['announcer', 'anyone'].includes(name)],
      ['direct', { to: { userId: 'u-ada' }, content: 'x' }, ['penpal', 'postman', 'anyone'].includes(name)],
      ['direct', { to: { userId: 'u-bob' }, content: 'x' }, ['postman', 'anyone'].includes(name)],
      ['direct', { to: { clientId: ada.clientId }, content: 'x' }, ['postman', 'anyone'].includes(name)],
    ];
    for (const [type, payload, allowed] of answers) {
      const answer = await client.request(type, payload);
      expect(answer, JSON.stringify(payload)).toMatchObject(allowed ? { type: 'ack' } : lacks('publish'));
    }
  });
});

test('broadcasts and direct messages reach those with the right to get them', async () => {
  await using with_ = await connect(app, { token: sign({ '@all': ['join'], '@me': ['join'] }, 'u-with') });
  await using without = await connect(app, { token: sign({ lobby: ['join'] }, 'u-without') });
  await using sender = await connect(app, { as: 'sender' });
  await sender.request('chat', { content: 'to all' });
  for (const userId of ['u-with', 'u-without']) await sender.request('direct', { to: { userId }, content: 'to you' });
  await with_.next('message', ({ content }) => content === 'to you');
  expect(with_.all('message').map(({ payload }) => payload.content)).toEqual(['to all', 'to you']);
  await without.request('ping');
  expect(without.all('message')).toEqual([]);
});

test('a new token with fewer rights takes its user out of the rooms', async () => {
  await using client = await connect(app, { token: sign({ '*': ['join'] }) });
  for (const room of ['orders.1', 'lobby']) await client.request('join_room', { room });
  const answer = await client.request('refresh_token', { token: sign({ 'orders.*': ['join'] }) });
  expect(answer.type).toBe('authenticated');
  expect((await client.next('left_room')).payload).toEqual({ room: 'lobby' });
  expect((await client.request('list_rooms')).payload).toEqual({ rooms: ['orders.1'] });
});

test('rights take the place of rooms where a token has both', async () => {
  await using client = await connect(app, { token: sign({ lobby: ['join'] }, 'u-1', { rooms: ['kitchen'] }) });
  expect((await client.request('join_room', { room: 'lobby' })).type).toBe('joined_room');
  expect(await client.request('join_room', { room: 'kitchen' })).toMatchObject({ payload: { code: 'FORBIDDEN' } });
});

test.for<[string, unknown]>([
  ['a list', ['lobby']],
  ['an unknown right', { lobby: ['fly'] }],
  ['a right that is no list', { lobby: 'join' }],
  ['an empty name', { '': ['join'] }],
  [
    'more entries than are looked through',
    Object.fromEntries(Array.from({ length: 201 }, (_, n) => [`r${n}`, ['join']])),
  ],
])('%s is refused', async ([, rights]) => {
  const { status, body } = await refusal(app, { token: sign(rights as object) });
  expect({ status, body }).toMatchObject({ status: 401, body: expect.stringContaining('TOKEN_MALFORMED') });
});
