/** Composition root: builds, wires, listens. The only file that reads process.env. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerOptions } from 'node:http';
import type { AddressInfo } from 'node:net';
import packageJson from '../package.json' with { type: 'json' };
import type { Broker, BrokerHandlers } from './broker/broker.ts';
import { createMemoryBroker } from './broker/memory-broker.ts';
import { createRedisBroker } from './broker/redis-broker.ts';
import { createRedisLink } from './broker/redis-link.ts';
import { type Config, ConfigError, loadConfig } from './config.ts';
import { createAuth } from './connection/auth.ts';
import type { Connection, ConnectionOptions } from './connection/connection.ts';
import { createHeartbeat } from './connection/heartbeat.ts';
import { createTokenExpiry } from './connection/token-expiry.ts';
import { createUpgrade } from './connection/upgrade.ts';
import { createDispatch } from './handlers/dispatch.ts';
import { handlers } from './handlers/index.ts';
import { createInternalApp } from './http/internal-app.ts';
import { createPublicApp } from './http/public-app.ts';
import { createInstance } from './instance.ts';
import { createDrain } from './lifecycle/drain.ts';
import { createShutdown } from './lifecycle/shutdown.ts';
import { metricLabels } from './metric-labels.ts';
import { createLogger } from './observability/logger.ts';
import { createMetrics } from './observability/metrics.ts';
import { createThroughput } from './observability/throughput.ts';
import { createMemoryPresence } from './presence/memory-presence.ts';
import type { OnGone, Presence } from './presence/presence.ts';
import { createRedisPresence } from './presence/redis-presence.ts';
import { createHub } from './rooms/hub.ts';
import { createPresenceEvents, type PresenceEvents } from './rooms/presence-events.ts';
import { createRecentFrames } from './rooms/recent-frames.ts';
import { createSubscriptions, type Subscriptions } from './rooms/subscriptions.ts';
import { createTimerWheel } from './timer-wheel.ts';

/** Handshakes that may wait when everyone comes back at once; the kernel cuts it to net.core.somaxconn. Node's own is 511. */
const BACKLOG = 4096;

/** sysexits.h: something is wrong with the configuration. */
const EX_CONFIG = 78;

