/**
 * The wave of reconnects when an instance goes: how long until everyone is back in their room with what they missed, and
 * what Redis does meanwhile. Real NGINX and Redis and three instances, of which one holds all clients. The others have
 * none of their rooms, so that what they missed is read from Redis.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { createBackoff } from '../client/src/backoff.ts';
import type { Position, ServerMessages } from '../src/protocol.ts';
import { type Rig, startRig } from '../test/faults/rig.ts';
import { within } from '../test/harness/process.ts';
import { tokenFor } from '../test/harness/tokens.ts';
import { percentile } from '../tools/lib/percentile.ts';
import { type BenchSocket, openAll, openSocket } from './client.ts';
import { ofType } from './dialect.ts';
import { redisCpu } from './redis.ts';

const CLIENTS = 3000;
const ROOMS = [3, 100, 1500];
/** Messages that each client is behind. */
const BEHIND = 3;
const PATIENCE_MS = 60_000;

const isJoined = ofType('joined_room');
const isMessage = ofType('message');
const isShutdown = ofType('server_shutdown');
const isConnected = ofType('connected');
const isError = ofType('error');

const payloadOf = <T>(frame: Buffer) => (JSON.parse(frame.toString()) as { payload: T }).payload;

interface Way {
  title: string;
  rooms: readonly number[];
  env: Readonly<Record<string, string>>;
  /** Everyone has another slot. */
  spread?: true;
  end(instance: Rig['instances'][number]): Promise<unknown>;
}

const ways: readonly Way[] = [
  { title: 'killed', rooms: ROOMS, env: {}, end: (instance) => instance.kill() },
  // All slots at once: the wave that they are there to avoid.
  {
    title: 'SIGTERM, DRAIN_WINDOW=0ms',
    rooms: ROOMS,
    env: { DRAIN_WINDOW: '0ms' },
    end: (instance) => instance.stop(),
  },
  // The default, over which they spread it: what counts is the time from each one's slot.
  {
    title: 'SIGTERM, DRAIN_WINDOW=10s',
    spread: true,
    rooms: [100],
    env: { DRAIN_WINDOW: '10s' },
    end: (instance) => instance.stop(),
  },
];

/** Where the rig is quicker or stricter than the kit. */
const asTheKit = { HEARTBEAT_INTERVAL: '30s', HEARTBEAT_TIMEOUT: '10s' };

interface Back {
  at: number;
  /** Milliseconds from its slot, where it had one. */
  sinceSlot: number | undefined;
  /** Attempts that failed. */
  failures: number;
}

class Member {
  readonly #url: string;
  readonly #token: string;
  readonly #room: string;
  readonly #backoff = createBackoff({ base: 1000, cap: 30_000, random: Math.random });
  readonly #back = Promise.withResolvers<Back>();
  #socket: BenchSocket | undefined;
  #instanceId = '';
  /** That it goes on from: it stays where it joined first. */
  #position: Position | undefined;
  #slotAt: number | undefined;
  #failures = 0;
  #over = false;
  messages = 0;

  constructor(url: string, index: number, rooms: number) {
    this.#url = url;
    this.#token = tokenFor(String(index));
    this.#room = `room${index % rooms}`;
  }

  get instanceId() {
    return this.#instanceId;
  }
  /** Resolves when it has joined on another connection and has all that it missed. */
  get back() {
    return this.#back.promise;
  }

