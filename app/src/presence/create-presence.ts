import type { RedisLink } from '../broker/redis-link.ts';
import type { Config } from '../config.ts';
import type { Logger } from '../observability/logger.ts';
import { createMemoryPresence } from './memory-presence.ts';
import type { OnGone, Presence } from './presence.ts';
import { createRedisPresence } from './redis-presence.ts';

/** Presence in Redis where the broker has a link to it, otherwise in memory. */
export function createPresence(options: {
  config: Config;
  link: RedisLink | undefined;
  onGone: OnGone;
  logger: Logger;
}): Presence {
  const { config, link, onGone, logger } = options;
  const grace = config.PRESENCE_GRACE;
  if (!link) return createMemoryPresence({ grace, onGone });
  return createRedisPresence({ link, lease: config.PRESENCE_LEASE, grace, onGone, logger });
}
