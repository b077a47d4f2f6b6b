/** What the two listeners answer over HTTP. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, test } from 'vitest';
import { type App, startApp } from '../harness/app.ts';
import { connect } from '../harness/client.ts';
import { handshakeHead, openRaw } from '../harness/raw.ts';
import { tokenFor } from '../harness/tokens.ts';

let app: App;
beforeAll(async () => {
  app = await startApp({ INSTANCE_ID: 'app1', DEMO: 'true' });
  return () => app.kill();
});

describe('the public listener', () => {
  test('says that it is alive', async () => {
    expect(await app.public('/health')).toMatchObject({ status: 200, json: { status: 'ok' } });
  });

  test.for(['/metrics', '/health/ready', '/status', '/health/ready/', '//metrics', '/METRICS', '/%6detrics'])(
    'never shows %s',
    async (path) => {
      const { status, text } = await app.public(path);
      expect(status).toBe(404);
      expect(text).not.toMatch(/ws_connections|app1|rssBytes/);
    },
  );

  test('does not say what it is built with, and lets no page frame it', async () => {
    const { headers } = await app.public('/health');
    expect(headers.get('x-powered-by')).toBeNull();
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
  });

  test('serves the client as one module that a browser loads, with its source map', async () => {
    const { status, headers, text } = await app.public('/client/index.js');
    expect(status).toBe(200);
    expect(headers.get('content-type')).toMatch(/^text\/javascript/);
    expect(headers.get('cache-control')).toBe('no-cache');
    await expect(import(`data:text/javascript,${encodeURIComponent(text)}`)).resolves.toHaveProperty('createClient');
    const { json } = await app.public('/client/index.js.map');
    expect(json).toMatchObject({ version: 3, sources: expect.arrayContaining([expect.stringMatching(/client\.ts$/)]) });
  });

  test('serves the page’s assets under names of their content, for a year, compressed', async () => {
    const page = await app.public('/');
    expect(page.headers.get('cache-control')).toBe('no-cache');
    const assets = [...page.text.matchAll(/assets\/(?:demo|style)-[\w-]{8}\.(?:js|css)/g)].map(([path]) => `/${path}`);
    expect(assets).toHaveLength(2);
    for (const path of [...assets, '/client/index.js']) {
      for (const [accepted, encoding] of [
        ['br, gzip', 'br'],
        ['gzip', 'gzip'],
        ['identity', null],
      ] as const) {
        const { status, headers, text } = await app.public(path, { headers: { 'Accept-Encoding': accepted } });
        expect(status).toBe(200);
        expect(headers.get('content-encoding')).toBe(encoding);
        expect(headers.get('vary')).toMatch(/accept-encoding/i);
        expect(headers.get('content-type')).toMatch(path.endsWith('css') ? /^text\/css/ : /^text\/javascript/);
        expect(text.length).toBeGreaterThan(1000);
        if (path !== '/client/index.js')
          expect(headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
      }
    }
    // Another version's page, in a rolling restart.
    const other = await app.public((assets[0] ?? '').replace(/-[\w-]{8}\./, '-AbCd_-12.'));
    expect(other.status).toBe(200);
    expect(other.headers.get('cache-control')).toBe('no-cache');
    expect((await app.public('/assets/nothing-AbCd_-12.js')).status).toBe(404);
  });

  test('ignores an upgrade to something else and answers the request', async () => {
    using raw = await openRaw(app.port);
    raw.write(handshakeHead({ path: '/health', headers: { Upgrade: 'h2c', Connection: 'Upgrade, close' } }));
    expect(await raw.end()).toMatch(/^HTTP\/1\.1 200 [\s\S]*\{"status":"ok"\}$/);
  });
});

describe('a demo token', () => {
  const ask = (on: App, name: string) =>
    on.public('/demo/token', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ name }),
    });

  test('is given for a name, is good for a connection, and is not kept by anyone on the way', async () => {
    const { status, json, headers } = await ask(app, '  Ada Lovelace ');
    expect(status).toBe(200);
    expect(headers.get('cache-control')).toBe('no-store');
    expect(json).toEqual({
      token: expect.any(String),
      userId: 'demo:ada lovelace',
      username: 'Ada Lovelace',
      expiresAt: expect.any(Number),
    });
    const { token, expiresAt } = json as { token: string; expiresAt: number };
    await using client = await connect(app, { token });
    expect(client.userId).toBe('demo:ada lovelace');
    const [authenticated] = client.all('authenticated');
    expect(authenticated?.payload.username).toBe('Ada Lovelace');
    expect(Math.abs((authenticated?.payload.expiresAt ?? 0) - expiresAt)).toBeLessThanOrEqual(1000);
  });

  test('is not given unless DEMO=true', async () => {
    await using strict = await startApp();
    expect((await ask(strict, 'Ada')).status).toBe(404);
  });
});

describe('the internal listener', () => {
  test('tells /health, /health/ready and /status', async () => {
    expect(await app.internal('/health')).toMatchObject({ status: 200, json: { status: 'ok' } });
    expect(await app.internal('/health/ready')).toMatchObject({
      status: 200,
      json: { status: 'ready', draining: false, broker: 'up' },
    });
    const { json, text } = await app.internal('/status');
    expect(json).toEqual({
      instanceId: 'app1',
      state: 'ready',
      uptimeSeconds: expect.any(Number),
      connections: expect.any(Number),
      leaving: 0,
      rooms: expect.any(Number),
      messagesPerSecond: expect.any(Number),
      deliveriesPerSecond: expect.any(Number),
      rssBytes: expect.any(Number),
      pid: app.pid,
      version: expect.stringMatching(/^\d+\.\d+\.\d+$/),
    });
    // Flat and on one line: the cluster's commands read it with a shell.
    expect(text).not.toContain('\n');
  });

  test.for(['/', '/ws', '/demo/token', '/client/index.js'])('has no %s', async (path) => {
    expect((await app.internal(path)).status).toBe(404);
  });

  test('takes no WebSocket', async () => {
    const { internalPort } = await app.log('listening');
    using raw = await openRaw(Number(internalPort));
    raw.write(handshakeHead({ headers: { Authorization: `Bearer ${tokenFor('x')}`, Connection: 'Upgrade, close' } }));
    expect(await raw.end()).toMatch(/^HTTP\/1\.1 404 /);
  });
});

describe('metrics', () => {
  test('count what happens', async () => {
    await using own = await startApp();
    await using alice = await connect(own, { as: 'alice' });
    await using bob = await connect(own, { as: 'bob' });
    for (const client of [alice, bob]) await client.request('join_room', { room: 'cellar' });
    await alice.request('chat', { room: 'cellar', content: 'one' });
    await bob.next('message');
    await alice.request('nonsense');
    const gone = await connect(own, { as: 'gone' });
    await gone.close();
    await own.log('disconnected');
    const samples: Record<string, number> = {
      ws_connections: 2,
      ws_connections_opened_total: 3,
      'ws_connections_closed_total{code="1000"}': 1,
      'ws_messages_received_total{type="join_room"}': 2,
      'ws_messages_received_total{type="chat"}': 1,
      'ws_messages_refused_total{code="UNKNOWN_TYPE"}': 1,
      // user_joined to alice, the message to both.
      ws_messages_delivered_total: 3,
      ws_broker_up: 1,
      ws_draining: 0,
    };
    for (const [sample, value] of Object.entries(samples))
      expect([sample, await own.metric(sample)]).toEqual([sample, value]);
    expect(await own.metric('ws_messages_published_total')).toBeGreaterThan(0);
    expect(await own.metric('ws_rooms')).toBeGreaterThan(0);
    // Nothing that a client chose becomes a label.
    expect((await own.internal('/metrics')).text).not.toMatch(/alice|cellar|nonsense/);
    expect(await own.metric('process_resident_memory_bytes')).toBeGreaterThan(0);
  });

  test('are valid in the eyes of promtool', async ({ skip }) => {
    const found = await promisify(execFile)('promtool', ['--version']).catch(() => undefined);
    if (!found) skip('promtool is not installed: apt-get install prometheus');
    const { text, headers } = await app.internal('/metrics');
    expect(headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
    const checking = promisify(execFile)('promtool', ['check', 'metrics']);
    checking.child.stdin?.end(text);
    // Complaints come on stderr, with exit code 3.
    const { stderr, stdout } = await checking.catch((error: { stdout: string; stderr: string }) => error);
    // The default metrics of Node are prom-client's to name.
    const ours = `${stdout}${stderr}`.split('\n').filter((line) => /\bws_|error/.test(line));
    expect(ours).toEqual([]);
  });
});
