/**
 * Full-jitter backoff: a wait is anywhere between 0 and a ceiling that doubles from `base` to `cap` (milliseconds), so
 * that clients which lost one instance together do not come back together.
 * https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 */
export interface Backoff {
  /** Waits handed out since the last reset. */
  readonly attempts: number;
  /** The next wait in milliseconds. */
  next(): number;
  reset(): void;
  /** The next waits are short: a page that has just come online often finds the network a moment later. */
  hurry(): void;
}

/** Ceilings of the waits after `hurry`, in milliseconds. */
const HURRIED = [500, 2_000, 5_000];

export function createBackoff(options: { base: number; cap: number; random: () => number }): Backoff {
  const { base, cap, random } = options;
  let attempts = 0;
  let hurried: number[] = [];
  return {
    get attempts() {
      return attempts;
    },
    next() {
      const ceiling = Math.min(cap, hurried.shift() ?? base * 2 ** attempts);
      attempts += 1;
      return Math.round(random() * ceiling);
    },
    reset() {
      attempts = 0;
      hurried = [];
    },
    hurry() {
      hurried = [...HURRIED];
    },
  };
}
