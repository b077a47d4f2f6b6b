/** Who gets in: several secrets, public keys, and the keys of an identity provider. */
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { SignJWT } from 'jose';
import jwt, { type Algorithm } from 'jsonwebtoken';
import { OAuth2Server } from 'oauth2-mock-server';
import { describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config.ts';
import { createAuth } from '../../src/connection/auth.ts';
import { createJwks } from '../../src/connection/jwks.ts';
import { createLogger } from '../../src/observability/logger.ts';
import { startApp } from '../harness/app.ts';
import { connect, refusal } from '../harness/client.ts';
import { SECRET, tokenFor } from '../harness/tokens.ts';

const OLD = 'an-older-secret-of-the-tests-0123456789';
const NEXT = 'the-next-secret-of-the-tests-0123456789';

function sign(key: string | KeyObject, algorithm: Algorithm, claims: object = {}, kid?: string): string {
  return jwt.sign({ sub: 'u-7', ...claims }, key, { algorithm, expiresIn: 60, ...(kid && { keyid: kid }) });
}

const pem = (key: KeyObject) => key.export({ type: 'spki', format: 'pem' }).toString();
const rsa = () => generateKeyPairSync('rsa', { modulusLength: 2048 });
const ec = () => generateKeyPairSync('ec', { namedCurve: 'prime256v1' });

/** Serves a set of keys, and counts how often it was asked. */
async function serveKeys() {
  let asked = 0;
  let away = false;
  let keys: { kid: string; use: string }[] = [];
  const server = createServer((_request, response) => {
    asked += 1;
    response.statusCode = away ? 503 : 200;
    response.end(JSON.stringify({ keys }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const add = (kid: string) => {
    const { publicKey, privateKey } = ec();
    keys.push({ ...publicKey.export({ format: 'jwk' }), kid, use: 'sig' });
    return (claims: object = {}) => sign(privateKey, 'ES256', claims, kid);
  };
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`,
    add,
    list: (key: object) => void keys.push(key as { kid: string; use: string }),
    remove(kid: string) {
      keys = keys.filter((key) => key.kid !== kid);
    },
    get asked() {
      return asked;
    },
    set away(now: boolean) {
      away = now;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

describe('several secrets', () => {
  test('verify, by their kid or in order; others do not', async () => {
    await using app = await startApp({ JWT_SECRETS: `${OLD}, next:${NEXT}` });
    for (const token of [
      tokenFor('alice'),
      sign(OLD, 'HS256'),
      sign(NEXT, 'HS256', {}, 'next'),
      sign(NEXT, 'HS256'),
      sign(OLD, 'HS256', {}, 'unknown'),
    ]) {
      await using client = await connect(app, { token });
      expect(client.userId).toMatch(/^u-/);
    }
    for (const token of [
      sign('another-secret-0123456789abcdefghijklmno', 'HS256'),
      // The key that the token names is the one that counts.
      sign(OLD, 'HS256', {}, 'next'),
    ]) {
      expect(await refusal(app, { token })).toMatchObject({ status: 401 });
    }
    // An expired token is told so, whichever secret signed it.
    const expired = jwt.sign({ sub: 'u-7', exp: Math.floor(Date.now() / 1000) - 60 }, OLD);
    expect((await refusal(app, { token: expired })).body).toContain('TOKEN_EXPIRED');
    for (const secret of [OLD, NEXT]) expect(app.output).not.toContain(secret);
  });
});

describe('public keys', () => {
  const [one, two] = [rsa(), ec()];
  const JWT_PUBLIC_KEYS = (pem(one.publicKey) + pem(two.publicKey)).replaceAll('\n', '\\n');

  test('verify, each with its own algorithm', async () => {
    await using app = await startApp({ JWT_PUBLIC_KEYS });
    for (const token of [sign(one.privateKey, 'RS256'), sign(two.privateKey, 'ES256'), sign(SECRET, 'HS256')]) {
      await using client = await connect(app, { token });
      expect(client.userId).toBe('u-7');
    }
    const forged = [{ alg: 'HS256' }, { alg: 'none' }, { alg: 'RS256' }].map((header) =>
      [header, { sub: 'u-7', exp: Date.now() / 1000 + 60 }]
        .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
        .concat('')
        .join('.'),
    );
    for (const token of [
      ...forged,
      // Signed with the public key as if it were a secret.
      signWithText(pem(one.publicKey)),
      sign(one.privateKey, 'RS512'),
      sign(one.privateKey, 'PS256'),
      sign(rsa().privateKey, 'RS256'),
      sign(ec().privateKey, 'ES256'),
    ]) {
      expect(await refusal(app, { token })).toMatchObject({ status: 401 });
    }
  });

  test('that are none, or too weak, are named when the app starts', () => {
    const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 1024 });
    for (const text of ['nonsense', pem(publicKey), pem(generateKeyPairSync('ed448').publicKey)]) {
      expect(() => loadConfig({ JWT_SECRET: SECRET, JWT_PUBLIC_KEYS: text })).toThrow(/JWT_PUBLIC_KEYS: expected/);
    }
  });
});

describe('EdDSA', () => {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const now = () => Math.floor(Date.now() / 1000);
  const signEd = (claims: object = {}, key: KeyObject = privateKey, header: object = {}) =>
    new SignJWT({ sub: 'u-7', exp: now() + 60, aud: 'chat', ...claims })
      .setProtectedHeader({ alg: 'EdDSA', ...header })
      .sign(key, { crit: { b64: true, mine: true } } as object);

  test('verifies with a public key, like the others', async () => {
    const env = { JWT_PUBLIC_KEYS: pem(ec().publicKey) + pem(publicKey), JWT_AUDIENCE: 'chat' };
    await using app = await startApp({ ...env, JWT_CLOCK_TOLERANCE: '5s' });
    for (const token of [await signEd(), await signEd({ exp: now() - 2 })]) {
      await using client = await connect(app, { token });
      expect(client.userId).toBe('u-7');
    }
    const problems = await Promise.all(
      [
        signEd({ exp: now() - 60 }),
        signEd({ nbf: now() + 60 }),
        signEd({ aud: 'other' }),
        signEd({ sub: 7 }),
        signEd({}, generateKeyPairSync('ed25519').privateKey),
        signEd({}, privateKey, { crit: ['mine'], mine: 1 }),
        signEd().then((token) => `${token.slice(0, -4)}AAAA`),
        signEd().then((token) => `${token}.more`),
        signEd({ exp: now() + 400 * 24 * 3600 }),
      ].map(async (token) => JSON.parse((await refusal(app, { token: await token })).body).error.code),
    );
    expect(problems).toEqual([
      'TOKEN_EXPIRED',
      'TOKEN_INVALID',
      'TOKEN_INVALID',
      'TOKEN_MALFORMED',
      'TOKEN_INVALID',
      'TOKEN_INVALID',
      'TOKEN_INVALID',
      'TOKEN_MALFORMED',
      'TOKEN_INVALID',
    ]);
  });

  test('verifies with the keys of an identity provider, and is revoked', async () => {
    await using provider = await serveKeys();
    provider.list({ ...publicKey.export({ format: 'jwk' }), kid: 'ed', use: 'sig' });
    const jwks = createJwks({
      url: provider.url,
      logger: createLogger({ instanceId: 'test', level: 'silent', format: 'json' }),
    });
    let revoked = false;
    const auth = createAuth({ secret: SECRET, issuer: '', audience: '', jwks, isRevoked: () => revoked });
    await jwks.start();
    const token = await signEd({}, privateKey, { kid: 'ed' });
    expect(await auth.verify(token)).toMatchObject({ identity: { userId: 'u-7' } });
    revoked = true;
    expect(await auth.verify(token)).toMatchObject({ problem: 'TOKEN_REVOKED' });
    jwks.close();
  });
});

/** jsonwebtoken itself refuses to do this. */
function signWithText(secret: string): string {
  const token = jwt.sign({ sub: 'u-7' }, Buffer.from(secret), { algorithm: 'HS256', expiresIn: 60 });
  return token;
}

describe('an identity provider', () => {
  test('lets its users in, from login to message, with issuer and audience', async () => {
    const provider = new OAuth2Server();
    await provider.issuer.keys.generate('RS256');
    await provider.start(0, '127.0.0.1');
    let audience = 'chat';
    provider.service.on('beforeTokenSigning', (token: { payload: object }) =>
      Object.assign(token.payload, { aud: audience }),
    );
    try {
      const { url } = provider.issuer;
      await using app = await startApp({ JWKS_URL: `${url}/jwks`, JWT_ISSUER: String(url), JWT_AUDIENCE: 'chat' });
      const login = async () => {
        const response = await fetch(`${url}/token`, {
          method: 'POST',
          headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
          body: new URLSearchParams({ grant_type: 'password', username: 'ada', password: 'x' }),
        });
        return ((await response.json()) as { access_token: string }).access_token;
      };
      const token = await login();
      await using client = await connect(app, { token });
      expect(client.userId).toBe('ada');
      await client.request('join_room', { room: 'lobby' });
      expect(await client.request('chat', { room: 'lobby', content: 'hello' })).toMatchObject({ type: 'ack' });
      audience = 'other';
      expect(await refusal(app, { token: await login() })).toMatchObject({ status: 401 });
    } finally {
      await provider.stop();
    }
  });

  test('adds a key: its first tokens are accepted; a flood of unknown names asks it once', async () => {
    await using provider = await serveKeys();
    const first = provider.add('first');
    await using app = await startApp({ JWKS_URL: provider.url });
    expect((await app.log('jwks_loaded'))['keys']).toBe(1);
    {
      await using client = await connect(app, { token: first() });
      expect(client.userId).toBe('u-7');
    }
    // The floor between fetches has not passed since the start.
    const unknown = sign(ec().privateKey, 'ES256', {}, 'made-up');
    const flood = await Promise.all(Array.from({ length: 50 }, () => refusal(app, { token: unknown })));
    expect(flood.every(({ status }) => status === 401)).toBe(true);
    expect(provider.asked).toBe(1);
    expect(await refusal(app, { token: sign(SECRET, 'HS256', {}, 'made-up') }).catch(() => 'accepted')).toBe(
      'accepted',
    );
  });

  test('that is away keeps nobody out whose key is known, and is found when it is back', async () => {
    await using provider = await serveKeys();
    const known = provider.add('known');
    const logger = createLogger({ instanceId: 'test', level: 'silent', format: 'json' });
    const jwks = createJwks({ url: provider.url, logger, floorMs: 0 });
    const auth = createAuth({ secret: SECRET, issuer: '', audience: '', jwks });
    await jwks.start();
    provider.away = true;
    const next = provider.add('next');
    expect(await auth.verify(next())).toMatchObject({ problem: 'TOKEN_INVALID' });
    expect(provider.asked).toBe(2);
    expect(await auth.verify(known())).toMatchObject({ identity: { userId: 'u-7' } });
    provider.away = false;
    expect(await auth.verify(next())).toMatchObject({ identity: { userId: 'u-7' } });
    // A key that the provider no longer lists is no longer accepted.
    provider.remove('known');
    expect(await auth.verify(sign(ec().privateKey, 'ES256', {}, 'other'))).toMatchObject({ problem: 'TOKEN_INVALID' });
    expect(await auth.verify(known())).toMatchObject({ problem: 'TOKEN_INVALID' });
    jwks.close();
  });

  test('that is away at the start does not keep the app from starting', async () => {
    await using app = await startApp({ JWKS_URL: 'http://127.0.0.1:9/jwks' });
    await app.log('jwks_failed');
    await using client = await connect(app, { as: 'alice' });
    expect(client.userId).toBe('u-alice');
  });
});
