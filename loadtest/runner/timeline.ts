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

export interface Timeline {
  take(batch: Batch, second: number): void;
  moments(): Moment[];
}

export function createTimeline(): Timeline {
  const seconds: Store[] = [];

  return {
    take(batch, second) {
      for (let missing = seconds.length; missing <= second; missing += 1) seconds.push(createStore());
      seconds[second]?.merge(batch);
    },
    moments() {
      const instances: Record<string, number> = {};
      let clients = 0;
      let lost = 0;
      return seconds.map((store, at) => {
        const sum = (name: string) => {
          const sink = store.metrics.get(name)?.sink;
          return sink?.type === 'counter' ? sink.sum : 0;
        };
        const trend = (name: string, ...ps: number[]): (number | null)[] => {
          const sink = store.metrics.get(name)?.sink;
          return sink?.type === 'trend' && sink.total > 0 ? percentiles(sink.counts, ps) : ps.map(() => null);
        };
        for (const { part, sink } of store.metrics.values()) {
          const name = part?.tags['instance'];
          if (!part || name === undefined || sink.type !== 'counter') continue;
          instances[name] = (instances[name] ?? 0) + (part.of === 'arrived' ? sink.sum : -sink.sum);
        }
        clients += sum('arrived') - sum('departed');
        lost += sum('lost');
        const [latencyP50 = null, latencyP99 = null] = trend('delivery_latency', 0.5, 0.99);
        const [gapP99 = null] = trend('delivery_gap', 0.99);
        return {
          at,
          clients,
          deliveries: sum('deliveries'),
          latencyP50,
          latencyP99,
          gapP99,
          lost,
          instances: { ...instances },
        };
      });
    },
  };
}
