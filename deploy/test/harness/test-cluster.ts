/** A cluster for a test, driven through make, with its own state folder, secrets and ports. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { portProblem } from '../../cluster/drivers/native/port.ts';

export interface Output {
  code: number;
  stdout: string;
  stderr: string;
}

/** What `make status JSON=1` prints. */
export interface Status {
  driver: string;
  ok: boolean;
  instances: {
    name: string;
    state: string;
    pid?: number | null;
    container?: string | null;
    url: string;
    connections: number | null;
  }[];
  parts: { name: string; state: string; pid?: number | null; container?: string | null; url: string }[];
  urls: { page: string; websocket: string; prometheus: string; dashboards: string; grafana: string | null };
}

export interface TestCluster {
  /** CLUSTER_DIR. */
  dir: string;
  envFile: string;
  port: number;
  /** All settings as make takes them. */
  settings: Readonly<Record<string, string>>;
  /** Runs `make -s TARGET NAME=VALUE...` in `folder`; never rejects for a failure of the target. */
  make(target: string, settings?: Readonly<Record<string, string>>, folder?: string): Promise<Output>;
  status(): Promise<Status>;
  /** The labels of what an instant query finds in its Prometheus. */
  query(promql: string): Promise<Record<string, string>[]>;
  /** A token of the demo endpoint, fetched through NGINX. */
  token(name: string): Promise<string>;
  /** Stops all and removes what it left on disk. */
  close(): Promise<void>;
}

const root = resolve(import.meta.dirname, '../../..');

export async function createTestCluster(settings: Readonly<Record<string, string>>): Promise<TestCluster> {
  const home = mkdtempSync(join(tmpdir(), 'wsfleet-'));
  const base = await freePorts();
  const own: Record<string, string> = {
    CLUSTER_DIR: join(home, 'cluster'),
    ENV_FILE: join(home, '.env'),
    NATIVE_PORT_BASE: String(base),
    PUBLIC_PORT: String(base + 101),
    TLS_PORT: String(base + 102),
    PROMETHEUS_PORT: String(base + 103),
    ALERTMANAGER_PORT: String(base + 93),
    GRAFANA_PORT: String(base + 104),
    ...settings,
  };
  const make: TestCluster['make'] = (target, more = {}, folder = root) =>
    // With the limit of open files that most shells have: the cluster has to raise it itself.
    run(
      'sh',
      [
        '-c',
        'ulimit -Sn 1024; exec make -s "$@"',
        'make',
        target,
        ...Object.entries({ ...own, ...more }).map(([name, value]) => `${name}=${value}`),
      ],
      folder,
    );
  return {
    dir: join(home, 'cluster'),
    envFile: join(home, '.env'),
    port: base + 101,
    settings: own,
    make,
    async status() {
      return JSON.parse((await make('status', { JSON: '1' })).stdout) as Status;
    },
    async query(promql) {
      const search = new URLSearchParams({ query: promql });
      const response = await fetch(`http://127.0.0.1:${own['PROMETHEUS_PORT']}/api/v1/query?${search}`);
      const { data } = (await response.json()) as { data: { result: { metric: Record<string, string> }[] } };
      return data.result.map(({ metric }) => metric);
    },
    async token(name) {
      const response = await fetch(`http://127.0.0.1:${base + 101}/demo/token`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ name }),
      });
      if (!response.ok) throw new Error(`no token: ${response.status} ${await response.text()}`);
      return ((await response.json()) as { token: string }).token;
    },
    async close() {
      const { code, stderr } = await make('clean');
      rmSync(home, { recursive: true, force: true });
      if (code !== 0) throw new Error(`make clean failed:\n${stderr}`);
    },
  };
}

/** Polls until `condition` gives a value, and returns that. @throws {Error} saying what was waited for, after `ms` */
export async function until<T>(
  what: string,
  ms: number,
  condition: () => T | undefined | false | Promise<T | undefined | false>,
): Promise<T> {
  const deadline = Date.now() + ms;
  for (;;) {
    const value = await condition();
    if (value !== undefined && value !== false) return value;
    if (Date.now() > deadline) throw new Error(`not within ${ms} ms: ${what}`);
    await delay(20);
  }
}

export function run(program: string, args: readonly string[], cwd = root): Promise<Output> {
  return new Promise((resolve, reject) => {
    // Nothing of the test runner's own environment.
    const { PATH, HOME, DOCKER_HOST } = process.env;
    const child = spawn(program, args, {
      cwd,
      env: { PATH, HOME, DOCKER_HOST },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (data) => {
      stdout += data;
    });
    child.stderr.on('data', (data) => {
      stderr += data;
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code: code ?? 1, stdout, stderr }));
  });
}

const PORTS_PER_CLUSTER = 105;

/**
 * The first of 105 free ports below the ephemeral ones. They are reserved for this process until it ends, because suites run
 * side by side: it listens on the next port, where only one process can.
 */
export async function freePorts(): Promise<number> {
  for (let attempt = 0; attempt < 50; attempt += 1) {
    const base = 20_000 + 110 * Math.floor(Math.random() * 100);
    if (!(await reserve(base + PORTS_PER_CLUSTER))) continue;
    const problems = await Promise.all(
      Array.from({ length: PORTS_PER_CLUSTER }, (_, offset) => portProblem('127.0.0.1', base + offset)),
    );
    if (problems.every((problem) => problem === undefined)) return base;
  }
  throw new Error('found no free ports');
}

/** Listens on a port until the process ends. @returns whether it was free */
function reserve(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer().unref();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => resolve(true));
  });
}
