/**
 * Revocations in Redis: a sorted set of them by the time that they end, and a version that changes with it. Each instance
 * reads the version every half second, and the set when it has changed and once a minute. When Redis lost them, the
 * instances write back what they know.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { RedisLink } from '../broker/redis-link.ts';
import type { Logger } from '../observability/logger.ts';
import {
  createRevocationList,
  MAX_REVOCATIONS,
  type Revocation,
  type Revocations,
  TooManyRevocations,
} from './revocations.ts';

const SET = 'wsfleet:{revocations}:set';
const VERSION = 'wsfleet:{revocations}:version';
const POLL_MS = 500;
/** The whole set is read after this many polls in any case. What has expired goes then. */
const POLLS_PER_RELOAD = 120;

export function createRedisRevocations(options: {
  link: RedisLink;
  /** Called when Redis had revocations that this instance did not know. */
  handleLearned(): void;
  logger: Logger;
}): Revocations {
  const { link, logger } = options;
  const list = createRevocationList();
  let version: string | null | undefined;
  let polling = false;
  let polls = 0;

  const send = <T>(...command: string[]) => link.commands.sendCommand(command) as Promise<T>;

  /** The version last, so that whoever sees the new one finds them. */
  async function write(revocations: readonly Revocation[]): Promise<void> {
    const entries = revocations.flatMap((each) => [String(each.expiresAt), JSON.stringify(each)]);
    await Promise.all([send('ZADD', SET, ...entries), send('INCR', VERSION)]);
  }

  async function load(): Promise<void> {
    const [current] = await Promise.all([
      send<string | null>('GET', VERSION),
      send('ZREMRANGEBYSCORE', SET, '-inf', String(Date.now())),
    ]);
    polls += 1;
    if (current === version && polls % POLLS_PER_RELOAD > 0) return;
    const members = await send<string[]>('ZRANGE', SET, '0', '-1');
    const stored = new Set(members);
    const learned = members.filter((member) => list.learn(JSON.parse(member) as Revocation));
    if (learned.length > 0) options.handleLearned();
    const lost = list.all.filter((each) => !stored.has(JSON.stringify(each)));
    if (lost.length > 0) {
      await write(lost);
      logger.warn(
        { event: 'revocations_restored', count: lost.length },
        'Redis had lost revocations; wrote them again',
      );
    }
    version = current;
  }

  async function poll(): Promise<void> {
    if (polling || !link.ready) return;
    polling = true;
    try {
      await load();
    } catch (error) {
      logger.debug({ event: 'revocations_poll_failed', err: error }, 'revocations could not be read');
    } finally {
      polling = false;
    }
  }

  const timer = setInterval(() => void poll(), POLL_MS).unref();
  const onUp = () => {
    // Redis may have come back without what it had, and with a version that was there before.
    version = undefined;
    void poll();
  };
  link.events.on('up', onUp);

  return {
    isRevoked: list.isRevoked,
    learn: (revocation) => void list.learn(revocation),
    async revoke(revocation) {
      if (list.all.length >= MAX_REVOCATIONS) throw new TooManyRevocations();
      try {
        if (!link.ready) throw link.refusals.refuse();
        await write([revocation]);
      } catch (error) {
        throw link.refusals.refuse(error);
      }
      list.learn(revocation);
    },
    async start() {
      for (await poll(); version === undefined; await poll()) await delay(POLL_MS);
    },
    close() {
      clearInterval(timer);
      link.events.off('up', onUp);
    },
  };
}
