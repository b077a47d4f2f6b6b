/**
 *   npm run bench [-- NAME...]
 *
 * Comparisons, which are what runs without a name: two servers, side by side in one run, by the CPU that they use for
 * one delivery. Rounds alternate, and each pair begins with the other server, so that what happens to the machine
 * meanwhile happens to both. What counts is the ratio and its spread over the pairs; times of two runs are not comparable.
 *
 * Figures, for docs/capacity.md: what this machine does, with servers, Redis and clients on it. `peers` compares whole
 * servers, for docs/benchmarks.md.
 */
import { cpus } from 'node:os';
import { connects } from './connects.ts';
import { deliveries } from './deliveries.ts';
import { joins } from './joins.ts';
import { connectLoad, type Shape } from './load.ts';
import { publishes } from './publishes.ts';
import { writeReport } from './report.ts';
import { scripts } from './scripts.ts';
import { startServer } from './server.ts';
import { wave } from './wave.ts';

interface Comparison {
  /** What is looked at, against what. */
  title: string;
  shape: Shape;
  /** Of each round: more than a second of one core, or the garbage collector’s turns would decide. */
  deliveries: number;
  /** Modules of app/src to change in each server: see server.ts. */
  server: Readonly<Record<string, string>>;
  baseline: Readonly<Record<string, string>>;
}

const PAIRS = 16;
const ROUNDS = 4;

const withoutMetrics = { 'observability/metrics.ts': './no-metrics.ts' };
const closed10: Shape = { rooms: 10, members: 100, publishers: 4 };
const pairs: Shape = { rooms: 500, members: 2, publishers: 1 };

const comparisons: Readonly<Record<string, Comparison>> = {
  metrics: {
    title: 'metrics, 10 rooms of 100',
    shape: closed10,
    deliveries: 400_000,
    server: {},
    baseline: withoutMetrics,
  },
  'metrics-pairs': {
    title: 'metrics, 500 rooms of 2',
    shape: pairs,
    deliveries: 50_000,
    server: {},
    baseline: withoutMetrics,
  },
};

async function prepare(replace: Readonly<Record<string, string>>, shape: Shape) {
  const server = await startServer(replace);
  const load = await connectLoad(server.origin, shape);
  return {
    /** Microseconds of CPU for one delivery. */
    async round(deliveries: number): Promise<number> {
      const before = await server.cpu();
      const delivered = await load.run(deliveries);
      return ((await server.cpu()) - before) / delivered;
    },
    async close() {
      load.close();
      await server.stop();
    },
  };
}

async function compare({ title, shape, deliveries, server, baseline }: Comparison): Promise<void> {
  const sides = [await prepare(server, shape), await prepare(baseline, shape)] as const;
  // Until the code is compiled.
  for (const side of sides) await side.round(deliveries);
  const ratios: number[] = [];
  let [own, other] = [0, 0];
  for (let pair = 0; pair < PAIRS; pair += 1) {
    const order = pair % 2 === 0 ? [0, 1] : [1, 0];
    const cost = [0, 0];
    for (const side of order) cost[side] = (await sides[side as 0 | 1].round(deliveries)) as number;
    ratios.push((cost[0] as number) / (cost[1] as number));
    own += (cost[0] as number) / PAIRS;
    other += (cost[1] as number) / PAIRS;
  }
  for (const side of sides) await side.close();
  ratios.sort((a, b) => a - b);
  /** Order statistics: the interval in which the median is with 95 % confidence, whatever the distribution. */
  const half = 0.98 * Math.sqrt(PAIRS);
  const at = (rank: number) => (ratios[Math.round(rank)] as number).toFixed(3);
  const middle = (PAIRS - 1) / 2;
  console.log(
    `${title.padEnd(26)} x ${at(middle)}  (95 %: ${at(middle - half)} to ${at(middle + half)}, ${PAIRS} pairs; ` +
      `${own.toFixed(2)} and ${other.toFixed(2)} us of CPU for a delivery)`,
  );
}

/** The same from within: a ratio of two processes has their own luck in it, the samples of one do not. */
async function shareOfMetrics({ title, shape, deliveries }: Comparison): Promise<void> {
  const server = await startServer();
  const load = await connectLoad(server.origin, shape);
  await load.run(deliveries);
  await server.profile();
  for (let round = 0; round < ROUNDS; round += 1) await load.run(deliveries);
  const { share, samples } = await server.share();
  load.close();
  await server.stop();
  console.log(`${title.padEnd(26)} ${(100 * share).toFixed(2)} % of ${samples} samples are in the metrics' code`);
}

const figures: Readonly<Record<string, () => Promise<unknown>>> = {
  connects,
  deliveries,
  joins,
  publishes,
  wave,
  scripts,
  peers: async () => writeReport([...(await connects()), ...(await deliveries())]),
};

async function runCase(name: string): Promise<void> {
  const comparison = comparisons[name];
  const figure = figures[name];
  if (comparison) {
    await shareOfMetrics(comparison);
    await compare(comparison);
  } else if (figure) {
    await figure();
  } else {
    const known = [...Object.keys(comparisons), ...Object.keys(figures)];
    throw new Error(`there is no ${name}: they are ${known.join(', ')}`);
  }
}

console.log(`${cpus().length} cores (${cpus()[0]?.model}), Node ${process.version}`);
const names = process.argv.slice(2);
for (const name of names.length > 0 ? names : Object.keys(comparisons)) await runCase(name);
