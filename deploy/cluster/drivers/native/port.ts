/** Whether a port is free, and who holds it when it is not. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { basename } from 'node:path';

/** Why `host:port` cannot be listened on: its owner where that can be seen; undefined when it is free. */
export async function portProblem(host: string, port: number): Promise<string | undefined> {
  const code = await new Promise<string | undefined>((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
  if (code === undefined) return undefined;
  if (code === 'EADDRINUSE') return `is taken by ${portOwner(port)}`;
  if (code === 'EACCES') return 'is for root only';
  if (code === 'EADDRNOTAVAIL') return `is on ${host}, which is not an address of this machine`;
  return `cannot be listened on (${code})`;
}

/** Who listens on `port`, as `name (pid 123)`. */
export function portOwner(port: number): string {
  return (existsSync('/proc/net/tcp') ? ownerInProc(port) : ownerByLsof(port)) ?? 'a process that cannot be seen';
}

function ownerInProc(port: number): string | undefined {
  const sockets = new Map<string, string>();
  for (const table of ['/proc/net/tcp', '/proc/net/tcp6']) {
    for (const line of read(table).split('\n').slice(1)) {
      // sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode
      const [, local, , state, , , , uid, , inode] = line.trim().split(/\s+/);
      const listens = state === '0A' && Number.parseInt(local?.split(':')[1] ?? '', 16) === port;
      if (listens && inode !== undefined && uid !== undefined) sockets.set(`socket:[${inode}]`, uid);
    }
  }
  if (sockets.size === 0) return undefined;
  for (const pid of list('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    if (list(`/proc/${pid}/fd`).some((fd) => sockets.has(link(`/proc/${pid}/fd/${fd}`)))) {
      return `${basename(link(`/proc/${pid}/exe`)) || 'a process'} (pid ${pid})`;
    }
  }
  return `a process of the user with id ${[...sockets.values()][0]}`;
}

function ownerByLsof(port: number): string | undefined {
  try {
    const fields = execFileSync('lsof', ['-nP', `-iTCP:${port}`, '-sTCP:LISTEN', '-Fpc'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).split('\n');
    const value = (letter: string) => fields.find((field) => field.startsWith(letter))?.slice(1);
    return value('p') && `${value('c')} (pid ${value('p')})`;
  } catch {
    return undefined;
  }
}

// Processes come and go while /proc is read, and some of them may not be looked into: both read as nothing.
function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

function list(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function link(file: string): string {
  try {
    return readlinkSync(file);
  } catch {
    return '';
  }
}
