/**
 * A real WebSocket handshake: node app/tools/handshake.ts WS_URL [--insecure]. Prints the name of the instance that
 * greeted; exits 1 when there was no greeting within the deadline. Signs its own token with JWT_SECRET.
 */
import { parseArgs } from 'node:util';
import { WebSocket } from 'ws';
import { createAuth } from '../src/auth.ts';
import { loadConfig } from '../src/config.ts';
import type { ServerMessage } from '../src/protocol.ts';

const DEADLINE_MS = 5000;

const { values, positionals } = parseArgs({
  options: { insecure: { type: 'boolean', default: false } },
  allowPositionals: true,
});
const [url] = positionals;
if (!url) {
  console.error('usage: handshake.ts WS_URL [--insecure]');
  process.exit(64);
}
const config = loadConfig(process.env);
const auth = createAuth({ secret: config.JWT_SECRET, issuer: config.JWT_ISSUER, audience: config.JWT_AUDIENCE });
const token = auth.sign({ userId: 'wsfleet:handshake', username: 'handshake' }, 60_000);

function end(code: number, text: string): never {
  (code === 0 ? console.log : console.error)(text);
  process.exit(code);
}

const socket = new WebSocket(url, {
  headers: { Authorization: `Bearer ${token}` },
  rejectUnauthorized: !values.insecure,
});
setTimeout(() => end(1, `no greeting within ${DEADLINE_MS} ms`), DEADLINE_MS);
socket.on('unexpected-response', (_request, response) => end(1, `answered ${response.statusCode}`));
socket.on('error', (error) => end(1, error.message));
socket.on('close', (code) => end(1, `closed with ${code} before a greeting`));
socket.on('message', (data) => {
  const message = JSON.parse(data.toString()) as ServerMessage;
  if (message.type !== 'connected') return;
  socket.removeAllListeners('close');
  socket.on('close', () => end(0, message.payload.instanceId));
  socket.close(1000);
});