  async join(): Promise<void> {
    const joined = Promise.withResolvers<void>();
    const socket = await openSocket(this.#url, this.#token, (frame) => {
      if (isConnected(frame)) this.#instanceId = payloadOf<ServerMessages['connected']>(frame).instanceId;
      else if (isMessage(frame)) this.messages += 1;
      else if (isError(frame)) joined.reject(new Error(frame.toString()));
      else if (isShutdown(frame)) this.#handleSlot(payloadOf<ServerMessages['server_shutdown']>(frame).reconnectInMs);
      else if (isJoined(frame)) {
        this.#position = payloadOf<ServerMessages['joined_room']>(frame).position;
        joined.resolve();
      }
    });
    socket.onClose(() => {
      if (this.#slotAt === undefined && !this.#over) this.#comeBackIn(this.#backoff.next());
    });
    socket.send(JSON.stringify({ type: 'join_room', payload: { room: this.#room } }));
    this.#socket = socket;
    await joined.promise;
  }

  publish(): void {
    this.#socket?.send(JSON.stringify({ type: 'chat', payload: { room: this.#room, content: 'x'.repeat(100) } }));
  }

  close(): void {
    this.#over = true;
    this.#socket?.terminate();
  }

  #handleSlot(inMs: number): void {
    this.#slotAt = performance.now() + inMs;
    this.#comeBackIn(inMs);
  }

  #comeBackIn(ms: number): void {
    setTimeout(() => {
      if (this.#over) return;
      this.#resume().catch(() => {
        this.#failures += 1;
        this.#comeBackIn(this.#backoff.next());
      });
    }, ms);
  }

  async #resume(): Promise<void> {
    let missing = BEHIND + 1;
    const ended = Promise.withResolvers<never>();
    const resumed = Promise.withResolvers<void>();
    const socket = await openSocket(this.#url, this.#token, (frame) => {
      if (isError(frame)) ended.reject(new Error(frame.toString()));
      else if (isJoined(frame)) {
        const { recovery, replayed } = payloadOf<ServerMessages['joined_room']>(frame);
        if (recovery === 'recovered' && replayed === BEHIND) missing -= 1;
        else this.#back.reject(new Error(`not resumed: ${frame}`));
      } else if (isMessage(frame)) missing -= 1;
      if (missing === 0) resumed.resolve();
    });
    socket.onClose(() => ended.reject(new Error('closed before it had resumed')));
    socket.send(JSON.stringify({ type: 'join_room', payload: { room: this.#room, position: this.#position } }));
    await Promise.race([resumed.promise, ended.promise]);
    // Make before break, as the kit's client.
    this.#socket?.close(1000);
    this.#socket = socket;
    const at = performance.now();
    this.#back.resolve({ at, sinceSlot: this.#slotAt && at - this.#slotAt, failures: this.#failures });
  }
}

async function runWave(way: Way, rooms: number): Promise<string> {
  const rig = await startRig({ env: { ...asTheKit, ...way.env } });
  try {
    return await measure(rig, way, rooms);
  } finally {
    await rig[Symbol.asyncDispose]();
  }
}

async function measure(rig: Rig, { end, spread }: Way, rooms: number): Promise<string> {
  // The rig waits for the disk at each write.
  await rig.redis.command('CONFIG', 'SET', 'appendfsync', 'everysec');
  const members = await openAll(CLIENTS, async (index) => {
    const member = new Member(rig.url, index, rooms);
    await member.join();
    return member;
  });
  // NGINX sends a /24 to one instance.
  const [{ instanceId } = { instanceId: '' }] = members;
  const instance = rig.instances.find(({ id }) => id === instanceId);
  if (!instance || members.some((member) => member.instanceId !== instanceId)) {
    throw new Error('the clients are not on one instance');
  }
  for (let message = 0; message < BEHIND; message += 1) for (const member of members.slice(0, rooms)) member.publish();
  while (members.some(({ messages }) => messages < BEHIND)) await delay(100);

  const cpu = await redisCpu(rig.redis);
  // The first slot is at the signal.
  const begin = performance.now();
  const ended = end(instance);
  const backs = await within(Promise.all(members.map(({ back }) => back)), () => 'everyone to be back', PATIENCE_MS);
  const took = performance.now() - begin;
  const share = ((await redisCpu(rig.redis)) - cpu) / 1000 / took;
  await ended;
  for (const member of members) member.close();

  const last = Math.max(...backs.map(({ at }) => at)) - begin;
  const since = backs.flatMap(({ sinceSlot }) => sinceSlot ?? []).sort((a, b) => a - b);
  const ms = (p: number) => percentile(since, p).toFixed(0);
  const slots = spread ? ` (each after its slot: p50 ${ms(0.5)} ms, p99 ${ms(0.99)} ms)` : '';
  const failures = backs.reduce((sum, back) => sum + back.failures, 0);
  const tries = failures > 0 ? ` and ${failures} attempts that failed` : '';
  return `${rooms} rooms ${(last / 1000).toFixed(1)} s${tries}${slots}, Redis ${(100 * share).toFixed(0)} %`;
}

export async function wave(): Promise<void> {
  console.log(`wave    ${CLIENTS} clients, ${BEHIND} messages behind; wanted: all back within 5 s, Redis below 50 %`);
  for (const way of ways) {
    const results: string[] = [];
    for (const rooms of way.rooms) results.push(await runWave(way, rooms));
    console.log(`        ${way.title}: ${results.join('; ')} of a core`);
  }
}
