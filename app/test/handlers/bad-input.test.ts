/** Written into docs/bad-input.md by `npx vitest run -u app/test/handlers/bad-input.test.ts`. */
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startApp } from '../harness/app.ts';
import { type Apps, badInput, strictEnv, toMarkdown } from '../harness/bad-input.ts';
import { connect } from '../harness/client.ts';

let apps: Apps;
beforeAll(async () => {
  const [open, strict, full] = await Promise.all([
    startApp({ DEMO: 'true' }),
    startApp(strictEnv),
    startApp({ MAX_CONNECTIONS: '1' }),
  ]);
  apps = { open, strict, full };
  await connect(full);
});

afterAll(async () => {
  await Promise.all(Object.values(apps).map((app) => app.kill()));
});

for (const { title, rows } of badInput) {
  describe.concurrent(title, () => {
    test.for(rows)('$input: $answer', async (row, { expect }) => {
      expect(await row.send(apps)).toBe(row.answer);
    });
  });
}

test('there are thirty kinds and more, each once', () => {
  const inputs = badInput.flatMap(({ title, rows }) => rows.map(({ input }) => `${title}: ${input}`));
  expect(inputs.length).toBeGreaterThanOrEqual(30);
  expect(new Set(inputs).size).toBe(inputs.length);
});

test('afterwards every app is alive, ready, and has logged no error', async () => {
  for (const app of [apps.open, apps.strict, apps.full]) {
    expect(await app.internal('/health/ready')).toMatchObject({ status: 200, json: { status: 'ready' } });
    expect(app.lines.filter(({ event }) => event === 'uncaught' || event === 'http_failed')).toEqual([]);
    expect(app.lines.filter((line) => ['error', 'fatal'].includes(String(line['level'])))).toEqual([]);
  }
  await using client = await connect(apps.open);
  expect(await client.request('chat', { content: 'all is well' })).toMatchObject({ type: 'ack' });
});

test('docs/bad-input.md shows this table', async () => {
  const file = fileURLToPath(new URL('../../../docs/bad-input.md', import.meta.url));
  await expect(toMarkdown(badInput)).toMatchFileSnapshot(file);
});
