/** Child processes of a test: none of them outlives it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** What a test waits for is there well before this, in ms; past it the test says what it waited for. */
export const PATIENCE_MS = 8000;

/** Halves the time that an instance takes to start. */
const compileCache = fileURLToPath(new URL('../../../node_modules/.cache/node', import.meta.url));

const live = new Set<ChildProcess>();
// Only what a test that ran out of time left behind: tests end what they started themselves.
if (process.env['VITEST']) {
  const { afterAll } = await import('vitest');
  afterAll(async () => {
    await Promise.all(
      [...live].map(async (child) => {
        killGroup(child, 'SIGKILL');
        await once(child, 'close');
      }),
    );
  });
} else {
  // The fault suite is a program too.
  process.on('exit', () => {
    for (const child of live) killGroup(child, 'SIGKILL');
  });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(1));
}

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export interface Running {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly exited: Promise<Exit>;
}

const groups = new WeakSet<ChildProcess>();

/** Signals a process, and if it leads a process group, the whole group. */
export function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (!groups.has(child)) return void child.kill(signal);
  try {
    process.kill(-(child.pid ?? 0), signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/**
 * @param options.group makes it the leader of a process group, for `killGroup`
 * @param options.quiet throws its standard output away
 * @throws when there is no such program; `missing` is what the person should do about it
 */
export async function run(
  command: string,
  args: readonly string[],
  options: {
    env?: Record<string, string>;
    cwd?: string;
    missing?: string;
    stdin?: boolean;
    group?: boolean;
    quiet?: boolean;
  } = {},
): Promise<Running> {
  const child = spawn(command, args, {
    stdio: [options.stdin ? 'pipe' : 'ignore', options.quiet ? 'ignore' : 'pipe', 'pipe'],
    detached: options.group ?? false,
    env: { NODE_COMPILE_CACHE: compileCache, ...(options.env ?? process.env) },
    ...(options.cwd && { cwd: options.cwd }),
  });
  live.add(child);
  if (options.group) groups.add(child);
  const exited = new Promise<Exit>((resolve) => {
    child.once('close', (code, signal) => {
      live.delete(child);
      resolve({ code, signal });
    });
  });
  try {
    await once(child, 'spawn');
  } catch (cause) {
    throw new Error(`${command} could not be started. ${options.missing ?? ''}`, { cause });
  }
  return { child, pid: child.pid ?? 0, exited };
}

/** What a child writes, so far. */
export function collectOutput({ stdout, stderr }: ChildProcess): { readonly stdout: string; readonly stderr: string } {
  const output = { stdout: '', stderr: '' };
  stdout?.on('data', (chunk) => {
    output.stdout += chunk;
  });
  stderr?.on('data', (chunk) => {
    output.stderr += chunk;
  });
  return output;
}

/** `promise`, or an error that says what was waited for. */
export async function within<T>(promise: Promise<T>, what: () => string, ms = PATIENCE_MS): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  // The stack of the caller, not of the timer.
  const error = new Error('waited in vain');
  const timer = setTimeout(() => {
    error.message = `waited ${ms} ms for ${what()}`;
    reject(error);
  }, ms);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
