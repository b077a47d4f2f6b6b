import type { RedisLink } from '../broker/redis-link.ts';
import type { Config } from '../config.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import { createMemoryQueue } from './queue.ts';
import type { Webhooks } from './webhooks.ts';

/** Webhooks where `WEBHOOK_URL` is set, with a queue in Redis where the broker has a link to it. */
export async function createWebhooks(options: {
  config: Config;
  link: RedisLink | undefined;
  /** The name of this instance among the others. */
  instance: string;
  version: string;
  metrics: Metrics;
  logger: Logger;
}): Promise<Webhooks | undefined> {
  const { config, link, instance } = options;
  if (config.WEBHOOK_URL === '') return undefined;
  // Loaded on demand: most do without.
  const [webhooks, { createRedisQueue }, { createWebhookSender }] = await Promise.all([
    import('./webhooks.ts'),
    import('./redis-queue.ts'),
    import('./sender.ts'),
  ]);
  const size = config.WEBHOOK_QUEUE_SIZE;
  const queue = link ? createRedisQueue({ link, size, instance }) : createMemoryQueue({ size });
  const sender = createWebhookSender({ ...options, url: config.WEBHOOK_URL, secret: config.WEBHOOK_SECRET, queue });
  return webhooks.createWebhooks({ ...options, types: config.WEBHOOK_EVENTS, queue, sender });
}
