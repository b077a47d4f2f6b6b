/** The app as a child process: real signals, real exit codes, real log lines. */
import { setMaxListeners } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type Exit, run, within } from './process.ts';
import { SECRET } from './tokens.ts';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

/** Starting takes CPU, of which suites that run side by side leave little. */
const START_MS = 30_000;

/** One line of the log. */
export interface LogLine {
  event: string;
  [field: string]: unknown;
}

export interface Answer {
  status: number;
  headers: Headers;
  text: string;
  /** The body as JSON; undefined when it is none. */
  json: unknown;
}

export interface App extends AsyncDisposable {
  readonly pid: number;
  readonly port: number;
  /** ws://127.0.0.1:PORT */
  readonly origin: string;
  readonly lines: readonly LogLine[];
  /** All that it wrote on stdout and stderr. */
  readonly output: string;
  readonly exited: Promise<Exit>;
  /** The first line with this event that was or will be written, and that matches. */
  log(event: string, matches?: (line: LogLine) => boolean, ms?: number): Promise<LogLine>;
  /** A request to the public listener, */
  public(path: string, init?: RequestInit): Promise<Answer>;
  /** and to the internal one. */
  internal(path: string): Promise<Answer>;
  /** One sample of /metrics, by its name and labels as they stand there; 0 when there is none. */
  metric(sample: string): Promise<number>;
  signal(signal: NodeJS.Signals): void;
  /** SIGTERM, then how it ended. */
  stop(): Promise<Exit>;
  /** SIGKILL, then how it ended. */
  kill(): Promise<Exit>;
}

/** What makes a test quick: no waiting for clients that leave, and no limit that it did not ask for. */
const quick = {
  HOST: '127.0.0.1',
  PORT: '0',
  INTERNAL_PORT: '0',
  JWT_SECRET: SECRET,
  BROKER: 'memory',
  PRESENCE_GRACE: '200ms',
  MAX_CONNECTIONS_PER_ADDRESS: '100000',
  MAX_CONNECTIONS_PER_USER: '100000',
  NEW_ROOMS_PER_MINUTE: '1000000',
  RATE_LIMIT_PER_MINUTE: '1000000',
  RATE_LIMIT_BURST: '100000',
  DRAIN_WINDOW: '100ms',
  DRAIN_GRACE: '0ms',
  SHUTDOWN_DEADLINE: '5s',
};

/** Starts the app without waiting for it to listen. */
export async function spawnApp(
  env: Record<string, string> = {},
  nodeArgs: readonly string[] = [],
): Promise<Omit<App, 'port' | 'origin' | 'public' | 'internal' | 'metric'>> {
  // The environment is the test's alone: a JWT_SECRET of the person's shell must change nothing.
  const { child, pid, exited } = await run(process.execPath, [...nodeArgs, main], {
    env: { PATH: process.env['PATH'] ?? '', ...quick, ...env },
  });
  const lines: LogLine[] = [];
  const lookers = new Set<() => void>();
  let output = '';
  if (!child.stdout || !child.stderr) throw new Error('the app has no output');
  createInterface(child.stdout).on('line', (text) => {
    output += `${text}\n`;
    try {
      lines.push(JSON.parse(text) as LogLine);
    } catch {
      return;
    }
    for (const look of lookers) look();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });

  const app = {
    pid,
    lines,
    get output() {
      return output;
    },
    get exited() {
      return within(exited, () => `the app to end:\n${output}`, 15_000);
    },
    log(event: string, matches: (line: LogLine) => boolean = () => true, ms?: number): Promise<LogLine> {
      const { promise, resolve, reject } = Promise.withResolvers<LogLine>();
      const look = () => {
        const found = lines.find((line) => line.event === event && matches(line));
        if (found) resolve(found);
      };
      lookers.add(look);
      look();
      void exited.then(({ code, signal }) => {
        look();
        reject(new Error(`the app ended (${code ?? signal}) without ${event}:\n${output}`));
      });
      return within(promise, () => `the log line ${event}:\n${output}`, ms).finally(() => lookers.delete(look));
    },
    signal: (signal: NodeJS.Signals) => void child.kill(signal),
    stop() {
      child.kill('SIGTERM');
      return app.exited;
    },
    kill() {
      child.kill('SIGKILL');
      return app.exited;
    },
    async [Symbol.asyncDispose]() {
      // A stopped (SIGSTOP) process takes SIGKILL too.
      await app.kill();
    },
  };
  return app;
}

/** Starts the app and waits until it listens. */
export async function startApp(env: Record<string, string> = {}, nodeArgs: readonly string[] = []): Promise<App> {
  const app = await spawnApp(env, nodeArgs);
  const listening = await app.log('listening', undefined, START_MS).catch(async (error: unknown) => {
    await app.kill();
    throw error;
  });
  const port = Number(listening['port']);
  const internal = `http://127.0.0.1:${listening['internalPort']}`;
  return Object.assign(app, {
    port,
    origin: `ws://127.0.0.1:${port}`,
    public: (path: string, init?: RequestInit) => ask(`http://127.0.0.1:${port}${path}`, init),
    internal: (path: string) => ask(internal + path),
    async metric(sample: string) {
      const { text } = await ask(`${internal}/metrics`);
      const line = text.split('\n').find((each) => each.startsWith(`${sample} `));
      return line === undefined ? 0 : Number(line.slice(sample.length));
    },
  });
}

async function ask(url: string, init: RequestInit = {}): Promise<Answer> {
  const response = await fetch(url, { redirect: 'manual', ...init });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, json: parse(text) };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

// Tests open many sockets at once.
setMaxListeners(100);
