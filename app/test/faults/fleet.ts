/**
 * Clients that talk at a steady rate and check every message: by publisher and number (lost, doubled, disordered) and by
 * position (all members of a room see one order). Each room has its publishers; besides, there are broadcasts to
 * everyone and direct messages.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { type ClientOptions, RequestError } from '../../client/src/index.ts';
import type { Position } from '../../src/protocol.ts';
import { type Delivery, type Handshakes, Member } from './member.ts';
import { freshRoom } from './rig.ts';

/** How many of those who lack something are described. */
const MISSING_SHOWN = 5;
/** A publisher that is behind its interval by that much waits for acks: a busy machine must not fill its outbox. */
const MAX_UNACKNOWLEDGED = 200;

export interface FleetOptions {
  /** Where the member of this index connects. */
  url(index: number): string;
  clients: number;
  rooms: number;
  publishersPerRoom: number;
  /** Between two messages of one publisher, in ms. */
  interval: number;
  client?: Partial<ClientOptions>;
  /** Clients say their addresses in X-Forwarded-For; else they have them. */
  forwarded?: boolean;
  /** Members keep what they got, for scenarios in which history is lost. */
  keepViews?: boolean;
}

/** One publisher's messages to one channel. */
interface Stream {
  publisher: Member;
  /** `room`, `@all` or `@me`, as its readers call it. */
  channel: string;
  readers: readonly Member[];
  interval: number;
  send(content: string): Promise<{ position: Position | null; duplicate: boolean }>;
  published: number;
  acknowledged: number;
  /** Where its messages are in the channel, by their number. */
  offsets: Map<number, number>;
}

const unsent = () => ({ published: 0, acknowledged: 0, offsets: new Map<number, number>() });

export interface Judgement {
  expected: number;
  /** Missing, and the member got no notice. */
  lost: number;
  doubled: number;
  disordered: number;
}

export interface Fleet extends AsyncDisposable {
  readonly members: readonly Member[];
  readonly streams: readonly Stream[];
  readonly rooms: readonly string[];
  readonly handshakes: Handshakes;
  /** From sending to arrival, in ms, of every delivery since the last `takeLatencies`. */
  takeLatencies(): number[];
  /** Acknowledgements that said that the message was there already. */
  readonly duplicates: number;
  /** Publishes that the client gave up. */
  readonly refusals: readonly string[];
  /** All messages that were acknowledged, and who sent them. */
  readonly acknowledged: readonly { channel: string; userId: string; content: string }[];
  /** Starts the steady traffic. */
  talk(): void;
  /** No more messages; resolves when all that were sent are acknowledged. */
  hush(): Promise<void>;
  /** Every publisher of rooms sends this many at once, of at least `size` characters. */
  burst(count: number, size?: number): void;
  /** Every member is connected, and has had a message that was sent from now on. */
  flowing(ms: number): Promise<void>;
  /** Who lacks what, whether they were told or not, in words: some of them. */
  missing(): string[];
  /** Waits until nothing is missing, at most `ms`. */
  settle(ms: number): Promise<Judgement>;
}

