/**
 * How many clients connect and join a room in a second, on an instance that has just started, against a bare ws server.
 * Both are measured in turns, so that what happens to the machine happens to both.
 */
import { percentile } from '../tools/lib/percentile.ts';
import { type BenchSocket, frameTest, openSocket } from './client.ts';
import { withRedis } from './redis.ts';
import { type BenchServer, startServer, tokenFor } from './server.ts';

const SHAPES = [
  { clients: 10_000, rooms: 1000 },
  { clients: 1000, rooms: 1 },
  { clients: 1000, rooms: 10 },
];
const REPETITIONS = 3;
/** Clients that connect at the same time. */
const IN_FLIGHT = 200;

type Shape = (typeof SHAPES)[number];
interface Measured {
  /** Clients a second. */
  rate: number;
  /** CPU of the server for one client, in microseconds. */
  cpu: number;
}

const isGreeting = frameTest('authenticated');
const isJoined = frameTest('joined_room');
const isError = frameTest('error');

async function connectAndJoin(url: string, token: string, room: string): Promise<BenchSocket> {
  const greeted = Promise.withResolvers<void>();
  const joined = Promise.withResolvers<void>();
  const socket = await openSocket(url, token, (frame) => {
    if (isGreeting(frame)) greeted.resolve();
    else if (isJoined(frame)) joined.resolve();
    else if (isError(frame)) joined.reject(new Error(frame.toString()));
  });
  await greeted.promise;
  socket.send(JSON.stringify({ type: 'join_room', payload: { room } }));
  await joined.promise;
  return socket;
}

async function measure(server: BenchServer, tokens: readonly string[], { clients, rooms }: Shape): Promise<Measured> {
  const sockets: BenchSocket[] = [];
  let next = 0;
  const cpu = await server.cpu();
  const begin = performance.now();
  await Promise.all(
    Array.from({ length: IN_FLIGHT }, async () => {
      for (let index = next++; index < clients; index = next++) {
        sockets.push(await connectAndJoin(`${server.origin}/ws`, tokens[index] ?? '', `room${index % rooms}`));
      }
    }),
  );
  const seconds = (performance.now() - begin) / 1000;
  const used = (await server.cpu()) - cpu;
  for (const socket of sockets) socket.terminate();
  return { rate: clients / seconds, cpu: used / clients };
}

/** A server of its own for each repetition. */
async function measureNew(
  start: () => Promise<BenchServer>,
  tokens: readonly string[],
  shape: Shape,
): Promise<Measured> {
  const server = await start();
  try {
    return await measure(server, tokens, shape);
  } finally {
    await server.stop();
  }
}

const median = (values: readonly number[]) =>
  percentile(
    values.toSorted((a, b) => a - b),
    0.5,
  );
const show = (value: number) => Math.round(value).toLocaleString('en');

export async function connects(): Promise<void> {
  const tokens = Array.from({ length: Math.max(...SHAPES.map(({ clients }) => clients)) }, (_, index) =>
    tokenFor(index),
  );
  for (const shape of SHAPES) {
    const kit: Measured[] = [];
    const floor: Measured[] = [];
    for (let repetition = 0; repetition < REPETITIONS; repetition += 1) {
      await withRedis(async (redis) => {
        const env = { BROKER: 'redis', REDIS_URL: redis.url };
        kit.push(await measureNew(() => startServer({}, env), tokens, shape));
      });
      floor.push(await measureNew(() => startServer({}, {}, './floor.ts'), tokens, shape));
    }
    const of = (measured: Measured[]) => {
      const rates = measured.map(({ rate }) => rate);
      return (
        `${show(median(rates))}/s (${show(Math.min(...rates))} to ${show(Math.max(...rates))}), ` +
        `${show(median(measured.map(({ cpu }) => cpu)))} us of CPU each`
      );
    };
    const ratio = median(kit.map(({ rate }) => rate)) / median(floor.map(({ rate }) => rate));
    console.log(
      `connects  ${show(shape.clients)} clients connect and join ${show(shape.rooms)} rooms: ${of(kit)}; ` +
        `bare ws ${of(floor)}; x ${ratio.toFixed(2)}`,
    );
  }
}
