/** One test from beginning to end, over several processes: setup, iterations, teardown, thresholds, summary. */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { exitCodes } from './exit-codes.ts';
import { installModules } from './modules.ts';
import type { FromProcess, ProcessPlan, ToProcess } from './process.ts';
import { parseScenarios, parseSpan, type Scenario, type Share, splitScenarios } from './scenarios.ts';
import { builtIn, describeError, loadScript, type Script } from './script.ts';
import { type Batch, createStore, type Store } from './store.ts';
import { summarize, summaryOutputs } from './summary.ts';
import { breaksOff, isPassed, parseThresholds, type Threshold } from './thresholds.ts';
import { createVu, type Vu } from './vu.ts';

export interface RunOptions {
  /** file: URL. */
  script: string;
  env: Record<string, string>;
  localIps: readonly string[];
  processes: number;
  byTag: Readonly<Record<string, string>>;
  /** Called as soon as the test begins. */
  handleStart(run: { store: Store; scenarios: readonly Scenario[]; startedAt: number }): void;
  /** Every second of every process, with what came in it. */
  handleSamples(batch: Batch, second: number): void;
  /** Aborts the test with this exit code. */
  signal: AbortSignal;
}

export interface RunResult {
  exitCode: number;
  /** What handleSummary gave: files, and `stdout`. */
  outputs: Record<string, string>;
}

const ABORT_EVERY_MS = 2000;

export async function runTest(options: RunOptions): Promise<RunResult> {
  const store = createStore();
  for (const name of builtIn.counter) store.define(name, 'counter');
  for (const name of builtIn.trend) store.define(name, 'trend', 'time');
  for (const name of builtIn.gauge) store.define(name, 'gauge');
  Object.assign(globalThis, { __ENV: options.env });
  installModules();

  const failed = (exitCode: number, error: unknown): RunResult => {
    console.error(`level=error msg=${JSON.stringify(describeError(error))}`);
    return { exitCode, outputs: {} };
  };

  const vu = createVu({ id: 0, scenario: '', localAddress: options.localIps[0], store });
  let script: Script;
  try {
    script = await loadScript(options.script, vu);
  } catch (error) {
    return failed(exitCodes.scriptException, error);
  }
  let scenarios: Scenario[];
  let thresholds: Threshold[];
  try {
    scenarios = parseScenarios(script.options);
    for (const { exec } of scenarios) script.fn(exec);
    thresholds = parseThresholds(script.options.thresholds ?? {}, store, parseSpan);
  } catch (error) {
    return failed(exitCodes.invalidConfig, error);
  }

  const parts = [...store.metrics.values()].flatMap(({ name, part }) =>
    part ? [{ key: name, name: part.of, tags: { ...part.tags } }] : [],
  );
  const { script: url, env, localIps, byTag } = options;
  const planFor = (share: Share): ProcessPlan => ({ script: url, env, share, localIps, parts, byTag });
  const processes = splitScenarios(scenarios, options.processes).map((share) =>
    startProcess(planFor(share), handleSamples),
  );

  let exitCode: number = exitCodes.passed;
  let startedAt = Date.now();
  const seconds = () => (Date.now() - startedAt) / 1000;

  function handleSamples(batch: Batch, second: number): void {
    store.merge(batch);
    options.handleSamples(batch, second);
  }

  const passes = (each: Threshold) => isPassed(each, store.metrics.get(each.metric), seconds());
  const stop = (code: number) => {
    if (exitCode === exitCodes.passed) exitCode = code;
    for (const each of processes) each.send({ stop: true });
  };

  try {
    await Promise.all(processes.map((each) => each.ready));
    const data = script.has('setup') ? await runHook(vu, script, 'setup', []) : undefined;
    startedAt = Date.now();
    const handleAbort = () => stop(Number(options.signal.reason) || exitCodes.externalAbort);
    options.signal.addEventListener('abort', handleAbort);
    if (options.signal.aborted) handleAbort();
    const total = scenarios.reduce((sum, { vus }) => sum + vus, 0);
    for (const name of builtIn.gauge) store.add(name, total);
    options.handleStart({ store, scenarios, startedAt });
    // Each virtual user gets its own copy.
    const text = data === undefined ? '' : JSON.stringify(data);
    for (const each of processes) each.send({ start: { data: text } });
    const watch = setInterval(() => {
      if (thresholds.some((each) => breaksOff(each, store.metrics.get(each.metric), seconds()))) {
        stop(exitCodes.thresholdsFailed);
      }
    }, ABORT_EVERY_MS);
    await Promise.all(processes.map((each) => each.done)).finally(() => clearInterval(watch));
    if (script.has('teardown')) await runHook(vu, script, 'teardown', text === '' ? [] : [JSON.parse(text)]);
    if (thresholds.some((each) => !passes(each)) && exitCode === exitCodes.passed) {
      exitCode = exitCodes.thresholdsFailed;
    }
    const summary = summarize({ store, script, thresholds, passes, seconds: seconds(), data });
    return { exitCode, outputs: await summaryOutputs(script, summary) };
  } catch (error) {
    return failed(exitCodes.scriptException, error);
  } finally {
    for (const each of processes) each.end();
  }
}

/** Runs setup or teardown, with all that they have to wait for. */
async function runHook(vu: Vu, script: Script, name: string, args: unknown[]): Promise<unknown> {
  let value: unknown;
  const outcome = await vu.run(0, async () => {
    value = await script.fn(name)(...args);
  });
  if (outcome.state === 'failed') throw outcome.error;
  return value;
}

function startProcess(plan: ProcessPlan, handleSamples: (batch: Batch, second: number) => void) {
  const child: ChildProcess = fork(fileURLToPath(new URL('./process.ts', import.meta.url)), {
    serialization: 'advanced',
  });
  const ready = Promise.withResolvers<void>();
  const done = Promise.withResolvers<void>();
  // Whichever is awaited reports it.
  done.promise.catch(() => undefined);
  child.on('message', (message: FromProcess) => {
    if ('ready' in message) ready.resolve();
    else if ('samples' in message) handleSamples(message.samples, message.second);
    else if ('failedToLoad' in message) ready.reject(new Error(message.failedToLoad));
    else done.resolve();
  });
  child.on('exit', (code, signal) => {
    const error = new Error(`a process of virtual users ended (${code ?? signal})`);
    ready.reject(error);
    done.reject(error);
  });
  const send = (message: ToProcess) => void (child.connected && child.send(message, () => undefined));
  send({ plan });
  return {
    ready: ready.promise,
    done: done.promise,
    send,
    end() {
      child.removeAllListeners('exit');
      child.kill('SIGKILL');
    },
  };
}
