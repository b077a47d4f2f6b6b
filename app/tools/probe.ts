/**
 * Watches the cluster from outside: node app/tools/probe.ts WS_URL [--rooms 3] [--clients 10] [--insecure]. In each room
 * every client publishes as fast as the rate limit allows, and checks what it receives by publisher and number. A line on
 * standard input ends a period and names it; the probe then prints a line of JSON about that period, and at the end of the
 * input one about the whole run. Exits 1 when an acknowledged message was lost, doubled or out of order. Signs its own
 * tokens with JWT_SECRET.
 */
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { WebSocket } from 'ws';
import { type Client, createClient } from '../client/src/index.ts';
import { createLedger, type Ledger } from './lib/ledger.ts';
import { percentile } from './lib/percentile.ts';
import { signToken } from './lib/signer.ts';

/** How long the last messages may take after the end: to be acknowledged, and then to arrive. */
const SETTLE_DEADLINE_MS = 15_000;
const TOKEN_TTL_MS = 60 * 60 * 1000;

const { values, positionals } = parseArgs({
  options: {
    rooms: { type: 'string', default: '3' },
    clients: { type: 'string', default: '10' },
    insecure: { type: 'boolean', default: false },
  },
  allowPositionals: true,
});
const [url] = positionals;
const [rooms, clientsPerRoom] = [Number(values.rooms), Number(values.clients)];
if (!url || !(rooms >= 1) || !(clientsPerRoom >= 2)) {
  console.error('usage: probe.ts WS_URL [--rooms 3] [--clients 10] [--insecure]; ends with its standard input');
  process.exit(64);
}

const ratePerMinute = Number(process.env['RATE_LIMIT_PER_MINUTE'] || 60);
const run = Math.random().toString(36).slice(2, 8);

/** What was seen in a stretch of time. */
interface Period {
  /** Handshakes that were not answered with 101, or not at all. */
  refused: number;
  /**
   * Each member's longest silence of a publisher beyond that one's own pace, in ms: what members of a room notice of a
   * restart, and 0 where nothing was to be noticed.
   */
  gaps: Map<Probe, number>;
}
const createPeriod = (): Period => ({ refused: 0, gaps: new Map() });
const whole = createPeriod();
let period = createPeriod();

let sockets = 0;
/** The socket of `ws`, because a browser's does not tell a refused handshake from a lost connection. */
class ProbeSocket extends WebSocket {
  constructor(address: string, protocols: string[]) {
    // NGINX believes the header on its internal listener: to ip_hash every socket is another client.
    const headers = { 'X-Forwarded-For': `198.18.${sockets++ % 256}.1` };
    super(address, protocols, { headers, rejectUnauthorized: !values.insecure });
    let answered = false;
    this.on('open', () => {
      answered = true;
    });
    this.on('unexpected-response', (request) => request.destroy());
    this.on('error', () => {
      if (!answered) for (const each of [whole, period]) each.refused += 1;
      answered = true;
    });
  }
}

interface Probe {
  client: Client;
  room: string;
  userId: string;
  sent: number;
  /** Highest number that was acknowledged. */
  acknowledged: number;
  /** By publisher. */
  ledgers: Map<string, Ledger>;
  /** Its last message's way from sending to arrival, in ms, by publisher. */
  delays: Map<string, number>;
}

let delivered = 0;

function createProbe(room: string, index: number): Probe {
  const userId = `wsfleet:probe:${run}:${room}:${index}`;
  const client = createClient({
    url: url ?? '',
    token: () => signToken({ userId, username: 'probe' }, TOKEN_TTL_MS),
    rooms: [room],
    backoff: { base: 200, cap: 2000 },
    WebSocket: ProbeSocket as never,
  });
  const probe: Probe = { client, room, userId, sent: 0, acknowledged: 0, ledgers: new Map(), delays: new Map() };
  client.on('message', ({ from, content }) => {
    const [number, sentAt] = String(content).split(' ').map(Number) as [number, number];
    ledgerOf(probe, from.userId).take(number);
    const took = performance.now() - sentAt;
    const gap = Math.max(0, took - (probe.delays.get(from.userId) ?? took));
    probe.delays.set(from.userId, took);
    for (const { gaps } of [whole, period]) gaps.set(probe, Math.max(gap, gaps.get(probe) ?? 0));
    delivered += 1;
  });
  client.connect();
  return probe;
}

function ledgerOf(member: Probe, publisher: string): Ledger {
  const ledger = member.ledgers.get(publisher) ?? createLedger();
  member.ledgers.set(publisher, ledger);
  return ledger;
}

/** Publishes one message after the other until `stopped`, slowly enough for the rate limit. */
async function publish(probe: Probe, stopped: AbortSignal): Promise<void> {
  const pace = (60_000 / ratePerMinute) * 1.25;
  await pause(Math.random() * pace, stopped);
  while (!stopped.aborted) {
    const number = ++probe.sent;
    await probe.client.chat(`${number} ${performance.now()}`, probe.room);
    probe.acknowledged = number;
    await pause(pace, stopped);
  }
}

/** Resolves after so long, or as soon as `signal` says so. */
function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return delay(ms, undefined, signal && { signal }).catch(() => undefined);
}

function judge(probes: readonly Probe[]): { lost: number; doubled: number; disordered: number } {
  const count = { lost: 0, doubled: 0, disordered: 0 };
  for (const member of probes) {
    for (const publisher of probes.filter(({ room }) => room === member.room)) {
      const ledger = ledgerOf(member, publisher.userId);
      count.lost += ledger.lost(publisher.acknowledged);
      count.doubled += ledger.doubled;
      count.disordered += ledger.disordered;
    }
  }
  return count;
}

function describe({ refused, gaps }: Period) {
  const sorted = [...gaps.values()].sort((a, b) => a - b);
  const gap = (p: number) => Number(percentile(sorted, p).toFixed(1));
  return { refused, gapP50Ms: gap(0.5), gapP99Ms: gap(0.99), gapMaxMs: gap(1) };
}

const ended = new AbortController();
createInterface(process.stdin)
  .on('line', (name) => {
    console.log(JSON.stringify({ period: name, ...describe(period) }));
    period = createPeriod();
  })
  .on('close', () => ended.abort());
process.on('SIGTERM', () => ended.abort());
process.on('SIGINT', () => ended.abort());

const probes = Array.from({ length: rooms }, (_, room) =>
  Array.from({ length: clientsPerRoom }, (_, index) => createProbe(`probe-${run}-${room}`, index)),
).flat();
await Promise.all(probes.map(({ client, room }) => client.join(room)));
console.error(`probing ${rooms} rooms with ${clientsPerRoom} clients each`);
const publishing = Promise.all(probes.map((probe) => publish(probe, ended.signal)));
if (!ended.signal.aborted) await once(ended.signal, 'abort');

await Promise.race([publishing, pause(SETTLE_DEADLINE_MS)]);
const settled = performance.now() + SETTLE_DEADLINE_MS;
while (judge(probes).lost > 0 && performance.now() < settled) await pause(50);
const outcome = judge(probes);
const published = probes.reduce((sum, { acknowledged }) => sum + acknowledged, 0);
console.log(JSON.stringify({ period: 'all', published, delivered, ...outcome, ...describe(whole) }));
await Promise.all(probes.map(({ client }) => client.close()));
process.exit(outcome.lost + outcome.doubled + outcome.disordered > 0 || delivered === 0 ? 1 : 0);
