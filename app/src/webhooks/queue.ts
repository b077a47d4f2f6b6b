/** Where events wait until the receiver has them. All instances share one queue, and one of them sends. */

export interface Batch {
  /** The oldest events, as JSON. */
  events: readonly string[];
  /** Events that the queue had no room for since the last batch. */
  dropped: number;
  /** How many wait, these included. */
  waiting: number;
  /** Takes the first of these out of the queue. @throws {BrokerUnavailable} */
  remove(count: number): Promise<void>;
}

export interface WebhookQueue {
  /** Appends; beyond its size the queue drops the oldest. @returns how many. @throws {BrokerUnavailable} */
  add(events: readonly string[]): Promise<number>;
  /** The oldest, at most MAX_BATCH; undefined while another instance sends. @throws {BrokerUnavailable} */
  take(): Promise<Batch | undefined>;
  /** Lets another instance send. */
  release(): Promise<void>;
}

export const MAX_BATCH = 500;

/** For BROKER=memory: what it holds ends with the process. */
export function createMemoryQueue({ size }: { size: number }): WebhookQueue {
  let waiting: string[] = [];
  let dropped = 0;
  return {
    async add(events) {
      waiting.push(...events);
      const surplus = Math.max(0, waiting.length - size);
      waiting.splice(0, surplus);
      dropped += surplus;
      return surplus;
    },
    async take() {
      const events = waiting.slice(0, MAX_BATCH);
      const told = dropped;
      return {
        events,
        dropped: told,
        waiting: waiting.length,
        async remove(count) {
          const taken = new Set(events.slice(0, count));
          waiting = waiting.filter((event) => !taken.has(event));
          dropped -= told;
        },
      };
    },
    release: async () => undefined,
  };
}
