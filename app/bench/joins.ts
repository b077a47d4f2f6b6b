/** Everyone joins one room at once: how many joins one instance answers in a second. */
import { setTimeout as delay } from 'node:timers/promises';
import { percentile } from '../tools/lib/percentile.ts';
import { type BenchSocket, openAll, openSocket } from './client.ts';
import { ofType } from './dialect.ts';
import { withRedis } from './redis.ts';
import { startServer, tokenFor } from './server.ts';
import { show } from './side-by-side.ts';

const CLIENTS = 1000;
const ROUNDS = 10;
/** For what a round's joins and leaves still have to tell the room, once a second. */
const SETTLE_MS = 2000;

const isGreeting = ofType('authenticated');
const isJoined = ofType('joined_room');
const isLeft = ofType('left_room');
const isError = ofType('error');

class Client {
  #isAnswer = isGreeting;
  #answered = Promise.withResolvers<void>();
  #socket: BenchSocket | undefined;

  async open(url: string, token: string): Promise<void> {
    this.#socket = await openSocket(url, token, (frame) => {
      if (this.#isAnswer(frame)) this.#answered.resolve();
      else if (isError(frame)) this.#answered.reject(new Error(frame.toString()));
    });
    await this.#answered.promise;
  }

  /** Sends a frame; resolves when an answer has come. */
  ask(frame: string, isAnswer: (frame: Buffer) => boolean): Promise<void> {
    this.#isAnswer = isAnswer;
    this.#answered = Promise.withResolvers();
    this.#socket?.send(frame);
    return this.#answered.promise;
  }

  close(): void {
    this.#socket?.terminate();
  }
}

export async function joins(): Promise<void> {
  await withRedis(async (redis) => {
    const server = await startServer({}, { BROKER: 'redis', REDIS_URL: redis.url });
    try {
      await measure(server.origin);
    } finally {
      await server.stop();
    }
  });
}

async function measure(origin: string): Promise<void> {
  const clients = await openAll(CLIENTS, async (index) => {
    const client = new Client();
    await client.open(`${origin}/ws`, tokenFor(index));
    return client;
  });

  /** @returns answers a second */
  async function all(type: string, room: string, isAnswer: (frame: Buffer) => boolean): Promise<number> {
    const frame = JSON.stringify({ type, payload: { room } });
    const begin = performance.now();
    await Promise.all(clients.map((client) => client.ask(frame, isAnswer)));
    return (1000 * CLIENTS) / (performance.now() - begin);
  }

  const rates: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    rates.push(await all('join_room', `room${round}`, isJoined));
    await all('leave_room', `room${round}`, isLeft);
    await delay(SETTLE_MS);
  }
  for (const client of clients) client.close();

  const [first = 0] = rates;
  rates.sort((a, b) => a - b);
  console.log(
    `joins   ${show(CLIENTS)} clients into one room at once: ${show(percentile(rates, 0.5))} joins/s ` +
      `(median of ${ROUNDS} rounds, ${show(rates[0] ?? 0)} to ${show(rates.at(-1) ?? 0)}, the first ${show(first)}; ` +
      'wanted: 3,000); one instance, presence on',
  );
}
