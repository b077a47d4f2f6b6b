/** A real Redis of the test's own: loopback, a free port, a temporary folder, nothing kept. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { createClient } from 'redis';
import { freePorts } from './ports.ts';
import { type Running, run, within } from './process.ts';

export interface RedisServer extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  /** Cuts it off (SIGKILL): links break, and what it knew is gone unless `args` say that it keeps it. */
  kill(): Promise<void>;
  /** Starts it again after `kill`, on the same port. */
  start(): Promise<void>;
  /** SIGSTOP and SIGCONT: silent, with all its links open. */
  signal(signal: NodeJS.Signals): void;
  command(...args: string[]): Promise<unknown>;
}

/** @param options.args more of its configuration, as arguments */
export async function startRedis(
  options: { password?: string; port?: number; args?: readonly string[] } = {},
): Promise<RedisServer> {
  const { password = '', args = [] } = options;
  const folder = await mkdtemp(join(tmpdir(), 'wsfleet-redis-'));
  const [port = 0] = options.port === undefined ? await freePorts(1) : [options.port];
  const url = `redis://127.0.0.1:${port}`;
  let server: Running | undefined;

  async function start(): Promise<void> {
    server = await run(
      'redis-server',
      [
        ...['--bind', '127.0.0.1', '--port', String(port), '--dir', folder, '--save', '', '--appendonly', 'no'],
        ...(password ? ['--requirepass', password] : []),
        ...args,
      ],
      { missing: 'Install it: apt-get install redis-server (macOS: brew install redis)' },
    );
    const { child, exited } = server;
    const said: string[] = [];
    const ready = new Promise<void>((resolve) => {
      if (!child.stdout) return;
      createInterface(child.stdout).on('line', (line) => {
        said.push(line);
        if (line.includes('Ready to accept connections')) resolve();
      });
    });
    const ended = exited.then(({ code }) => {
      throw new Error(`redis-server ended with ${code}:\n${said.join('\n')}`);
    });
    await within(Promise.race([ready, ended]), () => `Redis to be ready:\n${said.join('\n')}`);
    ended.catch(() => undefined);
  }

  async function kill(): Promise<void> {
    server?.child.kill('SIGKILL');
    await server?.exited;
  }

  await start();
  return {
    url,
    port,
    start,
    kill,
    signal: (signal) => void server?.child.kill(signal),
    async command(...args) {
      const client = createClient({ url, ...(password && { password }) });
      await client.connect();
      try {
        return await client.sendCommand(args);
      } finally {
        client.destroy();
      }
    },
    async [Symbol.asyncDispose]() {
      await kill();
      await rm(folder, { recursive: true });
    },
  };
}
