/** A run second by second: clients, deliveries, latencies, and which instance the clients are on. */
import { type Batch, createStore, percentiles, type Store } from './store.ts';

/** `at` in seconds since the test began; counts of that second, `clients`, `lost` and `instances` so far; ms. */
export interface Moment {
  at: number;
  clients: number;
  deliveries: number;
  latencyP50: number | null;
  latencyP99: number | null;
  gapP99: number | null;
  lost: number;
  instances: Record<string, number>;
}

/** What the run has to keep apart for this: the metrics below by their tag. */
export const byTag = { arrived: 'instance', departed: 'instance' };

/** Processes report a second late, and not all at once: then it is settled. */
const LAG = 2;

export interface Timeline {
  take(batch: Batch, second: number): void;
  /** The last second that is settled. */
  readonly latest: Moment | undefined;
  /** Settles all, and returns it. */
  end(): Moment[];
}

export function createTimeline(): Timeline {
  /** Seconds that are not settled, from `moments.length` on. */
  const open: Store[] = [];
  const moments: Moment[] = [];

  function settle(): void {
    const store = open.shift() ?? createStore();
    const before = moments.at(-1);
    const sum = (name: string) => {
      const sink = store.metrics.get(name)?.sink;
      return sink?.type === 'counter' ? sink.sum : 0;
    };
    const trend = (name: string, ...ps: number[]): (number | null)[] => {
      const sink = store.metrics.get(name)?.sink;
      return sink?.type === 'trend' && sink.total > 0 ? percentiles(sink.counts, ps) : ps.map(() => null);
    };
    const instances = { ...before?.instances };
    for (const { part, sink } of store.metrics.values()) {
      const name = part?.tags['instance'];
      if (!part || name === undefined || sink.type !== 'counter') continue;
      instances[name] = (instances[name] ?? 0) + (part.of === 'arrived' ? sink.sum : -sink.sum);
    }
    const [latencyP50 = null, latencyP99 = null] = trend('delivery_latency', 0.5, 0.99);
    const [gapP99 = null] = trend('delivery_gap', 0.99);
    moments.push({
      at: moments.length,
      clients: (before?.clients ?? 0) + sum('arrived') - sum('departed'),
      deliveries: sum('deliveries'),
      latencyP50,
      latencyP99,
      gapP99,
      lost: (before?.lost ?? 0) + sum('lost'),
      instances,
    });
  }

  return {
    take(batch, second) {
      const place = Math.max(0, second - moments.length);
      while (open.length <= place) open.push(createStore());
      open[place]?.merge(batch);
      while (open.length > LAG) settle();
    },
    get latest() {
      return moments.at(-1);
    },
    end() {
      while (open.length > 0) settle();
      return moments;
    },
  };
}
