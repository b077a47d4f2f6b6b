/**
 * Sends the queue's events to the receiver, in batches and in order, until it answers 2xx: at least once. Requests are
 * signed as Standard Webhooks (https://www.standardwebhooks.com) says, for which receivers have libraries.
 */
import { createHash, createHmac } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import pRetry from 'p-retry';
import { withDeadline } from '../deadline.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import type { Batch, WebhookQueue } from './queue.ts';

const DEADLINE_MS = 5000;
/** An event that the receiver has and the queue keeps is sent again by the next instance. */
const CLOSE_DEADLINE_MS = 1000;
const POLL_MS = 250;
/** Between two attempts, with jitter up to twice that. Together with DEADLINE_MS below the lease of redis-queue.ts. */
const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 4000;
const MAX_BATCH_BYTES = 524_288;

export interface WebhookSender {
  /** How many events waited when this instance last sent; 0 while another one sends. */
  readonly waiting: number;
  /** Sends what is in the queue now, instead of at the next poll. */
  wake(): void;
  /** Lets another instance send, once the attempt under way has ended, or a moment has passed. */
  close(): Promise<void>;
}

export function createWebhookSender(options: {
  url: string;
  /** `whsec_` and Base64. */
  secret: string;
  queue: WebhookQueue;
  version: string;
  metrics: Metrics;
  logger: Logger;
}): WebhookSender {
  const { url, queue, metrics, logger } = options;
  const key = Buffer.from(options.secret.slice('whsec_'.length), 'base64');
  const closing = new AbortController();
  const cut = new AbortController();
  let waiting = 0;
  let failing = false;
  let wake: () => void = () => undefined;

  async function post(body: string): Promise<void> {
    // The same for every attempt at the same batch.
    const id = `msg_${createHash('sha256').update(body).digest('base64url')}`;
    const timestamp = String(Math.floor(Date.now() / 1000));
    const signature = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64');
    const response = await fetch(url, {
      method: 'POST',
      headers: {
        'Content-Type': 'application/json',
        'User-Agent': `wsfleet/${options.version}`,
        'webhook-id': id,
        'webhook-timestamp': timestamp,
        'webhook-signature': `v1,${signature}`,
      },
      body,
      redirect: 'error',
      signal: AbortSignal.any([AbortSignal.timeout(DEADLINE_MS), cut.signal]),
    }).catch((error: Error) => {
      // fetch says "fetch failed" and puts the reason into the cause.
      throw new Error(String(error.cause ?? error));
    });
    await response.body?.cancel();
    if (!response.ok) throw new Error(`the answer was ${response.status}`);
  }

  /** @returns whether there was something to send. @throws when the receiver did not take it */
  async function sendBatch(): Promise<boolean> {
    // Without Redis there is nothing to send.
    const batch = await queue.take().catch(() => undefined);
    waiting = batch?.waiting ?? 0;
    if (!batch || (batch.events.length === 0 && batch.dropped === 0)) return false;
    const { events, dropped } = limitBytes(batch);
    await post(`{"dropped":${dropped},"events":[${events.join(',')}]}`);
    waiting -= events.length;
    metrics.webhookEvents.inc('delivered', events.length);
    if (failing) logger.info({ event: 'webhook_recovered', waiting }, 'the webhook receiver accepts events again');
    failing = false;
    try {
      await batch.remove(events.length);
      return true;
    } catch {
      // They are sent again.
      return false;
    }
  }

  function handleFailure(error: Error): void {
    metrics.webhookFailures.inc();
    if (failing || closing.signal.aborted) return;
    failing = true;
    logger.warn(
      { event: 'webhook_failing', reason: error.message, waiting },
      'the webhook receiver does not accept events',
    );
  }

  async function run(): Promise<void> {
    while (!closing.signal.aborted) {
      const sent = await pRetry(sendBatch, {
        retries: Number.POSITIVE_INFINITY,
        minTimeout: FIRST_WAIT_MS,
        maxTimeout: LONGEST_WAIT_MS,
        randomize: true,
        signal: closing.signal,
        onFailedAttempt: ({ error }) => handleFailure(error),
      });
      if (sent) continue;
      const woken = new Promise<void>((resolve) => {
        wake = resolve;
      });
      await Promise.race([woken, delay(POLL_MS * (0.75 + Math.random() / 2), undefined, { signal: closing.signal })]);
    }
  }

  const running = run().then(
    () => true,
    (error: unknown) => {
      if (!closing.signal.aborted) throw error;
      return true;
    },
  );

  return {
    get waiting() {
      return waiting;
    },
    wake: () => wake(),
    async close() {
      closing.abort();
      if (!(await withDeadline(running, CLOSE_DEADLINE_MS))) cut.abort();
      await running;
      await queue.release().catch(() => undefined);
    },
  };
}

/** A batch of large messages is cut, but never empty. */
function limitBytes({ events, dropped }: Batch): Pick<Batch, 'events' | 'dropped'> {
  let bytes = 0;
  const end = events.findIndex((event, index) => {
    bytes += event.length;
    return index > 0 && bytes > MAX_BATCH_BYTES;
  });
  return { events: end < 0 ? events : events.slice(0, end), dropped };
}
