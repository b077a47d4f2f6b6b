/** What one member has of one publisher's numbers 1, 2, 3, ...: every one once, and in order, or it is counted. */
export interface Ledger {
  doubled: number;
  disordered: number;
  /** Highest number that came. */
  readonly last: number;
  take(number: number): void;
  /** How many of the first `published` never came. */
  lost(published: number): number;
  /** Which. */
  missing(published: number): number[];
}

export function createLedger(): Ledger {
  /** Below `last` and not here. */
  const missing = new Set<number>();
  let last = 0;
  return {
    doubled: 0,
    disordered: 0,
    get last() {
      return last;
    },
    take(number) {
      if (number > last) {
        for (let skipped = last + 1; skipped < number; skipped += 1) missing.add(skipped);
        last = number;
      } else if (missing.delete(number)) {
        this.disordered += 1;
      } else {
        this.doubled += 1;
      }
    },
    lost: (published) => missing.size + Math.max(0, published - last),
    missing: (published) => [
      ...missing,
      ...Array.from({ length: Math.max(0, published - last) }, (_, index) => last + 1 + index),
    ],
  };
}
