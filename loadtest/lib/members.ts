/**
 * The clients of one virtual user, from their first connection to their verdict. Every member of a room publishes the
 * same number of messages, so that each knows what it has to get without asking: that number from everyone.
 */
import exec from 'k6/execution';
import { clearTimeout, setTimeout } from 'k6/timers';
import { type Client, createClient } from './client.ts';
import { createLedger } from './ledger.ts';
import type { Frame } from './link.ts';
import * as metrics from './metrics.ts';
import type { Options } from './options.ts';
import { createStalls, type Stalls } from './stalls.ts';
import { signToken } from './token.ts';

/** What setup hands to every virtual user. */
export interface Run {
  /** Makes the names of this run's rooms and users its own. */
  id: string;
  /** When publishing begins, in ms since the epoch. */
  startAt: number;
}

export function createRun(options: Options): Run {
  const id = Math.random().toString(36).slice(2, 8);
  return { id, startAt: options.startAt ?? Date.now() + options.connect };
}

/** Where a client belongs and what it does; times in ms after `startAt`. */
export interface Plan {
  room: string;
  /** Members of the room, this one too. */
  members: number;
  /** When it connects; before 0. */
  connectAt: number;
  /** When each of its messages is due. All members of a room have as many. */
  sendAt: number[];
  /** The character that fills its messages up. */
  fill?: string;
  /** Rooms that it joins besides; what comes there is its part's. */
  also?: string[];
  /** Whether it tells what its room stored: one member of each does. */
  tells: boolean;
  /** Tags for what it measures at a moment. */
  tags?: (at: number) => Record<string, string>;
}

/** One client, for a script's own part in what it does. */
export interface Member {
  id: number;
  userId: string;
  plan: Plan;
  client: Client;
  /** Acts at a time after `startAt`, in ms. */
  at(ms: number, act: () => void): void;
}

/** What a script does besides with a client that is ready: it gets the frames and messages that are not the room's. */
export type Part = (member: Member) => {
  handleFrame?(frame: Frame): void;
  handleMessage?(room: string, from: string, content: string, late: boolean): void;
  /** Whether it has seen all that it waits for. */
  complete?(): boolean;
};

const COMPLETE_EVERY_MS = 250;
const TOKEN_TTL_S = 24 * 3600;

export const roomOf = (run: Run, number: number): string => `load-${run.id}-${number}`;
export const userOf = (run: Run, id: number): string => `wsfleet:load:${run.id}:${id}`;

/** Clients connect over most of the time for it, and each publishes at its own moment of the common pace. */
export function steadyPlan(options: Options, run: Run, id: number): Plan {
  const { clients, rooms, rate, duration, connect } = options;
  const pace = 1000 / rate;
  const count = Math.floor(duration / pace);
  const phase = pace * ((id / clients) % 1);
  return {
    room: roomOf(run, id % rooms),
    members: Math.floor(clients / rooms) + (id % rooms < clients % rooms ? 1 : 0),
    tells: id < rooms,
    connectAt: -connect + (id / clients) * connect * 0.7,
    sendAt: Array.from({ length: count }, (_, index) => Math.round(phase + index * pace)),
  };
}

/**
 * Runs the clients of this virtual user. The iteration ends with the last of them.
 * @param user which of all that hold clients this is, in a test with several scenarios
 */
export function runMembers(
  options: Options,
  run: Run,
  plan = steadyPlan,
  part?: Part,
  user = exec.scenario.iterationInTest,
): void {
  const first = user * options.perVu;
  const stalls = createStalls();
  let left = Math.min(first + options.perVu, options.clients) - first;
  if (left <= 0) stalls.stop();
  const handleEnd = () => {
    left -= 1;
    if (left === 0) stalls.stop();
  };
  for (let id = first; id < Math.min(first + options.perVu, options.clients); id += 1) {
    const planned = plan(options, run, id);
    const start = () => runMember({ options, run, id, user, plan: planned, part, stalls, handleEnd });
    setTimeout(start, run.startAt + planned.connectAt - Date.now());
  }
}

