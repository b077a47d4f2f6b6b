/** The verbs of env.sh over processes of this machine. */
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { writeAlertmanager, writeNginx, writePrometheus, writeRedis, writeTargets } from './configuration.ts';
import { locked } from './lock.ts';
import { createParts, type Part } from './part.ts';
import { portProblem } from './port.ts';
import { createProcess, type ExitCode, type ManagedProcess } from './process.ts';
import type { Settings } from './settings.ts';

const MAX_INSTANCES = 16;
const READY_DEADLINE_MS = 30_000;
/** How long a part that runs may take to get ready before it is started anew; most only wait for Redis. */
const REPAIR_DEADLINE_MS = 15_000;
const KILL_DEADLINE_MS = 5_000;
const PORT_DEADLINE_MS = 1_000;
/** A whole `stop` of another command may be waited for. */
const LOCK_DEADLINE_MS = 120_000;
const POLL_MS = 50;
const LOG_LINES = 15;

export interface PartState {
  name: string;
  state: 'running' | 'unhealthy' | 'stopped' | `exited:${ExitCode}`;
  pid: number | undefined;
  uptimeSeconds: number | undefined;
  url: string;
}

export interface Cluster {
  /** Programs that are there or can be installed, and free ports. @throws {Error} listing every busy port */
  prepare(install: (programs: readonly string[]) => void): Promise<void>;
  /** Starts what does not run, repairs what does not run well, and waits until all are ready. */
  start(names: readonly string[]): Promise<void>;
  /** Calls `handleEnd` for each part that was started, as it ends. */
  stop(names: readonly string[], handleEnd: (name: string, code: ExitCode) => void): Promise<void>;
  signal(name: string, signal: NodeJS.Signals): void;
  states(): Promise<PartState[]>;
  configure(instances: number): Promise<void>;
  /** Where a part's internal listener is. */
  urlOf(name: string): string;
  logFiles(names: readonly string[]): string[];
}

