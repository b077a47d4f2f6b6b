/** From a frame to its answer, with handlers of the test's own behind real sockets. */
import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { WebSocketServer } from 'ws';
import { z } from 'zod';
import { BrokerUnavailable } from '../../src/broker/broker.ts';
import { Connection, type ConnectionOptions, ConnectionSocket } from '../../src/connection/connection.ts';
import { RateLimiter } from '../../src/connection/rate-limiter.ts';
import { createDispatch } from '../../src/handlers/dispatch.ts';
import { type Context, defineHandler } from '../../src/handlers/handler.ts';
import { metricLabels } from '../../src/metric-labels.ts';
import { createLogger } from '../../src/observability/logger.ts';
import { createMetrics } from '../../src/observability/metrics.ts';
import { createThroughput } from '../../src/observability/throughput.ts';
import { createTurnEnd } from '../../src/turn-end.ts';
import { type Client, open } from '../harness/client.ts';

const order: string[] = [];
const gates = new Map<string, PromiseWithResolvers<void>>();

const anything = z.looseObject({});
const handlers = [
  defineHandler({ type: 'fine', payload: anything, handle: () => ({ type: 'pong', payload: {} }) }),
  defineHandler({ type: 'quiet', payload: anything, handle: () => undefined }),
  defineHandler({
    type: 'throws',
    payload: anything,
    handle() {
      throw new Error('a bug of ours');
    },
  }),
  defineHandler({
    type: 'rejects',
    aliases: ['rejects_too'],
    payload: anything,
    handle: () => Promise.reject(new TypeError('a bug that comes late')),
  }),
  defineHandler({ type: 'throws_text', payload: anything, handle: () => Promise.reject('no error at all') }),
  defineHandler({
    type: 'unavailable',
    payload: z.object({ uncertain: z.boolean() }),
    handle: (_context, { uncertain }) => Promise.reject(new BrokerUnavailable({ uncertain })),
  }),
  defineHandler({
    type: 'waits',
    payload: z.object({ name: z.string() }),
    async handle(_context, { name }) {
      order.push(`${name} begins`);
      await gates.get(name)?.promise;
      order.push(`${name} ends`);
      return { type: 'pong', payload: {} };
    },
  }),
];

