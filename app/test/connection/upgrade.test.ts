import { beforeAll, describe, expect, test } from 'vitest';
import { type App, startApp } from '../harness/app.ts';
import { connect, open, refusal } from '../harness/client.ts';
import { SECRET, tokenFor } from '../harness/tokens.ts';
import { runTool } from '../harness/tool.ts';

let app: App;
beforeAll(async () => {
  app = await startApp({
    INSTANCE_ID: 'app1',
    TOKEN_EXPIRY_WARNING: '1s',
    ALLOWED_ORIGINS: 'https://friend.example,http://localhost:5173',
    HEARTBEAT_INTERVAL: '25s',
    HEARTBEAT_TIMEOUT: '7s',
    MAX_ROOMS_PER_CONNECTION: '42',
  });
  return () => app.kill();
});

describe('the token', () => {
  const token = tokenFor('alice');
  test.for([
    ['the Authorization header', { token }],
    ['the Authorization header, whatever its case', { token: null, headers: { authorization: `bearer  ${token}` } }],
    ['a subprotocol', { token: null, protocols: [`bearer.${token}`] }],
    ['a subprotocol, together with the kit’s', { token: null, protocols: ['wsfleet.v1', `bearer.${token}`] }],
    ['the query', { token: null, path: `/ws?token=${token}` }],
    ['the query of /', { token: null, path: `/?token=${token}` }],
  ] as const)('may come in %s', async ([, options]) => {
    await using client = await connect(app, {
      ...options,
      protocols: [...('protocols' in options ? options.protocols : [])],
    });
    expect(client.userId).toBe('u-alice');
  });

  test('of the header counts where there are several', async () => {
    await using client = await connect(app, {
      token,
      protocols: [`bearer.${tokenFor('bob')}`],
      path: `/ws?token=${tokenFor('carol')}`,
    });
    expect(client.userId).toBe('u-alice');
  });

  test('without a name speaks for its id', async () => {
    const { default: jwt } = await import('jsonwebtoken');
    await using client = await open(app, { token: jwt.sign({ sub: 'u-7' }, SECRET, { expiresIn: 60 }) });
    expect(await client.next('authenticated')).toMatchObject({ payload: { userId: 'u-7', username: 'u-7' } });
  });
});

test('a token of make token is accepted, with issuer and audience too', async () => {
  const claims = { JWT_ISSUER: 'https://issuer.example', JWT_AUDIENCE: 'chat' };
  await using strict = await startApp(claims);
  await using tool = await runTool('token', ['--name', 'alice', '--rooms', 'lobby'], { JWT_SECRET: SECRET, ...claims });
  expect(await tool.exited).toMatchObject({ code: 0 });
  await using client = await connect(strict, { token: tool.stdout.trim() });
  expect(client.userId).toBe('alice');
  expect(await client.request('join_room', { room: 'lobby' })).toMatchObject({ type: 'joined_room' });
  expect(await client.request('join_room', { room: 'other' })).toMatchObject({ payload: { code: 'ROOM_FORBIDDEN' } });
  expect(await refusal(strict, { token: tokenFor('alice') })).toMatchObject({ status: 401 });
});

