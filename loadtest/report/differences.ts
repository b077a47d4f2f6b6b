/** What differs between two runs, row by row: for the page and for the terminal. */
import { measured, NONE, number, plural, span, words } from './format.ts';
import type { Metric, Result } from './result.ts';
import { counts, heading, percentiles, thresholdValue } from './verdict.ts';

export interface Difference {
  readonly name: string;
  readonly a: string;
  readonly b: string;
  readonly aOk?: boolean | undefined;
  readonly bOk?: boolean | undefined;
  /** From A to B: `+12 %`; empty where it cannot be said. */
  readonly change: string;
  readonly tendency?: 'better' | 'worse' | undefined;
}

export interface Differences {
  readonly thresholds: readonly Difference[];
  readonly times: readonly Difference[];
  readonly counts: readonly Difference[];
  readonly options: readonly { name: string; a: string; b: string }[];
  readonly surroundings: readonly { name: string; a: string; b: string }[];
}

/** Two runs of the same differ by less than this: no tendency is read into it. */
const NOISE = 0.1;

/** More would be read by nobody. */
const told = ['med', 'p(50)', 'p(95)', 'p(99)', 'max'];

export function differences(a: Result, b: Result): Differences {
  const { columns, rows } = percentiles(a, b);
  return {
    thresholds: thresholds(a, b),
    times: rows.flatMap(({ name, metric }) =>
      columns
        .filter((statistic) => told.includes(statistic))
        .map((statistic) =>
          difference(
            `${words(name)}, ${heading(statistic)}`,
            metric,
            statistic,
            valueIn(a, name, statistic),
            valueIn(b, name, statistic),
          ),
        ),
    ),
    counts: [...new Map([...counts(a), ...counts(b)])].map(([name, metric]) => ({
      ...difference(words(name), metric, 'count', valueIn(a, name, 'count'), valueIn(b, name, 'count')),
      tendency: undefined,
    })),
    options: pairwise(a.options, b.options),
    surroundings: pairwise(surroundings(a), surroundings(b)),
  };
}

const valueIn = ({ metrics }: Result, name: string, statistic: string) => metrics[name]?.values[statistic];

function difference(
  name: string,
  metric: Metric,
  statistic: string,
  a: number | undefined,
  b: number | undefined,
): Difference {
  const share = a === undefined || b === undefined || a === 0 ? undefined : (b - a) / a;
  return {
    name,
    a: measured(metric, statistic, a),
    b: measured(metric, statistic, b),
    change: a === b ? '=' : share === undefined ? '' : change(share),
    tendency: share === undefined || Math.abs(share) < NOISE ? undefined : share < 0 ? 'better' : 'worse',
  };
}

function change(share: number): string {
  const percent = Math.abs(share) * 100;
  return `${share < 0 ? '−' : '+'}${number(percent < 1 ? Number(percent.toPrecision(1)) : Math.round(percent))} %`;
}

/** By metric and expression; a threshold that only one of the two has stands there too. */
function thresholds(a: Result, b: Result): Difference[] {
  const key = ({ metric, expression }: Result['thresholds'][number]) => `${words(metric)} ${expression}`;
  const of = (result: Result) => new Map(result.thresholds.map((each) => [key(each), each]));
  const [inA, inB] = [of(a), of(b)];
  return [...new Set([...inA.keys(), ...inB.keys()])].map((name) => {
    const [own, other] = [inA.get(name), inB.get(name)];
    return {
      name,
      a: own ? thresholdValue(a, own) : NONE,
      b: other ? thresholdValue(b, other) : NONE,
      aOk: own?.ok,
      bOk: other?.ok,
      change: own && other && own.ok !== other.ok ? (other.ok ? 'holds again' : 'broke') : '',
      tendency: own && other && own.ok !== other.ok ? (other.ok ? 'better' : 'worse') : undefined,
    };
  });
}

function surroundings({ script, driver, tool, seconds, restarts, machine, versions }: Result): Record<string, string> {
  return {
    script,
    driver,
    tool,
    length: span(seconds),
    restarts: number(restarts.length),
    machine: `${plural(machine.cpus, 'core')}, ${number(machine.memoryGb)} GB, ${machine.os}`,
    ...versions,
  };
}

function pairwise(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>) {
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].map((name) => ({
    name,
    a: a[name] ?? NONE,
    b: b[name] ?? NONE,
  }));
}
