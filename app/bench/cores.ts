/** One core for the server, another for everything else, so that the generator and Redis take nothing from the server. */
import { execFileSync } from 'node:child_process';
import { cpus } from 'node:os';

/** Binds a process, its threads and its future children. */
function bind(pid: number, core: number): void {
  execFileSync('taskset', ['-acp', String(core), String(pid)], { stdio: ['ignore', 'ignore', 'inherit'] });
}

let separated = false;

/** From here on: does nothing where there are no two cores or no `taskset`. */
export function separateCores(): void {
  if (separated || process.platform !== 'linux' || cpus().length < 2) return;
  bind(process.pid, 1);
  separated = true;
}

/** Gives a server its core, if the cores are separated. */
export function bindServer(pid: number): void {
  if (separated) bind(pid, 0);
}