describe('the greeting', () => {
  test('says who the instance and the connection are, and what holds here', async () => {
    await using client = await open(app, { as: 'alice' });
    const { payload } = await client.next('connected');
    expect(payload).toEqual({
      clientId: expect.stringMatching(/^[\w-]{8,}$/),
      instanceId: 'app1',
      heartbeat: { interval: 25_000, timeout: 7000 },
      limits: {
        maxFrameBytes: 65_536,
        maxContentLength: 4096,
        maxRooms: 42,
        ratePerMinute: expect.any(Number),
        burst: expect.any(Number),
      },
    });
  });

  test('then says who the user is and until when', async () => {
    const before = Date.now();
    await using client = await open(app, { token: tokenFor('alice', { ttl: 60_000 }) });
    const { payload } = await client.next('authenticated');
    expect(payload).toMatchObject({ userId: 'u-alice', username: 'alice' });
    expect(payload.expiresAt).toBeGreaterThan(before + 58_000);
    expect(payload.expiresAt).toBeLessThanOrEqual(Date.now() + 60_000);
    expect(client.received.map(({ type }) => type)).toEqual(['connected', 'authenticated']);
  });

  test('comes before any answer to what the client sent with the handshake', async () => {
    await using client = await open(app);
    client.send({ type: 'ping', id: 'early' });
    await client.next('pong');
    expect(client.received.map(({ type }) => type)).toEqual(['connected', 'authenticated', 'pong']);
  });

  test('gives each connection its own id', async () => {
    await using one = await connect(app, { as: 'alice' });
    await using two = await connect(app, { as: 'alice' });
    expect(one.clientId).not.toBe(two.clientId);
  });
});

describe('the subprotocol', () => {
  const bearer = `bearer.${tokenFor('alice')}`;
  test.for<[string, string[], string]>([
    ['none is offered', [], ''],
    ['wsfleet.v1 is offered', ['wsfleet.v1'], 'wsfleet.v1'],
    ['wsfleet.v1 and a token are offered', ['wsfleet.v1', bearer], 'wsfleet.v1'],
    ['a token and wsfleet.v1 are offered', [bearer, 'wsfleet.v1'], 'wsfleet.v1'],
    ['a token alone is offered, or the client would have to fail', [bearer], bearer],
    ['another one and a token are offered', ['chat.v9', bearer], bearer],
  ])('when %s', async ([, protocols, chosen]) => {
    await using client = await connect(app, { token: protocols.includes(bearer) ? null : bearer.slice(7), protocols });
    expect(client.socket.protocol).toBe(chosen);
  });
});

describe('the origin', () => {
  test.for<[string, Record<string, string>]>([
    ['is not sent by programs', {}],
    ['may be the host’s own', { Origin: 'http://chat.example', Host: 'chat.example' }],
    ['may be one that is allowed', { Origin: 'https://friend.example' }],
    ['may be one that is allowed, with its port', { Origin: 'http://localhost:5173' }],
  ])('%s', async ([, headers]) => {
    await using client = await connect(app, { headers: { ...headers, Authorization: `Bearer ${tokenFor('alice')}` } });
    expect(client.userId).toBe('u-alice');
  });

  test.for<[string, Record<string, string>]>([
    ['of another host', { Origin: 'https://evil.example' }],
    ['of the same host at another port', { Origin: 'http://chat.example:81', Host: 'chat.example' }],
    ['of a host that begins alike', { Origin: 'https://friend.example.evil.example' }],
    ['of another scheme than the allowed one', { Origin: 'http://friend.example' }],
    ['null', { Origin: 'null' }],
  ])('%s is answered 403', async ([, headers]) => {
    expect(await refusal(app, { headers })).toMatchObject({ status: 403 });
  });

  test('may be any where * is allowed', async () => {
    await using open = await startApp({ ALLOWED_ORIGINS: '*' });
    await using client = await connect(open, { headers: { Origin: 'https://evil.example' } });
    expect(client.userId).toBe('u-someone');
  });
});

