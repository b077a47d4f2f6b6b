/** `make dev` (dev.sh): one instance with the memory broker, restarted on change, and a token for it. The settings are in the environment. */
import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { portProblem } from '../drivers/native/port.ts';

const root = resolve(import.meta.dirname, '../../..');

const { HOST: host = '127.0.0.1', PORT: port = '3000' } = process.env;
const problem = await portProblem(host, Number(port));
if (problem) {
  console.error(`Port ${port} ${problem}. Choose another: make dev PORT=3001`);
  process.exit(1);
}

const env = {
  // A restart must not wait for clients to leave one by one.
  DRAIN_WINDOW: '0s',
  DRAIN_GRACE: '300ms',
  SHUTDOWN_DEADLINE: '5s',
  INTERNAL_PORT: '0',
  API_KEYS: `dev:publish+presence+history+manage:${randomBytes(24).toString('hex')}`,
  ...process.env,
  API_PORT: process.env['API_PORT'] ?? '9200',
  HOST: host,
  PORT: port,
  INSTANCE_ID: 'dev',
  BROKER: 'memory',
  DEMO: 'true',
  LOG_FORMAT: 'pretty',
};
const pages = spawn(process.execPath, [join(root, 'app/tools/build-pages.ts'), '--watch'], { stdio: 'inherit' });
const watcher = spawn(process.execPath, ['--watch', '--watch-preserve-output', join(root, 'app/src/main.ts')], {
  env,
  stdio: 'inherit',
});
watcher.on('close', (code) => {
  pages.kill();
  process.exit(code ?? 1);
});
// Ctrl-C reaches the watcher directly.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => watcher.kill());

const url = `http://localhost:${port}`;
while (!(await answers(`http://${host}:${port}/health`))) await delay(100);
const token = execFileSync(process.execPath, [join(root, 'app/tools/token.ts'), '--name', 'dev', '--ttl', '24h'], {
  env,
  encoding: 'utf8',
}).trim();
console.log(`
  Page       ${url}
  WebSocket  ${url.replace('http', 'ws')}/ws
  Token      ${token}
             (for a day; another: make -s token NAME=alice)
  Server API http://localhost:${env.API_PORT}
  Key        ${env.API_KEYS.split(':').at(-1)}
`);

async function answers(address: string): Promise<boolean> {
  try {
    return (await fetch(address, { signal: AbortSignal.timeout(1000) })).ok;
  } catch {
    return false;
  }
}
