/**
 * Fuzzes an instance: hostile messages on many connections, hostile bytes after the upgrade, hostile handshakes and HTTP
 * requests, while healthy members chat beside them and check every message.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import fc from 'fast-check';
import { WebSocket } from 'ws';
import { withDeadline } from '../../src/deadline.ts';
import { percentile } from '../../tools/lib/percentile.ts';
import { type App, startApp } from '../harness/app.ts';
import { connect as connectMember, type Greeted } from '../harness/client.ts';
import { handshakeHead } from '../harness/raw.ts';
import { startRedis } from '../harness/redis.ts';
import { tokenFor } from '../harness/tokens.ts';
import { frameBytes, requestBytes } from './bytes.ts';
import { messageTexts } from './messages.ts';

/** Texts and bytes that are made at once, and sent over and over in another order. */
const POOL = 2000;
const SENDERS = 8;
const HEALTHY = 4;
const PACE_MS = 50;
const GC_MS = 1000;
/** Lines of the log that are a bug. */
const BUGS = new Set(['uncaught', 'handler_failed', 'http_failed', 'api_failed', 'config_invalid']);

export interface FuzzResult {
  messages: number;
  frames: number;
  handshakes: number;
  /** Answers and refusals that came. */
  answers: number;
  /** Connections that the server closed. */
  closed: number;
  /** Of the healthy members. */
  deliveries: number;
  lost: number;
  p99: number;
  /** Lines of the log that are a bug. */
  bugs: string[];
  /** Heap of the instance, before and after, in MB. */
  heap: [before: number, after: number];
  alive: boolean;
}

export interface FuzzOptions {
  seed: number;
  /** Hostile messages: texts, and half as many sequences of bytes. */
  messages: number;
  /** Hostile handshakes and requests. */
  handshakes: number;
  /** Called now and then. */
  report?(line: string): void;
}

export async function fuzz({ seed, messages, handshakes, report = () => undefined }: FuzzOptions): Promise<FuzzResult> {
  await using redis = await startRedis();
  const env = { BROKER: 'redis', REDIS_URL: redis.url, DEMO: 'true', RATE_LIMIT_USER_FACTOR: '1000' };
  // Collected often, so that what is left is what is held.
  await using app = await startApp(env, [
    '--expose-gc',
    `--import=data:text/javascript,setInterval(gc,${GC_MS}).unref()`,
  ]);
  const [texts, bytes, requests] = [
    fc.sample(messageTexts, { seed, numRuns: POOL }),
    fc.sample(frameBytes, { seed, numRuns: POOL }),
    fc.sample(requestBytes(tokenFor('fuzz')), { seed, numRuns: POOL }),
  ];
  const total = { messages: 0, frames: 0, handshakes: 0, answers: 0, closed: 0 };
  let random = seed >>> 0 || 1;
  /** Of a pool, in an order that the seed decides. */
  function pick<T>(pool: readonly T[]): T {
    random = (Math.imul(random, 1_664_525) + 1_013_904_223) >>> 0;
    return pool[random % pool.length] as T;
  }

  const health = await startHealthy(app);
  const heapBefore = await heapOf(app);
  const progress = setInterval(() => report(JSON.stringify(total)), 10_000);
  try {
    await Promise.all([
      ...share(messages, SENDERS).map((count, index) => sendMessages(count, index)),
      ...share(Math.ceil(messages / 2), SENDERS).map((count) => sendFrames(count)),
      ...share(handshakes, SENDERS).map((count) => sendRequests(count)),
    ]);
  } finally {
    clearInterval(progress);
  }
  const { deliveries, lost, p99 } = await health.stop();
  // What the last connections left behind is collected.
  for (let i = 0; i < 40 && (await connectionsOf(app)) > 0; i += 1) await delay(250);
  const result: FuzzResult = {
    ...total,
    ...{ deliveries, lost, p99 },
    bugs: app.lines.filter(({ event }) => BUGS.has(event)).map((line) => JSON.stringify(line)),
    heap: [heapBefore, await heapOf(app)],
    alive: (await app.internal('/health/ready')).status === 200,
  };
  return result;

  /** Messages on connections that are replaced when the server closes them. */
  async function sendMessages(count: number, index: number): Promise<void> {
    for (let left = count; left > 0; ) {
      const socket = new WebSocket(`${app.origin}/ws`, index % 2 === 0 ? ['wsfleet.v1'] : [], {
        headers: { Authorization: `Bearer ${tokenFor(`fuzz${index}`)}` },
      });
      socket.on('error', () => undefined);
      let answered: () => void = () => undefined;
      socket.on('message', (data) => {
        total.answers += 1;
        if (String(data).includes('"id":"barrier"')) answered();
      });
      const ended = once(socket, 'close').then(() => answered());
      await Promise.race([once(socket, 'open').catch(() => undefined), ended]);
      while (left > 0 && socket.readyState === WebSocket.OPEN) {
        const batch = Math.min(left, 200);
        for (let i = 0; i < batch; i += 1) socket.send(pick(texts));
        const barrier = new Promise<void>((resolve) => {
          answered = resolve;
        });
        socket.send('{"type":"ping","id":"barrier"}');
        if (!(await withDeadline(barrier, 20_000))) throw new Error('the server no longer answers');
        left -= batch;
        total.messages += batch;
      }
      if (socket.readyState !== WebSocket.OPEN) total.closed += 1;
      socket.close();
      await ended;
    }
  }

  /** Bytes after the upgrade, a few on each connection. */
  async function sendFrames(count: number): Promise<void> {
    const head = handshakeHead({ headers: { Authorization: `Bearer ${tokenFor('frames')}` } });
    for (let left = count; left > 0; ) {
      const batch = Math.min(left, 10);
      left -= batch;
      total.frames += batch;
      await exchange(Buffer.concat([Buffer.from(head), ...Array.from({ length: batch }, () => pick(bytes))]));
    }
  }

  async function sendRequests(count: number): Promise<void> {
    for (let left = count; left > 0; left -= 1) {
      total.handshakes += 1;
      await exchange(pick(requests));
    }
  }

  /** Sends bytes and says that no more will come; resolves when the server has closed. */
  async function exchange(data: Buffer): Promise<void> {
    const socket: Socket = connect({ host: '127.0.0.1', port: app.port });
    socket.on('error', () => undefined);
    socket.on('data', () => {
      total.answers += 1;
    });
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.end(data);
    if (await withDeadline(closed, 5000)) total.closed += 1;
    socket.destroy();
  }
}

