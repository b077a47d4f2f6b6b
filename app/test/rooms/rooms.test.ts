/** Two instances on one real Redis, and clients on both. */
import { beforeAll, describe, expect, test } from 'vitest';
import type { ServerMessages } from '../../src/protocol.ts';
import { type App, startApp } from '../harness/app.ts';
import { connect, type Greeted } from '../harness/client.ts';
import { type RedisServer, startRedis } from '../harness/redis.ts';
import { tokenFor } from '../harness/tokens.ts';

let app1: App;
let app2: App;
let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedis();
  const env = { BROKER: 'redis', REDIS_URL: redis.url };
  [app1, app2] = (await Promise.all(['app1', 'app2'].map((id) => startApp({ ...env, INSTANCE_ID: id })))) as [App, App];
  return async () => {
    await Promise.all([app1.kill(), app2.kill()]);
    await redis[Symbol.asyncDispose]();
  };
});

const join = (client: Greeted, room: string) => client.request('join_room', { room });
const from = ({ userId, clientId, instanceId }: Greeted) => expect.objectContaining({ userId, clientId, instanceId });

/** Resolves when `client` has been shown everything that was published in the room before. */
async function settled(client: Greeted, room: string, by: Greeted): Promise<void> {
  const content = `marker ${Math.random()}`;
  await by.request('chat', { room, content });
  await client.next('message', (message) => message.content === content);
}

