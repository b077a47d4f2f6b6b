/**
 * What the application sees against a simple model of a room, over random interleavings: publishing, frames that arrive one
 * by one on the old and the new connection, frames that come twice, connections that are cut or sent away, and a
 * Redis that rolls back, is flushed or trims.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { closeBody } from '../../src/protocol.ts';
import { ModelRoom } from '../../test/harness/model-room.ts';
import { createClient } from '../src/client.ts';
import type { Position } from '../src/protocol.ts';
import type { SocketConstructor } from '../src/socket.ts';
import { createManualClock } from './manual-clock.ts';

type Listener = (event: { data?: unknown; code?: number; reason?: string }) => void;

/** Both ends of one connection: `inbox` is what the server has not read yet, `outbox` what the client has not. */
class ModelConnection {
  readyState = 1;
  inbox: { type: string; payload: { room: string; position?: Position }; id?: string }[] = [];
  outbox: string[] = [];
  /** The last message that the server sent there, once it has joined. */
  cursor: Position | undefined;
  readonly #listeners: { type: string; listener: Listener }[] = [];

  addEventListener(type: string, listener: Listener): void {
    this.#listeners.push({ type, listener });
  }
  send(text: string): void {
    this.inbox.push(JSON.parse(text));
  }
  close(): void {
    if (this.readyState === 3) return;
    this.readyState = 3;
    queueMicrotask(() => this.#emit('close', { code: 1006, reason: '' }));
  }
  get open(): boolean {
    return this.readyState === 1;
  }
  say(type: string, payload: object, id?: string): void {
    this.outbox.push(JSON.stringify({ type, payload, timestamp: 0, id }));
  }
  deliver(): void {
    const data = this.outbox.shift();
    if (data !== undefined) this.#emit('message', { data });
  }
  #emit(type: string, event: Parameters<Listener>[0]): void {
    for (const each of this.#listeners) if (each.type === type) each.listener(event);
  }
}

/** The instances in front of the model, one client, and its application. */
function setUp() {
  const room = new ModelRoom();
  const clock = createManualClock();
  let connections: ModelConnection[] = [];

  function sendPage(connection: ModelConnection, position: Position, told?: (page: object) => void): void {
    const page = room.resume(position, Number.POSITIVE_INFINITY);
    if (page.recovery !== 'recovered') told?.({ reason: page.reason ?? 'rewound', position: page.from });
    for (const { offset, body } of page.entries) {
      connection.outbox.push(body + closeBody({ epoch: page.head.epoch, offset }));
    }
    connection.cursor = page.head;
  }

  const server = {
    get connections() {
      connections = connections.filter(({ open }) => open);
      return connections;
    },
    /** Handles the first request that waits on a connection. */
    serve(connection: ModelConnection | undefined): void {
      const request = connection?.inbox.shift();
      if (!connection || request?.type !== 'join_room') return;
      const { position } = request.payload;
      const { recovery, reason, from, head } = room.resume(position, 0);
      const answer = position ? { recovery, reason, position: from } : { recovery: 'none', position: head };
      connection.say('joined_room', { room: 'r', memberCount: 1, replayed: 0, ...answer }, request.id);
      sendPage(connection, position ?? head);
    },
    /** Every joined connection gets what is new, or a gap notice. */
    fanOut(): void {
      for (const connection of server.connections) {
        if (connection.cursor) {
          sendPage(connection, connection.cursor, (broken) => connection.say('gap', { room: 'r', ...broken }));
        }
      }
    },
    repeat(connection: ModelConnection | undefined): void {
      const offset = connection?.cursor?.offset ?? 0;
      const content = room.contents[offset - 1];
      if (!connection?.cursor || content === undefined || offset <= room.trimmed) return;
      const [entry] = room.resume({ epoch: connection.cursor.epoch, offset: offset - 1 }, 1).entries;
      if (entry) connection.outbox.push(entry.body + closeBody({ ...connection.cursor, offset }));
    },
  };

  class Socket extends ModelConnection {
    constructor() {
      super();
      connections.push(this);
      const heartbeat = { interval: 1e9, timeout: 1e9 };
      this.say('connected', { clientId: 'c', instanceId: 'i', heartbeat, limits: {} });
    }
  }

  const client = createClient({
    url: 'ws://model',
    token: 't',
    rooms: ['r'],
    clock,
    random: () => 0.5,
    WebSocket: Socket as unknown as SocketConstructor,
    connectTimeout: 1e9,
    requestTimeout: 1e9,
  });

  /** What the application holds by offset; `last` is where its history must go on. */
  const held = new Map<number, string>();
  const told: string[] = [];
  /** Messages that were not the next one. */
  const wrong: string[] = [];
  let last: number | undefined;
  client.on('joined_room', ({ recovery, position }) => {
    if (recovery === 'none') last = position.offset;
  });
  client.on('message', ({ content, position }) => {
    if (position?.offset !== (last ?? Number.NaN) + 1) wrong.push(`${content} at ${position?.offset} after ${last}`);
    last = position?.offset;
    held.set(last ?? 0, String(content));
  });
  const handleBroken = (reason: string, { offset }: Position) => {
    told.push(reason);
    for (const each of held.keys()) if (each > offset || reason !== 'rewound') held.delete(each);
    last = offset;
  };
  client.on('rewound', ({ position }) => handleBroken('rewound', position));
  client.on('gap', ({ reason, position }) => handleBroken(reason, position));
  client.connect();
  return { room, clock, server, client, held, told, wrong, last: () => last };
}

const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

const steps = fc.array(
  fc.oneof(
    { weight: 8, arbitrary: fc.constant('publish' as const) },
    { weight: 8, arbitrary: fc.constant('old' as const) },
    { weight: 8, arbitrary: fc.constant('new' as const) },
    { weight: 5, arbitrary: fc.constant('serve' as const) },
    { weight: 2, arbitrary: fc.constant('repeat' as const) },
    { weight: 3, arbitrary: fc.constant('tick' as const) },
    { weight: 2, arbitrary: fc.constant('send away' as const) },
    { weight: 1, arbitrary: fc.constant('cut old' as const) },
    { weight: 1, arbitrary: fc.constant('cut new' as const) },
    { weight: 1, arbitrary: fc.constant('rollback' as const) },
    { weight: 1, arbitrary: fc.constant('flush' as const) },
    { weight: 1, arbitrary: fc.constant('trim' as const) },
  ),
  { minLength: 10, maxLength: 80 },
);

/** Runs the steps, then lets everything arrive. */
async function run(script: readonly string[]) {
  const all = setUp();
  const { room, clock, server, client } = all;
  await settle();
  // It is in the room before anything happens to it.
  server.connections[0]?.deliver();
  await settle();
  for (const step of script) {
    const { connections } = server;
    const [oldest, newest] = [connections[0], connections.at(-1)];
    if (step === 'publish') {
      room.publish();
      server.fanOut();
    } else if (step === 'old') oldest?.deliver();
    else if (step === 'new') newest?.deliver();
    else if (step === 'serve') server.serve(newest);
    else if (step === 'repeat') server.repeat(newest);
    else if (step === 'tick') clock.advance(1000);
    else if (step === 'send away') oldest?.say('server_shutdown', { reconnectInMs: 0 });
    else if (step === 'cut old') oldest?.close();
    else if (step === 'cut new') newest?.close();
    else {
      if (step === 'rollback') room.rollBack(2);
      else if (step === 'flush') room.flush();
      else room.trimTo(room.contents.length - 2);
      server.fanOut();
    }
    await settle();
  }
  for (let quiet = 0; quiet < 3; quiet += 1) {
    clock.advance(60_000);
    await settle();
    for (const connection of server.connections) {
      while (connection.inbox.length + connection.outbox.length > 0) {
        quiet = 0;
        server.serve(connection);
        connection.deliver();
        await settle();
      }
    }
  }
  await client.close();
  return all;
}

type Script = typeof steps extends fc.Arbitrary<infer T> ? T : never;

/** Found at random, once in some ten thousand runs. */
const found = [
  // The older connection ends while the newer one has not answered a join that was sent before the first message.
  'send away,new,serve,publish,tick,flush,new,publish,tick,old,publish,old,publish,new,publish,cut old,publish',
  // Redis rolls back to where the newer connection asked to begin, behind what the older one has brought since.
  'send away,new,serve,old,publish,publish,publish,tick,old,new,old,old,rollback,serve,new',
];

test('the application gets every message once and in order, or a gap notice', async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (script) => {
      const { room, held, wrong, last } = await run(script);
      expect(wrong).toEqual([]);
      expect(last()).toBe(room.contents.length);
      for (const [offset, content] of held) expect(content).toBe(room.contents[offset - 1]);
    }),
    { numRuns: 600, examples: found.map((script) => [script.split(',') as Script]) },
  );
});

test('the application gets no gap notice when nothing was lost', async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (script) => {
      const calm = script.filter((step) => !['rollback', 'flush', 'trim'].includes(step));
      expect((await run(calm)).told).toEqual([]);
    }),
    { numRuns: 400 },
  );
});
