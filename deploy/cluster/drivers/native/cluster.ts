/** The driver's operations (drivers/driver.sh) over processes of this machine. */
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { writeAlertmanager, writeNginx, writePrometheus, writeRedis, writeTargets } from './configuration.ts';
import { locked } from './lock.ts';
import { portProblem } from './port.ts';
import { createProcess, type ExitCode, type ManagedProcess } from './process.ts';
import type { Service } from './service.ts';
import { createServices } from './services.ts';
import type { Settings } from './settings.ts';

const MAX_INSTANCES = 16;
const READY_DEADLINE_MS = 30_000;
/** How long a running service may be unready before it is restarted; most only wait for Redis. */
const REPAIR_DEADLINE_MS = 15_000;
const KILL_DEADLINE_MS = 5_000;
const PORT_DEADLINE_MS = 1_000;
/** As long as another command may take to stop everything. */
const LOCK_DEADLINE_MS = 120_000;
const POLL_MS = 50;
const LOG_LINES = 15;

export interface ServiceState {
  name: string;
  state: 'running' | 'unhealthy' | 'stopped' | `exited:${ExitCode}`;
  pid: number | undefined;
  uptimeSeconds: number | undefined;
  url: string;
}

export interface Cluster {
  /** Installs missing programs and checks the ports. @throws {Error} listing every busy port */
  prepare(install: (programs: readonly string[]) => void): Promise<void>;
  /** Starts what is not running, repairs what is not ready, and waits until all are ready. */
  start(names: readonly string[]): Promise<void>;
  /** Calls `handleEnd` for each service that was running, when it has ended. */
  stop(names: readonly string[], handleEnd: (name: string, code: ExitCode) => void): Promise<void>;
  signal(name: string, signal: NodeJS.Signals): void;
  states(): Promise<ServiceState[]>;
  configure(instances: number): Promise<void>;
  /** The URL of a service's internal listener. */
  urlOf(name: string): string;
  logFiles(names: readonly string[]): string[];
}

