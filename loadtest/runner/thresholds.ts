/**
 * Thresholds in k6's grammar: `p(99)<=100`, `count==0`, `rate>0.9`, `value<5`, `avg<200`, `med`, `min`, `max`. At the end, one
 * on a metric without samples is judged by zeros, and `p(99)<=100` passes: the scripts count what must have happened.
 */
import { isEmpty, type Metric, type MetricType, type Store, type Tags, trendValue } from './store.ts';

export interface Threshold {
  metric: string;
  expression: string;
  abortOnFail: boolean;
  /** Time at the beginning during which it does not abort, in ms. */
  delayAbort: number;
  stat: string;
  operator: Operator;
  limit: number;
}

type Operator = '<' | '<=' | '>' | '>=' | '==' | '===' | '!=';

const statsOf: Readonly<Record<MetricType, RegExp>> = {
  counter: /^(count|rate)$/,
  gauge: /^value$/,
  rate: /^rate$/,
  trend: /^(avg|min|max|med|p\(\d+(\.\d+)?\))$/,
};

const compare: Readonly<Record<Operator, (value: number, limit: number) => boolean>> = {
  '<': (value, limit) => value < limit,
  '<=': (value, limit) => value <= limit,
  '>': (value, limit) => value > limit,
  '>=': (value, limit) => value >= limit,
  '==': (value, limit) => value === limit,
  '===': (value, limit) => value === limit,
  '!=': (value, limit) => value !== limit,
};

/** As in `options.thresholds`. */
export type ThresholdOptions = Record<
  string,
  (string | { threshold: string; abortOnFail?: boolean; delayAbortEval?: string })[]
>;

/** Reads them, and makes the parts of metrics that they name. @throws {Error} as k6 with exit code 104 */
export function parseThresholds(options: ThresholdOptions, store: Store, span: (text: string) => number): Threshold[] {
  return Object.entries(options).flatMap(([metric, list]) => {
    const { name, tags } = parseName(metric);
    const whole = store.metrics.get(name);
    if (!whole) throw new Error(`invalid threshold defined on ${metric}; reason: no metric name "${name}" found`);
    if (tags) store.definePart(metric, name, tags);
    return list.map((entry) => {
      const {
        threshold,
        abortOnFail = false,
        delayAbortEval = '0s',
      } = typeof entry === 'string' ? { threshold: entry } : entry;
      const [, stat, operator, limit] =
        /^\s*([a-z]+(?:\(\s*\d+(?:\.\d+)?\s*\))?)\s*(<=|>=|===|==|!=|<|>)\s*(-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)\s*$/.exec(
          threshold,
        ) ?? [];
      if (stat === undefined || limit === undefined) {
        throw new Error(`invalid threshold defined on ${metric}; reason: cannot parse "${threshold}"`);
      }
      const plain = stat.replaceAll(/\s/g, '');
      if (!statsOf[whole.sink.type].test(plain)) {
        throw new Error(
          `invalid threshold defined on ${metric}; reason: unsupported aggregation method ${plain} for metric of type ${whole.sink.type}`,
        );
      }
      return {
        metric,
        expression: threshold,
        abortOnFail,
        delayAbort: span(delayAbortEval),
        stat: plain,
        operator: operator as Operator,
        limit: Number(limit),
      };
    });
  });
}

/** `name{tag:value,other:value}` */
function parseName(text: string): { name: string; tags: Tags | undefined } {
  const [, name, list] = /^([^{]+)(?:\{(.*)\})?$/.exec(text) ?? [];
  if (name === undefined) throw new Error(`invalid threshold defined on ${text}; reason: no metric name`);
  if (list === undefined) return { name, tags: undefined };
  const pairs = list.split(',').map((pair) => {
    const colon = pair.indexOf(':');
    return [pair.slice(0, colon).trim(), pair.slice(colon + 1).trim()] as const;
  });
  return { name, tags: Object.fromEntries(pairs) };
}

/** Whether it ends a test that is under way, which nothing does that has no samples yet. */
export function breaksOff(threshold: Threshold, metric: Metric | undefined, seconds: number): boolean {
  if (!threshold.abortOnFail || seconds * 1000 < threshold.delayAbort) return false;
  return metric !== undefined && !isEmpty(metric.sink) && !isPassed(threshold, metric, seconds);
}

/** @param seconds since the test began, for rates of counters */
export function isPassed(threshold: Threshold, metric: Metric | undefined, seconds: number): boolean {
  const value = metric && thresholdValue(threshold, metric, seconds);
  return value === undefined || compare[threshold.operator](value, threshold.limit);
}

/** Undefined for a rate of nothing. */
function thresholdValue({ stat }: Threshold, { sink }: Metric, seconds: number): number | undefined {
  if (sink.type === 'counter') return stat === 'count' ? sink.sum : seconds > 0 ? sink.sum / seconds : 0;
  if (sink.type === 'gauge') return sink.last;
  if (sink.type === 'trend') return trendValue(sink, stat);
  return sink.total > 0 ? sink.trues / sink.total : undefined;
}
