/**
 * One interval for the deadlines of all connections: pings, pongs, token expiry, drain slots.
 * A Node timer per connection costs 2.4 KiB; an entry here costs one object.
 */
export interface Entry {
  cancelled: boolean;
  readonly run: (subject: unknown) => void;
  readonly subject: unknown;
}

export interface TimerWheel {
  /** Calls `run(subject)` once, `delay` ms from now at the earliest and one tick later at the latest. */
  schedule<T>(delay: number, run: (subject: T) => void, subject: T): Entry;
  close(): void;
}

export const TICK_MS = 50;

export function createTimerWheel({ tick = TICK_MS, now = () => performance.now() } = {}): TimerWheel {
  const slots = new Map<number, Entry[]>();
  let current = Math.floor(now() / tick);

  const timer = setInterval(() => {
    const target = Math.floor(now() / tick);
    // After a stall the missed slots run in order.
    while (current < target) {
      current += 1;
      const entries = slots.get(current);
      if (!entries) continue;
      slots.delete(current);
      for (const entry of entries) if (!entry.cancelled) entry.run(entry.subject);
    }
  }, tick);

  return {
    schedule<T>(delay: number, run: (subject: T) => void, subject: T) {
      const slot = Math.max(current + 1, Math.ceil((now() + delay) / tick));
      const entry: Entry = { cancelled: false, run: run as (subject: unknown) => void, subject };
      const entries = slots.get(slot);
      if (entries) entries.push(entry);
      else slots.set(slot, [entry]);
      return entry;
    },
    close: () => clearInterval(timer),
  };
}
