/** `AUTH_URL`: a back-end of one's own decides who connects, joins and publishes. */
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createClient } from '../../client/src/index.ts';
import { call } from '../harness/api.ts';
import { type App, startApp } from '../harness/app.ts';
import { connect, refusal } from '../harness/client.ts';
import { tokenFor } from '../harness/tokens.ts';

interface Question {
  headers: IncomingHttpHeaders;
  body: Record<string, unknown>;
}
type Reply = { status?: number; body?: unknown; text?: string; silent?: boolean };

/** A back-end with sessions in cookies, as a test tells it to answer. */
let asked: Question[] = [];
let answer: (question: Question) => Reply;
const server = createServer(async (request, response) => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const question = { headers: request.headers, body: JSON.parse(Buffer.concat(chunks).toString()) };
  asked.push(question);
  const { status = 200, body = {}, text = JSON.stringify(body), silent = false } = answer(question);
  if (!silent) response.writeHead(status, { Location: 'http://127.0.0.1:1/' }).end(text);
});
const sessions: Record<string, object> = {
  'session=ann': { userId: 'ann', username: 'Ann' },
  'session=guest': { userId: 'guest', rooms: ['lobby'] },
};
const bySession = ({ headers }: Question): Reply => {
  const known = sessions[headers.cookie ?? ''];
  return known ? { body: known } : { status: 401 };
};