describe('rooms', () => {
  test('joining is answered with the size over the cluster, and shown to the others only', async () => {
    await using alice = await connect(app1, { as: 'alice' });
    await using bob = await connect(app2, { as: 'bob' });
    expect(await join(alice, 'joining')).toMatchObject({
      type: 'joined_room',
      payload: { room: 'joining', memberCount: 1 },
    });
    expect(await join(bob, 'joining')).toMatchObject({ payload: { memberCount: 2 } });
    expect(await alice.next('user_joined')).toMatchObject({
      payload: { room: 'joining', userId: 'u-bob', username: 'bob', memberCount: 2 },
    });
    await settled(bob, 'joining', alice);
    expect(bob.all('user_joined')).toEqual([]);
    expect(alice.all('user_joined')).toHaveLength(1);
  });

  test('joining twice is answered, and is no event for the others', async () => {
    await using alice = await connect(app1, { as: 'alice' });
    await using bob = await connect(app2, { as: 'bob' });
    await join(alice, 'twice');
    await join(bob, 'twice');
    expect(await join(bob, 'twice')).toMatchObject({ type: 'joined_room', payload: { memberCount: 2 } });
    await settled(alice, 'twice', bob);
    expect(alice.all('user_joined')).toHaveLength(1);
    expect(alice.all('message')).toHaveLength(1);
  });

  test('a large room gets its size once a second instead of every join and leave', async () => {
    await using watcher = await connect(app1, { as: 'watcher' });
    await join(watcher, 'large');
    const begin = performance.now();
    const crowd = await Promise.all(
      Array.from({ length: 160 }, (_, index) => connect(index % 2 === 0 ? app1 : app2, { as: `crowd${index}` })),
    );
    await Promise.all(crowd.map((client) => join(client, 'large')));
    const sizeIs = (memberCount: number) => watcher.next('members', (payload) => payload.memberCount === memberCount);
    expect(await sizeIs(161)).toMatchObject({ payload: { room: 'large' } });
    await Promise.all(crowd.slice(0, 40).map((client) => client.request('leave_room', { room: 'large' })));
    await sizeIs(121);
    const seconds = (performance.now() - begin) / 1000;
    expect(watcher.all('members').length).toBeLessThanOrEqual(Math.ceil(seconds) + 1);
    // PRESENCE_DETAIL_MAX is 100.
    expect(watcher.all('user_joined').length).toBeLessThanOrEqual(100);
    expect(watcher.all('user_left')).toEqual([]);
    await Promise.all(crowd.map((client) => client[Symbol.asyncDispose]()));
  });

  test('leaving is answered, shown to the others, and ends the room’s messages', async () => {
    await using alice = await connect(app1, { as: 'alice' });
    await using bob = await connect(app2, { as: 'bob' });
    await join(alice, 'leaving');
    await join(bob, 'leaving');
    expect(await bob.request('leave_room', { room: 'leaving' })).toMatchObject({
      type: 'left_room',
      payload: { room: 'leaving' },
    });
    expect(await alice.next('user_left')).toMatchObject({
      payload: { room: 'leaving', userId: 'u-bob', username: 'bob', memberCount: 1 },
    });
    await alice.request('chat', { room: 'leaving', content: 'still here?' });
    await alice.request('direct', { to: { userId: 'u-bob' }, content: 'after' });
    await bob.next('message', ({ content }) => content === 'after');
    expect(bob.all('message')).toHaveLength(1);
    expect(await bob.request('chat', { room: 'leaving', content: 'x' })).toMatchObject({
      type: 'error',
      payload: { code: 'NOT_IN_ROOM' },
    });
  });

  test('a connection that closes leaves all its rooms', async () => {
    await using alice = await connect(app1, { as: 'alice' });
    const bob = await connect(app2, { as: 'bob' });
    for (const room of ['closing:1', 'closing:2']) {
      await join(alice, room);
      await join(bob, room);
    }
    await bob.close();
    const left = [await alice.next('user_left'), await alice.next('user_left')];
    expect(left.map(({ payload }) => payload.room).sort()).toEqual(['closing:1', 'closing:2']);
    expect(await alice.request('list_members', { room: 'closing:1' })).toMatchObject({ payload: { memberCount: 1 } });
  });

  test('a connection that is cut leaves its rooms too', async () => {
    await using alice = await connect(app1, { as: 'alice' });
    const bob = await connect(app2, { as: 'bob' });
    await join(alice, 'cut');
    await join(bob, 'cut');
    bob.socket.terminate();
    expect(await alice.next('user_left')).toMatchObject({ payload: { userId: 'u-bob', memberCount: 1 } });
  });

  test('a user with a connection on each instance is one member, who leaves with the last of them', async () => {
    await using alice = await connect(app1, { as: 'alice' });
    const [phone, laptop] = [await connect(app1, { as: 'bob' }), await connect(app2, { as: 'bob' })];
    for (const client of [alice, phone, laptop]) await join(client, 'two:devices');
    expect(await alice.request('list_members', { room: 'two:devices' })).toMatchObject({
      payload: { memberCount: 2 },
    });
    await phone.close();
    await settled(alice, 'two:devices', laptop);
    expect(alice.all('user_joined')).toHaveLength(1);
    expect(alice.all('user_left')).toHaveLength(0);
    await laptop.close();
    expect(await alice.next('user_left')).toMatchObject({ payload: { userId: 'u-bob', memberCount: 1 } });
  });

  test('the member list names everyone on every instance', async () => {
    const clients = await Promise.all(
      Array.from({ length: 6 }, (_, i) => connect(i % 2 ? app1 : app2, { as: `member${i}` })),
    );
    await Promise.all(clients.map((client) => join(client, 'list')));
    for (const client of clients) {
      const { payload } = await client.request('list_members', { room: 'list' });
      expect(payload).toMatchObject({ room: 'list', memberCount: 6 });
      const names = (payload as { members: { username: string }[] }).members.map(({ username }) => username);
      expect(names.sort()).toEqual(clients.map((_, i) => `member${i}`));
    }
    await Promise.all(clients.map((client) => client.close()));
  });

  test('list_rooms answers with the connection’s own rooms', async () => {
    await using alice = await connect(app1, { as: 'alice' });
    await using other = await connect(app1, { as: 'alice' });
    await join(alice, 'own:1');
    await join(alice, 'own:2');
    await join(other, 'own:3');
    expect(await alice.request('list_rooms')).toMatchObject({
      type: 'rooms',
      payload: { rooms: ['own:1', 'own:2'] },
    });
  });

  test('typing is shown to the others and not to its sender', async () => {
    await using alice = await connect(app1, { as: 'alice' });
    await using bob = await connect(app2, { as: 'bob' });
    await join(alice, 'typing');
    await join(bob, 'typing');
    bob.send({ type: 'typing', payload: { room: 'typing', isTyping: true } });
    bob.send({ type: 'typing', payload: { room: 'typing', isTyping: false } });
    for (const isTyping of [true, false]) {
      expect(await alice.next('typing')).toMatchObject({
        payload: { room: 'typing', userId: 'u-bob', username: 'bob', isTyping },
      });
    }
    await settled(bob, 'typing', bob);
    expect(bob.all('typing')).toEqual([]);
  });

  test('a token that names rooms opens these and no others', async () => {
    const token = tokenFor('carol', { rooms: ['allowed'] });
    await using carol = await connect(app1, { token });
    expect(await join(carol, 'allowed')).toMatchObject({ type: 'joined_room' });
    expect(await join(carol, 'other')).toMatchObject({
      type: 'error',
      payload: { code: 'ROOM_FORBIDDEN', field: 'room' },
    });
  });
});

