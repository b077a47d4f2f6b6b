import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { ConfigError, environment, loadConfig } from '../src/config.ts';
import { spawnApp } from './harness/app.ts';
import { SECRET } from './harness/tokens.ts';

const problemsOf = (env: Record<string, string>): readonly string[] => {
  try {
    loadConfig(env);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
};

test('.env.example lists every variable of the app with its default and its meaning, and no other', async () => {
  const file = await readFile(new URL('../../.env.example', import.meta.url), 'utf8');
  const [, section = ''] = /^# --- app\b.*\n([\s\S]*?)(?=^# --- |$(?![\s\S]))/m.exec(file) ?? [];
  const written = [...section.matchAll(/^# (.*)\n#? ?([A-Z_]+)=(.*)$/gm)].map(([, description, name, value]) => ({
    name,
    default: value,
    description,
  }));
  const schema = z.toJSONSchema(environment, { io: 'input' });
  const known = Object.entries(schema.properties ?? {}).map(([name, property]) => {
    const { default: value = '', description } = property as { default?: string; description?: string };
    return { name, default: value, description };
  });
  expect(known.length).toBeGreaterThan(20);
  expect(written).toEqual(expect.arrayContaining(known));
  expect(known).toEqual(expect.arrayContaining(written));
});

test('the defaults make a configuration, with nothing given but a secret', () => {
  expect(loadConfig({ JWT_SECRET: SECRET })).toMatchObject({
    PORT: 3000,
    BROKER: 'redis',
    HEARTBEAT_INTERVAL: 30_000,
    HEARTBEAT_TIMEOUT: 10_000,
    RATE_LIMIT_PER_MINUTE: 60,
    MAX_FRAME_BYTES: 65_536,
    DEMO: false,
    TRUST_PROXY: ['loopback', 'linklocal', 'uniquelocal'],
    ALLOWED_ORIGINS: [],
  });
  expect(loadConfig({ JWT_SECRET: SECRET }).INSTANCE_ID).not.toBe('');
});

test('variables of other programs are not looked at', () => {
  expect(problemsOf({ JWT_SECRET: SECRET, PATH: '/usr/bin', NODE_ENV: 'nonsense' })).toEqual([]);
});

test.for<[string, number]>([
  ['500ms', 500],
  ['1.5s', 1500],
  ['10m', 600_000],
  ['1h', 3_600_000],
])('the duration %s is %d ms', ([text, ms]) => {
  expect(loadConfig({ JWT_SECRET: SECRET, TOKEN_EXPIRY_WARNING: text }).TOKEN_EXPIRY_WARNING).toBe(ms);
});

test.for<[string, string, RegExp]>([
  ['JWT_SECRET', 'short', /at least 32 characters/],
  ['PORT', '65536', /65535/],
  ['PORT', 'http', /whole number/],
  ['PORT', '', /whole number/],
  ['HEARTBEAT_INTERVAL', '30', /duration like 500ms/],
  ['HEARTBEAT_INTERVAL', '-1s', /duration like 500ms/],
  ['HEARTBEAT_TIMEOUT', '50ms', /at least 100ms/],
  ['HEARTBEAT_TIMEOUT', '30s', /shorter than HEARTBEAT_INTERVAL/],
  ['SHUTDOWN_DEADLINE', '14s', /at least DRAIN_WINDOW \+ DRAIN_GRACE \+ 2s/],
  ['INTERNAL_PORT', '3000', /must not be PORT/],
  ['SHUTDOWN_DEADLINE', '25d', /at most 24d/],
  ['PRESENCE_LEASE', '10ms', /at least 100ms/],
  ['DEMO', 'yes', /true/],
  ['BROKER', 'kafka', /redis/],
  ['LOG_LEVEL', 'loud', /info/],
  ['INSTANCE_ID', 'app 1', /letters, digits/],
  ['REDIS_URL', 'http://127.0.0.1', /redis:\/\/host:port/],
  ['REDIS_URL', 'redis://:pass@127.0.0.1', /REDIS_PASSWORD/],
  ['REDIS_URL', 'redis://127.0.0.1:99999', /redis:\/\/host:port/],
  ['TRUST_PROXY', 'loopback,nonsense', /nonsense/],
  ['TRUST_PROXY', '10.0.0.0/99', /10\.0\.0\.0\/99/],
])('%s=%s is refused and says why', ([name, value, why]) => {
  const problems = problemsOf({ JWT_SECRET: SECRET, [name]: value });
  expect(problems).toHaveLength(1);
  expect(problems[0]).toMatch(new RegExp(`^${name}: `));
  expect(problems[0]).toMatch(why);
});

test('the process lists every problem at once, shows no secret, and exits 78', async () => {
  await using app = await spawnApp({
    JWT_SECRET: 'too-short-and-secret',
    REDIS_URL: 'redis://user:hunter2@127.0.0.1',
    PORT: 'x',
    DRAIN_WINDOW: 'soon',
    LOG_LEVEL: 'loud',
    TRUST_PROXY: 'nonsense',
  });
  expect(await app.exited).toMatchObject({ code: 78 });
  for (const name of ['JWT_SECRET', 'REDIS_URL', 'PORT', 'DRAIN_WINDOW', 'LOG_LEVEL', 'TRUST_PROXY']) {
    expect(app.output).toContain(`${name}: `);
  }
  expect(app.output).toContain('6 problem(s)');
  expect(app.output).not.toMatch(/too-short-and-secret|hunter2/);
});

test('a port that is taken ends the process with 1 and says which', async () => {
  await using first = await spawnApp();
  const { port } = await first.log('listening');
  await using second = await spawnApp({ PORT: String(port) });
  expect(await second.exited).toMatchObject({ code: 1 });
  expect(second.output).toContain(`EADDRINUSE`);
  expect(second.output).toContain(String(port));
});
