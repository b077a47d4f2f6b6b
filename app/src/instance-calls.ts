/**
 * Calls between instances: one asks one other, or all of them, and each answers. They take the broker's announcements, so
 * nothing is stored. Every instance has a channel of its own, and one that all of them share.
 *
 * On a channel a call is `ask METHOD QUESTION FROM \n PARAMS`, and what comes back `answer QUESTION \n RESULT` or
 * `failed QUESTION \n`; parameters and results are JSON.
 */
import { nanoid } from 'nanoid';
import { type Broker, BrokerUnavailable } from './broker/broker.ts';
import { withDeadline } from './deadline.ts';

const CHANNEL_PREFIX = '@instance:';
/** All instances subscribe to it. */
const SHARED_CHANNEL = '@instances';
export const INSTANCE_NAME_LENGTH = 8;
const DEADLINE_MS = 1000;

/** Whom a call goes to: the name of an instance, or every instance, this one included. */
export const EVERY_INSTANCE = Symbol('every instance');

/**
 * Asks, and resolves with an answer of every instance that was asked; with none if there is no such instance.
 * @throws {BrokerUnavailable} with `uncertain` when not all of them answered in time
 */
export type Call<P, R> = (to: string | typeof EVERY_INSTANCE, params: P) => Promise<R[]>;

export interface InstanceCalls {
  /** The name of this instance among the others, new at each start. */
  readonly name: string;
  /** Defines a call: how this instance answers it. @returns the function that asks others */
  define<P, R>(method: string, answer: (params: P) => R | Promise<R>, deadlineMs?: number): Call<P, R>;
  /** Whether what arrives on this channel of the broker is a call. */
  owns(channel: string): boolean;
  handleAnnouncement(body: Buffer): void;
}

interface Question {
  results: unknown[];
  failed: number;
  /** Answers that are expected; unknown until the broker says how many instances were asked. */
  expected: number;
  settle(): void;
}

export function createInstanceCalls({ broker }: { broker: Broker }): InstanceCalls {
  const name = nanoid(INSTANCE_NAME_LENGTH);
  const methods = new Map<string, (params: unknown) => unknown>();
  /** Questions that wait for answers; each ends with the last answer or its deadline. */
  const asked = new Map<string, Question>();
  let questions = 0;

  async function ask(
    to: string | typeof EVERY_INSTANCE,
    method: string,
    params: unknown,
    deadlineMs: number,
  ): Promise<unknown[]> {
    questions += 1;
    const id = String(questions);
    const { promise, resolve } = Promise.withResolvers<true>();
    const question: Question = {
      results: [],
      failed: 0,
      expected: Number.POSITIVE_INFINITY,
      settle() {
        if (this.results.length + this.failed >= this.expected) resolve(true);
      },
    };
    asked.set(id, question);
    try {
      const channel = to === EVERY_INSTANCE ? SHARED_CHANNEL : CHANNEL_PREFIX + to;
      question.expected = await broker.announce(channel, `ask ${method} ${id} ${name}\n${JSON.stringify(params)}`);
      question.settle();
      const complete = await withDeadline(promise, deadlineMs);
      if (!complete || question.failed > 0) throw new BrokerUnavailable({ uncertain: true });
      return question.results;
    } finally {
      asked.delete(id);
    }
  }

  async function answer(method: string, question: string, from: string, params: string): Promise<void> {
    let reply = `failed ${question}\n`;
    try {
      const run = methods.get(method);
      // `null` for a method without a result.
      if (run) reply = `answer ${question}\n${JSON.stringify((await run(JSON.parse(params))) ?? null)}`;
    } catch {
      // The instance that asked is told that it failed.
    }
    // When the answer does not arrive, the one that asked takes the outcome as unknown.
    await broker.announce(CHANNEL_PREFIX + from, reply).catch(() => undefined);
  }

  const channels = new Set([CHANNEL_PREFIX + name, SHARED_CHANNEL]);
  for (const channel of channels) void broker.subscribe(channel);

  return {
    name,
    define<P, R>(method: string, run: (params: P) => R | Promise<R>, deadlineMs = DEADLINE_MS): Call<P, R> {
      methods.set(method, run as (params: unknown) => unknown);
      return (to, params) => ask(to, method, params, deadlineMs) as Promise<R[]>;
    },
    owns: (channel) => channels.has(channel),
    handleAnnouncement(body) {
      const text = body.toString();
      const end = text.indexOf('\n');
      const [kind, ...head] = text.slice(0, end).split(' ');
      const rest = text.slice(end + 1);
      if (kind === 'ask') {
        const [method = '', question = '', from = ''] = head;
        void answer(method, question, from, rest);
        return;
      }
      const question = asked.get(head[0] ?? '');
      if (!question) return;
      if (kind === 'answer') question.results.push(JSON.parse(rest));
      else question.failed += 1;
      question.settle();
    },
  };
}
