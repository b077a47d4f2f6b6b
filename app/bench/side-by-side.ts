/** Rates of several servers, measured in turns, so that what happens to the machine happens to all of them. */
import { percentile } from '../tools/lib/percentile.ts';
import { type Contender, contenders } from './contenders.ts';
import { withRedis } from './redis.ts';
import type { BenchServer } from './server.ts';

const REPETITIONS = 3;
/** From this share of its core on, the generator may have been the limit. */
const BUSY = 0.95;

interface Measured {
  /** In a second. */
  rate: number;
  /** Of the generator's core. */
  generator: number;
}

/** Rates of the repetitions. */
export interface Result {
  name: string;
  median: number;
  least: number;
  most: number;
  /** The kit's median against this one. */
  ratio: number;
  generatorBusy: boolean;
}

export interface Row {
  title: string;
  /** The kit's first. */
  results: Result[];
}

/** Measures one server that has just started. */
export type Measure = (server: BenchServer, contender: Contender) => Promise<Measured>;

/** @param work resolves with how many events there were */
export async function timed(work: () => Promise<number>): Promise<Measured> {
  const cpu = process.cpuUsage();
  const begin = performance.now();
  const events = await work();
  const seconds = (performance.now() - begin) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  return { rate: events / seconds, generator: (user + system) / 1e6 / seconds };
}

const measureNew = (contender: Contender, measure: Measure): Promise<Measured> =>
  withRedis(async (redis) => {
    const server = await contender.start(redis.url);
    try {
      return await measure(server, contender);
    } finally {
      await server.stop();
    }
  });

/** Measures every contender with a server of its own for each repetition, and prints the row. */
export async function sideBySide(
  title: string,
  measure: Measure,
  { among = contenders, repetitions = REPETITIONS } = {},
): Promise<Row> {
  const measured = new Map(among.map(({ name }) => [name, [] as Measured[]]));
  for (let repetition = 0; repetition < repetitions; repetition += 1) {
    for (const contender of among) measured.get(contender.name)?.push(await measureNew(contender, measure));
  }
  const summaries = [...measured].map(([name, all]) => {
    const rates = all.map(({ rate }) => rate).sort((a, b) => a - b);
    return {
      name,
      median: percentile(rates, 0.5),
      least: rates[0] ?? 0,
      most: rates.at(-1) ?? 0,
      generatorBusy: all.some(({ generator }) => generator > BUSY),
    };
  });
  const kit = summaries[0]?.median ?? 0;
  const results = summaries.map((summary) => ({ ...summary, ratio: kit / summary.median }));
  console.log(`${title}\n${results.map((result) => `  ${describe(result)}`).join('\n')}`);
  return { title, results };
}

export const show = (rate: number): string => Math.round(rate).toLocaleString('en');

function describe({ name, median, least, most, ratio, generatorBusy }: Result): string {
  const limit = generatorBusy ? '  the generator may have been the limit' : '';
  return `${name.padEnd(10)} kit x ${ratio.toFixed(2)}  ${show(median)}/s (${show(least)} to ${show(most)})${limit}`;
}
