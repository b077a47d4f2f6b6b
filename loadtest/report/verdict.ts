/** The verdict in one sentence, and what the tables of every report are made of. */
import { measured, number, plural, span, words } from './format.ts';
import type { Metric, Result, Threshold } from './result.ts';

/** A counter's count, or undefined where the run has no such metric. */
export const countOf = (result: Result, metric: string): number | undefined => result.metrics[metric]?.values['count'];

/** `PASS` or `FAIL` in one sentence that claims nothing which the result does not hold. */
export function reason(result: Result): string {
  return result.verdict === 'PASS' ? passed(result) : failed(result);
}

function passed(result: Result): string {
  if (result.thresholds.length === 0)
    return 'The run ended as it should, but no threshold was set: nothing was proved.';
  const deliveries = countOf(result, 'deliveries');
  const subject =
    deliveries === undefined
      ? `All of ${plural(result.thresholds.length, 'threshold')} held`
      : `${plural(deliveries, 'delivery', 'deliveries')} verified`;
  const restarts = result.restarts.length > 0 ? ` across ${plural(result.restarts.length, 'restart')}` : '';
  const flaws = {
    lost: 'none lost',
    doubled: 'none doubled',
    disordered: 'none out of order',
    refused: 'nobody refused',
  };
  const none = Object.entries(flaws).flatMap(([metric, flaw]) => (countOf(result, metric) === 0 ? [flaw] : []));
  return `${subject}${restarts} in ${span(result.seconds)}${none.length > 0 ? ': ' : ''}${none.join(', ')}.`;
}

function failed(result: Result): string {
  const broken = result.thresholds.filter(({ ok }) => !ok);
  const differing = result.server.filter(({ ok }) => ok === false);
  const problem = result.problem === '' ? '' : `${result.problem}.`;
  if (broken.length > 0) {
    const parts = broken.slice(0, 3).map((threshold) => `${words(threshold.metric)} ${is(result, threshold)}`);
    const rest = broken.length > 3 ? [`and ${broken.length - 3} more`] : [];
    const few = `${broken.length} of ${plural(result.thresholds.length, 'threshold')}`;
    return `${few} broke: ${[...parts, ...rest].join('; ')}. ${problem}`.trimEnd();
  }
  if (problem !== '') return problem;
  if (differing.length > 0) {
    const parts = differing.map(({ name, server, clients }) => `${name} ${number(server)} against ${number(clients)}`);
    return `The server's counters differ from what the clients saw: ${parts.join('; ')}.`;
  }
  if (result.exitCode === 107) return 'The script ended with an exception (exit code 107).';
  return `The run ended with exit code ${result.exitCode}, before the thresholds could decide.`;
}

function is(result: Result, threshold: Threshold): string {
  if (threshold.value === null) return `has no samples (wanted ${threshold.expression})`;
  return `was ${thresholdValue(result, threshold)} (wanted ${threshold.expression})`;
}

/** The value that a threshold was judged by, in the unit of its metric. */
export function thresholdValue({ metrics }: Result, { metric, expression, value }: Threshold): string {
  const [statistic = ''] = /^[a-z]+(\([\d.]+\))?/.exec(expression) ?? [];
  // A threshold may be on a part of a metric: name{tag:value}
  return value === null ? 'no samples' : measured(metrics[metric.replace(/\{.*/, '')], statistic, value);
}

/** The limit in ms that a run has set for a percentile of a metric, if it has: `p(99)<=100`. */
export function limitOf({ thresholds }: Result, metric: string, statistic: string): number | undefined {
  const own = thresholds.find(
    (each) => each.metric === metric && each.expression.replaceAll(' ', '').startsWith(`${statistic}<`),
  );
  const [, limit] = /<=?\s*([\d.]+)/.exec(own?.expression ?? '') ?? [];
  return limit === undefined ? undefined : Number(limit);
}

const statistics = ['min', 'med', 'p(50)', 'p(90)', 'p(95)', 'p(99)', 'p(99.9)', 'max'];

export interface Percentiles {
  readonly columns: readonly string[];
  readonly rows: readonly { readonly name: string; readonly metric: Metric }[];
}

/** The trends that were sampled, and the statistics that at least one of them has. */
export function percentiles(...results: readonly Result[]): Percentiles {
  const trends = results.flatMap(({ metrics }) => Object.entries(metrics)).filter(([, { type }]) => type === 'trend');
  const rows = new Map(trends.filter(([, { values }]) => statistics.some((each) => each in values)));
  const columns = statistics.filter((each) => trends.some(([, { values }]) => each in values));
  return { columns, rows: [...rows].map(([name, metric]) => ({ name, metric })) };
}

/** The counters, in the order of the result. */
export const counts = ({ metrics }: Result): [string, Metric][] =>
  Object.entries(metrics).filter(([, { type }]) => type === 'counter');

/** What a statistic is called as the head of a column. */
export const heading = (statistic: string): string =>
  statistic === 'med' || statistic === 'p(50)' ? 'median' : statistic.replace(/[()]/g, '');