describe('messages', () => {
  test('a message to a room reaches all its members on all instances, its sender too, and says who and where', async () => {
    await using alice = await connect(app1, { as: 'alice' });
    await using bob = await connect(app2, { as: 'bob' });
    await using outsider = await connect(app2, { as: 'outsider' });
    await join(alice, 'chat');
    await join(bob, 'chat');
    expect(await alice.request('chat', { room: 'chat', content: 'hello <b>ü</b>' })).toMatchObject({
      type: 'ack',
      payload: { duplicate: false },
    });
    for (const client of [alice, bob]) {
      expect(await client.next('message')).toMatchObject({
        payload: { room: 'chat', content: 'hello <b>ü</b>', from: from(alice) },
        timestamp: expect.any(Number),
      });
    }
    await alice.request('direct', { to: { clientId: outsider.clientId }, content: 'marker' });
    await outsider.next('message', ({ content }) => content === 'marker');
    expect(outsider.all('message')).toHaveLength(1);
  });

  test('a message without a room reaches everyone on all instances', async () => {
    await using alice = await connect(app1, { as: 'alice' });
    await using bob = await connect(app2, { as: 'bob' });
    await alice.request('chat', { content: 'to all of you' });
    for (const client of [alice, bob]) {
      expect(await client.next('message', ({ content }) => content === 'to all of you')).toMatchObject({
        payload: { room: '@all', from: from(alice) },
      });
    }
  });

  test('a direct message reaches all connections of a user and nobody else', async () => {
    await using alice = await connect(app1, { as: 'alice' });
    const [phone, laptop] = [await connect(app1, { as: 'dave' }), await connect(app2, { as: 'dave' })];
    expect(await alice.request('direct', { to: { userId: 'u-dave' }, content: 'psst' })).toMatchObject({ type: 'ack' });
    for (const client of [phone, laptop]) {
      expect(await client.next('message')).toMatchObject({
        payload: { room: '@me', content: 'psst', from: from(alice) },
      });
    }
    await settled(alice, '@all', alice);
    expect(alice.all('message').filter(({ payload }) => payload.room === '@me')).toEqual([]);
    await Promise.all([phone.close(), laptop.close()]);
  });

  test('a direct message to a connection reaches that one alone', async () => {
    await using alice = await connect(app1, { as: 'alice' });
    const [phone, laptop] = [await connect(app2, { as: 'erin' }), await connect(app2, { as: 'erin' })];
    await alice.request('direct', { to: { clientId: laptop.clientId }, content: 'laptop only' });
    expect(await laptop.next('message')).toMatchObject({ payload: { room: '@me', content: 'laptop only' } });
    await alice.request('direct', { to: { clientId: phone.clientId }, content: 'phone only' });
    expect(await phone.next('message')).toMatchObject({ payload: { content: 'phone only' } });
    expect(phone.all('message')).toHaveLength(1);
    await Promise.all([phone.close(), laptop.close()]);
  });

  test.for(['00000000-0000-0000-0000-000000000000', 'an-instance-that-was', 'two\nlines', '@instance:a'])(
    'a direct message to the connection %j, which does not exist, is answered NOT_FOUND',
    async (clientId) => {
      await using alice = await connect(app1, { as: 'alice' });
      const to = { clientId };
      expect(await alice.request('direct', { to, content: 'x' })).toMatchObject({
        type: 'error',
        payload: { code: 'NOT_FOUND' },
      });
    },
  );

  test('whether a direct message arrived is unknown while the instance of the connection is silent', async () => {
    await using app3 = await startApp({ BROKER: 'redis', REDIS_URL: redis.url, INSTANCE_ID: 'app3' });
    await using alice = await connect(app1, { as: 'alice' });
    await using bob = await connect(app3, { as: 'bob' });
    const direct = (content: string) => alice.request('direct', { to: { clientId: bob.clientId }, content });
    app3.signal('SIGSTOP');
    expect(await direct('1')).toMatchObject({ type: 'error', payload: { code: 'UNAVAILABLE', uncertain: true } });
    app3.signal('SIGCONT');
    expect(await direct('2')).toMatchObject({ type: 'ack', payload: { position: null } });
    for (const content of ['1', '2']) expect(await bob.next('message')).toMatchObject({ payload: { content } });
  });

  test('a direct message to a user who is away is kept for them', async () => {
    await using alice = await connect(app1, { as: 'alice' });
    const away = await connect(app2, { as: 'heidi', protocols: ['wsfleet.v1'] });
    const { position } = (await join(away, '@me')).payload as ServerMessages['joined_room'];
    await away.close();
    const to = { userId: 'u-heidi' };
    expect(await alice.request('direct', { to, content: 'later' })).toMatchObject({ type: 'ack' });
    await using back = await connect(app1, { as: 'heidi', protocols: ['wsfleet.v1'] });
    expect(await back.request('join_room', { room: '@me', position })).toMatchObject({
      payload: { recovery: 'recovered', replayed: 1 },
    });
    expect(await back.next('message')).toMatchObject({ payload: { room: '@me', content: 'later' } });
  });

  test('a connection that has left is nobody', async () => {
    await using alice = await connect(app1, { as: 'alice' });
    const frank = await connect(app2, { as: 'frank' });
    await frank.close();
    await app2.log('disconnected', (line) => line['clientId'] === frank.clientId);
    await expect
      .poll(async () => (await alice.request('direct', { to: { clientId: frank.clientId }, content: 'x' })).payload)
      .toMatchObject({ code: 'NOT_FOUND' });
  });

  test('all members see one order of 1,000 messages from each of two publishers on two instances', async () => {
    const publishers = [await connect(app1, { as: 'pub1' }), await connect(app2, { as: 'pub2' })];
    const members = await Promise.all([app1, app1, app2, app2].map((app, i) => connect(app, { as: `reader${i}` })));
    const everyone = [...publishers, ...members];
    for (const client of everyone) await join(client, 'order');
    const count = 1000;
    await Promise.all(
      publishers.map(async (publisher, who) => {
        const acks = Array.from({ length: count }, (_, n) =>
          publisher.request('chat', { room: 'order', content: `${who}:${n}` }),
        );
        for (const ack of await Promise.all(acks)) expect(ack.type).toBe('ack');
      }),
    );
    for (const client of everyone) await settled(client, 'order', publishers[0] as Greeted);
    const seen = everyone.map((client) =>
      client
        .all('message')
        .map(({ payload }) => String(payload.content))
        .filter((content) => !content.startsWith('marker')),
    );
    const [first = []] = seen;
    expect(first).toHaveLength(2 * count);
    for (const other of seen) expect(other).toEqual(first);
    for (const who of [0, 1]) {
      expect(first.filter((content) => content.startsWith(`${who}:`))).toEqual(
        Array.from({ length: count }, (_, n) => `${who}:${n}`),
      );
    }
    // Both were at it at once, or the order would say nothing.
    expect(first.slice(0, count).some((content) => content.startsWith('0:'))).toBe(true);
    expect(first.slice(0, count).some((content) => content.startsWith('1:'))).toBe(true);
    await Promise.all(everyone.map((client) => client.close()));
  });

  test('the messages of one connection are answered in the order in which they were sent', async () => {
    await using alice = await connect(app1, { as: 'alice' });
    await join(alice, 'answers');
    const kinds: [string, object][] = [
      ['chat', { room: 'answers', content: 'a' }],
      ['ping', {}],
      ['list_members', { room: 'answers' }],
      ['list_rooms', {}],
      ['nonsense', {}],
      ['chat', { room: 'answers', content: 'b' }],
    ];
    await Promise.all(kinds.map(([type, payload]) => alice.request(type, payload)));
    const ids = alice.received.flatMap(({ id }) => (id === undefined ? [] : [Number(id.slice(1))]));
    expect(ids).toEqual([...ids].sort((a, b) => a - b));
  });
});

