/**
 * The queue in Redis: a stream, a count of the events that were dropped, and a lease for the instance that sends. One
 * sender keeps the events in order. It renews its lease with every attempt; when it is gone, another one takes over and may
 * repeat the last batch.
 */
import type { RedisLink } from '../broker/redis-link.ts';
import { loadScript } from '../broker/redis-script.ts';
import { MAX_BATCH, type WebhookQueue } from './queue.ts';

const QUEUE = 'wsfleet:{webhooks}:queue';
const DROPPED = 'wsfleet:{webhooks}:dropped';
const SENDER = 'wsfleet:{webhooks}:sender';
/** Longer than an attempt and the wait after it, see sender.ts. */
const LEASE_MS = 10_000;
/** A queue that nobody sends any more is forgotten. */
const TTL_MS = 7 * 24 * 3600 * 1000;

const file = (name: string) => new URL(name, import.meta.url);
const addScript = loadScript(file('add.lua'));
const takeScript = loadScript(file('take.lua'));
const removeScript = loadScript(file('remove.lua'));
const releaseScript = loadScript(file('release.lua'));

export function createRedisQueue(options: { link: RedisLink; size: number; instance: string }): WebhookQueue {
  const { link, size, instance } = options;

  async function run<T>(script: typeof addScript, keys: readonly string[], args: readonly string[]): Promise<T> {
    try {
      if (!link.ready) throw link.refusals.refuse();
      return await script.run<T>(link.commands, keys, args);
    } catch (error) {
      throw link.refusals.refuse(error);
    }
  }

  return {
    add: (events) => run<number>(addScript, [QUEUE, DROPPED], [String(size), String(TTL_MS), ...events]),
    async take() {
      const args = [instance, String(LEASE_MS), String(MAX_BATCH)];
      const answer = await run<[number, number, string[], string[]] | null>(takeScript, [SENDER, QUEUE, DROPPED], args);
      if (!answer) return undefined;
      const [waiting, dropped, ids, events] = answer;
      return {
        events,
        dropped,
        waiting,
        remove: (count) => run(removeScript, [QUEUE, DROPPED], [String(dropped), ...ids.slice(0, count)]),
      };
    },
    release: () => run(releaseScript, [SENDER], [instance]),
  };
}
