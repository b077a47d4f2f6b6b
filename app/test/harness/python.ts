/** A Python with the package websockets: the one on the PATH, or the system's, for which Debian has a package. */
import { spawnSync } from 'node:child_process';

export function findPython(): string {
  const found = ['python3', '/usr/bin/python3'].find(
    (program) => spawnSync(program, ['-c', 'import websockets']).status === 0,
  );
  if (found) return found;
  throw new Error('Install it: apt-get install python3-websockets (or: pip3 install websockets)');
}
