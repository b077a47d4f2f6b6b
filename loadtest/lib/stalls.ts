/**
 * The times at which this virtual user was itself stalled. On a busy machine its timers fire late and its messages wait,
 * whatever the server does, so that time is taken out of what is measured. A slow server stalls no timer here.
 */
import { clearInterval, setInterval } from 'k6/timers';

export interface Stalls {
  /** Milliseconds of the time between two moments in which nothing could run here. */
  within(from: number, to: number): number;
  stop(): void;
}

const TICK_MS = 20;
/** Timers are late by this much anyway, in ms. */
const USUAL_MS = 15;
/** Stalls that are remembered; there are few. */
const MAX_STALLS = 200;

export function createStalls(): Stalls {
  const stalls: { from: number; to: number }[] = [];
  let dueAt = Date.now() + TICK_MS;

  const ticker = setInterval(() => {
    const now = Date.now();
    if (now - dueAt > USUAL_MS) {
      stalls.push({ from: dueAt, to: now });
      if (stalls.length > MAX_STALLS) stalls.shift();
    }
    dueAt = now + TICK_MS;
  }, TICK_MS);

  const overlap = (stall: { from: number; to: number }, from: number, to: number) =>
    Math.max(0, Math.min(stall.to, to) - Math.max(stall.from, from));

  return {
    within(from, to) {
      // After a stall, messages may be read before the timer fires.
      let sum = to - dueAt > USUAL_MS ? overlap({ from: dueAt, to }, from, to) : 0;
      for (const stall of stalls) sum += overlap(stall, from, to);
      return sum;
    },
    stop: () => clearInterval(ticker),
  };
}
