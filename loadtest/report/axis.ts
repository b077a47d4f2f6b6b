/** What makes an axis legible: round steps, few of them, and no more points than can be told apart. */
import type { Second } from './result.ts';

/** More points than this are not told apart on a page. */
const MOST_POINTS = 240;
const MOST_TIME_TICKS = 6;
const timeSteps = [1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400];

/** Round values from 0 to just above `max`, three to six of them. */
export function ticks(max: number): number[] {
  const rough = (max > 0 ? max : 1) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 2.5, 5, 10].find((each) => each * power >= rough * 0.999) ?? 10);
  const count = Math.max(1, Math.ceil((max > 0 ? max : 1) / step - 1e-9));
  return Array.from({ length: count + 1 }, (_, index) => Number((index * step).toPrecision(12)));
}

/** Moments for the labels of an axis of `seconds`, from 0 on. */
export function timeTicks(seconds: number): number[] {
  const step = timeSteps.find((each) => seconds / each <= MOST_TIME_TICKS) ?? Math.ceil(seconds / MOST_TIME_TICKS);
  return Array.from({ length: Math.floor(seconds / step) + 1 }, (_, index) => index * step);
}

export interface Thinned {
  readonly seconds: readonly Second[];
  /** Seconds that one point stands for. */
  readonly width: number;
}

/**
 * Puts a timeline into steps of whole seconds, few enough for an axis of `end` seconds, so that two runs over the same axis have
 * the same steps. Within a step latencies are the worst, so that no spike is lost; rates and numbers of clients are their mean, lost
 * messages their sum.
 */
export function thin(timeline: readonly Second[], end: number): Thinned {
  const width = Math.max(1, Math.ceil(end / MOST_POINTS));
  const steps = Map.groupBy(timeline, ({ at }) => Math.floor(at / width) * width);
  return { seconds: [...steps].map(([at, group]) => ({ ...join(group), at })), width };
}

function join(group: readonly Second[]): Omit<Second, 'at'> {
  const sum = (of: (second: Second) => number) => group.reduce((total, each) => total + of(each), 0);
  const mean = (of: (second: Second) => number) => sum(of) / group.length;
  const worst = (of: (second: Second) => number | null) =>
    group.reduce<number | null>((most, each) => {
      const value = of(each);
      return value === null || (most !== null && most >= value) ? most : value;
    }, null);
  return {
    clients: mean(({ clients }) => clients),
    deliveries: mean(({ deliveries }) => deliveries),
    latencyP50: worst(({ latencyP50 }) => latencyP50),
    latencyP99: worst(({ latencyP99 }) => latencyP99),
    gapP99: worst(({ gapP99 }) => gapP99),
    lost: sum(({ lost }) => lost),
    instances: Object.fromEntries(
      instancesOf(group).map((name) => [name, mean(({ instances }) => instances[name] ?? 0)]),
    ),
  };
}

/** Every instance that a timeline names, app2 before app10. */
export function instancesOf(timeline: readonly Second[]): string[] {
  const names = new Set(timeline.flatMap(({ instances }) => Object.keys(instances)));
  return [...names].sort(new Intl.Collator('en', { numeric: true }).compare);
}
