/** One instance of the app: the connections that it holds, its state, and how it gives them up. */
import type { Broker } from './broker/broker.ts';
import type { Config } from './config.ts';
import type { Connection } from './connection/connection.ts';
import { withDeadline } from './deadline.ts';
import type { Drain } from './lifecycle/drain.ts';
import type { Logger } from './observability/logger.ts';
import type { Metrics, Readings } from './observability/metrics.ts';
import type { Throughput } from './observability/throughput.ts';
import type { ServerMessages } from './protocol.ts';
import type { Hub } from './rooms/hub.ts';
import { memberOf } from './rooms/presence-events.ts';
import type { RecentFrames } from './rooms/recent-frames.ts';
import type { Rooms } from './rooms/rooms.ts';
import type { Subscriptions } from './rooms/subscriptions.ts';

export interface Status {
  instanceId: string;
  state: 'ready' | 'unavailable' | 'draining';
  uptimeSeconds: number;
  connections: number;
  /** Connections that were asked to reconnect elsewhere and are still here. */
  leaving: number;
  /** Rooms with members on this instance. */
  rooms: number;
  /** From clients, over the last ten seconds. */
  messagesPerSecond: number;
  /** To members, over the last ten seconds. */
  deliveriesPerSecond: number;
  rssBytes: number;
  pid: number;
  version: string;
}

export interface Instance {
  readonly connections: ReadonlyMap<string, Connection>;
  readonly draining: boolean;
  readonly broker: Pick<Broker, 'ready' | 'refusing'>;
  /** Registers a new connection and greets it once its live messages flow. */
  open(connection: Connection): Promise<void>;
  /** Takes the connection out of its rooms. `done`: the client closed it for good, so its user leaves at once. */
  handleClosing(connection: Connection, done: boolean): void;
  handleClosed(connection: Connection): void;
  /** Asks every connection to reconnect elsewhere, each at its own slot; resolves when the last one has left. */
  drain(): Promise<void>;
  /** Moves up to `count` connections away, the oldest first. @returns how many it moves */
  rebalance(count: number): number;
  /** Closes the connections whose tokens are revoked. @returns how many */
  closeRevoked(isRevoked: (user: Connection['user']) => boolean): number;
  /** Cuts every connection that is left. @returns how many there were */
  terminateAll(): number;
  status(): Status;
  /** What the gauges read. */
  readings(): Readings;
}

/** How long a new connection waits for its subscriptions before it is greeted without them. */
const OPEN_DEADLINE_MS = 1000;

export function createInstance(options: {
  config: Config;
  version: string;
  hub: Hub<Connection>;
  broker: Broker;
  subscriptions: Subscriptions;
  recent: RecentFrames;
  rooms: Rooms;
  drain: Drain;
  metrics: Metrics;
  throughput: Throughput;
  /** How many events wait for the webhook receiver. */
  webhooks: { readonly waiting: number } | undefined;
  logger: Logger;
}): Instance {
  const { config, hub, broker, subscriptions, rooms, metrics, logger } = options;
  const id = config.INSTANCE_ID;
  const greeting: Omit<ServerMessages['connected'], 'clientId'> = {
    instanceId: id,
    heartbeat: { interval: config.HEARTBEAT_INTERVAL, timeout: config.HEARTBEAT_TIMEOUT },
    limits: {
      maxFrameBytes: config.MAX_FRAME_BYTES,
      maxContentLength: config.MAX_CONTENT_LENGTH,
      maxRooms: config.MAX_ROOMS_PER_CONNECTION,
      ratePerMinute: config.RATE_LIMIT_PER_MINUTE,
      burst: config.RATE_LIMIT_BURST,
    },
  };
  const leaving = new Set<Connection>();
  let draining = false;
  let handleEmpty: (() => void) | undefined;

  /** @returns the time over which the reconnect slots are spread, in ms */
  function moveAway(connections: readonly Connection[]): number {
    for (const connection of connections) leaving.add(connection);
    return options.drain.start(connections);
  }

  const state = () => (draining ? 'draining' : broker.ready ? 'ready' : 'unavailable');

  return {
    connections: hub.connections,
    get draining() {
      return draining;
    },
    broker,

    async open(connection) {
      hub.add(connection);
      metrics.connectionsOpened.inc();
      const opening = rooms.open(connection);
      if (opening !== undefined) await withDeadline(opening, OPEN_DEADLINE_MS);
      connection.send('connected', { clientId: connection.id, ...greeting });
      connection.send('authenticated', { ...memberOf(connection), expiresAt: connection.user.expiresAt });
      if (draining) moveAway([connection]);
    },

    handleClosing(connection, done) {
      options.drain.handleClosing(connection);
      rooms.close(connection, done);
    },

    handleClosed(connection) {
      hub.remove(connection);
      leaving.delete(connection);
      if (hub.connections.size === 0) handleEmpty?.();
    },

    async drain() {
      draining = true;
      const all = [...hub.connections.values()];
      const windowMs = moveAway(all);
      logger.info({ event: 'draining', connections: all.length, windowMs }, 'draining all connections');
      if (hub.connections.size === 0) return;
      await new Promise<void>((resolve) => {
        handleEmpty = resolve;
      });
    },

    rebalance(count) {
      const some = [...hub.connections.values()].filter((connection) => !leaving.has(connection)).slice(0, count);
      const windowMs = moveAway(some);
      logger.info({ event: 'rebalancing', connections: some.length, windowMs }, 'draining some connections');
      return some.length;
    },

    closeRevoked(isRevoked) {
      const revoked = [...hub.connections.values()].filter(({ state, user }) => state === 'open' && isRevoked(user));
      for (const connection of revoked) connection.close('TOKEN_REFUSED');
      return revoked.length;
    },

    terminateAll() {
      const left = [...hub.connections.values()];
      for (const connection of left) connection.terminate();
      return left.length;
    },

    status: () => ({
      instanceId: id,
      state: state(),
      uptimeSeconds: Math.round(process.uptime()),
      connections: hub.connections.size,
      leaving: leaving.size,
      rooms: subscriptions.roomCount,
      ...options.throughput.rates(),
      rssBytes: process.memoryUsage.rss(),
      pid: process.pid,
      version: options.version,
    }),

    readings() {
      let [members, sendBuffer, sendBufferMax] = [0, 0, 0];
      for (const connection of hub.connections.values()) {
        members += connection.rooms.size;
        sendBuffer += connection.bufferedBytes;
        sendBufferMax = Math.max(sendBufferMax, connection.bufferedBytes);
      }
      return {
        connections: hub.connections.size,
        connectionsLimit: config.MAX_CONNECTIONS,
        rooms: subscriptions.roomCount,
        members,
        sendBuffer,
        sendBufferMax,
        canaryAge: broker.canaryAge / 1000,
        ready: Number(state() === 'ready'),
        draining: Number(draining),
        drainRemaining: leaving.size,
        brokerUp: Number(broker.ready),
        redisLinkUp: { commands: Number(broker.links.commands), subscriber: Number(broker.links.subscriber) },
        webhookWaiting: options.webhooks?.waiting ?? 0,
        recentFrames: options.recent.bytes,
      };
    },
  };
}
