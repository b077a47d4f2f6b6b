/** One core for the server, another for everything else, so that the generator and Redis take nothing from the server. */
import { execFileSync } from 'node:child_process';
import { cpus } from 'node:os';

/** Binds a process, its threads and its future children. Does nothing where there are no two cores or no `taskset`. */
function bind(pid: number, core: number): void {
  if (process.platform !== 'linux' || cpus().length < 2) return;
  execFileSync('taskset', ['-acp', String(core), String(pid)], { stdio: ['ignore', 'ignore', 'inherit'] });
}

export const bindServer = (pid: number) => bind(pid, 0);
export const bindGenerator = () => bind(process.pid, 1);
