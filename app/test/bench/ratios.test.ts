/**
 * Three of the benchmarks' ratios to bare `ws`, in short. The limits are about half of what is measured on a quiet machine
 * (docs/benchmarks.md), because other tests use this one.
 */
import { expect, test } from 'vitest';
import { measureConnects } from '../../bench/connects.ts';
import { bareWs, kit } from '../../bench/contenders.ts';
import { measureDeliveries } from '../../bench/deliveries.ts';
import { type Measure, sideBySide } from '../../bench/side-by-side.ts';

test.for<[string, number, Measure]>([
  ['connect and join, rooms that fill', 0.25, measureConnects({ clients: 500, rooms: 5 })],
  [
    'deliveries in rooms of two',
    0.25,
    measureDeliveries({ rooms: 100, members: 2, publishers: 1, deliveries: 10_000 }),
  ],
  ['deliveries in large rooms', 1, measureDeliveries({ rooms: 5, members: 50, publishers: 10, deliveries: 100_000 })],
])('%s: at least x %d of bare ws', { retry: 3 }, async ([title, least, measure]) => {
  const { results } = await sideBySide(title, measure, { among: [kit, bareWs], repetitions: 1 });
  expect(results.find(({ name }) => name === bareWs.name)?.ratio).toBeGreaterThan(least);
});
