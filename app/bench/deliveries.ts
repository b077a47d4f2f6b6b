/**
 * How many messages one instance with Redis delivers in a second, against a bare ws server. Both are measured in turns, so
 * that what happens to the machine happens to both. The server has a core of its own.
 */
import { percentile } from '../tools/lib/percentile.ts';
import { connectLoad, type Shape } from './load.ts';
import { withRedis } from './redis.ts';
import { type BenchServer, startServer } from './server.ts';

const SHAPES: readonly (Shape & { deliveries: number })[] = [
  { rooms: 1000, members: 2, publishers: 1, deliveries: 100_000 },
  { rooms: 10, members: 100, publishers: 4, deliveries: 500_000 },
  { rooms: 1, members: 1000, publishers: 4, deliveries: 500_000 },
  { rooms: 10, members: 100, publishers: 16, deliveries: 1_000_000 },
];
const REPETITIONS = 3;
/** From this share of its core on, the generator may have been the limit. */
const BUSY = 0.95;

interface Measured {
  /** Deliveries a second. */
  rate: number;
  /** Of the generator's core. */
  generator: number;
}

async function measure(server: BenchServer, { deliveries, ...shape }: (typeof SHAPES)[number]): Promise<Measured> {
  const load = await connectLoad(server.origin, shape);
  try {
    // Until the code is compiled.
    await load.run(deliveries / 4);
    const own = process.cpuUsage();
    const begin = performance.now();
    const delivered = await load.run(deliveries);
    const seconds = (performance.now() - begin) / 1000;
    const { user, system } = process.cpuUsage(own);
    return { rate: delivered / seconds, generator: (user + system) / 1e6 / seconds };
  } finally {
    load.close();
    await server.stop();
  }
}

const median = (values: readonly number[]) =>
  percentile(
    values.toSorted((a, b) => a - b),
    0.5,
  );
const show = (value: number) => Math.round(value).toLocaleString('en');

function describe(all: readonly Measured[]): string {
  const rates = all.map(({ rate }) => rate);
  const busy = all.some(({ generator }) => generator > BUSY) ? ', the generator may have been the limit' : '';
  return `${show(median(rates))}/s (${show(Math.min(...rates))} to ${show(Math.max(...rates))}${busy})`;
}

export async function deliveries(): Promise<void> {
  for (const shape of SHAPES) {
    const kit: Measured[] = [];
    const floor: Measured[] = [];
    for (let repetition = 0; repetition < REPETITIONS; repetition += 1) {
      await withRedis(async (redis) => {
        kit.push(await measure(await startServer({}, { BROKER: 'redis', REDIS_URL: redis.url }), shape));
      });
      floor.push(await measure(await startServer({}, {}, './floor.ts'), shape));
    }
    const ratio = median(kit.map(({ rate }) => rate)) / median(floor.map(({ rate }) => rate));
    console.log(
      `deliveries  x ${ratio.toFixed(2)}  ${show(shape.rooms)} rooms of ${show(shape.members)}, ${shape.publishers} ` +
        `publishing in each: ${describe(kit)}; bare ws ${describe(floor)}`,
    );
  }
}
