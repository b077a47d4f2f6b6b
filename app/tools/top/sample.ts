/** What one instance says about itself on its internal listener. */
import type { Status } from '../../src/instance.ts';

const TIMEOUT_MS = 900;
/** Latency is over the last so many ms: long enough for a p99 to mean something. */
const WINDOW_MS = 10_000;
/** Reading the metrics resets the event loop's lag for everyone who reads it, Prometheus too: not more often than that. */
const METRICS_EVERY_MS = 5_000;

const LATENCY = 'ws_delivery_latency_seconds';
const LOOP = 'nodejs_eventloop_lag_p99_seconds';

export interface Sample {
  status: Status;
  /** Delivery, in seconds; undefined when there was none, or when it is not measured. */
  latencyP99: number | undefined;
  /** In seconds, since it was last read. */
  loopP99: number | undefined;
}

/** Cumulative counts by upper bound, as Prometheus' histograms have them. */
type Buckets = ReadonlyMap<number, number>;

export interface Sampler {
  /** Undefined when there is no answer. */
  sample(url: string): Promise<Sample | undefined>;
}

/** For one instance: it remembers the past to tell what has happened since. */
export function createSampler({ now = () => performance.now() } = {}): Sampler {
  let past: { at: number; pid: number; buckets: Buckets }[] = [];
  let latencyP99: number | undefined;
  let loopP99: number | undefined;

  function takeMetrics(text: string, pid: number): void {
    const at = now();
    const buckets = readBuckets(text, LATENCY);
    // Counts of another process begin at zero again.
    past = past.filter((each) => each.pid === pid && at - each.at <= WINDOW_MS + METRICS_EVERY_MS);
    latencyP99 = past[0] && quantile(0.99, past[0].buckets, buckets);
    past.push({ at, pid, buckets });
    loopP99 = readGauge(text, LOOP);
  }

  return {
    async sample(url) {
      try {
        const status = JSON.parse(await get(`${url}/status`)) as Status;
        const last = past.at(-1);
        if (!last || last.pid !== status.pid || now() - last.at >= METRICS_EVERY_MS) {
          takeMetrics(await get(`${url}/metrics`), status.pid);
        }
        return { status, latencyP99, loopP99 };
      } catch {
        return undefined;
      }
    },
  };
}

async function get(url: string): Promise<string> {
  const response = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS) });
  if (!response.ok) throw new Error(`${url} answers ${response.status}`);
  return response.text();
}

/** Of all label sets together. */
export function readBuckets(text: string, name: string): Buckets {
  const buckets = new Map<number, number>();
  for (const [, labels = '', value] of text.matchAll(new RegExp(`^${name}_bucket\\{(.*)\\} (\\S+)`, 'gm'))) {
    const le = /\ble="([^"]+)"/.exec(labels)?.[1];
    const bound = le === '+Inf' ? Infinity : Number(le);
    buckets.set(bound, (buckets.get(bound) ?? 0) + Number(value));
  }
  return buckets;
}

function readGauge(text: string, name: string): number | undefined {
  const value = new RegExp(`^${name}(?:\\{.*\\})? (\\S+)`, 'm').exec(text)?.[1];
  return value === undefined ? undefined : Number(value);
}

/** Of what was counted between the two, by linear interpolation as histogram_quantile does it. */
export function quantile(q: number, before: Buckets, after: Buckets): number | undefined {
  const counts = [...after]
    .sort(([a], [b]) => a - b)
    .map(([bound, count]) => ({ bound, count: count - (before.get(bound) ?? 0) }));
  const total = counts.at(-1)?.count ?? 0;
  if (total <= 0) return undefined;
  const rank = q * total;
  const index = counts.findIndex(({ count }) => count >= rank);
  const { bound = 0, count = 0 } = counts[index] ?? {};
  const { bound: lower, count: below } = counts[index - 1] ?? { bound: 0, count: 0 };
  if (bound === Infinity) return lower;
  return lower + ((bound - lower) * (rank - below)) / (count - below);
}
