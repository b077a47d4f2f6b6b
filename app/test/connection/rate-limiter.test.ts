import { expect, test } from 'vitest';
import { RateLimiter } from '../../src/connection/rate-limiter.ts';

test('takes the burst at once, then says how long until the next', () => {
  const limiter = new RateLimiter({ perMinute: 60, burst: 3 }, 0);
  expect([0, 0, 0, 0].map((now) => limiter.take(now))).toEqual([0, 0, 0, 1000]);
});

test('a message is there again after exactly the time that it said', () => {
  const limiter = new RateLimiter({ perMinute: 90, burst: 1 }, 0);
  limiter.take(0);
  const wait = limiter.take(100);
  expect(wait).toBeGreaterThan(0);
  expect(limiter.take(100 + wait - 1)).toBeGreaterThan(0);
  expect(limiter.take(100 + wait)).toBe(0);
});

test('asking while empty does not push the next message away', () => {
  const limiter = new RateLimiter({ perMinute: 60, burst: 1 }, 0);
  limiter.take(0);
  for (let now = 10; now < 1000; now += 10) expect(limiter.take(now)).toBeGreaterThan(0);
  expect(limiter.take(1000)).toBe(0);
});

test('over an hour it lets through the rate and the burst, no more, however long it was idle', () => {
  const limiter = new RateLimiter({ perMinute: 60, burst: 20 }, 0);
  let taken = 0;
  for (let now = 3_600_000; now < 7_200_000; now += 250) if (limiter.take(now) === 0) taken += 1;
  expect(taken).toBeGreaterThanOrEqual(3600 + 18);
  expect(taken).toBeLessThanOrEqual(3600 + 20);
});
