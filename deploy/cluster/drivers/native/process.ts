/**
 * One process of the cluster that outlives the command that started it: in its own session, its output in a
 * log file, its pid and exit code in files that keep.sh writes.
 */
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, existsSync, openSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

export interface Command {
  program: string;
  args: readonly string[];
  /** The whole environment: nothing is inherited. */
  env: Readonly<Record<string, string>>;
  cwd: string;
  /** The content of its configuration files. */
  reads?: readonly string[];
}

/** An exit code; `unknown` when nobody was left to note it. */
export type ExitCode = number | 'unknown';

export interface ManagedProcess {
  readonly logFile: string;
  launch(command: Command): Promise<void>;
  /** The pid while it runs. */
  pid(): number | undefined;
  /** How it ended; undefined while it runs, and when it was never started or was stopped and forgotten. */
  exitCode(): ExitCode | undefined;
  /** When it was launched, in milliseconds since the epoch. */
  launchedAt(): number;
  /** True when it runs with another command, environment or configuration than this. */
  differs(command: Command): boolean;
  /** From now on it counts as running with this one. */
  adopt(command: Command): void;
  signal(signal: NodeJS.Signals): boolean;
  /** Waits until it has ended; undefined when it still runs after `ms`. */
  ended(ms: number): Promise<ExitCode | undefined>;
  /** Removes the files of a process that has ended. */
  forget(): void;
  logTail(lines: number): string;
}

const POLL_MS = 20;
const LAUNCH_DEADLINE_MS = 5_000;
const LOG_LIMIT_BYTES = 32 * 1024 * 1024;

export function createProcess(runDir: string, logDir: string, name: string): ManagedProcess {
  const files = join(runDir, name);
  const logFile = join(logDir, `${name}.log`);
  const pidFile = `${files}.pid`;
  const exitFile = `${files}.exit`;
  const commandFile = `${files}.command`;

  function pid(): number | undefined {
    const text = read(pidFile);
    const space = text?.indexOf(' ') ?? -1;
    if (text === undefined || space < 1) return undefined;
    const id = Number(text.slice(0, space));
    return startOf(id) === text.slice(space + 1).trim() ? id : undefined;
  }

  function exitCode(): ExitCode | undefined {
    if (pid() !== undefined) return undefined;
    const text = read(exitFile);
    if (text !== undefined) return Number(text);
    return existsSync(pidFile) ? 'unknown' : undefined;
  }

  function signal(name: NodeJS.Signals): boolean {
    const id = pid();
    if (id === undefined) return false;
    try {
      return process.kill(id, name);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
      throw error;
    }
  }

  return {
    logFile,
    pid,
    exitCode,
    signal,
    launchedAt: () => statSync(pidFile, { throwIfNoEntry: false })?.mtimeMs ?? Date.now(),
    adopt: (command) => writeFileSync(commandFile, digest(command), { mode: 0o600 }),
    differs: (command) => pid() !== undefined && read(commandFile) !== digest(command),

    async launch(command) {
      rmSync(pidFile, { force: true });
      rmSync(exitFile, { force: true });
      if ((statSync(logFile, { throwIfNoEntry: false })?.size ?? 0) > LOG_LIMIT_BYTES)
        renameSync(logFile, `${logFile}.1`);
      writeFileSync(commandFile, digest(command), { mode: 0o600 });
      const log = openSync(logFile, 'a', 0o600);
      const keeper = spawn('sh', [join(import.meta.dirname, 'keep.sh'), files, command.program, ...command.args], {
        cwd: command.cwd,
        env: { ...command.env },
        detached: true,
        stdio: ['ignore', log, log],
      });
      closeSync(log);
      keeper.unref();
      const deadline = Date.now() + LAUNCH_DEADLINE_MS;
      while (!existsSync(pidFile)) {
        if (Date.now() > deadline) throw new Error(`${name} did not start within ${LAUNCH_DEADLINE_MS} ms`);
        await delay(POLL_MS);
      }
    },

    async ended(ms) {
      const deadline = Date.now() + ms;
      while (pid() !== undefined) {
        if (Date.now() > deadline) return undefined;
        await delay(POLL_MS);
      }
      // keep.sh notes the code a moment after the process is gone.
      for (let waited = 0; exitCode() === 'unknown' && waited < 1000; waited += POLL_MS) await delay(POLL_MS);
      return exitCode() ?? 'unknown';
    },

    forget() {
      for (const file of [pidFile, exitFile, commandFile]) rmSync(file, { force: true });
    },

    logTail(lines) {
      return (read(logFile) ?? '').trimEnd().split('\n').slice(-lines).join('\n');
    },
  };
}

/** When the process with this pid started, in the kernel's words; undefined when there is none (or only its zombie). */
function startOf(pid: number): string | undefined {
  if (existsSync('/proc/self/stat')) {
    const stat = read(`/proc/${pid}/stat`);
    // The name, in parentheses, may hold anything; after it come the state and, as the 20th field, the start.
    const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields?.[0] === 'Z' || fields?.[0] === 'X' ? undefined : fields?.[19];
  }
  try {
    const line = execFileSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], {
      env: { ...process.env, LC_ALL: 'C' },
      encoding: 'utf8',
    }).trim();
    return line.startsWith('Z') ? undefined : line.replace(/^\S+\s+/, '').replaceAll(/\s+/g, ' ');
  } catch {
    return undefined;
  }
}

function digest({ program, args, env, reads }: Command): string {
  return createHash('sha256')
    .update(JSON.stringify([program, args, env, reads]))
    .digest('hex');
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