describe('with wsfleet.v1', () => {
  const protocols = ['wsfleet.v1'];

  test('broadcasts and directs come after joining @all and @me, not before', async () => {
    await using alice = await connect(app1, { as: 'alice' });
    await using grace = await connect(app2, { as: 'grace', protocols });
    await alice.request('chat', { content: 'too early' });
    await alice.request('direct', { to: { userId: 'u-grace' }, content: 'too early' });
    for (const room of ['@all', '@me']) expect(await join(grace, room)).toMatchObject({ type: 'joined_room' });
    await alice.request('chat', { content: 'all' });
    await alice.request('direct', { to: { userId: 'u-grace' }, content: 'you' });
    expect(await grace.next('message', ({ room }) => room === '@me')).toMatchObject({ payload: { content: 'you' } });
    expect(await grace.next('message', ({ content }) => content === 'all')).toMatchObject({
      payload: { room: '@all' },
    });
    expect(grace.all('message').filter(({ payload }) => payload.content === 'too early')).toEqual([]);
    expect(await grace.request('list_rooms')).toMatchObject({ payload: { rooms: ['@all', '@me'] } });
  });

  test('a direct message to the connection itself needs no joining', async () => {
    await using alice = await connect(app1, { as: 'alice' });
    await using grace = await connect(app2, { as: 'grace', protocols });
    await alice.request('direct', { to: { clientId: grace.clientId }, content: 'knock' });
    expect(await grace.next('message')).toMatchObject({ payload: { room: '@me', content: 'knock' } });
  });

  test.for(['@user:u-alice', '@instance:x', '@', '@admin'])('the reserved room %s cannot be joined', async (room) => {
    await using mallory = await connect(app1, { as: 'mallory', protocols });
    expect(await join(mallory, room)).toMatchObject({ payload: { code: 'ROOM_FORBIDDEN' } });
  });
});