function readConfig(): Config {
  try {
    return loadConfig(process.env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    console.error(error.message);
    process.exit(EX_CONFIG);
  }
}

const config = readConfig();
const logger = createLogger({ instanceId: config.INSTANCE_ID, level: config.LOG_LEVEL, format: config.LOG_FORMAT });
const metrics = createMetrics(metricLabels);
const throughput = createThroughput();
const wheel = createTimerWheel();
const hub = createHub<Connection>();
const auth = createAuth({
  secret: config.JWT_SECRET,
  issuer: config.JWT_ISSUER,
  audience: config.JWT_AUDIENCE,
  handleProblem: (problem) => metrics.authFailures.inc(problem),
});

const brokerHandlers: BrokerHandlers = {
  handleMessage: (...message) => channels.brokerHandlers.handleMessage(...message),
  handleAnnouncement: (...announcement) => channels.brokerHandlers.handleAnnouncement(...announcement),
  handleRestored: () => channels.brokerHandlers.handleRestored(),
};
const onGone: OnGone = (room, member, memberCount) => presenceEvents.handleGone(room, member, memberCount);
const { broker, presence, connect } = createShared();

function createShared(): { broker: Broker; presence: Presence; connect(): Promise<void> } {
  const retention = { size: config.HISTORY_SIZE, ttl: config.HISTORY_TTL };
  if (config.BROKER === 'memory') {
    return {
      broker: createMemoryBroker({ handlers: brokerHandlers, retention }),
      presence: createMemoryPresence({ grace: config.PRESENCE_GRACE, onGone }),
      connect: async () => undefined,
    };
  }
  const link = createRedisLink({
    url: config.REDIS_URL,
    password: config.REDIS_PASSWORD,
    instanceId: config.INSTANCE_ID,
    logger,
    handleReconnect: (name) => metrics.redisReconnects.inc(name),
  });
  return {
    broker: createRedisBroker({ link, handlers: brokerHandlers, retention }),
    presence: createRedisPresence({ link, lease: config.PRESENCE_LEASE, grace: config.PRESENCE_GRACE, onGone, logger }),
    connect: () => link.connect(),
  };
}

const recent = createRecentFrames({ maxBytes: config.RECENT_FRAMES_BYTES, maxFrames: config.HISTORY_SIZE });
const channels: Subscriptions = createSubscriptions({
  hub,
  broker,
  recent,
  metrics,
  throughput,
  logger,
  auditInterval: config.AUDIT_INTERVAL,
});
const presenceEvents: PresenceEvents = createPresenceEvents({
  broker,
  presence,
  detailMax: config.PRESENCE_DETAIL_MAX,
  logger,
});

const instance = createInstance({
  id: config.INSTANCE_ID,
  version: packageJson.version,
  hub,
  broker,
  channels,
  presenceEvents,
  drain: createDrain({
    wheel,
    window: config.DRAIN_WINDOW,
    grace: config.DRAIN_GRACE,
    handleLateness: (seconds) => metrics.drainSlotLateness.observe(seconds),
  }),
  metrics,
  throughput,
  logger,
  maxRooms: config.MAX_ROOMS_PER_CONNECTION,
  greeting: {
    heartbeat: { interval: config.HEARTBEAT_INTERVAL, timeout: config.HEARTBEAT_TIMEOUT },
    limits: {
      maxFrameBytes: config.MAX_FRAME_BYTES,
      maxContentLength: config.MAX_CONTENT_LENGTH,
      maxRooms: config.MAX_ROOMS_PER_CONNECTION,
      ratePerMinute: config.RATE_LIMIT_PER_MINUTE,
      burst: config.RATE_LIMIT_BURST,
    },
  },
});

metrics.watch(() => {
  const { state, connections, leaving, rooms } = instance.status();
  let [members, sendBuffer, sendBufferMax] = [0, 0, 0];
  for (const connection of hub.connections.values()) {
    members += connection.rooms.size;
    sendBuffer += connection.bufferedBytes;
    sendBufferMax = Math.max(sendBufferMax, connection.bufferedBytes);
  }
  return {
    connections,
    connectionsLimit: config.MAX_CONNECTIONS,
    rooms,
    members,
    sendBuffer,
    sendBufferMax,
    canaryAge: broker.canaryAge / 1000,
    ready: Number(state === 'ready'),
    draining: Number(instance.draining),
    drainRemaining: leaving,
    brokerUp: Number(broker.ready),
    redisLinkUp: { commands: Number(broker.links.commands), subscriber: Number(broker.links.subscriber) },
    recentFrames: recent.bytes,
  };
});

const heartbeat = createHeartbeat({ wheel, interval: config.HEARTBEAT_INTERVAL, timeout: config.HEARTBEAT_TIMEOUT });
const tokenExpiry = createTokenExpiry({ wheel, warning: config.TOKEN_EXPIRY_WARNING });
const dispatch = createDispatch({
  handlers,
  context: { instance, auth, tokenExpiry, maxContentLength: config.MAX_CONTENT_LENGTH },
  metrics,
  throughput,
  logger,
});

const connectionOptions: ConnectionOptions = {
  rateLimit: { perMinute: config.RATE_LIMIT_PER_MINUTE, burst: config.RATE_LIMIT_BURST },
  abuseLimit: config.RATE_LIMIT_ABUSE,
  maxBufferedBytes: config.MAX_BUFFERED_BYTES,
  handleReceived: (bytes) => metrics.receivedBytes.inc(bytes),
  handleText: dispatch,
  handleRefused(_connection, code) {
    metrics.messagesRefused.inc(code);
    if (code === 'RATE_LIMITED') metrics.rateLimited.inc();
  },
  handlePong: (connection) => heartbeat.handlePong(connection),
  handleClosing(connection, goodbye) {
    heartbeat.stop(connection);
    tokenExpiry.stop(connection);
    if (connection.closedAs === 'SLOW_CONSUMER') metrics.slowConsumers.inc();
    instance.handleClosing(connection, goodbye);
  },
  handleClosed(connection, code, reason) {
    instance.handleClosed(connection);
    metrics.connectionsClosed.inc(String(code));
    logger.info({ event: 'disconnected', clientId: connection.id, code, reason }, 'disconnected');
  },
};

const upgrade = createUpgrade({
  instance,
  auth,
  connectionOptions,
  handleConnection(connection) {
    heartbeat.start(connection);
    tokenExpiry.watch(connection);
    connection.open(instance.open(connection));
  },
  maxConnections: config.MAX_CONNECTIONS,
  maxFrameBytes: config.MAX_FRAME_BYTES,
  allowedOrigins: config.ALLOWED_ORIGINS,
  trustProxy: config.TRUST_PROXY,
  metrics,
  logger,
});

const limits: ServerOptions = {
  headersTimeout: 10_000,
  requestTimeout: 15_000,
  // How often Node looks at the two above.
  connectionsCheckingInterval: 2000,
};
// An upgrade to anything else (h2c) is not taken, and the request is answered as it stands.
const shouldUpgradeCallback = ({ headers }: IncomingMessage) => headers.upgrade?.toLowerCase() === 'websocket';
const publicServer = createServer(
  { ...limits, shouldUpgradeCallback },
  createPublicApp({ auth, demo: config.DEMO, logger }),
);
const internalServer = createServer(limits, createInternalApp({ instance, metrics, logger }));
publicServer.on('upgrade', upgrade.handleUpgrade);

const shutdown = createShutdown({
  deadline: config.SHUTDOWN_DEADLINE,
  drain: () => instance.drain(),
  terminateStragglers() {
    const left = [...hub.connections.values()];
    for (const connection of left) connection.terminate();
    return left.length;
  },
  async leave() {
    publicServer.close();
    await presence.close();
    await broker.close();
    wheel.close();
  },
  exit: (code) => process.exit(code),
  logger,
});
process.on('SIGTERM', shutdown.handleSignal);
process.on('SIGINT', shutdown.handleSignal);
process.on('uncaughtException', shutdown.handleFatal);
process.on('unhandledRejection', shutdown.handleFatal);

// Readiness can be asked from the start; the public listener opens when messages can flow, so that a proxy finds
// a closed port, not a silent one, until then.
await listen(internalServer, config.INTERNAL_PORT);
await connect();
await listen(publicServer, config.PORT);
logger.info(
  {
    event: 'listening',
    port: portOf(publicServer),
    internalPort: portOf(internalServer),
    version: packageJson.version,
  },
  `listening on port ${portOf(publicServer)}`,
);

async function listen(server: Server, port: number): Promise<void> {
  server.listen({ port, host: config.HOST, backlog: BACKLOG });
  await once(server, 'listening');
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}
