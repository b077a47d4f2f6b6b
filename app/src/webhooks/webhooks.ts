/**
 * Tells another back-end what happens here (`WEBHOOK_URL`). Events go to a queue that all instances share, so they survive
 * the instance, and from there to the receiver: a slow or dead one costs members nothing.
 */
import { nanoid } from 'nanoid';
import { BrokerUnavailable } from '../broker/broker.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import type { WebhookEvents, WebhookEventType } from './events.ts';
import type { WebhookQueue } from './queue.ts';
import type { WebhookSender } from './sender.ts';

/** Events of one command, and events that wait while Redis is away. */
const MAX_ADDED = 500;
const MAX_PENDING = 10_000;
const RETRY_MS = 500;

export interface Webhooks {
  readonly waiting: number;
  tells(type: WebhookEventType): boolean;
  /** Tells an event that has happened. */
  tell<T extends WebhookEventType>(type: T, details: WebhookEvents[T]): void;
  /**
   * Tells an event and resolves when the queue has it.
   * @param id what makes it the same event when it is told again
   * @throws {BrokerUnavailable}
   */
  store<T extends WebhookEventType>(type: T, details: WebhookEvents[T], id: string): Promise<void>;
  /** Puts what is pending into the queue, and lets another instance send. */
  close(): Promise<void>;
}

interface Pending {
  event: string;
  settle: { resolve(): void; reject(error: unknown): void } | undefined;
}

export function createWebhooks(options: {
  types: readonly WebhookEventType[];
  queue: WebhookQueue;
  sender: WebhookSender;
  metrics: Metrics;
  logger: Logger;
}): Webhooks {
  const { queue, sender, metrics, logger } = options;
  const types = new Set(options.types);
  let pending: Pending[] = [];
  let adding: Promise<void> | undefined;
  let dropping = false;

  const encode = (type: WebhookEventType, id: string, details: object) =>
    JSON.stringify({ id, type, timestamp: Date.now(), ...details });

  function reportDropped(count: number): void {
    if (count > 0) metrics.webhookEvents.inc('dropped', count);
    // One line when it begins, not one for each event.
    if (count > 0 && !dropping) {
      logger.error({ event: 'webhook_dropped' }, 'the webhook queue is full: the oldest events are dropped');
    }
    dropping = count > 0;
  }

  async function addPending(): Promise<void> {
    // After this turn, so that its events share a command.
    await new Promise((resolve) => setImmediate(resolve));
    while (pending.length > 0) {
      const some = pending.splice(0, MAX_ADDED);
      try {
        reportDropped(await queue.add(some.map(({ event }) => event)));
        metrics.webhookEvents.inc('queued', some.length);
        for (const { settle } of some) settle?.resolve();
        sender.wake();
      } catch (error) {
        for (const { settle } of some) settle?.reject(error);
        pending = [...some.filter(({ settle }) => !settle), ...pending];
        return;
      }
    }
  }

  function flush(): void {
    adding ??= addPending().finally(() => {
      adding = undefined;
    });
  }

  function push(entry: Pending): void {
    if (pending.length < MAX_PENDING) {
      pending.push(entry);
      flush();
    } else {
      entry.settle?.reject(new BrokerUnavailable({ uncertain: true }));
      reportDropped(1);
    }
  }

  const timer = setInterval(() => pending.length > 0 && flush(), RETRY_MS).unref();

  return {
    get waiting() {
      return sender.waiting;
    },
    tells: (type) => types.has(type),
    tell(type, details) {
      if (types.has(type)) push({ event: encode(type, nanoid(), details), settle: undefined });
    },
    async store(type, details, id) {
      if (!types.has(type)) return;
      await new Promise<void>((resolve, reject) => {
        push({ event: encode(type, id, details), settle: { resolve, reject } });
      });
    },
    async close() {
      clearInterval(timer);
      await adding;
      if (pending.length > 0) await addPending();
      await sender.close();
    },
  };
}
