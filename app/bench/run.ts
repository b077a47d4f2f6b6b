/**
 * Compares two servers, side by side in one run, by the CPU that they use for one delivery:
 *   npm run bench [-- NAME...]
 * Rounds alternate, and each pair begins with the other server, so that what happens to the machine meanwhile
 * happens to both. What counts is the ratio and its spread over the pairs; times of two runs are not comparable.
 */
import { connectLoad, type Shape } from './load.ts';
import { startServer } from './server.ts';

interface Comparison {
  /** What is looked at, against what. */
  title: string;
  shape: Shape;
  /** Modules of app/src to change in each server: see server.ts. */
  server: Readonly<Record<string, string>>;
  baseline: Readonly<Record<string, string>>;
}

const PAIRS = 12;
/** Of each round: a second or so of one core. */
const DELIVERIES = 400_000;

const withoutMetrics = { 'metrics.ts': './no-metrics.ts' };
const closed10: Shape = { rooms: 10, members: 100, publishers: 4 };
const pairs: Shape = { rooms: 500, members: 2, publishers: 1 };

const comparisons: Readonly<Record<string, Comparison>> = {
  metrics: { title: 'metrics, 10 rooms of 100', shape: closed10, server: {}, baseline: withoutMetrics },
  'metrics-pairs': { title: 'metrics, 500 rooms of 2', shape: pairs, server: {}, baseline: withoutMetrics },
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

async function compare({ title, shape, server, baseline }: Comparison): Promise<void> {
  const sides = [await prepare(server, shape), await prepare(baseline, shape)] as const;
  // What each delivery costs tells how long a round is.
  const deliveries = Math.round(DELIVERIES / (shape.members > 10 ? 1 : 8));
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
  const at = (part: number) => (ratios[Math.round(part * (ratios.length - 1))] as number).toFixed(3);
  console.log(
    `${title.padEnd(28)} x ${at(0.5)}  (quartiles ${at(0.25)} to ${at(0.75)}, ${PAIRS} pairs; ` +
      `${own.toFixed(2)} and ${other.toFixed(2)} us of CPU for a delivery)`,
  );
}

const names = process.argv.slice(2);
for (const name of names.length > 0 ? names : Object.keys(comparisons)) {
  const comparison = comparisons[name];
  if (!comparison) throw new Error(`there is no ${name}: they are ${Object.keys(comparisons).join(', ')}`);
  await compare(comparison);
}
