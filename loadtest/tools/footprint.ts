/**
 * What an idle connection costs: `npm run loadtest:footprint -- [CONNECTIONS]` (5000). Starts one instance with the memory broker and
 * one NGINX before it, opens connections, directly first and then through NGINX, and compares the resident memory of both and the
 * kernel's slab before and after. Linux, loopback only; docs/capacity.md has what it measured.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { freePorts } from '../../app/test/harness/ports.ts';

/** Opened first, so that what the program needs once is not counted. */
const WARM_UP = 500;
const AT_ONCE = 50;
/** Memory is read when it has settled, in ms. */
const SETTLE = 5000;

const count = Number(process.argv[2] ?? 5000);
const root = join(import.meta.dirname, '../..');
const folder = await mkdtemp(join(tmpdir(), 'wsfleet-footprint-'));
const [appPort = 0, nginxPort = 0] = await freePorts(2);
const secrets = { JWT_SECRET: 'for-the-measurement-only-not-a-secret' };
const children: ChildProcess[] = [];

try {
  const app = await start(process.execPath, [join(root, 'app/src/main.ts')], /"event":"listening"/, {
    ...secrets,
    HOST: '127.0.0.1',
    PORT: String(appPort),
    INTERNAL_PORT: '0',
    BROKER: 'memory',
    DRAIN_WINDOW: '0s',
    DRAIN_GRACE: '1s',
    SHUTDOWN_DEADLINE: '5s',
    MAX_CONNECTIONS_PER_ADDRESS: '1000000',
    MAX_CONNECTIONS_PER_USER: '1000000',
  });
  await writeFile(join(folder, 'nginx.conf'), nginxConfig());
  const nginx = await start('nginx', ['-p', folder, '-c', 'nginx.conf', '-e', 'stderr'], /start worker process \d+/);
  const token = execFileSync(process.execPath, [join(root, 'app/tools/token.ts'), '--name', 'idle', '--ttl', '1h'], {
    env: secrets,
    encoding: 'utf8',
  }).trim();

  const read = async () => ({
    app: await resident(app.pid),
    nginx: await resident(nginx.worker),
    kernel: await field('/proc/meminfo', 'Slab'),
  });
  for (const [way, port] of Object.entries({ directly: appPort, 'through NGINX': nginxPort })) {
    const first = await open(port, token, WARM_UP);
    await delay(SETTLE);
    const before = await read();
    const others = await open(port, token, count);
    await delay(SETTLE);
    const after = await read();
    const each = (part: keyof typeof before) => `${((after[part] - before[part]) / count).toFixed(1)} KiB`;
    console.log(
      `${count} ${way}: app ${each('app')}, nginx ${each('nginx')}, kernel slab ${each('kernel')} a connection`,
    );
    for (const socket of [...first, ...others]) socket.terminate();
    await delay(SETTLE);
  }
} finally {
  for (const child of children.reverse()) {
    const ended = once(child, 'exit');
    if (child.kill('SIGTERM')) await ended;
  }
  await rm(folder, { recursive: true });
}

async function open(port: number, token: string, wanted: number): Promise<WebSocket[]> {
  const sockets: WebSocket[] = [];
  while (sockets.length < wanted) {
    const batch = Array.from({ length: Math.min(AT_ONCE, wanted - sockets.length) }, () => {
      const headers = { authorization: `Bearer ${token}` };
      return new WebSocket(`ws://127.0.0.1:${port}/ws`, ['wsfleet.v1'], { headers, perMessageDeflate: false });
    });
    await Promise.all(batch.map((socket) => once(socket, 'open')));
    sockets.push(...batch);
  }
  return sockets;
}

/** @returns what the line that says it is ready ends with, as the worker's pid */
async function start(command: string, args: string[], ready: RegExp, env: Record<string, string> = {}) {
  const PATH = `${process.env['PATH']}:/usr/sbin`;
  const child = spawn(command, args, { env: { PATH, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  children.push(child);
  const line = await new Promise<string>((resolve, reject) => {
    child.once('error', reject).once('exit', (code) => reject(new Error(`${command} ended with ${code}`)));
    for (const input of [child.stdout, child.stderr]) {
      createInterface({ input }).on('line', (text) => ready.test(text) && resolve(text));
    }
  });
  return { pid: Number(child.pid), worker: Number(/(\d+)$/.exec(line)?.[1]) };
}

function resident(pid: number): Promise<number> {
  return field(`/proc/${pid}/status`, 'VmRSS');
}

/** A line `Name:  123 kB` of a file in /proc, in KiB. */
async function field(path: string, name: string): Promise<number> {
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(await readFile(path, 'utf8'))?.[1]);
}

/** Buffers as in deploy/nginx: NGINX's own defaults. */
function nginxConfig(): string {
  return `
    daemon off;
    worker_processes 1;
    worker_rlimit_nofile 65536;
    pid nginx.pid;
    error_log stderr notice;
    events { worker_connections 32768; }
    http {
      access_log off;
      client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
      server {
        listen 127.0.0.1:${nginxPort} backlog=4096;
        location / {
          proxy_pass http://127.0.0.1:${appPort};
          proxy_http_version 1.1;
          proxy_set_header Host $http_host;
          proxy_set_header Upgrade $http_upgrade;
          proxy_set_header Connection upgrade;
          proxy_read_timeout 1h;
        }
      }
    }`;
}
