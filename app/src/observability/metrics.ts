/**
 * The Prometheus metrics of one instance, made from metric-definitions.ts. Every series is there from the start, and their
 * number stays: a label's value that the code does not know counts as `other`.
 *
 * To count is to add to a number. prom-client reads the numbers when it is asked for its text.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { type MetricLabels, type MetricRow, metricDefinitions } from './metric-definitions.ts';

/** In seconds: from a message's way through one machine to the longest that someone waits. */
export const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

const GC_KINDS = ['major', 'minor', 'incremental', 'weakcb'];
/** Of prom-client's defaults, those with a series for each kind of thing that happens to be open. */
const UNBOUNDED = ['nodejs_active_handles', 'nodejs_active_requests', 'nodejs_active_resources'];

type Table = typeof metricDefinitions;
type Keys<T extends MetricRow['type']> = { [K in keyof Table]: Table[K]['type'] extends T ? K : never }[keyof Table];

type CounterOf<R> = R extends { label: object }
  ? { inc(value: string, count?: number): void }
  : { inc(count?: number): void };
type ReadingOf<R> = R extends { label: object } ? Readonly<Record<string, number>> : number;

/** What all gauges stand at. */
export type Readings = { readonly [K in Keys<'gauge'>]: ReadingOf<Table[K]> };

export type Metrics = { readonly [K in Keys<'counter'>]: CounterOf<Table[K]> } & {
  readonly [K in Keys<'histogram'>]: { observe(seconds: number): void };
} & {
  readonly contentType: string;
  /** Says how the gauges are read; it is called once for each `text`. */
  watch(read: () => Readings): void;
  /** The text exposition of everything. */
  text(): Promise<string>;
};

/** A number that only grows. */
class Total {
  value = 0;

  inc(count = 1): void {
    this.value += count;
  }
}

/** One for each value of a label, and one for all that is none of them. */
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
  /** What brings prom-client's numbers up to date. */
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
