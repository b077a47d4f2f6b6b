import { describe, expect, it } from 'vitest';
import { createBackoff } from '../src/backoff.ts';

describe('backoff', () => {
  it('waits below a ceiling that doubles from base to cap', () => {
    const backoff = createBackoff({ base: 1_000, cap: 30_000, random: () => 0.999_999 });
    const waits = Array.from({ length: 8 }, () => backoff.next());
    expect(waits).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
    expect(backoff.attempts).toBe(8);
  });

  it('spreads over the whole range below the ceiling', () => {
    let turn = 0;
    const backoff = createBackoff({ base: 1_000, cap: 1_000, random: () => (turn++ % 4) / 4 });
    expect([backoff.next(), backoff.next(), backoff.next(), backoff.next()]).toEqual([0, 250, 500, 750]);
  });

  it('stays at the cap after very many attempts', () => {
    const backoff = createBackoff({ base: 1_000, cap: 30_000, random: () => 1 });
    for (let turn = 0; turn < 2_000; turn += 1) backoff.next();
    expect(backoff.next()).toBe(30_000);
  });

  it('starts over after a reset', () => {
    const backoff = createBackoff({ base: 1_000, cap: 30_000, random: () => 1 });
    backoff.next();
    backoff.next();
    backoff.reset();
    expect(backoff.next()).toBe(1_000);
  });
});