export async function startFleet(options: FleetOptions): Promise<Fleet> {
  const handshakes: Handshakes = { refused: 0, failed: 0 };
  const rooms = Array.from({ length: options.rooms }, freshRoom);
  const run = freshRoom().slice(-8);
  let latencies: number[] = [];
  /** By channel, epoch and offset: who saw it first says what it is. */
  const order = new Map<string, string>();
  let contradictions = 0;
  let duplicates = 0;
  const refusals: string[] = [];
  const acknowledged: { channel: string; userId: string; content: string }[] = [];

  function handleDelivery(member: Member, { channel, publisher, number, sentAt, position }: Delivery): void {
    latencies.push(performance.now() - sentAt);
    const key = `${channel === '@me' ? member.userId : channel} ${position.epoch} ${position.offset}`;
    const message = `${publisher} ${number}`;
    const known = order.get(key);
    if (known === undefined) order.set(key, message);
    else if (known !== message) contradictions += 1;
  }

  const members = Array.from({ length: options.clients }, (_, index) => {
    const room = rooms[index % rooms.length] ?? '';
    return new Member({
      name: `${run}-${index}`,
      url: options.url(index),
      keepViews: options.keepViews ?? false,
      rooms: [room, '@all', '@me'],
      // ip_hash looks at three octets.
      ...(options.forwarded
        ? { forwardedFor: `20.0.${1 + (index % 250)}.1` }
        : { localAddress: `127.0.${1 + (index % 250)}.1` }),
      handshakes,
      client: options.client ?? {},
      handleDelivery,
    });
  });
  const inRoom = (room: string) => members.filter(({ client }) => client.rooms.includes(room));

  const streams: Stream[] = rooms.flatMap((room) => {
    const readers = inRoom(room);
    return readers.slice(0, options.publishersPerRoom).map((publisher) => ({
      publisher,
      channel: room,
      readers,
      interval: options.interval,
      send: (content: string) => publisher.client.chat(content, room),
      ...unsent(),
    }));
  });
  const [, second] = members;
  const last = members.at(-1);
  if (!second || !last) throw new Error('a fleet has at least two clients');
  streams.push(
    {
      publisher: second,
      channel: '@all',
      readers: members,
      interval: 1000,
      send: (content) => second.client.chat(content),
      ...unsent(),
    },
    {
      publisher: second,
      channel: '@me',
      readers: [last],
      interval: options.interval,
      send: (content) => second.client.direct({ userId: last.userId }, content),
      ...unsent(),
    },
  );

  const sending = new Set<Promise<void>>();
  function publish(stream: Stream, size = 0): void {
    const number = ++stream.published;
    const content = `${number} ${performance.now().toFixed(2)} `.padEnd(size, 'x');
    const sent = stream.send(content).then(
      ({ position, duplicate }) => {
        stream.acknowledged += 1;
        if (position) stream.offsets.set(number, position.offset);
        if (duplicate) duplicates += 1;
        acknowledged.push({ channel: stream.channel, userId: stream.publisher.userId, content });
      },
      (error: unknown) => void refusals.push(error instanceof RequestError ? error.code : String(error)),
    );
    sending.add(sent);
    void sent.finally(() => sending.delete(sent));
  }

  function publishInPace(stream: Stream): void {
    if (stream.published - stream.acknowledged < MAX_UNACKNOWLEDGED) publish(stream);
  }

  const timers: NodeJS.Timeout[] = [];
  function stop(): void {
    for (const timer of timers.splice(0)) clearInterval(timer);
  }

  /** What a reader has not had of a stream, and of how much of it it was told. */
  function lacking({ publisher, channel, published, offsets }: Stream, reader: Member) {
    const missing = reader.ledger(channel, publisher.userId).missing(published);
    return { missing, told: missing.filter((number) => reader.wasTold(channel, offsets.get(number))).length };
  }

  function judge(): Judgement {
    const count = { expected: 0, lost: 0, doubled: 0, disordered: contradictions };
    for (const stream of streams) {
      const { publisher, channel, readers, published } = stream;
      count.expected += published * readers.length;
      for (const reader of readers) {
        const ledger = reader.ledger(channel, publisher.userId);
        const { missing, told } = lacking(stream, reader);
        count.lost += missing.length - told;
        count.doubled += ledger.doubled;
        count.disordered += ledger.disordered;
      }
    }
    return count;
  }

  for (const { client } of members) client.connect();
  await Promise.all(members.flatMap(({ client }) => client.rooms.map((room) => client.join(room))));

  return {
    members,
    streams,
    rooms,
    handshakes,
    acknowledged,
    refusals,
    get duplicates() {
      return duplicates;
    },
    takeLatencies() {
      const taken = latencies;
      latencies = [];
      return taken;
    },
    talk() {
      for (const [index, stream] of streams.entries()) {
        // Spread over the interval, so that a room's messages come at an even pace.
        const start = setTimeout(
          () => timers.push(setInterval(publishInPace, stream.interval, stream)),
          (index / streams.length) * stream.interval,
        );
        timers.push(start);
      }
    },
    async hush() {
      stop();
      await Promise.all(sending);
    },
    burst(count, size) {
      for (let i = 0; i < count; i += 1)
        for (const stream of streams) if (!stream.channel.startsWith('@')) publish(stream, size);
    },
    async flowing(ms) {
      const since = performance.now();
      const isBehind = (member: Member) =>
        member.instanceId === undefined || member.lastSentAt < Math.max(since, member.backAt);
      for (let behind = members.filter(isBehind); behind.length > 0; behind = behind.filter(isBehind)) {
        if (performance.now() > since + ms) {
          const [{ name, client, lastSentAt } = {}] = behind;
          const example = `${name} is ${JSON.stringify(client?.state)}, ${since - (lastSentAt ?? 0)} ms behind`;
          throw new Error(`${behind.length} members were not back within ${ms} ms: ${example}`);
        }
        await delay(20);
      }
    },
    missing() {
      const found = streams.flatMap((stream) =>
        stream.readers.map((reader) => ({ stream, reader, ...lacking(stream, reader) })),
      );
      const some = found.filter(({ missing }) => missing.length > 0);
      const sum = (of: (each: (typeof some)[number]) => number) => some.reduce((total, each) => total + of(each), 0);
      return [
        ...some.slice(0, MISSING_SHOWN).map(({ stream: { publisher, channel, published }, reader, missing, told }) => {
          const what = `${reader.name} lacks ${missing.length} of ${publisher.name} in ${channel}, told ${told}`;
          const joins = reader.joins.filter(({ room }) => room === channel).slice(-4);
          const details = JSON.stringify({ joins, state: reader.client.state });
          return `${what}: ${missing[0]} to ${missing.at(-1)} of ${published}, ${details}`;
        }),
        ...(some.length > 0
          ? [`${sum(({ missing }) => missing.length)} are missing, ${sum(({ told }) => told)} of them told`]
          : []),
      ];
    },
    async settle(ms) {
      const deadline = performance.now() + ms;
      while (judge().lost > 0 && performance.now() < deadline) await delay(20);
      // What comes twice comes late.
      await delay(200);
      return judge();
    },
    async [Symbol.asyncDispose]() {
      stop();
      await Promise.all(members.map((member) => member.close()));
    },
  };
}
