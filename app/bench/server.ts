/** The app as a separate process that reports its CPU time: main.ts unchanged, or with modules replaced. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { createAuth } from '../src/connection/auth.ts';
import { bindServer } from './cores.ts';

const path = (file: string) => fileURLToPath(new URL(file, import.meta.url));

export const SECRET = 'a-secret-of-the-benchmarks-0123456789';
const auth = createAuth({ secret: SECRET, issuer: '', audience: '' });

/** Of the user with this number. */
export const tokenFor = (index: number) => auth.sign({ userId: `u${index}`, username: `u${index}` }, 3_600_000);

export interface BenchServer {
  readonly origin: string;
  /** CPU that it has used, user and system, in microseconds. */
  cpu(): Promise<number>;
  stop(): Promise<void>;
}

export interface ProfiledServer extends BenchServer {
  /** Begins to sample what runs. */
  profile(): Promise<void>;
  /** Of what ran since `profile`, the share that was in the metrics' functions or what they call. */
  share(): Promise<{ share: number; samples: number }>;
}

/**
 * @param replace modules of app/src by name, and the file of this folder that replaces each
 * @param main another server than the app; it prints `{"event": "listening", "port"}`
 */
export async function startServer(
  replace: Readonly<Record<string, string>> = {},
  env: Readonly<Record<string, string>> = {},
  main = '../src/main.ts',
): Promise<ProfiledServer> {
  const child = fork(path(main), {
    execArgv: ['--import', path('inside.ts')],
    env: {
      PATH: process.env['PATH'],
      BENCH_REPLACE: JSON.stringify(replace),
      HOST: '127.0.0.1',
      PORT: '0',
      INTERNAL_PORT: '0',
      JWT_SECRET: SECRET,
      // Redis would share the machine's cores: what is compared is the instance.
      BROKER: 'memory',
      RATE_LIMIT_PER_MINUTE: '1000000',
      RATE_LIMIT_BURST: '1000000',
      MAX_CONNECTIONS_PER_ADDRESS: '1000000',
      NEW_ROOMS_PER_MINUTE: '1000000',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  if (child.pid) bindServer(child.pid);
  if (!child.stdout) throw new Error('the server has no output');
  const lines = createInterface(child.stdout);
  async function ask<T>(question: string): Promise<T> {
    child.send(question);
    const [answer] = (await once(child, 'message')) as [T];
    return answer;
  }
  for await (const line of lines) {
    const { event, port } = JSON.parse(line) as { event: string; port: number };
    if (event !== 'listening') continue;
    child.stdout.resume();
    return {
      origin: `ws://127.0.0.1:${port}`,
      cpu: () => ask('cpu'),
      profile: () => ask('profile'),
      share: () => ask('share'),
      async stop() {
        child.kill('SIGKILL');
        await once(child, 'exit');
      },
    };
  }
  throw new Error('the server ended before it listened');
}
