/** Who is revoked is gone from every instance, and does not come back with the same token. */
import jwt from 'jsonwebtoken';
import { expect, test } from 'vitest';
import { call } from '../harness/api.ts';
import { type App, startApp } from '../harness/app.ts';
import { connect, type Greeted, refusal } from '../harness/client.ts';
import { startRedis } from '../harness/redis.ts';
import { SECRET } from '../harness/tokens.ts';

const ADMIN = 'admin-secret-0123456789abcdefghijklmnop';
const API = { API_KEYS: `admin:manage:${ADMIN}`, API_PORT: '0' };
const now = () => Math.floor(Date.now() / 1000);
const sign = (claims: object) => jwt.sign({ exp: now() + 600, ...claims }, SECRET);
const revoke = (app: App, body: object) => call(app, 'POST', '/v1/revoke', { key: ADMIN, body });

async function closed(clients: readonly Greeted[]): Promise<void> {
  for (const client of clients) expect(await client.closed).toMatchObject({ code: 4500, reason: 'bad token' });
}

test('a user’s tokens are refused everywhere, a token that is issued later is not', async () => {
  await using redis = await startRedis();
  const env = { BROKER: 'redis', REDIS_URL: redis.url, ...API };
  await using one = await startApp({ ...env, INSTANCE_ID: 'app1' });
  await using two = await startApp({ ...env, INSTANCE_ID: 'app2' });
  const tokens = [sign({ sub: 'mallory' }), sign({ sub: 'mallory', iat: now() - 60 })];
  const clients = await Promise.all([
    connect(one, { token: tokens[0] as string }),
    connect(two, { token: tokens[1] as string }),
  ]);
  await using bystander = await connect(two, { as: 'alice' });
  expect(await revoke(one, { userId: 'mallory' })).toMatchObject({ status: 200, json: { disconnected: 2 } });
  await closed(clients);
  for (const app of [one, two]) {
    for (const token of tokens) {
      const { status, body } = await refusal(app, { token });
      expect({ status, body }).toMatchObject({ status: 401, body: expect.stringContaining('TOKEN_REVOKED') });
    }
    await using back = await connect(app, { token: sign({ sub: 'mallory', iat: now() + 1 }) });
    expect(back.userId).toBe('mallory');
  }
  const { payload } = await bystander.request('refresh_token', { token: tokens[0] as string });
  expect(payload).toMatchObject({ code: 'TOKEN_INVALID' });
});

test('the token of a connection is refused, and no other of its user', async () => {
  await using redis = await startRedis();
  const env = { BROKER: 'redis', REDIS_URL: redis.url, ...API };
  await using one = await startApp({ ...env, INSTANCE_ID: 'app1' });
  await using two = await startApp({ ...env, INSTANCE_ID: 'app2' });
  const lost = sign({ sub: 'ada', name: 'lost phone' });
  const phone = await connect(two, { token: lost });
  await using laptop = await connect(two, { token: sign({ sub: 'ada', name: 'laptop' }) });
  expect((await revoke(one, { clientId: phone.clientId })).json).toEqual({ disconnected: 1 });
  await closed([phone]);
  for (const app of [one, two]) expect(await refusal(app, { token: lost })).toMatchObject({ status: 401 });
  expect((await laptop.request('ping')).type).toBe('pong');
  expect(await revoke(one, { clientId: phone.clientId })).toMatchObject({ status: 404, json: { code: 'NOT_FOUND' } });

  const named = sign({ sub: 'ada', jti: 'session-7' });
  expect((await revoke(two, { jti: 'session-7' })).json).toEqual({ disconnected: 0 });
  for (const app of [one, two]) expect(await refusal(app, { token: named })).toMatchObject({ status: 401 });
});

test('outlives every instance, and a Redis that lost it', async () => {
  await using redis = await startRedis();
  const env = { BROKER: 'redis', REDIS_URL: redis.url, ...API };
  const token = sign({ sub: 'mallory' });
  {
    await using first = await startApp(env);
    await revoke(first, { userId: 'mallory' });
  }
  await using second = await startApp(env);
  expect(await refusal(second, { token })).toMatchObject({ status: 401 });
  // This Redis keeps nothing.
  await redis.kill();
  await redis.start();
  await second.log('revocations_restored');
  await using third = await startApp(env);
  for (const app of [second, third]) expect(await refusal(app, { token })).toMatchObject({ status: 401 });
});

test('reaches an instance that was not told', async () => {
  await using redis = await startRedis();
  await using app = await startApp({ BROKER: 'redis', REDIS_URL: redis.url });
  const client = await connect(app, { token: sign({ sub: 'mallory' }) });
  const expiresAt = Date.now() + 600_000;
  const revocation = { userId: 'mallory', issuedUntil: Date.now(), expiresAt };
  await redis.command('ZADD', 'wsfleet:{revocations}:set', String(expiresAt), JSON.stringify(revocation));
  await redis.command('INCR', 'wsfleet:{revocations}:version');
  await closed([client]);
});

test('ends with the tokens that it refuses', async () => {
  await using redis = await startRedis();
  await using app = await startApp({ BROKER: 'redis', REDIS_URL: redis.url, TOKEN_MAX_LIFETIME: '1s', ...API });
  await revoke(app, { userId: 'mallory' });
  expect(await redis.command('ZCARD', 'wsfleet:{revocations}:set')).toBe(1);
  await expect.poll(() => redis.command('ZCARD', 'wsfleet:{revocations}:set')).toBe(0);
});

test('holds on a single instance without Redis', async () => {
  await using app = await startApp(API);
  const token = sign({ sub: 'mallory' });
  const client = await connect(app, { token });
  expect((await revoke(app, { userId: 'mallory' })).json).toEqual({ disconnected: 1 });
  expect(await client.closed).toMatchObject({ code: 4500 });
  expect(await refusal(app, { token })).toMatchObject({ status: 401 });
});