/** A server of connections whose messages go to the handlers above; nothing else of the app. */
async function startServer(): Promise<{ origin: string; log(): string; metric(sample: string): Promise<number> }> {
  const log = new PassThrough();
  let written = '';
  log.on('data', (chunk: Buffer) => {
    written += chunk.toString();
  });
  const metrics = createMetrics({
    ...metricLabels,
    messageTypes: [...handlers.map(({ type }) => type), 'unknown', 'malformed'],
  });
  const dispatch = createDispatch({
    handlers,
    // Handlers of the test do not look at it.
    context: {} as Omit<Context, 'connection'>,
    metrics,
    throughput: createThroughput(),
    logger: createLogger({ instanceId: 'test', level: 'trace', format: 'json', destination: log }),
  });
  const options: ConnectionOptions = {
    rateLimit: { perMinute: 60_000, burst: 10_000 },
    abuseLimit: 100,
    maxBufferedBytes: 1_000_000,
    turnEnd: createTurnEnd(),
    handleReceived: () => undefined,
    handleText: dispatch,
    handleRefused: (_connection, code) => metrics.messagesRefused.inc(code),
    handlePong: () => undefined,
    handleClosing: () => undefined,
    handleClosed: () => undefined,
  };
  const wss = new WebSocketServer({ noServer: true, WebSocket: ConnectionSocket });
  const server = createServer();
  const sockets = new Set<Socket>();
  server.on('upgrade', (request, socket: Socket, head) => {
    sockets.add(socket);
    wss.handleUpgrade(request, socket, head, (ws) => {
      const user = {
        userId: 'u',
        username: 'u',
        rooms: undefined,
        rights: undefined,
        expiresAt: 0,
        issuedAt: 0,
        tokenId: '',
      };
      const limiter = new RateLimiter(options.rateLimit);
      new Connection(ws, socket, {
        id: 'c',
        user,
        explicit: false,
        limiters: { messages: limiter, newRooms: limiter },
        options,
      }).open(Promise.resolve());
    });
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return {
    origin: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`,
    log: () => written,
    async metric(sample) {
      const line = (await metrics.text()).split('\n').find((each) => each.startsWith(`${sample} `));
      return line === undefined ? 0 : Number(line.slice(sample.length));
    },
  };
}

let server: Awaited<ReturnType<typeof startServer>>;
let client: Client;
beforeEach(async () => {
  order.length = 0;
  gates.clear();
  server = await startServer();
  client = await open(server);
});

test.for(['throws', 'rejects', 'throws_text'])('a handler that %s is answered INTERNAL and logged', async (type) => {
  const answer = await client.request(type, { content: 'what the person wrote' });
  expect(answer).toMatchObject({ type: 'error', payload: { code: 'INTERNAL' } });
  expect(JSON.stringify(answer)).not.toMatch(/bug|no error/);
  const [line = '{}'] = server.log().split('\n');
  expect(JSON.parse(line)).toMatchObject({ level: 'error', event: 'handler_failed', type, clientId: 'c' });
  expect(line).not.toContain('what the person wrote');
  if (type !== 'throws_text') expect(line).toMatch(/a bug .*dispatch\.test\.ts/);
});

test('a handler that fails takes nothing else down: this connection and others go on', async () => {
  await using other = await open(server);
  const answers = await Promise.all([
    client.request('rejects'),
    client.request('fine'),
    other.request('throws'),
    other.request('fine'),
  ]);
  expect(answers.map(({ type }) => type)).toEqual(['error', 'pong', 'error', 'pong']);
});

test('a broker that is away is answered UNAVAILABLE with retryAfter, and is no failure of the handler', async () => {
  const { payload } = await client.request('unavailable', { uncertain: false });
  expect(payload).toMatchObject({ code: 'UNAVAILABLE', retryAfter: expect.any(Number) });
  expect(payload).not.toHaveProperty('uncertain');
  expect(await client.request('unavailable', { uncertain: true })).toMatchObject({ payload: { uncertain: true } });
  expect(server.log()).toBe('');
});

test('the messages of one connection are handled one after the other', async () => {
  gates.set('first', Promise.withResolvers());
  const first = client.request('waits', { name: 'first' });
  const second = client.request('waits', { name: 'second' });
  await using other = await open(server);
  // Another connection does not wait for it, and its answer shows that both messages have been read.
  await other.request('fine');
  expect(order).toEqual(['first begins']);
  gates.get('first')?.resolve();
  await Promise.all([first, second]);
  expect(order).toEqual(['first begins', 'first ends', 'second begins', 'second ends']);
});

test('a handler that says nothing is not answered', async () => {
  client.send({ type: 'quiet', payload: {}, id: 'q' });
  await client.request('fine');
  expect(client.received.map(({ type }) => type)).toEqual(['pong']);
});

test('metrics count by the types that the app knows, and never by a client’s own word', async () => {
  await client.request('fine');
  await client.request('made_up_by_me');
  await client.request('rejects_too');
  client.send('{');
  await client.next('error', ({ code }) => code === 'INVALID_JSON');
  for (const type of ['fine', 'unknown', 'rejects', 'malformed']) {
    expect(await server.metric(`ws_messages_received_total{type="${type}"}`)).toBe(1);
  }
  expect(await server.metric('ws_messages_refused_total{code="INTERNAL"}')).toBe(1);
  expect(await server.metric('ws_messages_received_total{type="made_up_by_me"}')).toBe(0);
});

test('far more messages than may wait are all handled, in order', async () => {
  gates.set('gate', Promise.withResolvers());
  const gate = client.request('waits', { name: 'gate' });
  const rest = Array.from({ length: 1000 }, (_, i) => client.request('waits', { name: String(i) }));
  gates.get('gate')?.resolve();
  await Promise.all([gate, ...rest]);
  const begun = order.filter((entry) => entry.endsWith('begins')).map((entry) => entry.split(' ')[0]);
  expect(begun).toEqual(['gate', ...rest.map((_, i) => String(i))]);
});
