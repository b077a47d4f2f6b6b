import type { Config } from '../config.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import type { Broker, BrokerHandlers, Retention } from './broker.ts';
import { createMemoryBroker } from './memory-broker.ts';
import type { RedisLink } from './redis-link.ts';

/** The broker that `BROKER` names, and with Redis the link that presence shares. */
export async function createBroker(options: {
  config: Config;
  retentionOf(room: string): Retention;
  handlers: BrokerHandlers;
  metrics: Metrics;
  logger: Logger;
}): Promise<{ broker: Broker; link: RedisLink | undefined }> {
  const { config, retentionOf, handlers, metrics, logger } = options;
  if (config.BROKER === 'memory') return { broker: createMemoryBroker({ handlers, retentionOf }), link: undefined };
  // Loaded on demand: the client for Redis takes 0.2 s and 30 MB.
  const [{ createRedisLink }, { createRedisBroker }] = await Promise.all([
    import('./redis-link.ts'),
    import('./redis-broker.ts'),
  ]);
  const link = createRedisLink({
    url: config.REDIS_URL,
    password: config.REDIS_PASSWORD,
    instanceId: config.INSTANCE_ID,
    logger,
    handleRefusal: (reason) => metrics.brokerRefusals.inc(reason),
    handleReconnect: (name) => metrics.redisReconnects.inc(name),
  });
  return { broker: createRedisBroker({ link, handlers, retentionOf }), link };
}
