import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createTimerWheel } from '../src/timer-wheel.ts';

const TICK = 10;
let time = 0;
const wheelAt = () => createTimerWheel({ tick: TICK, now: () => time });

/** Lets the clock go on in steps of a tick. */
function pass(ms: number): void {
  for (let left = ms; left > 0; left -= TICK) {
    time += Math.min(TICK, left);
    vi.advanceTimersByTime(TICK);
  }
}

beforeEach(() => {
  time = 1003;
  vi.useFakeTimers();
});
afterEach(() => vi.useRealTimers());

test.for([0, 1, 9, 10, 11, 25, 1000])('%d ms are over when it calls, and one tick at most beyond', (delay) => {
  const wheel = wheelAt();
  const start = time;
  const called: number[] = [];
  wheel.schedule(delay, () => called.push(time - start), undefined);
  pass(delay + 3 * TICK);
  expect(called).toHaveLength(1);
  expect(called[0]).toBeGreaterThanOrEqual(delay);
  expect(called[0]).toBeLessThanOrEqual(delay + 2 * TICK);
  wheel.close();
});

test('calls with the subject, in the order of the deadlines and within one in the order of scheduling', () => {
  const wheel = wheelAt();
  const called: string[] = [];
  const note = (name: string) => called.push(name);
  wheel.schedule(50, note, 'late');
  wheel.schedule(20, note, 'soon');
  wheel.schedule(20, note, 'soon too');
  pass(100);
  expect(called).toEqual(['soon', 'soon too', 'late']);
  wheel.close();
});

test('a cancelled entry is not called, one that is cancelled in the same tick neither', () => {
  const wheel = wheelAt();
  const called: string[] = [];
  const first = wheel.schedule(20, () => wheel.cancel(second), undefined);
  const second = wheel.schedule(20, () => called.push('second'), undefined);
  wheel.cancel(wheel.schedule(20, () => called.push('third'), undefined));
  pass(100);
  expect(first.cancelled).toBe(false);
  expect(called).toEqual([]);
  wheel.close();
});

test('a cancelled entry leaves its neighbours alone', () => {
  const wheel = wheelAt();
  const called: string[] = [];
  const entries = ['a', 'b', 'c'].map((name) => wheel.schedule(20, () => called.push(name), undefined));
  wheel.cancel(entries[1]);
  wheel.cancel(entries[1]);
  pass(100);
  wheel.cancel(entries[0]);
  expect(called).toEqual(['a', 'c']);
  wheel.close();
});

test('after a stall everything that was missed is called once, in order', () => {
  const wheel = wheelAt();
  const called: number[] = [];
  for (const delay of [300, 100, 200]) wheel.schedule(delay, (ms) => called.push(ms), delay);
  time += 10_000;
  vi.advanceTimersByTime(TICK);
  expect(called).toEqual([100, 200, 300]);
  pass(100);
  expect(called).toHaveLength(3);
  wheel.close();
});

test('an entry may schedule the next one, and a deadline in the past comes with the next tick', () => {
  const wheel = wheelAt();
  let calls = 0;
  const again = () => {
    calls += 1;
    if (calls < 3) wheel.schedule(-1000, again, undefined);
  };
  wheel.schedule(0, again, undefined);
  pass(5 * TICK);
  expect(calls).toBe(3);
  wheel.close();
});

test('nothing is called after it was closed', () => {
  const wheel = wheelAt();
  const run = vi.fn();
  wheel.schedule(TICK, run, undefined);
  wheel.close();
  pass(100);
  expect(run).not.toHaveBeenCalled();
});
