/** The charts of a run, and of two runs over the same axes. */
import { instancesOf, type Thinned, thin } from './axis.ts';
import type { Band } from './bands.ts';
import { type ChartOptions, chart, type Series } from './chart.ts';
import { plural } from './format.ts';
import type { Markup } from './markup.ts';
import type { Result, Second } from './result.ts';
import { limitOf } from './verdict.ts';

/** Colours of instances, the same as on the demo page: app1 has the first. */
const INSTANCE_COLOURS = 8;

const lengthOf = ({ seconds, timeline }: Result) => Math.max(seconds, timeline.at(-1)?.at ?? 0);

function limitIn(result: Result, metric: string): ChartOptions['limit'] {
  const value = limitOf(result, metric, 'p(99)');
  return value === undefined ? undefined : { value, name: `limit of the run’s p99` };
}

export function runCharts(result: Result): Markup[] {
  const seconds = lengthOf(result);
  const { seconds: timeline, width } = thin(result.timeline, seconds);
  const points = (of: (second: Second) => number | null) => timeline.map(of);
  const losses = timeline.filter(({ lost }) => lost > 0);
  const lost = losses.reduce((sum, each) => sum + each.lost, 0);
  const common = { seconds, at: points(({ at }) => at) as number[], width, bands: result.restarts.map(bandOf) };
  return [
    chart({
      ...common,
      id: 'latency',
      title: 'Delivery latency',
      unit: 'ms',
      series: [
        { name: 'median', colour: 'soft', points: points(({ latencyP50 }) => latencyP50) },
        { name: 'p99', colour: 'strong', points: points(({ latencyP99 }) => latencyP99) },
      ],
      limit: limitIn(result, 'delivery_latency'),
    }),
    chart({
      ...common,
      id: 'gap',
      title: 'Delivery gap',
      unit: 'ms',
      series: [{ name: 'p99', colour: 'strong', points: points(({ gapP99 }) => gapP99) }],
      limit: limitIn(result, 'delivery_gap'),
      ...(lost > 0 && { marks: { name: 'messages lost', at: losses.map(({ at }) => at) } }),
      note: lost > 0 ? `${plural(lost, 'message')} lost, at the marks.` : undefined,
    }),
    chart({
      ...common,
      id: 'deliveries',
      title: 'Deliveries',
      unit: 'messages/s',
      series: [{ name: 'deliveries', colour: 'strong', points: points(({ deliveries }) => deliveries) }],
    }),
    chart({
      ...common,
      id: 'instances',
      title: 'Connections by instance',
      unit: 'clients',
      stacked: true,
      series: instancesOf(timeline).map((name, index) => ({
        name,
        colour: `instance-${index % INSTANCE_COLOURS}`,
        points: points(({ instances }) => instances[name] ?? 0),
      })),
    }),
  ];
}

const bandOf = ({ instance, from, to }: Result['restarts'][number]): Band => ({ name: instance, from, to });

/** A in the one colour, B dashed in the other; restarts as strips above, one row a run. */
export function comparedCharts(a: Result, b: Result): Markup[] {
  const seconds = Math.max(lengthOf(a), lengthOf(b));
  const runs = [
    { name: 'A', colour: 'run-a', result: a, ...thin(a.timeline, seconds) },
    { name: 'B', colour: 'run-b', result: b, ...thin(b.timeline, seconds) },
  ];
  const at = [...new Set(runs.flatMap((run) => run.seconds.map((second) => second.at)))].sort((x, y) => x - y);
  const bands = runs.flatMap(({ name, colour, result }, index) =>
    result.restarts.map((restart) => ({
      ...bandOf(restart),
      name: `${name}: ${restart.instance}`,
      row: { index, colour },
    })),
  );
  const common = { seconds, at, width: runs[0]?.width ?? 1, bands };
  const both = (of: (second: Second) => number | null): Series[] =>
    runs.map(({ name, colour, seconds }) => ({ name, colour, points: pointsAt(at, seconds, of) }));
  const all: [id: string, title: string, unit: string, of: (second: Second) => number | null][] = [
    ['latency', 'Delivery latency, p99', 'ms', ({ latencyP99 }) => latencyP99],
    ['gap', 'Delivery gap, p99', 'ms', ({ gapP99 }) => gapP99],
    ['deliveries', 'Deliveries', 'messages/s', ({ deliveries }) => deliveries],
    ['clients', 'Clients', 'connected', ({ clients }) => clients],
  ];
  return all.map(([id, title, unit, of]) => chart({ ...common, id, title, unit, series: both(of) }));
}

function pointsAt(at: readonly number[], seconds: Thinned['seconds'], of: (second: Second) => number | null) {
  const values = new Map(seconds.map((second) => [second.at, of(second)]));
  return at.map((moment) => values.get(moment) ?? null);
}
