/**
 * Samples of metrics, summed up. A trend keeps how often each value came, so that percentiles are exact, two stores can
 * be added to each other, and hours of whole milliseconds take little memory.
 */
export type MetricType = 'counter' | 'gauge' | 'rate' | 'trend';
export type Contains = 'default' | 'time' | 'data';
export type Tags = Readonly<Record<string, string>>;

export type Sink =
  | { type: 'counter'; sum: number }
  | { type: 'gauge'; last: number; min: number; max: number; at: number }
  | { type: 'rate'; trues: number; total: number }
  | { type: 'trend'; counts: Map<number, number>; sum: number; total: number };

export interface Metric {
  name: string;
  contains: Contains;
  sink: Sink;
  /** A part of another metric: its name, and the tags that a sample must have. */
  part?: { of: string; tags: Tags };
}

/** Samples since the last time, by metric; made for sending to another process. */
export type Batch = Pick<Metric, 'name' | 'contains' | 'sink' | 'part'>[];

export interface Store {
  readonly metrics: ReadonlyMap<string, Metric>;
  /** Makes a metric, or finds it. @throws {Error} when there is one of another type */
  define(name: string, type: MetricType, contains?: Contains): void;
  /** Keeps the samples of `name` that have these tags apart as well. */
  definePart(key: string, name: string, tags: Tags): void;
  add(name: string, value: number, tags?: Tags): void;
  /** All since the last call. */
  take(): Batch;
  merge(batch: Batch): void;
}

/** @param options.byTag metrics that are kept apart by every value of a tag: their names with the tag's */
export function createStore(options: { byTag?: Readonly<Record<string, string>> } = {}): Store {
  const metrics = new Map<string, Metric>();
  const parts = new Map<string, Metric[]>();

  function ensure(name: string, type: MetricType, contains: Contains, part?: Metric['part']): Metric {
    const known = metrics.get(name);
    if (known) {
      if (known.sink.type !== type) throw new Error(`metric ${name} is a ${known.sink.type}, not a ${type}`);
      return known;
    }
    const metric: Metric = { name, contains, sink: emptySink(type), ...(part && { part }) };
    metrics.set(name, metric);
    if (part) parts.set(part.of, [...(parts.get(part.of) ?? []), metric]);
    return metric;
  }

  return {
    metrics,
    define: (name, type, contains = 'default') => void ensure(name, type, contains),
    definePart(key, name, tags) {
      const whole = metrics.get(name);
      if (!whole) throw new Error(`no metric name "${name}" found`);
      ensure(key, whole.sink.type, whole.contains, { of: name, tags });
    },
    add(name, value, tags = {}) {
      const metric = metrics.get(name);
      if (!metric) throw new Error(`no metric ${name}`);
      addTo(metric.sink, value);
      const tag = options.byTag?.[name];
      const apart = tag === undefined ? undefined : tags[tag];
      if (tag !== undefined && apart !== undefined) {
        const key = `${name}{${tag}:${apart}}`;
        ensure(key, metric.sink.type, metric.contains, { of: name, tags: { [tag]: apart } });
      }
      for (const each of parts.get(name) ?? []) {
        if (Object.entries(each.part?.tags ?? {}).every(([key, wanted]) => tags[key] === wanted)) {
          addTo(each.sink, value);
        }
      }
    },
    take() {
      const batch = [...metrics.values()].filter(({ sink }) => !isEmpty(sink)).map((metric) => ({ ...metric }));
      for (const metric of metrics.values()) if (!isEmpty(metric.sink)) metric.sink = emptySink(metric.sink.type);
      return batch;
    },
    merge(batch) {
      for (const { name, contains, sink, part } of batch) {
        mergeInto(ensure(name, sink.type, contains, part).sink, sink);
      }
    },
  };
}

export function emptySink(type: MetricType): Sink {
  if (type === 'counter') return { type, sum: 0 };
  if (type === 'gauge') return { type, last: 0, min: Infinity, max: -Infinity, at: 0 };
  if (type === 'rate') return { type, trues: 0, total: 0 };
  return { type, counts: new Map(), sum: 0, total: 0 };
}