const KEY = 'admin-secret-0123456789abcdefghijklmnop';
let app: App;
let url: string;
beforeAll(async () => {
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/auth`;
  app = await startApp({
    ...{ AUTH_URL: url, AUTH_ASKS: 'connect, join, publish', AUTH_TIMEOUT: '300ms', AUTH_CACHE: '0s' },
    ...{ API_KEYS: `admin:manage:${KEY}`, API_PORT: '0' },
  });
});
afterAll(async () => {
  await app.kill();
  server.closeAllConnections();
  server.close();
});
beforeEach(() => {
  asked = [];
  answer = bySession;
});

const withCookie = (cookie: string) => ({ token: null, headers: { cookie } });

describe('the handshake', () => {
  test('is asked about with its headers, and a session in a cookie gets in', async () => {
    await using ann = await connect(app, { token: null, headers: { cookie: 'session=ann', 'user-agent': 'test' } });
    expect(ann.userId).toBe('ann');
    expect(ann.all('authenticated')[0]?.payload).toMatchObject({ username: 'Ann', expiresAt: expect.any(Number) });
    expect(asked).toMatchObject([
      {
        headers: { cookie: 'session=ann', 'user-agent': 'test', 'x-forwarded-for': '127.0.0.1' },
        body: { question: 'connect' },
      },
    ]);
  });

  test.each([
    ['the Authorization header', { token: 'opaque-7' }],
    ['the subprotocol', { token: null, protocols: ['bearer.opaque-7'] }],
    ['the query', { token: null, path: '/ws?token=opaque-7' }],
  ])('passes on a token from %s, of whatever kind', async (_, options) => {
    answer = ({ headers }) =>
      headers.authorization === 'Bearer opaque-7' ? { body: { userId: 'seven' } } : { status: 401 };
    await using seven = await connect(app, options);
    expect(seven.userId).toBe('seven');
  });

  test('a signed token counts for nothing without the answer', async () => {
    expect(await refusal(app, { as: 'eve' })).toMatchObject({
      status: 401,
      body: expect.stringContaining('AUTH_REFUSED'),
    });
  });

  test('the cluster’s own tools are not asked about, and nobody can pretend to be one', async () => {
    const { createAuth } = await import('../../src/connection/auth.ts');
    const { SECRET } = await import('../harness/tokens.ts');
    const sign = (secret: string) =>
      createAuth({ secret, issuer: '', audience: '' }).sign({ userId: 'wsfleet:probe', username: 'probe' }, 60_000);
    await using probe = await connect(app, { token: sign(SECRET) });
    await probe.request('join_room', { room: 'lobby' });
    expect(await probe.request('chat', { room: 'lobby', content: 'x' })).toMatchObject({ type: 'ack' });
    expect(asked).toEqual([]);
    const forged = await refusal(app, { token: sign('another-secret-of-32-characters-or-more') });
    expect(forged).toMatchObject({ status: 401, body: expect.stringContaining('TOKEN_INVALID') });
  });

  test.each<[string, Reply]>([
    ['an error', { status: 500 }],
    ['a redirect', { status: 302 }],
    ['something that is no JSON', { text: '<html>' }],
    ['no user', { body: { username: 'Ann' } }],
    ['a name that misleads', { body: { userId: 'a\u202eb' } }],
    ['rights that do not exist', { body: { userId: 'a', rights: { lobby: ['own'] } } }],
    ['too much', { text: JSON.stringify({ userId: 'a', more: 'x'.repeat(70_000) }) }],
    ['silence', { silent: true }],
  ])('%s refuses', async (_, reply) => {
    answer = () => reply;
    const { status, headers, body } = await refusal(app, withCookie('session=ann'));
    expect({ status, retryAfter: headers['retry-after'] }).toEqual({ status: 502, retryAfter: '1' });
    expect(body).toContain('AUTH_UNAVAILABLE');
  });

  test('401 and 403 refuse, and an end that has passed', async () => {
    for (const status of [401, 403]) {
      answer = () => ({ status });
      expect((await refusal(app, withCookie('session=ann'))).status).toBe(401);
    }
    answer = () => ({ body: { userId: 'ann', expiresAt: Date.now() - 1 } });
    expect((await refusal(app, withCookie('session=ann'))).status).toBe(401);
  });

  test('what it may do and when it ends are as the answer says', async () => {
    const expiresAt = Date.now() + 1500;
    answer = () => ({ body: { userId: 'short', rooms: ['lobby'], expiresAt } });
    await using short = await connect(app, withCookie('session=short'));
    expect(await short.request('join_room', { room: 'other' })).toMatchObject({ payload: { code: 'ROOM_FORBIDDEN' } });
    expect((await short.closed).code).toBe(4001);
  });

  test('a revoked user is out, and their next session gets in when the back-end says so', async () => {
    await using ann = await connect(app, withCookie('session=ann'));
    const { json } = await call(app, 'POST', '/v1/revoke', { key: KEY, body: { userId: 'ann' } });
    expect(json).toEqual({ disconnected: 1 });
    expect((await ann.closed).code).toBe(4500);
  });

  test('a page of another origin cannot use the cookies of its visitors', async () => {
    const { status } = await refusal(app, {
      token: null,
      headers: { cookie: 'session=ann', origin: 'https://evil.example' },
    });
    expect(status).toBe(403);
    expect(asked).toEqual([]);
  });

  test('the kit’s client connects without a token', async () => {
    answer = (question) => (question.body['question'] === 'connect' ? bySession(question) : {});
    const { WebSocket } = await import('ws');
    class WithCookie extends WebSocket {
      constructor(address: string, protocols: string[]) {
        super(address, protocols, { headers: { cookie: 'session=ann' } });
      }
    }
    const client = createClient({ url: `${app.origin}/ws`, rooms: ['lobby'], WebSocket: WithCookie as never });
    client.connect();
    await client.join('lobby');
    expect(client.user?.userId).toBe('ann');
    await client.close();
  });
});

describe('join and publish', () => {
  const except =
    (denied: string) =>
    (question: Question): Reply => {
      const { body } = question;
      if (body['question'] === 'connect') return bySession(question);
      return body[`question`] === denied ? { status: 403 } : { status: 204, text: '' };
    };

  test('are asked about with who, where and which connection', async () => {
    answer = except('');
    await using ann = await connect(app, withCookie('session=ann'));
    await ann.request('join_room', { room: 'lobby' });
    await ann.request('chat', { room: 'lobby', content: 'hello' });
    await ann.request('direct', { to: { userId: 'bob' }, content: 'hello' });
    const who = { userId: 'ann', username: 'Ann', clientId: ann.clientId };
    expect(asked.slice(1).map(({ body }) => body)).toEqual([
      { question: 'join', room: 'lobby', ...who },
      { question: 'publish', room: 'lobby', ...who },
      { question: 'publish', room: '@user:bob', ...who },
    ]);
    expect(JSON.stringify(asked)).not.toContain('hello');
  });

  test.each(['join', 'publish'] as const)('a no to %s is FORBIDDEN, and silence UNAVAILABLE', async (right) => {
    answer = except(right);
    await using ann = await connect(app, withCookie('session=ann'));
    const attempt = async () => {
      const joined = await ann.request('join_room', { room: 'lobby' });
      return right === 'join' ? joined : await ann.request('chat', { room: 'lobby', content: 'hello' });
    };
    expect(await attempt()).toMatchObject({ payload: { code: 'FORBIDDEN', right } });
    const decide = answer;
    answer = (question) => (question.body['question'] === right ? { silent: true } : decide(question));
    expect(await attempt()).toMatchObject({ payload: { code: 'UNAVAILABLE', retryAfter: 1000 } });
    answer = except('');
    expect(['joined_room', 'ack']).toContain((await attempt()).type);
  });

  test('a token’s own claims are checked first', async () => {
    answer = except('');
    await using guest = await connect(app, withCookie('session=guest'));
    asked = [];
    expect(await guest.request('join_room', { room: 'secret' })).toMatchObject({ payload: { code: 'ROOM_FORBIDDEN' } });
    expect(asked).toEqual([]);
  });
});

describe('an answer', () => {
  test('is used again for AUTH_CACHE, but not a failure', async () => {
    await using cached = await startApp({
      AUTH_URL: url,
      AUTH_ASKS: 'connect,publish',
      AUTH_CACHE: '1m',
      AUTH_TIMEOUT: '300ms',
    });
    answer = () => ({ status: 500 });
    expect((await refusal(cached, withCookie('session=ann'))).status).toBe(502);
    // Nor a no: who logs in gets in at once.
    answer = () => ({ status: 401 });
    expect((await refusal(cached, withCookie('session=ann'))).status).toBe(401);
    answer = bySession;
    asked = asked.slice(0, 1);
    await using ann = await connect(cached, withCookie('session=ann'));
    await using again = await connect(cached, withCookie('session=ann'));
    expect(asked).toHaveLength(2);
    await using guest = await connect(cached, withCookie('session=guest'));
    expect([ann.userId, again.userId, guest.userId]).toEqual(['ann', 'ann', 'guest']);
    expect(asked).toHaveLength(3);
    // What a refresh brings to one connection is not the other's.
    answer = () => ({ body: { userId: 'ann', rooms: ['lobby'] } });
    await again.request('refresh_token', { token: 'narrower' });
    expect(await again.request('join_room', { room: 'other' })).toMatchObject({ payload: { code: 'ROOM_FORBIDDEN' } });
    expect(await ann.request('join_room', { room: 'other' })).toMatchObject({ type: 'joined_room' });
    asked = asked.slice(0, 3);
    answer = () => ({ status: 204, text: '' });
    await ann.request('join_room', { room: 'lobby' });
    for (let i = 0; i < 5; i += 1) await ann.request('chat', { room: 'lobby', content: String(i) });
    expect(asked).toHaveLength(4);
    await cached.log('auth_url_failed');
    await cached.log('auth_url_recovered');
    expect(cached.output).not.toContain('session=');
  });

  test('to join and publish alone leaves tokens to decide who connects', async () => {
    await using half = await startApp({ AUTH_URL: url, AUTH_ASKS: 'publish', AUTH_CACHE: '0s' });
    answer = () => ({ status: 403 });
    await using ann = await connect(half, { token: tokenFor('ann') });
    await ann.request('join_room', { room: 'lobby' });
    expect(await ann.request('chat', { room: 'lobby', content: 'x' })).toMatchObject({
      payload: { code: 'FORBIDDEN', right: 'publish' },
    });
    expect((await refusal(half, withCookie('session=ann'))).status).toBe(401);
  });

  test('refreshes a session, or does not', async () => {
    answer = ({ headers }) => ({
      body: { userId: headers.authorization === 'Bearer other' ? 'bob' : 'ann', expiresAt: Date.now() + 60_000 },
    });
    await using ann = await connect(app, withCookie('session=ann'));
    expect(await ann.request('refresh_token', { token: 'next' })).toMatchObject({ type: 'authenticated' });
    expect(await ann.request('refresh_token', { token: 'other' })).toMatchObject({
      payload: { code: 'TOKEN_INVALID' },
    });
    answer = () => ({ silent: true });
    expect(await ann.request('refresh_token', { token: 'later' })).toMatchObject({ payload: { code: 'UNAVAILABLE' } });
    expect(await app.metric('ws_auth_failures_total{reason="AUTH_UNAVAILABLE"}')).toBeGreaterThan(0);
  });
});
