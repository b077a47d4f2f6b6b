/** The kit's server passes docs/conformance/server.json, with each broker; and docs/asyncapi.yaml is what it speaks. */
import { readFileSync } from 'node:fs';
import specs from '@asyncapi/specs';
import { Ajv } from 'ajv';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { errorCodes } from '../../src/protocol.ts';
import { runServerVector, serverVectors } from '../../tools/conformance.ts';
import { serverMessages } from '../../tools/lib/server-messages.ts';
import { describeProtocol, file, renderProtocol } from '../../tools/protocol-docs.ts';
import { type App, startApp } from '../harness/app.ts';
import { collectOutput, run } from '../harness/process.ts';
import { type RedisServer, startRedis } from '../harness/redis.ts';
import { SECRET } from '../harness/tokens.ts';

describe.each(['redis', 'memory'])('the server, with BROKER=%s', (broker) => {
  let redis: RedisServer;
  let app: App;
  beforeAll(async () => {
    process.env['JWT_SECRET'] = SECRET;
    redis = await startRedis();
    app = await startApp({ BROKER: broker, REDIS_URL: redis.url, TOKEN_EXPIRY_WARNING: '1s' });
  });
  afterAll(async () => {
    await app.kill();
    await redis[Symbol.asyncDispose]();
  });

  test.for(serverVectors)('$name', (vector) => runServerVector(`${app.origin}/ws`, vector));

  test('the tool says what passed, and what did not', async () => {
    const tool = 'app/tools/conformance.ts';
    const env = { PATH: process.env['PATH'] ?? '', JWT_SECRET: SECRET };
    const passed = await run(process.execPath, [tool, `${app.origin}/ws`], { env });
    const output = collectOutput(passed.child);
    expect(await passed.exited, output.stdout).toMatchObject({ code: 0 });
    expect(output.stdout).toContain(`${serverVectors.length} of ${serverVectors.length} passed`);
    const failed = await run(process.execPath, [tool, `${app.origin}/ws`], {
      env: { ...env, JWT_SECRET: `${SECRET}x` },
    });
    const failures = collectOutput(failed.child);
    expect(await failed.exited).toMatchObject({ code: 1 });
    expect(failures.stdout).toMatch(/^not ok {2}greets with who the token speaks for\n {8}step 1, .*401/m);
  });
});

test('the vectors send every type of message and expect most of the server’s', () => {
  const text = JSON.stringify(serverVectors);
  const named = (type: string) => text.includes(`"type":"${type}"`);
  // These need a cluster, a lost Redis or a shutdown: other tests bring them about.
  const elsewhere = new Set(['gap', 'server_shutdown']);
  expect(Object.keys(serverMessages).filter((type) => !named(type) && !elsewhere.has(type))).toEqual([]);
});

describe('docs/asyncapi.yaml', () => {
  test('is what the schemas say (else: npm run protocol-docs)', () => {
    expect(readFileSync(file, 'utf8')).toBe(renderProtocol());
  });

  test('is valid AsyncAPI 3.0', () => {
    const ajv = new Ajv({ meta: false, validateSchema: false, strict: false, validateFormats: false, logger: false });
    const validate = ajv.compile(specs.schemas['3.0.0'] as object);
    validate(describeProtocol());
    expect(validate.errors ?? []).toEqual([]);
  });

  test('every reference leads somewhere', () => {
    const document = describeProtocol();
    for (const [, pointer = ''] of JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g)) {
      const found = pointer
        .split('/')
        .reduce<unknown>((node, key) => (node as Record<string, unknown>)?.[key], document);
      expect(found, pointer).toBeDefined();
    }
  });

  test('lists every code of an error', () => {
    expect(errorCodes.filter((code) => !renderProtocol().includes(code))).toEqual([]);
  });
});