/** Whether nothing was added to it. */
export function isEmpty(sink: Sink): boolean {
  if (sink.type === 'counter') return sink.sum === 0;
  if (sink.type === 'gauge') return sink.at === 0;
  return sink.total === 0;
}

function addTo(sink: Sink, value: number): void {
  if (sink.type === 'counter') {
    sink.sum += value;
  } else if (sink.type === 'gauge') {
    sink.last = value;
    sink.min = Math.min(sink.min, value);
    sink.max = Math.max(sink.max, value);
    sink.at = Date.now();
  } else if (sink.type === 'rate') {
    sink.trues += value === 0 ? 0 : 1;
    sink.total += 1;
  } else {
    sink.counts.set(value, (sink.counts.get(value) ?? 0) + 1);
    sink.sum += value;
    sink.total += 1;
  }
}

export function mergeInto(into: Sink, from: Sink): void {
  if (into.type === 'counter' && from.type === 'counter') {
    into.sum += from.sum;
  } else if (into.type === 'gauge' && from.type === 'gauge') {
    if (from.at >= into.at) into.last = from.last;
    into.min = Math.min(into.min, from.min);
    into.max = Math.max(into.max, from.max);
    into.at = Math.max(into.at, from.at);
  } else if (into.type === 'rate' && from.type === 'rate') {
    into.trues += from.trues;
    into.total += from.total;
  } else if (into.type === 'trend' && from.type === 'trend') {
    for (const [value, count] of from.counts) into.counts.set(value, (into.counts.get(value) ?? 0) + count);
    into.sum += from.sum;
    into.total += from.total;
  }
}

/** The p-th part (0 to 1) of a trend's values: linear interpolation at p * (n - 1), as k6 has it. 0 of none. */
export function percentile(counts: ReadonlyMap<number, number>, p: number): number {
  return percentiles(counts, [p])[0] ?? 0;
}

/** Several at once, which sorts once. */
export function percentiles(counts: ReadonlyMap<number, number>, ps: readonly number[]): number[] {
  const sorted = [...counts].sort(([a], [b]) => a - b);
  const total = sorted.reduce((sum, [, count]) => sum + count, 0);
  /** The value at an index of the sorted samples. */
  function at(index: number): number {
    let seen = 0;
    for (const [value, count] of sorted) {
      seen += count;
      if (index < seen) return value;
    }
    return sorted.at(-1)?.[0] ?? 0;
  }
  return ps.map((p) => {
    const place = p * (total - 1);
    const below = at(Math.floor(place));
    return total === 0 ? 0 : below + (place % 1) * (at(Math.ceil(place)) - below);
  });
}

/** What handleSummary shows of a metric. @param stats of trends: count, min, avg, med, p(N), max */
export function valuesOf(sink: Sink, stats: readonly string[], seconds: number): Record<string, number> {
  if (sink.type === 'counter') return { count: sink.sum, rate: seconds > 0 ? sink.sum / seconds : 0 };
  if (sink.type === 'gauge') return { value: sink.last, ...(sink.at > 0 && { min: sink.min, max: sink.max }) };
  if (sink.type === 'rate') {
    const { trues, total } = sink;
    return { rate: total > 0 ? trues / total : 0, passes: trues, fails: total - trues };
  }
  return Object.fromEntries(stats.map((stat) => [stat, trendValue(sink, stat)]));
}

/** One statistic of a trend. */
export function trendValue({ counts, sum, total }: Extract<Sink, { type: 'trend' }>, stat: string): number {
  const p = /^p\((\d+(?:\.\d+)?)\)$/.exec(stat)?.[1];
  if (p !== undefined) return percentile(counts, Number(p) / 100);
  if (stat === 'count') return total;
  if (stat === 'avg') return total > 0 ? sum / total : 0;
  if (stat === 'med') return percentile(counts, 0.5);
  if (stat === 'min') return percentile(counts, 0);
  if (stat === 'max') return percentile(counts, 1);
  throw new Error(`${stat} is no statistic of a trend`);
}
