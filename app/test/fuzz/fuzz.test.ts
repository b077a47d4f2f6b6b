/** `make fuzz` in short: hostile messages, bytes and handshakes crash nothing, leak nothing, and harm nobody beside them. */
import { expect, test } from 'vitest';
import { fuzz } from './fuzz.ts';

const SEED = Number(process.env['SEED'] || Math.floor(Math.random() * 2 ** 31));

test(`survives hostile input, and members beside it lose nothing (SEED=${SEED})`, { timeout: 120_000 }, async () => {
  const result = await fuzz({ seed: SEED, messages: 20_000, handshakes: 4000 });
  console.log(JSON.stringify(result));
  expect(result).toMatchObject({ bugs: [], lost: 0, alive: true, messages: 20_000, frames: 10_000, handshakes: 4000 });
  expect(result.deliveries).toBeGreaterThan(100);
  const [before, after] = result.heap;
  expect(after).toBeLessThan(1.5 * before + 20);
});
