/** Ramps of a few seconds against one instance: what breaks ends them, and they name the last good step. */
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { startApp } from '../../app/test/harness/app.ts';
import { SECRET } from '../../app/test/harness/tokens.ts';
import { runScript } from './run-script.ts';

const script = fileURLToPath(new URL('../ramp.ts', import.meta.url));
const load = {
  ...{ JWT_SECRET: SECRET, CLIENTS: '20', ROOMS: '8', PER_VU: '5', STEPS: '4' },
  ...{ CONNECT: '1s', SETTLE: '4s', GAP_P99: '700' },
};

test.each([
  ['clients', { RATE: '2', DURATION: '8s' }, 'The last good step: 4 of 4, with 20 clients.'],
  // In the first steps a client owes less than a message.
  [
    'rate',
    { RATE: '1', DURATION: '8s' },
    'The last good step: 4 of 4, with 20 clients that publish 1.000 messages a second each.',
  ],
])('of %s: all steps are good, and the rooms stored what was acknowledged', async (RAMP, more, answer) => {
  await using app = await startApp();
  const { code, red, summary } = await runScript(script, { ...load, ...more, RAMP, URL: `${app.origin}/ws` });
  expect({ code, red, said: summary?.said }).toEqual({ code: 0, red: [], said: [answer] });
  const count = (name: string) => summary?.metrics[name]?.values['count'];
  expect(count('stored')).toBeGreaterThan(0);
  expect(count('stored')).toBe(count('acknowledged'));
});

test('an instance that is full in the third step ends it there', async () => {
  await using app = await startApp({ MAX_CONNECTIONS: '12' });
  const env = { ...load, RATE: '2', DURATION: '16s', URL: `${app.origin}/ws` };
  const { code, red, summary } = await runScript(script, env);
  expect({ code, red: red.sort(), said: summary?.said }).toEqual({
    code: 99,
    red: ['flaws{step:3} count==0', 'refused count==0'],
    said: ['The last good step: 2 of 4, with 10 clients.'],
  });
});

test('a rate at which nobody would publish in the first step is none', async () => {
  const { code, stderr } = await runScript(script, { ...load, RATE: '0.1', DURATION: '4s' });
  expect({ code, stderr }).toEqual({ code: 107, stderr: expect.stringContaining('nobody would publish') });
});
