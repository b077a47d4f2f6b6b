/**
 * The Prometheus metrics of one instance, built from metric-definitions.ts. All series exist from the start, and no more are
 * added: an unknown label value counts as `other`.
 *
 * Counting only adds to a number. prom-client reads the numbers when /metrics is requested.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { type MetricLabels, type MetricRow, metricDefinitions } from './metric-definitions.ts';

/** In seconds: from a delivery on one machine to the longest wait that is bounded by a deadline. */
export const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

const GC_KINDS = ['major', 'minor', 'incremental', 'weakcb'];
/** prom-client's default metrics with an unbounded number of series: one for each kind of open handle. */
const UNBOUNDED = ['nodejs_active_handles', 'nodejs_active_requests', 'nodejs_active_resources'];

type Table = typeof metricDefinitions;
type Keys<T extends MetricRow['type']> = { [K in keyof Table]: Table[K]['type'] extends T ? K : never }[keyof Table];

type CounterOf<R> = R extends { label: object }
  ? { inc(value: string, count?: number): void }
  : { inc(count?: number): void };
type ReadingOf<R> = R extends { label: object } ? Readonly<Record<string, number>> : number;

/** The current value of every gauge. */
export type Readings = { readonly [K in Keys<'gauge'>]: ReadingOf<Table[K]> };

export type Metrics = { readonly [K in Keys<'counter'>]: CounterOf<Table[K]> } & {
  readonly [K in Keys<'histogram'>]: { observe(seconds: number): void };
} & {
  readonly contentType: string;
  /** Sets the function that reads the gauges, called once per `text`. */
  watch(read: () => Readings): void;
  /** All metrics in Prometheus' text format. */
  text(): Promise<string>;
};

/** A number that only grows. */
class Total {
  value = 0;

  inc(count = 1): void {
    this.value += count;
  }
}

/** One total per known label value, and one for all others. */
class Totals {
  readonly byValue: ReadonlyMap<string, Total>;
  readonly #other = new Total();

  constructor(values: readonly string[]) {
    this.byValue = new Map([...values.map((value) => [value, new Total()] as const), ['other', this.#other]]);
  }

  inc(value: string, count = 1): void {
    (this.byValue.get(value) ?? this.#other).value += count;
  }
}

export function createMetrics(metricLabels: MetricLabels): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  for (const name of UNBOUNDED) registry.removeSingleMetric(name);
  const collections = registry.getSingleMetric('nodejs_gc_duration_seconds') as Histogram<'kind'>;
  for (const kind of GC_KINDS) collections.zero({ kind });

  const instruments: Record<string, Total | Totals | Histogram> = {};
  /** Copy the numbers into prom-client. */
  const updates: ((readings: Readings | undefined) => void)[] = [];

  for (const [key, row] of Object.entries(metricDefinitions) as [string, MetricRow][]) {
    const label = row.label?.name ?? '';
    const definition = { name: row.name, help: row.help, labelNames: label ? [label] : [], registers: [registry] };
    if (row.type === 'histogram') {
      instruments[key] = new Histogram({ ...definition, buckets: BUCKETS });
    } else if (row.type === 'gauge') {
      const gauge = new Gauge(definition);
      updates.push((readings) => {
        const reading = readings?.[key as keyof Readings] ?? {};
        if (typeof reading === 'number') gauge.set(reading);
        else for (const [value, each] of Object.entries(reading)) gauge.set({ [label]: value }, each);
      });
    } else {
      const counter = new Counter(definition);
      const counts = row.label ? new Totals(metricLabels[row.label.values]) : new Total();
      instruments[key] = counts;
      updates.push(() => {
        counter.reset();
        if (counts instanceof Total) counter.inc(counts.value);
        else for (const [value, total] of counts.byValue) counter.inc({ [label]: value }, total.value);
      });
    }
  }

  let readGauges: (() => Readings) | undefined;
  return Object.assign(instruments as unknown as Metrics, {
    contentType: registry.contentType,
    watch(read: () => Readings) {
      readGauges = read;
    },
    async text() {
      const readings = readGauges?.();
      for (const update of updates) update(readings);
      return await registry.metrics();
    },
  });
}
