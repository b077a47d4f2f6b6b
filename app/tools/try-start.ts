/**
 * Starts the app once, in isolation (memory broker, free ports), and ends it again:  node app/tools/try-start.ts
 * Exits 0, or 1 with one line on standard error that says why the app does not start.
 */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const DEADLINE_MS = 20_000;

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url));
const isolation = {
  ...{ INSTANCE_ID: 'try-start', HOST: '127.0.0.1', BROKER: 'memory' },
  ...{ PORT: '0', INTERNAL_PORT: '0', API_PORT: '0' },
};
// Its log tells whether it listens. A value that the app refuses stays, because the point is to find it.
const { LOG_LEVEL = 'info', LOG_FORMAT = 'json' } = process.env;
const logging = {
  LOG_LEVEL: /^(fatal|error|warn|info|debug|trace|silent)?$/.test(LOG_LEVEL) ? 'info' : LOG_LEVEL,
  LOG_FORMAT: /^(json|pretty)?$/.test(LOG_FORMAT) ? 'json' : LOG_FORMAT,
};
const child = spawn(process.execPath, [main], {
  env: { ...process.env, ...isolation, ...logging },
  stdio: ['ignore', 'pipe', 'pipe'],
});

let started = false;
let message: string | undefined;
createInterface({ input: child.stdout }).on('line', (line) => {
  const { event, level, msg } = parse(line);
  if (level === 'fatal') message ??= msg;
  if (event !== 'listening') return;
  started = true;
  child.kill('SIGKILL');
});
let stderr = '';
child.stderr.on('data', (chunk) => {
  stderr += chunk;
});
const timer = setTimeout(() => {
  message = `it does not listen after ${DEADLINE_MS / 1000} s`;
  child.kill('SIGKILL');
}, DEADLINE_MS);
child.on('close', (code) => {
  clearTimeout(timer);
  if (started) return;
  console.error(`The app does not start: ${message ?? reasonOf(stderr) ?? `exit code ${code}`}`);
  process.exitCode = 1;
});

function parse(line: string): { event?: string; level?: string; msg?: string } {
  try {
    return JSON.parse(line);
  } catch {
    return {};
  }
}

/** The error in Node's report of an uncaught exception, and the file and line where it happened. */
function reasonOf(report: string): string | undefined {
  const error = /^\w*(?:Error|Exception)\b.*$/m.exec(report)?.[0];
  const place = /(?:file:\/\/)?\/\S*?(app\/\S+:\d+)/.exec(report)?.[1];
  return error && (place ? `${error} (${place})` : error);
}
