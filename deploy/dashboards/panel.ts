/** What a panel is: the terms in which deploy/dashboards/panels.ts is written. Knows neither Grafana nor the console. */

/** How good a value is. `plain`: it says how much, not how well. */
export type Level = 'plain' | 'good' | 'busy' | 'warn' | 'bad';

/** From this value on (the first: from minus infinity) the level is this. */
export interface Threshold {
  from: number | null;
  level: Level;
}

export type Unit = 'count' | 'perSecond' | 'seconds' | 'bytes' | 'bytesPerSecond' | 'share' | 'upDown' | 'state';

export interface Query {
  /**
   * PromQL with Grafana's variables `$__rate_interval`, `$__range` and, on a dashboard of one instance, `$instance`.
   * See `fillIn` in promql.ts.
   */
  expr: string;
  /** What the series are called; `{{label}}` is a label's value. In a table: the column. */
  legend: string;
  /** In a table: the column's unit, if it is another than the panel's. */
  unit?: Unit;
}

export interface Panel {
  /** Unique, stable: what links and tests name. */
  id: string;
  title: string;
  question: string;
  /** What it shows and what is normal. */
  description: string;
  kind: 'timeseries' | 'stat' | 'states' | 'table';
  queries: readonly Query[];
  unit: Unit;
  thresholds: readonly Threshold[];
  min?: number;
  max?: number;
  /** Drawn as areas on top of each other: the sum is of interest too. */
  stacked?: true;
  /** What stands there when there is nothing to show. */
  noValue?: string;
}

export interface Row {
  /** What its panels answer together. */
  question: string;
  panels: readonly Panel[];
}

export interface Dashboard {
  id: string;
  title: string;
  description: string;
  /** True when it shows the one instance that `$instance` names. */
  ofOneInstance?: true;
  rows: readonly Row[];
}

/** What an instance is doing, as the value of `state` in promql.ts. */
export const instanceStates = [
  { name: 'down', level: 'bad' },
  { name: 'draining', level: 'busy' },
  { name: 'not ready', level: 'warn' },
  { name: 'ready', level: 'good' },
] as const satisfies readonly { name: string; level: Level }[];

export const upDown = [
  { name: 'down', level: 'bad' },
  { name: 'up', level: 'good' },
] as const satisfies readonly { name: string; level: Level }[];

/** There is no good or bad. */
export const plain: readonly Threshold[] = [{ from: null, level: 'plain' }];

export function warnAbove(warn: number, bad: number): Threshold[] {
  return [
    { from: null, level: 'good' },
    { from: warn, level: 'warn' },
    { from: bad, level: 'bad' },
  ];
}

/** Good only at none. */
export const noneIsGood: readonly Threshold[] = [
  { from: null, level: 'good' },
  { from: 1e-9, level: 'bad' },
];

export const upIsGood: readonly Threshold[] = [
  { from: null, level: 'bad' },
  { from: 1, level: 'good' },
];

export const stateLevels: readonly Threshold[] = instanceStates.map(({ level }, value) => ({
  from: value === 0 ? null : value,
  level,
}));

/** The level of a value. */
export function levelOf(thresholds: readonly Threshold[], value: number): Level {
  return thresholds.findLast(({ from }) => from === null || value >= from)?.level ?? 'plain';
}

/** How many panels stand side by side, line by line: at most three, and no line left half empty. */
export function linesOf(count: number): number[] {
  const lines = Math.ceil(count / 3);
  return Array.from({ length: lines }, (_, index) => Math.floor(count / lines) + (index < count % lines ? 1 : 0));
}