function runMember(member: {
  options: Options;
  run: Run;
  id: number;
  user: number;
  plan: Plan;
  part: Part | undefined;
  stalls: Stalls;
  handleEnd(): void;
}): void {
  const { options, run, id, user, plan, part, stalls } = member;
  const { room, members, sendAt } = plan;
  const ledger = createLedger();
  const endsAt = run.startAt + options.duration + options.settle;
  const fill = (plan.fill ?? 'x').repeat(options.size);
  const tagsAt = (moment: number) => plan.tags?.(moment - run.startAt);
  const at = (ms: number, act: () => void) => setTimeout(act, Math.max(0, run.startAt + ms - Date.now()));
  let sent = 0;
  let finished = false;
  let own: ReturnType<Part> = {};

  const client = createClient({
    url: options.url,
    rooms: [room, ...(plan.also ?? [])],
    resume: options.resume,
    forwardedFor: options.forwarded ? addressOf(user) : undefined,
    handleRefusal: () => metrics.countFlaw('refused', tagsAt(Date.now())),
    signToken: () => signToken(options, userOf(run, id), TOKEN_TTL_S),
    handleReady() {
      own = part?.({ id, userId: userOf(run, id), plan, client, at }) ?? {};
      if (sendAt[0] !== undefined) at(sendAt[0], publish);
      else at(0, watch);
    },
    handleMessage(where, from, content, late) {
      if (where === room) take(from, content, late);
      else own.handleMessage?.(where, from, content, late);
    },
    handleFrame: (frame) => own.handleFrame?.(frame),
  });
  // Whether or not it was ever ready.
  const deadline = at(options.duration + options.settle, finish);

  function publish(): void {
    const dueAt = run.startAt + (sendAt[sent] ?? 0);
    sent += 1;
    client.chat(`${run.id}-${id}-${sent}`, room, `${sent} ${dueAt} ${fill}`, dueAt);
    const next = sendAt[sent];
    if (next !== undefined) at(next, publish);
    else watch();
  }

  function take(from: string, content: string, late: boolean): void {
    const now = Date.now();
    const [number, dueAt] = content.split(' ', 2).map(Number) as [number, number];
    const { verdict, gap } = ledger.take(from, number, dueAt, now);
    const tags = tagsAt(now);
    if (verdict === 'doubled') {
      metrics.countFlaw('doubled', tags);
      return;
    }
    if (verdict === 'disordered' || late) metrics.countFlaw('disordered', tags);
    metrics.deliveries.add(1, tags);
    metrics.deliveryLatency.add(Math.max(0, now - dueAt - stalls.within(dueAt, now)), tags);
    if (gap) metrics.deliveryGap.add(Math.max(0, gap.ms - stalls.within(gap.since, now)), tags);
    countLost(ledger.overdue(now));
  }

  function countLost(moments: readonly number[]): void {
    for (const since of moments) metrics.countFlaw('lost', tagsAt(since));
  }

  const saidAll = () => sent === sendAt.length && client.waiting === 0 && own.complete?.() !== false;
  const complete = () => ledger.complete(members, sendAt.length) && saidAll();

  /** Ends as soon as there is nothing more to come. */
  function watch(): void {
    if (finished) return;
    if (complete() && Date.now() >= run.startAt + options.duration) finish();
    else setTimeout(watch, Math.max(0, Math.min(COMPLETE_EVERY_MS, endsAt - Date.now())));
  }

  function finish(): void {
    if (finished) return;
    finished = true;
    clearTimeout(deadline);
    metrics.accounted.add(1);
    countLost(ledger.missing(members, sendAt.length));
    if (ledger.heard === members && saidAll()) metrics.clientsVerified.add(1);
    const place = client.places.get(room);
    if (place && plan.tells) metrics.stored.add(place.offset - place.first);
    client.close();
    member.handleEnd();
  }
}

/** An address of the benchmark range (RFC 2544); every virtual user has its own /24. */
function addressOf(user: number): string {
  return `198.${18 + (Math.floor(user / 256) % 2)}.${user % 256}.1`;
}
