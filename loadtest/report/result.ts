/** What one load test measured, as `loadtest/out/NAME-TIME.json` holds it: the contract between runner and report. */
import { readFileSync } from 'node:fs';
import { z } from 'zod';

const count = z.number().nonnegative();
const milliseconds = z.number().nonnegative().nullable();
/** Seconds since the start of the run. */
const moment = z.number().nonnegative();

/** JSON has no NaN: where nothing was sampled stands null, and that is the same as no value. */
const values = z
  .record(z.string(), z.number().nullable())
  .transform((all) =>
    Object.fromEntries(Object.entries(all).filter((entry): entry is [string, number] => entry[1] !== null)),
  );

const schema = z
  .object({
    script: z.string().min(1),
    /** `k6 1.8.0`, or `Node runner, not k6` */
    tool: z.string(),
    startedAt: z.iso.datetime({ offset: true }),
    seconds: moment,
    /** compose, native or external */
    driver: z.string(),
    /** Without any token. */
    url: z.string(),
    /** CLIENTS, ROOMS, RATE, ... */
    options: z.record(z.string(), z.string()),
    verdict: z.enum(['PASS', 'FAIL']),
    /** As k6's: 0, 99 (a threshold broke), 107 (an exception). */
    exitCode: z.int().nonnegative(),
    /** `value` is null where nothing was sampled. */
    thresholds: z.array(
      z.object({ metric: z.string(), expression: z.string(), ok: z.boolean(), value: z.number().nullable() }),
    ),
    /** As k6's handleSummary gets them: data.metrics. */
    metrics: z.record(
      z.string(),
      z.object({
        type: z.enum(['counter', 'gauge', 'rate', 'trend']),
        contains: z.enum(['default', 'time', 'data']),
        values,
      }),
    ),
    /** One a second: deliveries and lost messages of that second, latencies in ms, clients per instance. */
    timeline: z.array(
      z.object({
        at: moment,
        clients: count,
        deliveries: count,
        latencyP50: milliseconds,
        latencyP99: milliseconds,
        gapP99: milliseconds,
        lost: count,
        instances: z.record(z.string(), count),
      }),
    ),
    restarts: z.array(z.object({ instance: z.string(), from: moment, to: moment })),
    /** Clients per instance at the beginning. */
    spread: z.record(z.string(), count),
    errors: z.array(z.object({ kind: z.string(), count })),
    /** Counters of the server (from Prometheus) against what the clients saw; `ok` is null where that is not judged. */
    server: z.array(
      z.object({ name: z.string(), server: z.number(), clients: z.number(), ok: z.boolean().nullable() }),
    ),
    /** What failed the run though no threshold did; empty where nothing. */
    problem: z.string().default(''),
    /** What is to be known besides: the script's own answer, what could not be compared. */
    notes: z.array(z.string()).default([]),
    /** The runner's own latency against a bare echo server, in ms. */
    runnerShare: z.object({ p50: count, p99: count }).nullable(),
    machine: z.object({ cpus: count, memoryGb: count, os: z.string() }),
    /** node, k6, kit (its commit), ... */
    versions: z.record(z.string(), z.string()),
  })
  // A green line is only worth something when nothing below it is red.
  .superRefine(({ verdict, exitCode, thresholds, problem }, context) => {
    if (verdict !== 'PASS') return;
    const broken = thresholds.find(({ ok }) => !ok);
    if (broken) issue(`PASS, though ${broken.metric} (${broken.expression}) is not ok`);
    if (problem !== '') issue(`PASS, though ${problem}`);
    if (exitCode !== 0) issue(`PASS, though the exit code is ${exitCode}`);
    function issue(message: string): void {
      context.addIssue({ code: 'custom', path: ['verdict'], message });
    }
  });

export type Result = z.infer<typeof schema>;
export type Metric = Result['metrics'][string];
export type Threshold = Result['thresholds'][number];
export type Restart = Result['restarts'][number];
export type Second = Result['timeline'][number];

const MOST_PROBLEMS = 10;

/** The file is not there, or is no result; the message says which file and every problem. */
export class ResultError extends Error {
  override readonly name = 'ResultError';
}

/** @throws {ResultError} */
export function readResult(file: string): Result {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw new ResultError(`${file}: cannot be read: ${(cause as Error).message}`, { cause });
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new ResultError(`${file}: is not JSON: ${(cause as Error).message}`, { cause });
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message }) => `  ${z.core.toDotPath(path) || 'it'}: ${message}`);
  const more = problems.length - MOST_PROBLEMS;
  throw new ResultError(
    [
      `${file}: is no result of a load test:`,
      ...problems.slice(0, MOST_PROBLEMS),
      ...(more > 0 ? [`  and ${more} more`] : []),
    ].join('\n'),
    { cause: parsed.error },
  );
}
