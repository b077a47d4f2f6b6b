/**
 * A real WebSocket handshake: node app/tools/handshake.ts WS_URL [--insecure] [--until INSTANCE]. Prints the name of
 * the instance that greeted; exits 1 when there was no greeting within the deadline. Signs its own token with JWT_SECRET.
 * With --until it tries on, each time as a client from another address (X-Forwarded-For, which NGINX believes on its
 * internal listener), until that very instance has greeted: only then does NGINX reach it.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { WebSocket } from 'ws';
import type { ServerMessage } from '../src/protocol.ts';
import { signToken } from './lib/signer.ts';

const DEADLINE_MS = 5000;
const UNTIL_DEADLINE_MS = 20_000;
const PAUSE_MS = 50;

const { values, positionals } = parseArgs({
  options: { insecure: { type: 'boolean', default: false }, until: { type: 'string' } },
  allowPositionals: true,
});
const url = positionals[0] ?? usage();
const token = signToken({ userId: 'wsfleet:handshake', username: 'handshake' }, 60_000);

try {
  console.log(values.until === undefined ? await handshake() : await handshakeUntil(values.until));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}

function usage(): never {
  console.error('usage: handshake.ts WS_URL [--insecure] [--until INSTANCE]');
  process.exit(64);
}

async function handshakeUntil(wanted: string): Promise<string> {
  const deadline = Date.now() + UNTIL_DEADLINE_MS;
  let outcome = 'nothing';
  // Every attempt changes the third octet, and so is another client even to ip_hash.
  for (let attempt = 0; Date.now() < deadline; attempt += 1) {
    outcome = await handshake(`198.18.${attempt % 256}.1`).catch((error: Error) => error.message);
    if (outcome === wanted) return outcome;
    await delay(PAUSE_MS);
  }
  throw new Error(`${wanted} did not greet within ${UNTIL_DEADLINE_MS} ms; the last outcome: ${outcome}`);
}

/** One handshake; the name of the instance that greeted. */
function handshake(from?: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const socket = new WebSocket(url, {
    headers: { Authorization: `Bearer ${token}`, ...(from !== undefined && { 'X-Forwarded-For': from }) },
    rejectUnauthorized: !values.insecure,
  });
  const timer = setTimeout(() => {
    reject(new Error(`no greeting within ${DEADLINE_MS} ms`));
    socket.terminate();
  }, DEADLINE_MS);
  socket.on('unexpected-response', (request, response) => {
    reject(new Error(`answered ${response.statusCode}`));
    request.destroy();
  });
  socket.on('error', reject);
  socket.on('close', (code) => {
    clearTimeout(timer);
    reject(new Error(`closed with ${code} before a greeting`));
  });
  socket.on('message', (data) => {
    const message = JSON.parse(data.toString()) as ServerMessage;
    if (message.type !== 'connected') return;
    socket.prependOnceListener('close', () => resolve(message.payload.instanceId));
    socket.close(1000);
  });
  return promise;
}
