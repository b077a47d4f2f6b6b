/**
 * One process of virtual users, started by run.ts with its share as the message `plan`. It says `ready` once every copy of
 * the script is loaded, `samples` every second, and `done` in the end.
 */
import { installModules } from './modules.ts';
import type { Share } from './scenarios.ts';
import { builtIn, describeError, loadScript, type Script } from './script.ts';
import { type Batch, createStore } from './store.ts';
import { createVu, type Vu } from './vu.ts';

export interface ProcessPlan {
  script: string;
  env: Record<string, string>;
  share: Share;
  localIps: readonly string[];
  /** Parts of metrics that thresholds ask for. */
  parts: readonly { key: string; name: string; tags: Record<string, string> }[];
  /** Metrics to be kept apart by a tag. */
  byTag: Readonly<Record<string, string>>;
}
export type ToProcess = { plan: ProcessPlan } | { start: { data: string } } | { stop: true };
export type FromProcess =
  | { ready: true }
  | { samples: Batch; second: number }
  | { failedToLoad: string }
  | { done: { completed: number; interrupted: number } };

const EVERY_MS = 1000;

const say = (message: FromProcess): void => void process.send?.(message);

const plan = await new Promise<ProcessPlan>((resolve) => {
  process.once('message', (message: ToProcess) => 'plan' in message && resolve(message.plan));
});
const { share } = plan;
const { scenario } = share;
// The parent decides when the run is over.
process.on('SIGINT', () => undefined);
process.on('disconnect', () => process.exit(1));

Object.assign(globalThis, { __ENV: plan.env });
installModules();
const store = createStore({ byTag: plan.byTag });
for (const name of builtIn.counter) store.define(name, 'counter');
for (const name of builtIn.trend) store.define(name, 'trend', 'time');

const users: { vu: Vu; script: Script }[] = [];
try {
  for (let index = share.from; index < share.to; index += 1) {
    const id = share.firstId + index;
    const localAddress = plan.localIps[(id - 1) % plan.localIps.length];
    const vu = createVu({ id, scenario: scenario.name, localAddress, store });
    users.push({ vu, script: await loadScript(plan.script, vu) });
  }
  for (const { key, name, tags } of plan.parts) store.definePart(key, name, tags);
  say({ ready: true });
} catch (error) {
  say({ failedToLoad: describeError(error) });
}

let stopped = false;
const counts = { completed: 0, interrupted: 0 };

async function runUser({ vu, script }: (typeof users)[number], index: number, data: string): Promise<void> {
  const fn = script.fn(scenario.exec);
  for (let number = 0; number < scenario.iterations && !stopped; number += 1) {
    const begin = performance.now();
    const outcome = await vu.run(index + number * scenario.vus, () => fn(data === '' ? undefined : JSON.parse(data)));
    if (outcome.state === 'failed') {
      console.error(`level=error msg=${JSON.stringify(describeError(outcome.error))} scenario=${scenario.name}`);
    }
    if (outcome.state === 'interrupted') {
      counts.interrupted += 1;
      continue;
    }
    counts.completed += 1;
    store.add('iterations', 1, { scenario: scenario.name });
    store.add('iteration_duration', performance.now() - begin, { scenario: scenario.name });
  }
}

function stop(): void {
  stopped = true;
  for (const { vu } of users) vu.interrupt();
}

process.on('message', (message: ToProcess) => {
  if ('stop' in message) return stop();
  if (!('start' in message)) return;
  const { data } = message.start;
  const begin = Date.now();
  let second = 0;
  const flush = () => say({ samples: store.take(), second });
  let ticker = setTimeout(tick, EVERY_MS);
  function tick(): void {
    flush();
    second += 1;
    ticker = setTimeout(tick, begin + (second + 1) * EVERY_MS - Date.now());
  }
  setTimeout(() => {
    const latest = setTimeout(stop, scenario.maxDuration + scenario.gracefulStop);
    // No further iteration begins after maxDuration.
    const last = setTimeout(() => {
      stopped = true;
    }, scenario.maxDuration);
    void Promise.all(users.map((user, position) => runUser(user, share.from + position, data))).then(() => {
      clearTimeout(latest);
      clearTimeout(last);
      clearTimeout(ticker);
      flush();
      say({ done: counts });
    });
  }, scenario.startTime);
});