/** @param say tells people what is being done */
export function createCluster(settings: Settings, say: (line: string) => void): Cluster {
  const parts = new Map(createParts(settings, MAX_INSTANCES).map((part) => [part.name, part]));
  const processes = new Map(
    [...parts.keys()].map((name) => [name, createProcess(settings.runDir, settings.logDir, name)]),
  );

  function partOf(name: string): { part: Part; process: ManagedProcess } {
    const part = parts.get(name);
    const process = processes.get(name);
    if (!part || !process) {
      const others = [...parts.keys()].filter((each) => !each.startsWith('app')).join(', ');
      throw new Error(`there is no part ${name}: they are app1 to app${MAX_INSTANCES}, ${others}`);
    }
    return { part, process };
  }

  function exclusively<T>(work: () => Promise<T>): Promise<T> {
    for (const dir of [settings.runDir, settings.logDir]) mkdirSync(dir, { recursive: true, mode: 0o700 });
    return locked(join(settings.dir, 'lock'), LOCK_DEADLINE_MS, work);
  }

  const belongs = (name: string) =>
    name === 'alertmanager' ? settings.alerts : Number(/^app(\d+)$/.exec(name)?.[1] ?? 0) <= settings.instances;

  /** The parts of the cluster, and others that left something to tell. */
  const known = () =>
    [...processes]
      .filter(([name, process]) => belongs(name) || process.pid() || process.exitCode() !== undefined)
      .map(([name]) => name);

  async function busyPorts(names: readonly string[]): Promise<string[]> {
    const problems: string[] = [];
    const claims = new Map<number, string>();
    for (const { part, process } of names.map(partOf)) {
      if (process.pid() !== undefined) continue;
      for (const { host, port, variable } of part.listens) {
        const other = claims.get(port);
        claims.set(port, part.name);
        const problem = other ? `is to be ${other}'s` : await portProblem(host, port);
        if (problem) problems.push(`port ${port} for ${part.name} ${problem} (another one: ${variable}=...)`);
      }
    }
    return problems;
  }

  async function launch(name: string): Promise<void> {
    const { part, process } = partOf(name);
    if (process.pid() !== undefined) return;
    // What has just ended may hold its port for a moment more.
    const deadline = Date.now() + PORT_DEADLINE_MS;
    for (let problems = await busyPorts([name]); problems.length > 0; problems = await busyPorts([name])) {
      if (Date.now() > deadline) throw new Error(problems.join('\n'));
      await delay(POLL_MS);
    }
    await process.launch(part.command());
  }

  /** Waits until a part is ready; resolves to the reason when it has ended, or is not ready within `ms`. */
  async function unready(name: string, ms: number): Promise<string | undefined> {
    const { part, process } = partOf(name);
    const deadline = Date.now() + ms;
    for (;;) {
      const problem = await part.problem();
      const exitCode = process.exitCode();
      if (exitCode !== undefined) return `ended with code ${exitCode}`;
      if (problem === undefined) return undefined;
      if (Date.now() > deadline) return `is not ready after ${ms / 1000} s: ${problem}`;
      await delay(POLL_MS);
    }
  }

  async function ready(name: string): Promise<void> {
    const reason = await unready(name, READY_DEADLINE_MS);
    if (reason === undefined) return;
    const { process } = partOf(name);
    throw new Error(`${name} ${reason}\n--- the end of ${process.logFile}\n${process.logTail(LOG_LINES)}\n---`);
  }

  async function restart(name: string): Promise<void> {
    await end(name);
    await launch(name);
    await ready(name);
  }

  /** Gives a part that runs the settings that it should have. */
  async function change(name: string): Promise<void> {
    const { part, process } = partOf(name);
    const pid = process.pid();
    if (pid === undefined) return;
    const command = part.command();
    if (!process.differs(command)) return;
    if (part.change === 'roll') {
      say(`${name} runs on with the settings it was started with: make rolling-restart changes them`);
    } else if (part.change === 'restart') {
      say(`${name} has new settings: starting it anew`);
      await restart(name);
    } else {
      await part.change.reload(command, pid);
      process.adopt(command);
    }
  }

  /** Starts a part anew that has been running, but does not get ready. */
  async function repair(name: string): Promise<void> {
    const problem = await unready(name, REPAIR_DEADLINE_MS);
    if (problem === undefined) return;
    say(`${name} ${problem}: starting it anew`);
    await restart(name);
  }

  async function end(name: string): Promise<ExitCode | undefined> {
    const { part, process } = partOf(name);
    for (const { signal, ms } of part.stopping) {
      if (!process.signal(signal)) break;
      if ((await process.ended(ms)) !== undefined) break;
    }
    if (process.signal('SIGKILL')) await process.ended(KILL_DEADLINE_MS);
    if (process.pid() !== undefined) throw new Error(`${name} (pid ${process.pid()}) cannot be ended`);
    const exitCode = process.exitCode();
    process.forget();
    return exitCode;
  }

  return {
    prepare: (install) =>
      exclusively(async () => {
        const names = [...parts.keys()].filter(belongs);
        install([...new Set(names.map((name) => partOf(name).part.program))]);
        const problems = await busyPorts(names);
        if (problems.length > 0) throw new Error(problems.join('\n'));
      }),

    start: (names) =>
      exclusively(async () => {
        writeRedis(settings);
        writePrometheus(settings);
        writeAlertmanager(settings);
        for (const name of names) await change(name);
        const running = names.filter((name) => partOf(name).process.pid() !== undefined);
        await Promise.all(names.map(launch));
        await Promise.all(names.map((name) => (running.includes(name) ? repair(name) : ready(name))));
      }),

    stop: (names, handleEnd) =>
      exclusively(async () => {
        await Promise.all(
          names.map(async (name) => {
            const exitCode = await end(name);
            if (exitCode !== undefined) handleEnd(name, exitCode);
          }),
        );
      }),

    signal(name, signal) {
      if (!partOf(name).process.signal(signal)) throw new Error(`${name} is not running`);
    },

    states: () =>
      Promise.all(
        known().map(async (name) => {
          const { part, process } = partOf(name);
          const pid = process.pid();
          const exitCode = process.exitCode();
          if (pid === undefined) {
            const state = exitCode === undefined ? 'stopped' : (`exited:${exitCode}` as const);
            return { name, state, pid, uptimeSeconds: undefined, url: part.url };
          }
          const state = (await part.problem()) === undefined ? 'running' : 'unhealthy';
          return {
            name,
            state,
            pid,
            uptimeSeconds: Math.floor((Date.now() - process.launchedAt()) / 1000),
            url: part.url,
          };
        }),
      ),

    configure: (instances) =>
      exclusively(async () => {
        writeTargets(settings, instances);
        writeNginx(settings, instances);
        await change('nginx');
      }),

    urlOf: (name) => partOf(name).part.url,

    logFiles: (names) =>
      (names.length > 0 ? names : known())
        .map((name) => partOf(name).process.logFile)
        .filter((file) => existsSync(file)),
  };
}
