/**
 * What a browser needs to see the kit at work: a real Redis, instances, an NGINX before them and a Chromium, all on free
 * loopback ports and gone after `close`.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type Browser, chromium } from 'playwright-core';
import { freePorts } from '../harness/ports.ts';

export interface BrowserCluster {
  /** NGINX. It gives each WebSocket to the instance that has the fewest. */
  readonly url: string;
  start(instance: string): Promise<void>;
  /** SIGTERM, or another signal. @returns the exit code, null after a deadly signal */
  stop(instance: string, signal?: NodeJS.Signals): Promise<number | null>;
  launchBrowser(): Promise<Browser>;
  close(): Promise<void>;
}

const root = fileURLToPath(new URL('../../..', import.meta.url));
const SECRET = 'for-the-browser-test-only-not-a-secret';
/** Time for a polite end before SIGKILL. */
const END_MS = 10_000;

export async function startBrowserCluster(instances: readonly string[]): Promise<BrowserCluster> {
  const programs = {
    redis: await findProgram('redis-server'),
    nginx: await findProgram('nginx'),
    chromium: await findProgram('chromium', 'chromium-browser', 'google-chrome'),
  };
  const folder = await mkdtemp(join(tmpdir(), 'wsfleet-browser-'));
  const running = new Map<string, ChildProcess>();
  const browsers: Browser[] = [];
  const [redisPort = 0, nginxPort = 0, ...ports] = await freePorts(2 + instances.length);
  const portOf = (name: string) => ports[instances.indexOf(name)] ?? 0;

  /** Starts a process and waits for a line of its output. */
  async function run(name: string, command: string, args: string[], ready: RegExp, env: object = {}): Promise<void> {
    const child = spawn(command, args, { cwd: folder, env: { PATH: process.env['PATH'], ...env } });
    running.set(name, child);
    let output = '';
    await new Promise<void>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code) => reject(new Error(`${name} ended with ${code} before it was ready:\n${output}`)));
      for (const stream of [child.stdout, child.stderr]) {
        createInterface({ input: stream }).on('line', (line) => {
          output = `${output}${line}\n`.slice(-4_000);
          if (ready.test(line)) resolve();
        });
      }
    });
  }

  async function end(name: string, signal: NodeJS.Signals): Promise<number | null> {
    const child = running.get(name);
    running.delete(name);
    if (!child || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null;
    const killer = setTimeout(() => child.kill('SIGKILL'), END_MS);
    child.kill(signal);
    const [code] = await once(child, 'exit');
    clearTimeout(killer);
    return code;
  }

  const startInstance = (name: string) =>
    run(name, process.execPath, [join(root, 'app/src/main.ts')], /"event":"listening"/, {
      PORT: String(portOf(name)),
      INTERNAL_PORT: '0',
      HOST: '127.0.0.1',
      INSTANCE_ID: name,
      REDIS_URL: `redis://127.0.0.1:${redisPort}`,
      JWT_SECRET: SECRET,
      DEMO: 'true',
      DRAIN_WINDOW: '1s',
      DRAIN_GRACE: '3s',
      SHUTDOWN_DEADLINE: '8s',
    });

  async function close(): Promise<void> {
    await Promise.all(browsers.map((browser) => browser.close()));
    await Promise.all(instances.map((name) => end(name, 'SIGTERM')));
    await Promise.all([end('nginx', 'SIGTERM'), end('redis', 'SIGTERM')]);
    await rm(folder, { recursive: true, force: true });
  }

  try {
    const redisArgs = ['--port', String(redisPort), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
    await run('redis', programs.redis, redisArgs, /Ready to accept connections/);
    await Promise.all(instances.map(startInstance));
    await writeFile(join(folder, 'nginx.conf'), nginxConfig(nginxPort, ports));
    await run('nginx', programs.nginx, ['-p', folder, '-c', 'nginx.conf', '-e', 'stderr'], /start worker process /);
  } catch (error) {
    await close();
    throw error;
  }

  return {
    url: `http://127.0.0.1:${nginxPort}`,
    start: startInstance,
    stop: (name, signal = 'SIGTERM') => end(name, signal),
    async launchBrowser() {
      const browser = await chromium.launch({
        executablePath: programs.chromium,
        args: [
          ...['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'],
          ...['--disable-component-update', '--disable-sync'],
        ],
      });
      browsers.push(browser);
      return browser;
    },
    close,
  };
}

/** One upstream for pages and one for WebSockets, which go to the instance that has the fewest. */
function nginxConfig(port: number, upstreams: readonly number[]): string {
  const servers = upstreams.map((each) => `server 127.0.0.1:${each} max_fails=0;`).join(' ');
  return `
    daemon off;
    worker_processes 1;
    pid nginx.pid;
    error_log stderr notice;
    events { worker_connections 256; }
    http {
      access_log off;
      client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
      upstream pages { ${servers} }
      upstream sockets { least_conn; ${servers} }
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_next_upstream error timeout http_503;
      proxy_connect_timeout 1s;
      proxy_read_timeout 1h;
      server {
        listen 127.0.0.1:${port};
        location / { proxy_pass http://pages; }
        location = /ws {
          proxy_pass http://sockets;
          proxy_set_header Host $http_host;
          proxy_set_header Upgrade $http_upgrade;
          proxy_set_header Connection upgrade;
        }
      }
    }`;
}

/** @throws with the command that installs it */
export async function findProgram(...names: string[]): Promise<string> {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'];
  for (const path of names.flatMap((name) => folders.map((folder) => join(folder, name)))) {
    if (
      await access(path).then(
        () => true,
        () => false,
      )
    )
      return path;
  }
  throw new Error(
    `${names[0]} is missing. Install with: sh deploy/cluster/lib/install.sh redis-server nginx chromium firefox-esr`,
  );
}
