/**
 * The two connections to Redis: one for commands, one for subscriptions. Each reconnects by itself, with jitter. A ping
 * per second reveals a link that is open but silent: it is closed after 3 s without a byte.
 */
import { EventEmitter } from 'node:events';
import { createClient } from 'redis';
import type { Logger } from '../observability/logger.ts';
import type { BrokerRefusal, RedisLinkName } from './broker.ts';
import { createRedisRefusals, type RedisRefusals } from './redis-refusal.ts';

const PING_INTERVAL_MS = 1000;
const SILENCE_MS = 3000;
const CONNECT_TIMEOUT_MS = 2000;
const BACKOFF_CAP_MS = 2000;

function createConnection(options: { url: string; password: string; name: string }) {
  return createClient({
    url: options.url,
    ...(options.password && { password: options.password }),
    name: options.name,
    RESP: 2,
    pingInterval: PING_INTERVAL_MS,
    // The client's 5 s timeout ends when a command is written, so it protects nothing and costs a timer per command.
    commandOptions: { timeout: undefined as unknown as number },
    socket: {
      connectTimeout: CONNECT_TIMEOUT_MS,
      socketTimeout: SILENCE_MS,
      keepAlive: true,
      noDelay: true,
      reconnectStrategy: (retries) => Math.random() * Math.min(BACKOFF_CAP_MS, 50 * 2 ** Math.min(retries, 10)),
    },
    disableOfflineQueue: true,
  });
}

export type RedisConnection = ReturnType<typeof createConnection>;

export interface RedisLink {
  readonly commands: RedisConnection;
  /** A new object after `replaceSubscriber`. */
  readonly subscriber: RedisConnection;
  /** Both connections are up. */
  readonly ready: boolean;
  /** `up` and `down`, when `ready` changes. */
  readonly events: EventEmitter<{ up: []; down: [] }>;
  /** Why Redis refuses commands although the links are up. */
  readonly refusals: RedisRefusals;
  /** Starts connecting; resolves when both are up for the first time. */
  connect(): Promise<void>;
  /** Replaces a subscriber connection that is open but dead: `down`, then `up`. */
  replaceSubscriber(): void;
  close(): Promise<void>;
}

export function createRedisLink(options: {
  url: string;
  password: string;
  instanceId: string;
  logger: Logger;
  /** Called when a link is back after it was down. */
  handleReconnect?(link: RedisLinkName): void;
  handleRefusal?(reason: BrokerRefusal): void;
}): RedisLink {
  const events = new EventEmitter<{ up: []; down: [] }>();
  const name = (role: string) => `wsfleet-${options.instanceId}-${role}`.replace(/[^\w.-]/g, '_');
  const commands = createConnection({ ...options, name: name('commands') });
  let subscriber = createConnection({ ...options, name: name('subscriber') });
  let up = false;
  let closing = false;

  function update(error?: unknown): void {
    const now = commands.isReady && subscriber.isReady;
    if (now === up || closing) return;
    up = now;
    if (up) options.logger.info({ event: 'redis_up' }, 'Redis is connected');
    else options.logger.warn({ event: 'redis_down', err: error }, 'Redis is not reachable; publishes are refused');
    events.emit(up ? 'up' : 'down');
  }

  let reported: string | undefined;
  const known = new Set<RedisLinkName>();
  function watch(link: RedisLinkName, connection: RedisConnection): RedisConnection {
    connection.on('ready', () => {
      reported = undefined;
      if (known.has(link)) options.handleReconnect?.(link);
      known.add(link);
      update();
    });
    connection.on('end', () => update());
    connection.on('reconnecting', () => update());
    connection.on('error', (error: Error) => {
      update(error);
      // One line per kind of error, not one per attempt.
      const kind = `${error.name} ${error.message}`;
      if (kind === reported || closing) return;
      reported = kind;
      options.logger.warn({ event: 'redis_error', reason: error.message }, 'a Redis link has an error');
    });
    return connection;
  }
  watch('commands', commands);
  watch('subscriber', subscriber);

  return {
    commands,
    get subscriber() {
      return subscriber;
    },
    events,
    refusals: createRedisRefusals({
      logger: options.logger,
      handleRefusal: (reason) => options.handleRefusal?.(reason),
    }),
    get ready() {
      return up;
    },
    async connect() {
      await Promise.all([commands.connect(), subscriber.connect()]);
    },
    replaceSubscriber() {
      options.logger.warn({ event: 'subscriber_replaced' }, 'the subscriber link is silent; replacing it');
      const dead = subscriber;
      subscriber = watch('subscriber', createConnection({ ...options, name: name('subscriber') }));
      update();
      dead.destroy();
      subscriber.connect().catch(() => undefined);
    },
    async close() {
      closing = true;
      up = false;
      for (const connection of [commands, subscriber]) if (connection.isOpen) connection.destroy();
    },
  };
}
