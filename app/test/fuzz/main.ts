/** make fuzz: MESSAGES=1000000 HANDSHAKES=200000 SEED=1. Exits 1 when something crashed, was lost or grew. */
import { type FuzzResult, fuzz } from './fuzz.ts';

const number = (name: string, fallback: number) => Number(process.env[name] || fallback);
const options = {
  seed: number('SEED', Math.floor(Math.random() * 2 ** 31)),
  // Two thirds are messages, one third bytes after the upgrade.
  messages: Math.ceil((number('MESSAGES', 1_000_000) * 2) / 3),
  handshakes: number('HANDSHAKES', 200_000),
};
console.log(`SEED=${options.seed}`);
const begin = performance.now();
const result: FuzzResult = await fuzz({ ...options, report: console.log });
const { bugs, lost, alive, heap } = result;
console.log(
  `${JSON.stringify(result, undefined, 2)}\n${Math.round((performance.now() - begin) / 1000)} s, SEED=${options.seed}`,
);
process.exit(bugs.length > 0 || lost !== 0 || !alive || heap[1] > 1.5 * heap[0] + 20 ? 1 : 0);