describe('a token that ends', () => {
  test('is announced, then closes the connection with 4001; a refreshed one keeps it open', async () => {
    const token = tokenFor('alice', { ttl: 2000 });
    await using kept = await connect(app, { token });
    await using ended = await connect(app, { token });
    const { payload: warning } = await ended.next('token_expiring');
    expect(warning.expiresAt - Date.now()).toBeLessThanOrEqual(1000);
    expect(warning.expiresAt - Date.now()).toBeGreaterThan(0);
    await kept.next('token_expiring');
    const fresh = await kept.request('refresh_token', { token: tokenFor('alice', { ttl: 60_000 }) });
    expect(fresh).toMatchObject({ type: 'authenticated', payload: { userId: 'u-alice', username: 'alice' } });
    expect((fresh.payload as { expiresAt: number }).expiresAt).toBeGreaterThan(Date.now() + 50_000);

    expect(await ended.closed).toEqual({ code: 4001, reason: 'token expired' });
    expect(Date.now()).toBeGreaterThanOrEqual(warning.expiresAt);
    expect(await kept.request('ping')).toMatchObject({ type: 'pong' });
  });

  test('leaves the rooms that a refreshed one does not allow', async () => {
    await using client = await connect(app, { as: 'alice' });
    for (const room of ['kept', 'lost']) await client.request('join_room', { room });
    await client.request('refresh_token', { token: tokenFor('alice', { rooms: ['kept'] }) });
    expect(await client.next('left_room')).toMatchObject({ payload: { room: 'lost' } });
    expect(await client.request('list_rooms', {})).toMatchObject({ payload: { rooms: ['kept'] } });
  });

  test('keeps its rooms when it is refreshed', async () => {
    await using client = await connect(app, { as: 'alice' });
    await client.request('join_room', { room: 'kept' });
    await client.request('refresh_token', { token: tokenFor('alice') });
    expect(await client.request('chat', { room: 'kept', content: 'still here' })).toMatchObject({ type: 'ack' });
  });

  test.for([
    ['another user’s', tokenFor('bob')],
    ['a forged one', `${tokenFor('alice').slice(0, -6)}AAAAAA`],
    ['none at all', ''],
  ] as const)('is not refreshed by %s, and the connection stays', async ([, token]) => {
    await using client = await connect(app, { as: 'alice' });
    expect(await client.request('refresh_token', { token })).toMatchObject({
      type: 'error',
      payload: { code: 'TOKEN_INVALID', field: 'token' },
    });
    expect(await client.request('ping')).toMatchObject({ type: 'pong' });
  });

  test('takes the new token’s rooms and name over', async () => {
    await using client = await connect(app, { as: 'alice' });
    const { default: jwt } = await import('jsonwebtoken');
    const token = jwt.sign({ sub: 'u-alice', name: 'Alice Q.', rooms: ['a', '@all'] }, SECRET, { expiresIn: 60 });
    expect(await client.request('refresh_token', { token })).toMatchObject({ payload: { username: 'Alice Q.' } });
    expect(await client.request('join_room', { room: 'b' })).toMatchObject({ payload: { code: 'ROOM_FORBIDDEN' } });
    await client.request('chat', { content: 'who am I?' });
    expect(await client.next('message', ({ content }) => content === 'who am I?')).toMatchObject({
      payload: { from: { username: 'Alice Q.' } },
    });
  });
});

test('an instance that is full answers 503 with Retry-After, and takes the next when one has left', async () => {
  await using full = await startApp({ MAX_CONNECTIONS: '1' });
  await using first = await connect(full);
  const refused = await refusal(full, {});
  expect(refused).toMatchObject({ status: 503 });
  expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
  expect(JSON.parse(refused.body)).toMatchObject({ error: { code: 'CONNECTION_LIMIT' } });
  expect(await full.metric('ws_handshakes_refused_total{reason="CONNECTION_LIMIT"}')).toBe(1);
  await first.close();
  await full.log('disconnected');
  await using second = await connect(full);
  expect(second.clientId).not.toBe(first.clientId);
});

test('behind a trusted proxy the log has the client’s address, and not one that the client made up', async () => {
  await using far = await startApp({ TRUST_PROXY: 'loopback' });
  await using _client = await connect(far, { headers: { 'X-Forwarded-For': '6.6.6.6, 203.0.113.7' } });
  expect(await far.log('connected')).toMatchObject({ address: '203.0.113.7' });
  await using near = await startApp({ TRUST_PROXY: '' });
  await using _other = await connect(near, { headers: { 'X-Forwarded-For': '203.0.113.7' } });
  expect(await near.log('connected')).toMatchObject({ address: '127.0.0.1' });
});
