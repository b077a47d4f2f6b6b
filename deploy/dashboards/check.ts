/**
 * Asks a Prometheus all that the dashboards ask:  npm run dashboards:check -- http://localhost:9090 [--range 900]
 * Prints panel by panel whether there is something to show and how long the slowest query takes. Exits 1 when a panel
 * is empty, or a query fails or takes 100 ms or more; to be run while the cluster is at work.
 */
import { parseArgs } from 'node:util';
import type { Panel } from './panel.ts';
import { dashboards } from './panels.ts';
import { fillIn, stepOf } from './promql.ts';

const SLOW_MS = 100;
/** As the console page has them. */
const POINTS = 240;
/** Of this many runs the fastest counts: the machine's other work is not the query's. */
const RUNS = 3;

interface Result {
  metric: Record<string, string>;
  value?: [number, string];
  values?: [number, string][];
}

const { values: options, positionals } = parseArgs({
  options: { range: { type: 'string', default: '900' } },
  allowPositionals: true,
});
const [url] = positionals;
const range = Number(options.range);
if (!url || !(range >= 60)) {
  console.error('usage: npm run dashboards:check -- PROMETHEUS_URL [--range SECONDS]');
  process.exit(64);
}

const end = Math.floor(Date.now() / 1000);
const step = stepOf(range, POINTS);

async function ask(path: string, parameters: Record<string, string>): Promise<{ result: Result[]; ms: number }> {
  const search = new URLSearchParams(parameters);
  let fastest = Number.POSITIVE_INFINITY;
  let result: Result[] = [];
  for (let run = 0; run < RUNS; run += 1) {
    const begin = performance.now();
    const response = await fetch(new URL(`api/v1/${path}?${search}`, `${url}/`));
    const answer = (await response.json()) as { status: string; error?: string; data: { result: Result[] } };
    fastest = Math.min(fastest, performance.now() - begin);
    if (answer.status !== 'success') throw new Error(answer.error);
    result = answer.data.result;
    if (fastest < SLOW_MS) break;
  }
  return { result, ms: fastest };
}

/** A value that can be drawn; NaN cannot. */
function isShown({ value, values }: Result): boolean {
  return (values ?? (value ? [value] : [])).some(([, text]) => Number.isFinite(Number(text)));
}

async function check(
  { kind, queries }: Panel,
  instance: string,
): Promise<{ series: number; ms: number; empty: boolean }> {
  const answers = [];
  for (const { expr } of queries) {
    const query = fillIn(expr, { range, step, instance });
    answers.push(
      kind === 'stat' || kind === 'table'
        ? await ask('query', { query, time: String(end) })
        : await ask('query_range', { query, start: String(end - range), end: String(end), step: String(step) }),
    );
  }
  const shown = answers.map(({ result }) => result.filter(isShown).length);
  return {
    series: shown.reduce((sum, count) => sum + count, 0),
    ms: Math.max(...answers.map(({ ms }) => ms)),
    // Each column of a table has something to say; of several lines one is enough.
    empty: kind === 'table' ? shown.includes(0) : shown.every((count) => count === 0),
  };
}

const { result: targets } = await ask('query', { query: 'up{job="app"} == 1', time: String(end) });
const instance = targets.map(({ metric }) => metric['instance'] ?? '').sort()[0];
if (instance === undefined) {
  console.error(`${url} sees no instance that is up`);
  process.exit(1);
}

let wrong = 0;
let slowest = { ms: 0, id: '' };
let count = 0;
for (const { title, rows } of dashboards) {
  console.log(`\n${title}`);
  for (const panel of rows.flatMap(({ panels }) => panels)) {
    count += 1;
    let line: string;
    let failed = true;
    try {
      const { series, ms, empty } = await check(panel, instance);
      failed = empty || ms >= SLOW_MS;
      if (ms > slowest.ms) slowest = { ms, id: panel.id };
      line = `${empty ? 'EMPTY' : `${series} series`.padStart(10)} ${ms.toFixed(1).padStart(8)} ms${ms >= SLOW_MS ? '  SLOW' : ''}`;
    } catch (error) {
      line = `FAILED: ${(error as Error).message}`;
    }
    if (failed) wrong += 1;
    console.log(`  ${failed ? '✗' : '✓'} ${panel.id.padEnd(30)} ${line}`);
  }
}
console.log(
  `\n${count} panels, ${wrong} empty, slow or failed; slowest query ${slowest.ms.toFixed(1)} ms (${slowest.id})`,
);
process.exit(wrong > 0 ? 1 : 0);
