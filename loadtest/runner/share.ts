/**
 * What this runner itself adds to a latency: the round trip of its sockets to a bare echo server of `ws`, in a process of
 * its own, over loopback. Measured by the clock that the scripts do not have, in milliseconds.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { WebSocket } from 'ws';
import { percentiles } from './store.ts';

const SOCKETS = 50;
const EVERY_MS = 5;
const MESSAGES = 400;
const DEADLINE_MS = 20_000;

/** Rejects when the echo server does not do its part in time. */
export async function measureShare(deadline = DEADLINE_MS): Promise<{ p50: number; p99: number }> {
  const server = fork(fileURLToPath(new URL('./echo.ts', import.meta.url)));
  const gone = new Promise<never>((_, reject) => {
    server.once('exit', () => reject(new Error('the echo server does not answer')));
  });
  const timer = setTimeout(() => server.kill('SIGKILL'), deadline);
  try {
    return await Promise.race([measureAgainst(server), gone]);
  } finally {
    clearTimeout(timer);
    server.kill('SIGKILL');
  }
}

async function measureAgainst(server: ChildProcess): Promise<{ p50: number; p99: number }> {
  const port = await new Promise<number>((resolve) => {
    server.once('message', (message) => resolve(Number(message)));
  });
  const sockets = await Promise.all(Array.from({ length: SOCKETS }, () => open(`ws://127.0.0.1:${port}`)));
  const counts = new Map<number, number>();
  await new Promise<void>((resolve) => {
    let sent = 0;
    let received = 0;
    for (const socket of sockets) {
      socket.on('message', (data) => {
        const took = performance.now() - Number(data.toString());
        counts.set(took, (counts.get(took) ?? 0) + 1);
        received += 1;
        if (received === MESSAGES) resolve();
      });
    }
    const ticker = setInterval(() => {
      sockets[sent % SOCKETS]?.send(String(performance.now()));
      sent += 1;
      if (sent === MESSAGES) clearInterval(ticker);
    }, EVERY_MS);
  });
  for (const socket of sockets) socket.terminate();
  const [p50 = 0, p99 = 0] = percentiles(counts, [0.5, 0.99]).map((value) => Number(value.toFixed(2)));
  return { p50, p99 };
}

function open(url: string): Promise<WebSocket> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, { perMessageDeflate: false });
    socket.once('open', () => resolve(socket));
    socket.on('error', reject);
  });
}
