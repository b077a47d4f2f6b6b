/** What no log line contains, at any level. */
import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { createLogger } from '../../src/observability/logger.ts';
import { spawnApp, startApp } from '../harness/app.ts';
import { connect, refusal } from '../harness/client.ts';
import { startRedis } from '../harness/redis.ts';
import { SECRET, tokenFor } from '../harness/tokens.ts';

const content = 'XYZZY-what-people-write';
const password = 'XYZZY-password-of-redis';

test('tokens, secrets and contents reach no line of the log, even at trace', async () => {
  await using redis = await startRedis({ password });
  await using app = await startApp({
    BROKER: 'redis',
    REDIS_URL: redis.url,
    REDIS_PASSWORD: password,
    LOG_LEVEL: 'trace',
    DEMO: 'true',
    TOKEN_EXPIRY_WARNING: '1h',
  });
  const tokens = ['header', 'protocol', 'query', 'refused', 'refresh'].map((name) => tokenFor(name));
  const [header = '', protocol = '', query = '', refused = '', refresh = ''] = tokens;
  const forged = `${refused.slice(0, -8)}AAAAAAAA`;

  await using alice = await connect(app, { token: header });
  await using bob = await connect(app, { token: null, protocols: ['wsfleet.v1', `bearer.${protocol}`] });
  await using carol = await connect(app, { token: null, path: `/?token=${query}` });
  await refusal(app, { token: forged });
  await refusal(app, { token: null, path: `/nowhere?token=${query}` });
  await refusal(app, { token: null, path: `/ws?token=${forged}` });
  await refusal(app, {
    token: header,
    headers: { Origin: 'https://evil.example', Authorization: `Bearer ${header}` },
  });

  for (const client of [alice, bob]) await client.request('join_room', { room: 'log' });
  await alice.request('chat', { room: 'log', content });
  await alice.request('chat', { content });
  await alice.request('direct', { to: { userId: carol.userId }, content });
  await alice.request('chat', { room: 'log', content: content.repeat(500) });
  await alice.request('chat', { content: [content] });
  await alice.request('refresh_token', { token: tokenFor('header') });
  await alice.request('refresh_token', { token: refresh });
  await alice.request('refresh_token', { token: forged, content });
  for (const bad of [content, `{"type":"${content}"}`, `{"content":"${content}"}`, Buffer.from(content)]) {
    const before = alice.all('error').length;
    alice.send(bad);
    await expect.poll(() => alice.all('error').length).toBe(before + 1);
  }
  const demo = await app.public('/demo/token', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ name: 'Ada', content }),
  });
  tokens.push((demo.json as { token: string }).token);
  await app.public('/demo/token', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: `{"${content}`,
  });
  await app.public(`/health?token=${query}`, { headers: { Authorization: `Bearer ${header}`, Cookie: content } });

  // Trouble with Redis is logged at length, with commands under way.
  redis.signal('SIGSTOP');
  const lost = alice.request('chat', { room: 'log', content });
  await expect.poll(() => app.metric('ws_messages_received_total{type="chat"}')).toBeGreaterThanOrEqual(5);
  await redis.kill();
  await lost;
  await alice.request('chat', { content });
  await alice.close();
  expect((await app.stop()).code).toBe(0);

  expect(app.output.length).toBeGreaterThan(1000);
  for (const secret of [...tokens, forged, SECRET, password, content]) {
    // Parts count too: a token's signature alone is half of it.
    for (const part of secret.split('.')) {
      if (part.startsWith('eyJhbGci')) continue;
      expect(app.output).not.toContain(part);
    }
  }
});

test.for(['json', 'pretty'] as const)('a handler that logs a message by mistake shows no secret (%s)', (format) => {
  const destination = new PassThrough();
  const logger = createLogger({ instanceId: 'app1', level: 'info', format, destination });
  const fields = { token: content, content, password: content, payload: { content }, message: { token: content } };
  logger.info({ event: 'mistake', ...fields, room: 'shown' }, 'a mistake');
  const line = String(destination.read());
  expect(line).toContain('shown');
  expect(line).toContain('[redacted]');
  expect(line).not.toContain(content);
});

test('every line is JSON with its event, its level and the instance', async () => {
  await using app = await startApp({ INSTANCE_ID: 'app7', LOG_LEVEL: 'trace' });
  await using client = await connect(app);
  await refusal(app, { token: null });
  await client.close();
  await app.log('disconnected');
  await app.stop();
  const written = app.output.trim().split('\n');
  expect(app.lines).toHaveLength(written.length);
  for (const line of app.lines) {
    expect(line).toMatchObject({
      event: expect.stringMatching(/^[a-z_]+$/),
      level: expect.any(String),
      instanceId: 'app7',
    });
  }
  expect(app.lines.map(({ event }) => event)).toEqual([
    'listening',
    'connected',
    'handshake_refused',
    'disconnected',
    'signal',
    'draining',
    'stopped',
  ]);
  const { clientId } = client;
  for (const event of ['connected', 'disconnected']) expect(await app.log(event)).toMatchObject({ clientId });
});

test('a level keeps quieter lines out', async () => {
  await using app = await startApp({ LOG_LEVEL: 'info' });
  expect(app.lines.map(({ event }) => event)).toEqual(['listening']);
});

test('every line that an instance prints is an event in JSON: visits to the page, bad input, warnings of Node, a bad configuration', async () => {
  const warn = "data:text/javascript,process.on('SIGUSR2',()=>process.emitWarning('careful','TestWarning'))";
  await using app = await startApp({ DEMO: 'true' }, ['--import', warn]);
  const { text } = await app.public('/');
  for (const [, path] of text.matchAll(/(?:src|href)="([^"]+)"/g)) await app.public(`/${path}`);
  await app.public('/client/index.js');
  await app.public('/demo/token', { method: 'POST', body: '{', headers: { 'Content-Type': 'application/json' } });
  await refusal(app, { token: 'nonsense' });
  await using client = await connect(app, { as: 'alice' });
  client.send('nonsense');
  await client.next('error');
  app.signal('SIGUSR2');
  expect(await app.log('node_warning')).toMatchObject({ level: 'warn', name: 'TestWarning', message: 'careful' });
  await using misconfigured = await spawnApp({ PORT: 'x' });
  expect(await misconfigured.exited).toMatchObject({ code: 78 });

  const lines = [app, misconfigured].flatMap(({ output }) => output.trimEnd().split('\n'));
  expect(lines.length).toBeGreaterThan(4);
  for (const line of lines) expect(JSON.parse(line), line).toHaveProperty('event');
});