test('after a storm of joins and leaves the members are right, and nothing is left of rooms that are empty', async () => {
  const rooms = ['storm:1', 'storm:2', 'storm:3'];
  const clients = await Promise.all(
    Array.from({ length: 24 }, (_, i) => connect(i % 2 ? app1 : app2, { as: `storm${i % 8}` })),
  );
  const inside = clients.map((client, who) => {
    const own = new Set<string>();
    for (let step = 0; step < 60; step += 1) {
      // Any fixed muddle will do, as long as it is another one for each client.
      const room = rooms[(who * 7 + step * (who + 3)) % rooms.length] ?? '';
      const joins = (who + step * step) % 3 !== 0;
      client.send({ type: joins ? 'join_room' : 'leave_room', payload: { room } });
      if (joins) own.add(room);
      else own.delete(room);
    }
    return own;
  });
  await Promise.all(clients.map((client) => client.request('ping')));
  await using observer = await connect(app1, { as: 'observer' });
  for (const room of rooms) {
    const expected = new Set(clients.filter((_, who) => inside[who]?.has(room)).map(({ userId }) => userId));
    await join(observer, room);
    const { payload } = await observer.request('list_members', { room });
    const members = 'members' in payload ? payload.members.map(({ userId }) => userId) : [];
    expect(members.filter((userId) => userId !== 'u-observer').sort()).toEqual([...expected].sort());
    for (const [who, client] of clients.entries()) {
      const answer = await client.request('list_rooms');
      expect(answer.payload).toEqual({ rooms: expect.arrayContaining([...(inside[who] ?? [])]) });
    }
  }

  await Promise.all(clients.map((client) => client.close()));
  for (const room of rooms) {
    await expect
      .poll(async () => (await observer.request('list_members', { room })).payload)
      .toMatchObject({ members: [{ userId: 'u-observer' }], memberCount: 1 });
  }
  await observer.close();
  await expect.poll(() => redis.command('PUBSUB', 'CHANNELS', '*storm*')).toEqual([]);
  for (const app of [app1, app2]) await expect.poll(() => app.metric('ws_rooms')).toBe(0);
});
