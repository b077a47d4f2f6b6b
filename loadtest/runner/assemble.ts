/**
 * Makes the result of a run out of its parts: node loadtest/runner/assemble.ts RUN.json, where that file says where they
 * are (see Inputs). Prints the result's exit code: the tool's own, or 99 when the server's counters do not bear out
 * what the clients saw.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import * as os from 'node:os';
import type { Result, Second } from '../report/result.ts';
import { exitCodes } from './exit-codes.ts';
import { createPrometheus, type Prometheus } from './prometheus.ts';
import { compareWithServer } from './server-counts.ts';
import type { Summary } from './summary-file.ts';
import type { Moment } from './timeline.ts';

export interface Inputs {
  script: string;
  /** Its name and version. */
  tool: string;
  driver: string;
  url: string;
  /** Base URL, or empty. */
  prometheus: string;
  exitCode: number;
  /** What failed it besides, such as a restart; else empty. */
  problem: string;
  /** What handleSummary wrote. */
  summary: string;
  /** What --timeline wrote; k6 has none. */
  timeline: string;
  /** Lines `SECONDS INSTANCE begin|end`. */
  events: string;
  instances: number;
  kit: string;
  /** Where the result goes. */
  result: string;
}

interface Timeline {
  startedAt: number;
  runnerShare: Result['runnerShare'];
  timeline: Moment[];
}

const [file = ''] = process.argv.slice(2);
const inputs = readJson<Inputs>(file) ?? fail(`cannot read ${file}`);
const summary = readJson<Summary>(inputs.summary);
if (!summary) {
  console.error('The run has no summary: it broke off');
  console.log(inputs.exitCode || exitCodes.scriptException);
  process.exit();
}
const measured = readJson<Timeline>(inputs.timeline);
const seconds = summary.state.testRunDurationMs / 1000;
const startedAt = measured?.startedAt ?? summary.endedAt - summary.state.testRunDurationMs;
const loadFrom = Math.max(0, ((summary.setup_data?.startAt ?? startedAt) - startedAt) / 1000);
const prometheus = inputs.prometheus === '' ? undefined : createPrometheus(inputs.prometheus);

const restarts = readRestarts();
const { rows: server, notes } = await compareWithServer({
  summary,
  prometheus,
  startedAt,
  seconds,
  restarts,
  instances: inputs.instances,
  external: inputs.driver === 'external',
});
// Without Prometheus there is none: the notes say so.
const timeline = measured ? perSecond(measured.timeline) : await timelineOf(prometheus).catch(() => []);
const isSound = inputs.problem === '' && server.every(({ ok }) => ok !== false);
const exitCode = inputs.exitCode === exitCodes.passed && !isSound ? exitCodes.thresholdsFailed : inputs.exitCode;

const result: Result = {
  script: inputs.script,
  tool: inputs.tool,
  startedAt: new Date(startedAt).toISOString(),
  seconds,
  driver: inputs.driver,
  url: inputs.url.replace(/\?.*/, ''),
  options: summary.shown,
  verdict: exitCode === exitCodes.passed ? 'PASS' : 'FAIL',
  exitCode,
  thresholds: Object.entries(summary.metrics).flatMap(([metric, { type, thresholds = {}, values }]) =>
    Object.entries(thresholds).map(([expression, { ok }]) => {
      const value = values[/^[a-z]+(\([^)]*\))?/.exec(expression)?.[0] ?? ''] ?? null;
      // The zeros of a trend without samples are none.
      return { metric, expression, ok, value: type === 'trend' && values['count'] === 0 ? null : value };
    }),
  ),
  metrics: Object.fromEntries(
    Object.entries(summary.metrics).map(([name, { type, contains, values }]) => [name, { type, contains, values }]),
  ),
  timeline,
  restarts,
  spread: (timeline.find(({ at }) => at >= loadFrom) ?? timeline.at(-1))?.instances ?? {},
  errors: Object.entries(summary.metrics).flatMap(([name, { values }]) => {
    const [, group, kind] = /^(ended|error)_(.+)$/.exec(name) ?? [];
    const count = values['count'] ?? 0;
    if (name === 'refused' && count > 0) return [{ kind: 'handshake refused', count }];
    if (kind === undefined || count === 0) return [];
    return [{ kind: group === 'ended' ? `closed with ${kind}` : kind, count }];
  }),
  server,
  problem: inputs.problem,
  notes: [...summary.said, ...notes],
  runnerShare: measured?.runnerShare ?? null,
  machine: {
    cpus: os.cpus().length,
    memoryGb: Math.round(os.totalmem() / 2 ** 30),
    os: `${os.type()} ${os.release()}`,
  },
  versions: { node: process.versions.node, kit: inputs.kit, ...(!measured && { k6: inputs.tool.replace(/^k6 /, '') }) },
};
writeFileSync(inputs.result, `${JSON.stringify(result, undefined, 2)}\n`);
console.log(exitCode);

function fail(message: string): never {
  console.error(message);
  process.exit(1);
}

function readJson<T>(path: string): T | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as T;
  } catch {
    return undefined;
  }
}

function readRestarts(): Result['restarts'] {
  const found: Result['restarts'] = [];
  for (const line of readFileSync(inputs.events, 'utf8').split('\n')) {
    const [at, instance, what] = line.split(' ');
    if (at === undefined || instance === undefined) continue;
    const second = Math.max(0, Number(at) - startedAt / 1000);
    if (what === 'begin') found.push({ instance, from: second, to: seconds });
    const open = found.findLast((restart) => restart.instance === instance);
    if (what === 'end' && open) open.to = second;
  }
  return found;
}

/** The runner counts lost messages up, the result has those of each second. */
function perSecond(moments: readonly Moment[]): Second[] {
  return moments.map((moment, index) => ({ ...moment, lost: moment.lost - (moments[index - 1]?.lost ?? 0) }));
}

/** k6 keeps no timeline: what Prometheus saw, every few seconds, without the clients' latencies. */
async function timelineOf(source: Prometheus | undefined): Promise<Second[]> {
  if (!source) return [];
  const from = startedAt / 1000;
  const [connections, delivered] = await Promise.all(
    ['ws_connections', 'ws_messages_delivered_total'].map((name) => source.samples(name, from, from + seconds)),
  );
  const moments = new Map<number, Second>();
  for (const { labels, samples } of connections ?? []) {
    for (const [at, value] of samples) {
      const second = Math.floor(at - from);
      const moment = moments.get(second) ?? {
        ...{ at: second, clients: 0, deliveries: 0, latencyP50: null, latencyP99: null, gapP99: null, lost: 0 },
        instances: {},
      };
      moment.instances[labels['instance'] ?? ''] = value;
      moment.clients += value;
      moments.set(second, moment);
    }
  }
  for (const { samples } of delivered ?? []) {
    for (const [index, [at, value]] of samples.entries()) {
      const before = samples[index - 1];
      const moment = moments.get(Math.floor(at - from));
      if (before && moment && value >= before[1]) moment.deliveries += (value - before[1]) / (at - before[0]);
    }
  }
  return [...moments.values()].sort((a, b) => a.at - b.at);
}
