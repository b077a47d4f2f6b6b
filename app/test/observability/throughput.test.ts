import { expect, test } from 'vitest';
import { createThroughput } from '../../src/observability/throughput.ts';

test('rates are those of the ten full seconds before now', () => {
  let now = 500;
  const throughput = createThroughput(() => now);
  for (let i = 0; i < 30; i += 1) throughput.received();
  throughput.delivered(100);
  expect(throughput.rates()).toEqual({ messagesPerSecond: 0, deliveriesPerSecond: 0 });
  now = 10_999;
  expect(throughput.rates()).toEqual({ messagesPerSecond: 3, deliveriesPerSecond: 10 });
  now = 11_000;
  expect(throughput.rates()).toEqual({ messagesPerSecond: 0, deliveriesPerSecond: 0 });
});
