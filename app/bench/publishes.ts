/**
 * Publishing through the server API against publishing through WebSockets: one instance with Redis, the same callers, in turns.
 * Each caller sends its next message when the last is acknowledged. Each room has one member, whichever way is measured.
 */
import { Agent, request } from 'node:http';
import { freePorts } from '../test/harness/ports.ts';
import { percentile } from '../tools/lib/percentile.ts';
import { openAll, openMember } from './client.ts';
import { separateCores } from './cores.ts';
import { kitDialect } from './dialect.ts';
import { withRedis } from './redis.ts';
import { startServer, tokenFor } from './server.ts';
import { show } from './side-by-side.ts';

const CALLERS = 16;
const SECONDS = 2;
const ROUNDS = 7;
const BATCH = 100;
const KEY = 'a-key-of-the-benchmarks-0123456789abcdef';
const CONTENT = 'x'.repeat(100);

interface Way {
  title: string;
  /** Messages of one call. */
  messages: number;
  /** Resolves when the server has acknowledged. */
  call(caller: number): Promise<void>;
}

interface Round {
  /** Messages in a second. */
  rate: number;
  /** Of a call, in ms. */
  p50: number;
  p99: number;
  /** Microseconds of the instance's CPU for a message. */
  cpu: number;
}

async function measure(way: Way, cpu: () => Promise<number>): Promise<Round> {
  const latencies: number[] = [];
  const before = await cpu();
  const begin = performance.now();
  const end = begin + SECONDS * 1000;
  await Promise.all(
    Array.from({ length: CALLERS }, async (_, caller) => {
      for (let at = performance.now(); at < end; ) {
        await way.call(caller);
        const now = performance.now();
        latencies.push(now - at);
        at = now;
      }
    }),
  );
  const messages = latencies.length * way.messages;
  const rate = messages / ((performance.now() - begin) / 1000);
  latencies.sort((a, b) => a - b);
  return {
    rate,
    p50: percentile(latencies, 0.5),
    p99: percentile(latencies, 0.99),
    cpu: ((await cpu()) - before) / messages,
  };
}

/** @returns a function that sends one message and resolves with its ack */
async function openPublisher(origin: string, index: number): Promise<() => Promise<void>> {
  let acknowledged: () => void = () => undefined;
  const room = `bench${index}`;
  const socket = await openMember(origin, kitDialect, tokenFor(index), room, (frame) => {
    if (kitDialect.isAck(frame)) acknowledged();
    else if (kitDialect.isError(frame)) throw new Error(frame.toString());
  });
  let ids = 0;
  return () =>
    new Promise((resolve) => {
      acknowledged = resolve;
      socket.send(JSON.stringify({ type: 'chat', payload: { room, content: CONTENT }, id: `${index}-${++ids}` }));
    });
}

function post(port: number, agent: Agent, body: object): Promise<void> {
  return new Promise((resolve, reject) => {
    const text = JSON.stringify(body);
    const asking = request({
      ...{ host: '127.0.0.1', port, path: '/v1/publish', method: 'POST', agent },
      headers: {
        Authorization: `Bearer ${KEY}`,
        'Content-Type': 'application/json',
        'Content-Length': Buffer.byteLength(text),
      },
    });
    asking.on('response', (response) => {
      if (response.statusCode !== 200) reject(new Error(`the API answered ${response.statusCode}`));
      response.resume().on('end', resolve);
    });
    asking.on('error', reject);
    asking.end(text);
  });
}

const median = (numbers: number[]) =>
  percentile(
    numbers.toSorted((a, b) => a - b),
    0.5,
  );

export async function publishes(): Promise<void> {
  separateCores();
  const [apiPort = 0] = await freePorts(1);
  await withRedis(async (redis) => {
    const server = await startServer(
      {},
      {
        ...{ BROKER: 'redis', REDIS_URL: redis.url },
        ...{ API_KEYS: `bench:publish:${KEY}`, API_PORT: String(apiPort), API_RATE_LIMIT: '1000000' },
      },
    );
    const agent = new Agent({ keepAlive: true, maxSockets: CALLERS });
    const publishers = await openAll(CALLERS, (index) => openPublisher(server.origin, index));
    let ids = 0;
    const message = (caller: number) => ({ room: `bench${caller}`, content: CONTENT, id: `api-${++ids}` });
    const batch = (caller: number) => Array.from({ length: BATCH }, () => message(caller));
    const ways: Way[] = [
      { title: 'WebSocket', messages: 1, call: async (caller) => await publishers[caller]?.() },
      { title: 'API', messages: 1, call: (caller) => post(apiPort, agent, message(caller)) },
      { title: `API, batches of ${BATCH}`, messages: BATCH, call: (caller) => post(apiPort, agent, batch(caller)) },
    ];
    try {
      for (const way of ways) await measure(way, server.cpu);
      const rounds = new Map(ways.map(({ title }) => [title, [] as Round[]]));
      for (let round = 0; round < ROUNDS; round += 1) {
        for (const way of ways) rounds.get(way.title)?.push(await measure(way, server.cpu));
      }
      const socketRates = rounds.get('WebSocket')?.map(({ rate }) => rate) ?? [];
      console.log(`publish with ids: ${CALLERS} callers, each in a room of its own`);
      for (const [title, all] of rounds) {
        const ratios = all.map(({ rate }, index) => rate / (socketRates[index] ?? rate));
        const of = (pick: (round: Round) => number) => median(all.map(pick));
        console.log(
          `  ${title.padEnd(20)} x ${median(ratios).toFixed(2)} (${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)})  ` +
            `${show(of(({ rate }) => rate)).padStart(7)}/s  a call p50 ${of(({ p50 }) => p50).toFixed(1)}, p99 ${of(({ p99 }) => p99).toFixed(1)} ms  ` +
            `${of(({ cpu }) => cpu).toFixed(0)} us of the instance's CPU a message`,
        );
      }
    } finally {
      agent.destroy();
      await server.stop();
    }
  });
}
