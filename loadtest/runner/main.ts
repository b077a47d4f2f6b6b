/**
 * Runs a k6 script without k6:
 *   node loadtest/runner/main.ts [-e NAME=VALUE]... [--local-ips LIST] [--processes N] [--timeline FILE] [--events FILE]
 *     [--share] SCRIPT
 * Exits as k6 does: 0, 99 (thresholds), 104 (configuration), 105 (interrupted), 107 (exception).
 * --timeline writes the run second by second; --events names a file of lines that say which instance is being
 * replaced; --share measures the runner's own latency first, against a bare echo server.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { parseAddresses } from './addresses.ts';
import { exitCodes } from './exit-codes.ts';
import { createProgress } from './progress.ts';
import { runTest } from './run.ts';
import { measureShare } from './share.ts';
import { byTag, createTimeline } from './timeline.ts';

const TOOL = 'Node runner, not k6';

const { values, positionals } = parseArgs({
  options: {
    env: { type: 'string', short: 'e', multiple: true, default: [] },
    'local-ips': { type: 'string', default: '' },
    processes: { type: 'string', default: String(availableParallelism()) },
    timeline: { type: 'string' },
    events: { type: 'string' },
    share: { type: 'boolean', default: false },
  },
  allowPositionals: true,
});
const [script] = positionals;
if (script === undefined) {
  console.error('usage: node loadtest/runner/main.ts [-e NAME=VALUE] [--local-ips LIST] SCRIPT');
  process.exit(exitCodes.invalidConfig);
}
const env = { ...process.env } as Record<string, string>;
for (const pair of values.env) env[pair.slice(0, pair.indexOf('='))] = pair.slice(pair.indexOf('=') + 1);

console.error(`${TOOL} (Node ${process.versions.node}): ${script}`);
// The run is worth having without it.
const runnerShare = values.share ? await measureShare().catch(sayNotMeasured) : null;
if (runnerShare) console.error(`its own latency: p50 ${runnerShare.p50} ms, p99 ${runnerShare.p99} ms`);

const timeline = createTimeline();
const { events } = values;
const progress = createProgress({
  output: process.stderr,
  readEvent: () => (events === undefined ? undefined : readEvent(events)),
});
let startedAt = Date.now();
const aborted = new AbortController();
process.on('SIGINT', () => aborted.abort(exitCodes.externalAbort));
process.on('SIGTERM', () => aborted.abort(exitCodes.externalAbort));

const { exitCode, outputs } = await runTest({
  script: pathToFileURL(resolve(script)).href,
  env,
  localIps: parseAddresses(values['local-ips']),
  processes: Math.max(1, Number(values.processes) || 1),
  byTag,
  handleStart(run) {
    startedAt = run.startedAt;
  },
  handleSamples(batch, second) {
    timeline.take(batch, second);
    if (timeline.latest) progress.show(timeline.latest);
  },
  signal: aborted.signal,
});
progress.end();

for (const [name, text] of Object.entries(outputs)) {
  if (name === 'stdout') process.stdout.write(text);
  else if (name === 'stderr') process.stderr.write(text);
  else writeFileSync(name, text);
}
if (values.timeline !== undefined) {
  writeFileSync(values.timeline, JSON.stringify({ startedAt, runnerShare, timeline: timeline.end() }));
}
console.error(`${TOOL}: exit code ${exitCode}`);
process.exitCode = exitCode;

function sayNotMeasured(error: Error): null {
  console.error(`its own latency was not measured: ${error.message}`);
  return null;
}

/** What the last line, `SECONDS INSTANCE begin|end`, says of this moment. */
function readEvent(file: string): string | undefined {
  try {
    const [, instance, what] = readFileSync(file, 'utf8').trimEnd().split('\n').at(-1)?.split(' ') ?? [];
    return what === 'begin' ? `${instance} is being replaced` : undefined;
  } catch {
    return undefined;
  }
}
