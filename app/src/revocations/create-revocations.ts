import type { RedisLink } from '../broker/redis-link.ts';
import type { Logger } from '../observability/logger.ts';
import { createMemoryRevocations } from './memory-revocations.ts';
import { createRedisRevocations } from './redis-revocations.ts';
import type { Revocations } from './revocations.ts';

/** Revocations in Redis where the broker has a link to it, otherwise in memory. */
export function createRevocations(options: {
  link: RedisLink | undefined;
  /** Called when this instance has learned of revocations by itself. */
  handleLearned(): void;
  logger: Logger;
}): Revocations {
  const { link } = options;
  return link ? createRedisRevocations({ ...options, link }) : createMemoryRevocations();
}
