/** A token does exactly what its `rooms` claim lists: every message type against every shape of the claim. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SUBPROTOCOL } from '../../src/protocol.ts';
import { type App, startApp } from '../harness/app.ts';
import { connect, type Greeted } from '../harness/client.ts';
import { tokenFor } from '../harness/tokens.ts';

let app: App;
beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app[Symbol.asyncDispose]());

const shapes: Readonly<Record<string, string[] | undefined>> = {
  'no list': undefined,
  'an empty list': [],
  'a room': ['lobby'],
  'a room and @all': ['lobby', '@all'],
  'a room and @me': ['lobby', '@me'],
  '@all': ['@all'],
  '@me': ['@me'],
  'another room': ['kitchen'],
  'a name that only looks like a pattern': ['*', 'lob*'],
};
type Shape = readonly string[] | undefined;
const lists = (room: string) => (shape: Shape) => shape === undefined || shape.includes(room);
const always = () => true;

interface Row {
  type: string;
  payload: object;
  /** Joined before, as far as the token allows. */
  after?: string;
  allowed(shape: Shape): boolean;
  answer: string;
  refusal?: string;
}

const join = (room: string): Row => ({
  type: 'join_room',
  payload: { room },
  allowed: lists(room),
  answer: 'joined_room',
});
/** Only a member may do this, and only a listed room has members. */
const inLobby = (type: string, payload: object, answer: string): Row => ({
  type,
  payload: { room: 'lobby', ...payload },
  after: 'lobby',
  allowed: lists('lobby'),
  answer,
  refusal: 'NOT_IN_ROOM',
});
const direct = (to: object): Row => ({
  type: 'direct',
  payload: { to, content: 'psst' },
  allowed: lists('@me'),
  answer: 'ack',
});

/** What holds for every connection; {userId} and {clientId} stand for somebody else's. */
const rows: Row[] = [
  join('lobby'),
  inLobby('chat', { content: 'hello' }, 'ack'),
  inLobby('room_message', { content: 'hello' }, 'ack'),
  inLobby('list_members', {}, 'members'),
  inLobby('leave_room', {}, 'left_room'),
  { type: 'chat', payload: { content: 'all!' }, allowed: lists('@all'), answer: 'ack' },
  { type: 'chat', payload: { room: '@all', content: 'all!' }, allowed: lists('@all'), answer: 'ack' },
  direct({ userId: 'u-other' }),
  direct({ clientId: 'CLIENT' }),
  { type: 'list_rooms', payload: {}, allowed: always, answer: 'rooms' },
  { type: 'ping', payload: {}, allowed: always, answer: 'pong' },
];
const explicitRows = [join('@all'), join('@me')];

describe.each(Object.entries(shapes))('a token that lists %s', (_name, shape) => {
  const enter = (explicit: boolean) =>
    connect(app, {
      token: tokenFor('limited', shape ? { rooms: shape } : {}),
      protocols: explicit ? [SUBPROTOCOL] : [],
    });

  for (const explicit of [true, false]) {
    for (const row of explicit ? [...rows, ...explicitRows] : rows) {
      const verdict = row.allowed(shape) ? 'may' : 'may not';
      test(`${verdict} ${row.type} ${JSON.stringify(row.payload)}${explicit ? ' (wsfleet.v1)' : ''}`, async () => {
        await using other = await connect(app, { as: 'other' });
        await using client = await enter(explicit);
        if (row.after) await client.request('join_room', { room: row.after });
        const payload = JSON.parse(JSON.stringify(row.payload).replace('CLIENT', other.clientId)) as object;
        const answer = await client.request(row.type, payload);
        if (row.allowed(shape)) expect(answer).toMatchObject({ type: row.answer });
        else expect(answer).toMatchObject({ type: 'error', payload: { code: row.refusal ?? 'ROOM_FORBIDDEN' } });
      });
    }
  }

  test(`${lists('lobby')(shape) ? 'may' : 'may not'} type in the room`, async () => {
    await using watcher = await connect(app, { as: 'watcher' });
    await watcher.request('join_room', { room: 'lobby' });
    await using client = await enter(false);
    await client.request('join_room', { room: 'lobby' });
    client.send({ type: 'typing', payload: { room: 'lobby', isTyping: true }, id: 'typing' });
    if (lists('lobby')(shape)) await watcher.next('typing', ({ userId }) => userId === client.userId);
    else await client.next('error', ({ code }) => code === 'NOT_IN_ROOM');
  });

  test(`a plain connection reads ${lists('@all')(shape) ? '' : 'no '}broadcasts and ${lists('@me')(shape) ? '' : 'no '}directs`, async () => {
    await using other = await connect(app, { as: 'other' });
    await using client = await enter(false);
    await expectReads(client, other, shape);
  });

  test('a refreshed token takes effect at once, both ways', async () => {
    await using other = await connect(app, { as: 'other' });
    await using client = await connect(app, { as: 'limited' });
    await client.request('join_room', { room: 'lobby' });
    const refresh = (rooms: Shape) =>
      client.request('refresh_token', { token: tokenFor('limited', rooms ? { rooms: [...rooms] } : {}) });
    expect(await refresh(shape)).toMatchObject({ type: 'authenticated' });
    const { payload } = (await client.request('list_rooms')) as { payload: { rooms: string[] } };
    expect(payload.rooms).toEqual(lists('lobby')(shape) ? ['lobby'] : []);
    await expectReads(client, other, shape);
    expect(await refresh(undefined)).toMatchObject({ type: 'authenticated' });
    await expectReads(client, other, undefined);
  });
});

/** What `client` gets when `other` writes to everyone and to its user: as much as the claim lists, and nothing else. */
async function expectReads(client: Greeted, other: Greeted, shape: Shape): Promise<void> {
  const before = client.all('message').length;
  const content = crypto.randomUUID();
  await other.request('chat', { content });
  await other.request('direct', { to: { userId: client.userId }, content });
  const toClient = await other.request('direct', { to: { clientId: client.clientId }, content });
  expect(toClient.type).toBe(lists('@me')(shape) ? 'ack' : 'error');
  const expected = [...(lists('@all')(shape) ? ['@all'] : []), ...(lists('@me')(shape) ? ['@me', '@me'] : [])];
  for (const room of expected) await client.next('message', (message) => message.room === room);
  // The answer comes after everything that was written to the connection before.
  await client.request('ping');
  const rooms = client
    .all('message')
    .slice(before)
    .map((message) => message.payload.room);
  expect(rooms.sort()).toEqual(expected.sort());
}
