/** Messages per second over the last ten seconds, for `/status`. Prometheus has its own counters. */
const SECONDS = 10;

export interface Throughput {
  received(): void;
  delivered(count: number): void;
  rates(): { messagesPerSecond: number; deliveriesPerSecond: number };
}

export function createThroughput(now = () => performance.now()): Throughput {
  /** One slot per second. */
  const slots = Array.from({ length: SECONDS + 1 }, () => ({ second: -1, messages: 0, deliveries: 0 }));

  function slot() {
    const second = Math.floor(now() / 1000);
    const at = slots[second % slots.length] as (typeof slots)[number];
    if (at.second !== second) Object.assign(at, { second, messages: 0, deliveries: 0 });
    return at;
  }

  return {
    received() {
      slot().messages += 1;
    },
    delivered(count) {
      slot().deliveries += count;
    },
    rates() {
      const current = Math.floor(now() / 1000);
      // The current second is incomplete: the ten before it count.
      const past = slots.filter(({ second }) => second < current && second >= current - SECONDS);
      const rate = (of: 'messages' | 'deliveries') => past.reduce((sum, at) => sum + at[of], 0) / SECONDS;
      return { messagesPerSecond: rate('messages'), deliveriesPerSecond: rate('deliveries') };
    },
  };
}
