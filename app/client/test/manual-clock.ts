import type { Clock } from '../src/clock.ts';

/** A clock that stands until it is moved. */
export interface ManualClock extends Clock {
  /** Runs what is due within `ms`, in order. */
  advance(ms: number): void;
  /** Lets `ms` pass as a machine that is asleep does: what is due runs late, at the end. */
  sleep(ms: number): void;
  /** Delays of the timers that are set, from now. */
  readonly delays: readonly number[];
}

export function createManualClock(): ManualClock {
  let now = 1_000_000;
  let timers: { at: number; run: () => void }[] = [];
  const clock: ManualClock = {
    now: () => now,
    setTimeout(run, ms) {
      const timer = { at: now + ms, run };
      timers.push(timer);
      return timer;
    },
    clearTimeout(timer) {
      timers = timers.filter((each) => each !== timer);
    },
    advance(ms) {
      const end = now + ms;
      for (;;) {
        const [due] = timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at);
        if (!due) break;
        timers = timers.filter((each) => each !== due);
        now = Math.max(now, due.at);
        due.run();
      }
      now = end;
    },
    sleep(ms) {
      now += ms;
      clock.advance(0);
    },
    get delays() {
      return timers.map(({ at }) => at - now);
    },
  };
  return clock;
}
