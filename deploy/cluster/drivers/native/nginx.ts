/** A running nginx master, and its change to another configuration. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from './process.ts';

const RELOAD_DEADLINE_MS = 10_000;

/**
 * Makes the master with this pid reload its configuration, and resolves when new connections follow it. The
 * workers before stay as long as their connections do.
 * @throws {Error} with nginx's own words when it would not take the configuration
 */
export async function reloadNginx({ program, args, env, cwd }: Command, master: number): Promise<void> {
  try {
    execFileSync(program, [...args, '-t', '-q'], { env, cwd, encoding: 'utf8', stdio: ['ignore', 'ignore', 'pipe'] });
  } catch (error) {
    const { stderr } = error as { stderr?: string };
    throw new Error(`nginx does not take its new configuration:\n${stderr?.trim()}`, { cause: error });
  }
  const before = workersThatListen(master);
  process.kill(master, 'SIGHUP');
  const deadline = Date.now() + RELOAD_DEADLINE_MS;
  while (workersThatListen(master).some((pid) => before.includes(pid))) {
    if (Date.now() > deadline) throw new Error('nginx did not take its new configuration: make logs INSTANCE=nginx');
    await delay(20);
  }
}

/** Pids of the workers that take new connections; a worker that leaves calls itself "shutting down". */
function workersThatListen(master: number): number[] {
  return processes().flatMap(({ pid, parent, title }) =>
    parent === master && /^nginx: worker process(?! is shutting down)/.test(title) ? [pid] : [],
  );
}

function processes(): { pid: number; parent: number; title: string }[] {
  if (!existsSync('/proc/self/stat')) {
    const table = execFileSync('ps', ['-A', '-o', 'pid=,ppid=,command='], { encoding: 'utf8' });
    return [...table.matchAll(/^\s*(\d+)\s+(\d+)\s+(.*)$/gm)].map(([, pid, parent, title]) => ({
      pid: Number(pid),
      parent: Number(parent),
      title: title ?? '',
    }));
  }
  return readdirSync('/proc').flatMap((entry) => {
    if (!/^\d+$/.test(entry)) return [];
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, 'utf8');
      const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
      return [{ pid: Number(entry), parent, title: readFileSync(`/proc/${entry}/cmdline`, 'utf8') }];
    } catch {
      return []; // It has just ended.
    }
  });
}