function share(total: number, parts: number): number[] {
  return Array.from({ length: parts }, (_, i) => Math.floor(total / parts) + (i < total % parts ? 1 : 0));
}

async function heapOf(app: App): Promise<number> {
  // The least of some readings around a collection.
  const readings: number[] = [];
  for (let i = 0; i < 15; i += 1) {
    readings.push(await app.metric('nodejs_heap_size_used_bytes'));
    await delay(GC_MS / 5);
  }
  return Math.round(Math.min(...readings) / 1e5) / 10;
}

const connectionsOf = (app: App) => app.metric('ws_connections');

/** Members that chat at a pace, and know what each has to get. */
async function startHealthy(app: App) {
  const members: Greeted[] = await Promise.all(
    Array.from({ length: HEALTHY }, (_, i) => connectMember(app, { as: `healthy${i}`, protocols: ['wsfleet.v1'] })),
  );
  for (const member of members) await member.request('join_room', { room: 'healthy' });
  const latencies: number[] = [];
  const sentAt = new Map<string, number>();
  const received = members.map((member) => {
    const contents: string[] = [];
    member.socket.on('message', (data) => {
      const { type, payload } = JSON.parse(String(data));
      if (type !== 'message' || payload.room !== 'healthy') return;
      contents.push(payload.content);
      latencies.push(performance.now() - (sentAt.get(payload.content) ?? 0));
    });
    return contents;
  });
  let running = true;
  const sent: string[] = [];
  const chats = members.map(async (member, index) => {
    for (let number = 0; running; number += 1) {
      const content = `${index} ${number}`;
      sentAt.set(content, performance.now());
      const { type } = await member.request('chat', { room: 'healthy', content });
      if (type === 'ack') sent.push(content);
      await delay(PACE_MS);
    }
  });
  return {
    async stop(): Promise<{ deliveries: number; lost: number; p99: number }> {
      running = false;
      await Promise.all(chats);
      const due = sent.length * members.length;
      const count = () => received.reduce((sum, contents) => sum + contents.length, 0);
      for (let i = 0; i < 50 && count() < due; i += 1) await delay(100);
      for (const member of members) await member.close();
      latencies.sort((a, b) => a - b);
      return { deliveries: count(), lost: due - count(), p99: percentile(latencies, 0.99) };
    },
  };
}
