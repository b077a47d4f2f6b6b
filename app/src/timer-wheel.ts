/**
 * One interval for the deadlines of all connections: pings, pongs, token expiry, drain slots.
 * A Node timer per connection costs 2.4 KiB; an entry here costs one object.
 */
export interface Entry {
  readonly cancelled: boolean;
  readonly slot: number;
  readonly run: (subject: unknown) => void;
  readonly subject: unknown;
}

export interface TimerWheel {
  /** Calls `run(subject)` once, `delay` ms from now at the earliest and one tick later at the latest. */
  schedule<T>(delay: number, run: (subject: T) => void, subject: T): Entry;
  /** Forgets the entry at once, with its subject: its deadline may be weeks away. */
  cancel(entry: Entry | undefined): void;
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
      const entry: Entry = { cancelled: false, slot, run: run as (subject: unknown) => void, subject };
      const entries = slots.get(slot);
      if (entries) entries.push(entry);
      else slots.set(slot, [entry]);
      return entry;
    },
    cancel(entry) {
      if (!entry) return;
      // The flag is for an entry of the tick that is running, which has left its slot.
      Object.assign(entry, { cancelled: true });
      const entries = slots.get(entry.slot);
      const index = entries?.indexOf(entry) ?? -1;
      if (!entries || index < 0) return;
      entries.splice(index, 1);
      if (entries.length === 0) slots.delete(entry.slot);
    },
    close: () => clearInterval(timer),
  };
}