/** @param say prints progress for people */
export function createCluster(settings: Settings, say: (line: string) => void): Cluster {
  const services = new Map(createServices(settings, MAX_INSTANCES).map((service) => [service.name, service]));
  const processes = new Map(
    [...services.keys()].map((name) => [name, createProcess(settings.runDir, settings.logDir, name)]),
  );

  function serviceOf(name: string): { service: Service; process: ManagedProcess } {
    const service = services.get(name);
    const process = processes.get(name);
    if (!service || !process) {
      const others = [...services.keys()].filter((each) => !each.startsWith('app')).join(', ');
      throw new Error(`no service ${name}: expected app1 to app${MAX_INSTANCES}, ${others}`);
    }
    return { service, process };
  }

  function exclusively<T>(work: () => Promise<T>): Promise<T> {
    for (const dir of [settings.runDir, settings.logDir]) mkdirSync(dir, { recursive: true, mode: 0o700 });
    return locked(join(settings.dir, 'lock'), LOCK_DEADLINE_MS, work);
  }

  const belongs = (name: string) =>
    name === 'alertmanager' ? settings.alerts : Number(/^app(\d+)$/.exec(name)?.[1] ?? 0) <= settings.instances;

  /** The services of the cluster, and others that run or have left an exit code. */
  const known = () =>
    [...processes]
      .filter(([name, process]) => belongs(name) || process.pid() || process.exitCode() !== undefined)
      .map(([name]) => name);

  async function busyPorts(names: readonly string[]): Promise<string[]> {
    const problems: string[] = [];
    const claims = new Map<number, string>();
    for (const { service, process } of names.map(serviceOf)) {
      if (process.pid() !== undefined) continue;
      for (const { host, port, variable } of service.listens) {
        const other = claims.get(port);
        claims.set(port, service.name);
        const problem = other ? `is also used by ${other}` : await portProblem(host, port);
        if (problem) problems.push(`port ${port} for ${service.name} ${problem} (choose another with ${variable}=...)`);
      }
    }
    return problems;
  }

  async function launch(name: string): Promise<void> {
    const { service, process } = serviceOf(name);
    if (process.pid() !== undefined) return;
    // A process that has just ended may hold its port for a moment.
    const deadline = Date.now() + PORT_DEADLINE_MS;
    for (let problems = await busyPorts([name]); problems.length > 0; problems = await busyPorts([name])) {
      if (Date.now() > deadline) throw new Error(problems.join('\n'));
      await delay(POLL_MS);
    }
    await process.launch(service.command());
  }

  /** Waits until a service is ready. @returns the reason when it has ended or is not ready within `ms` */
  async function unready(name: string, ms: number): Promise<string | undefined> {
    const { service, process } = serviceOf(name);
    const deadline = Date.now() + ms;
    for (;;) {
      const problem = await service.problem();
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
    const { process } = serviceOf(name);
    throw new Error(`${name} ${reason}\n--- the end of ${process.logFile}\n${process.logTail(LOG_LINES)}\n---`);
  }

  async function restart(name: string): Promise<void> {
    await end(name);
    await launch(name);
    await ready(name);
  }

  /** Applies changed settings to a running service. */
  async function change(name: string): Promise<void> {
    const { service, process } = serviceOf(name);
    const pid = process.pid();
    if (pid === undefined) return;
    const command = service.command();
    if (!process.differs(command)) return;
    if (service.change === 'roll') {
      say(`${name} keeps the settings it was started with: make rolling-restart applies the new ones`);
    } else if (service.change === 'restart') {
      say(`${name} has new settings: restarting it`);
      await restart(name);
    } else {
      await service.change.reload(command, pid);
      process.adopt(command);
    }
  }

  /** Restarts a service that is running but not ready. */
  async function repair(name: string): Promise<void> {
    const problem = await unready(name, REPAIR_DEADLINE_MS);
    if (problem === undefined) return;
    say(`${name} ${problem}: restarting it`);
    await restart(name);
  }

  async function end(name: string): Promise<ExitCode | undefined> {
    const { service, process } = serviceOf(name);
    for (const { signal, ms } of service.stopping) {
      if (!process.signal(signal)) break;
      if ((await process.ended(ms)) !== undefined) break;
    }
    if (process.signal('SIGKILL')) await process.ended(KILL_DEADLINE_MS);
    if (process.pid() !== undefined) throw new Error(`${name} (pid ${process.pid()}) cannot be stopped`);
    const exitCode = process.exitCode();
    process.forget();
    return exitCode;
  }

  return {
    prepare: (install) =>
      exclusively(async () => {
        const names = [...services.keys()].filter(belongs);
        install([...new Set(names.map((name) => serviceOf(name).service.program))]);
        const problems = await busyPorts(names);
        if (problems.length > 0) throw new Error(problems.join('\n'));
      }),

    start: (names) =>
      exclusively(async () => {
        writeRedis(settings);
        writePrometheus(settings);
        writeAlertmanager(settings);
        for (const name of names) await change(name);
        const running = names.filter((name) => serviceOf(name).process.pid() !== undefined);
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
      if (!serviceOf(name).process.signal(signal)) throw new Error(`${name} is not running`);
    },

    states: () =>
      Promise.all(
        known().map(async (name) => {
          const { service, process } = serviceOf(name);
          const pid = process.pid();
          const exitCode = process.exitCode();
          if (pid === undefined) {
            const state = exitCode === undefined ? 'stopped' : (`exited:${exitCode}` as const);
            return { name, state, pid, uptimeSeconds: undefined, url: service.url };
          }
          const state = (await service.problem()) === undefined ? 'running' : 'unhealthy';
          return {
            name,
            state,
            pid,
            uptimeSeconds: Math.floor((Date.now() - process.launchedAt()) / 1000),
            url: service.url,
          };
        }),
      ),

    configure: (instances) =>
      exclusively(async () => {
        writeTargets(settings, instances);
        writeNginx(settings, instances);
        await change('nginx');
      }),

    urlOf: (name) => serviceOf(name).service.url,

    logFiles: (names) =>
      (names.length > 0 ? names : known())
        .map((name) => serviceOf(name).process.logFile)
        .filter((file) => existsSync(file)),
  };
}
