/**
 * The native driver: the operations of driver.sh over local processes, for machines without a Docker engine.
 *   node deploy/cluster/drivers/native.ts OPERATION ARGS
 * Exits 0, or 1 with the reason on standard error.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { constants } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { createCluster } from './native/cluster.ts';
import { tlsDir } from './native/configuration.ts';
import { writeLogs } from './native/logs.ts';
import { PATH } from './native/program.ts';
import { loadSettings } from './native/settings.ts';

const FETCH_TIMEOUT_MS = 3_000;

const root = resolve(import.meta.dirname, '../../..');

type Operation = (...args: string[]) => Promise<number> | number;

function createOperations(): Record<string, Operation> {
  const settings = loadSettings(root, process.env);
  const cluster = createCluster(settings, console.error);
  /** Runs a script that prints its own errors. */
  const shell = (script: string, ...args: string[]) => {
    const { status } = spawnSync('sh', [join(root, 'deploy/cluster/lib', script), ...args], { stdio: 'inherit' });
    if (status !== 0) process.exit(1);
  };
  const run = (program: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env) =>
    ended(spawn(program, args, { stdio: 'inherit', env }));
  const toolFile = (name: string) => join(root, `app/tools/${name}.ts`);
  const tool = (name = '', ...args: string[]) => run(process.execPath, [toolFile(name), ...args]);
  const wsUrl = `ws://127.0.0.1:${settings.nginxInternalPort}/ws`;
  return {
    async prepare() {
      await cluster.prepare((programs) => {
        shell('install.sh', ...programs);
        if (settings.tls) {
          mkdirSync(tlsDir(settings), { recursive: true, mode: 0o700 });
          shell('certificate.sh', tlsDir(settings));
        }
      });
      const built = await run(process.execPath, [toolFile('build-pages')]);
      if (built !== 0) return built;
      // Code that does not start must not cost what runs.
      return await run(process.execPath, [toolFile('try-start')], { PATH, ...settings.appEnv });
    },
    async start(...names) {
      await cluster.start(names);
      return 0;
    },
    async stop(...names) {
      await cluster.stop(names, (name, code) => console.log(`${name} ${code}`));
      return 0;
    },
    signal(name = '', signal = 'TERM') {
      cluster.signal(name, parseSignal(signal));
      return 0;
    },
    async states() {
      for (const { name, state, pid, uptimeSeconds, url } of await cluster.states()) {
        console.log([name, state, pid ?? '-', uptimeSeconds ?? '-', url].join('\t'));
      }
      return 0;
    },
    async fetch(name = '', path = '/', json?: string) {
      const response = await fetch(new URL(path, cluster.urlOf(name)), {
        ...(json !== undefined && { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: json }),
        signal: AbortSignal.timeout(FETCH_TIMEOUT_MS),
      });
      console.log((await response.text()).trimEnd());
      return response.ok ? 0 : 1;
    },
    tool,
    probe: () => tool('probe', wsUrl),
    dashboards() {
      const page = `http://localhost:${settings.prometheusPort}/consoles/wsfleet.html`;
      console.error(`Grafana runs with the Compose driver only; the same panels are at ${page}`);
      return 0;
    },
    async configure(instances) {
      await cluster.configure(Number(instances));
      return 0;
    },
    async logs(...args) {
      const { values, positionals } = parseArgs({
        args,
        options: { follow: { type: 'boolean', short: 'f', default: false }, since: { type: 'string', short: 's' } },
        allowPositionals: true,
      });
      // The reader drops the lines that are too old.
      await writeLogs(cluster.logFiles(positionals), { follow: values.follow, all: values.since !== undefined });
      return 0;
    },
    // Local processes reach the instances and standard input anyway.
    filter: tool,
    async 'api-url'() {
      const states = await cluster.states();
      const name = states.find((each) => each.name.startsWith('app') && each.state === 'running')?.name;
      console.log(`http://127.0.0.1:${settings.appApiPort(Number((name ?? 'app1').slice(3)))}`);
      return 0;
    },
    'ws-url'() {
      console.log(wsUrl);
      return 0;
    },
    remove(data) {
      if (data === 'data') rmSync(settings.dir, { recursive: true, force: true });
      return 0;
    },
  };
}

/** `KILL`, `kill` and `SIGKILL` are the same. */
function parseSignal(text: string): NodeJS.Signals {
  const name = text.toUpperCase().replace(/^(?!SIG)/, 'SIG');
  if (!Object.hasOwn(constants.signals, name)) throw new Error(`there is no signal ${text}`);
  return name as NodeJS.Signals;
}

function ended(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve(code ?? 1));
  });
}

try {
  const [name = '', ...args] = process.argv.slice(2);
  const operations = createOperations();
  const operation = Object.hasOwn(operations, name) ? operations[name] : undefined;
  if (!operation) throw new Error(`usage: native.ts ${Object.keys(operations).join('|')}`);
  process.exitCode = await operation(...args);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
