/** Composition root: builds an instance, connects its parts, listens. The only file that reads process.env. */
import { hostname } from 'node:os';
import packageJson from '../package.json' with { type: 'json' };
import { createBroker } from './broker/create-broker.ts';
import { type Config, ConfigError, loadConfig } from './config.ts';
import { type Authenticate, createAuth } from './connection/auth.ts';
import type { AuthUrl } from './connection/auth-url.ts';
import type { Connection } from './connection/connection.ts';
import { createHeartbeat } from './connection/heartbeat.ts';
import { createJwks } from './connection/jwks.ts';
import { createTokenExpiry } from './connection/token-expiry.ts';
import { createUpgrade } from './connection/upgrade.ts';
import { createFleet } from './fleet.ts';
import { createDispatch } from './handlers/dispatch.ts';
import { handlers } from './handlers/index.ts';
import { createApiApp } from './http/api/api-app.ts';
import { createConnectionOperations } from './http/api/connections.ts';
import { createKeys } from './http/api/keys.ts';
import { describeApi } from './http/api/openapi.ts';
import { createPublishOperations } from './http/api/publish.ts';
import { createRoomOperations } from './http/api/rooms.ts';
import { createInternalApp } from './http/internal-app.ts';
import { createPublicApp } from './http/public-app.ts';
import { closeWhenAnswered, createInternalServer, createPublicServer, listen } from './http/servers.ts';
import { createInstance } from './instance.ts';
import { createInstanceCalls, type InstanceCalls } from './instance-calls.ts';
import { createDrain } from './lifecycle/drain.ts';
import { createShutdown } from './lifecycle/shutdown.ts';
import { metricLabels } from './metric-labels.ts';
import { createLogger } from './observability/logger.ts';
import { createMetrics } from './observability/metrics.ts';
import { createThroughput } from './observability/throughput.ts';
import { createPresence } from './presence/create-presence.ts';
import { createRevocations } from './revocations/create-revocations.ts';
import { loadRoomOptions, type RoomOptionsOf } from './room-options.ts';
import { createAuthorize } from './rooms/authorize.ts';
import { createDirectMessages } from './rooms/direct-messages.ts';
import { createHub } from './rooms/hub.ts';
import { createPresenceEvents, type PresenceEvents } from './rooms/presence-events.ts';
import { createPublisher } from './rooms/publisher.ts';
import { createRecentFrames } from './rooms/recent-frames.ts';
import { createRooms } from './rooms/rooms.ts';
import { createSubscriptions, type Subscriptions } from './rooms/subscriptions.ts';
import { createTimerWheel } from './timer-wheel.ts';
import { createTurnEnd } from './turn-end.ts';
import { createWebhooks } from './webhooks/create-webhooks.ts';

/** sysexits.h: the configuration is wrong. */
const EX_CONFIG = 78;

async function readConfig(): Promise<{ config: Config; optionsOf: RoomOptionsOf }> {
  try {
    const config = loadConfig(process.env);
    return { config, optionsOf: await loadRoomOptions(config) };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const instanceId = process.env['INSTANCE_ID'] || hostname();
    const format = process.env['LOG_FORMAT'] === 'pretty' ? 'pretty' : 'json';
    const { message, problems } = error;
    const logger = createLogger({ instanceId, level: 'fatal', format });
    logger.fatal({ event: 'config_invalid', problems }, message);
    process.exit(EX_CONFIG);
  }
}

async function createAuthUrl(): Promise<AuthUrl> {
  // Loaded on demand: most do without.
  const authUrlModule = await import('./connection/auth-url.ts');
  return authUrlModule.createAuthUrl({
    url: config.AUTH_URL,
    timeout: config.AUTH_TIMEOUT,
    cache: config.AUTH_CACHE,
    maxLifetime: config.TOKEN_MAX_LIFETIME,
    verifyToken: auth.verify,
    isRevoked: revocations.isRevoked,
    handleProblem: (problem) => metrics.authFailures.inc(problem),
    logger,
  });
}

const { version } = packageJson;
const { config, optionsOf } = await readConfig();
const logger = createLogger({ instanceId: config.INSTANCE_ID, level: config.LOG_LEVEL, format: config.LOG_FORMAT });
const metrics = createMetrics(metricLabels);
const throughput = createThroughput();
const wheel = createTimerWheel();
const turnEnd = createTurnEnd();

// Between the instances.
const { broker, link } = await createBroker({
  config,
  retentionOf: (room) => optionsOf(room).history,
  handlers: {
    handleMessage: (...message) => subscriptions.brokerHandlers.handleMessage(...message),
    handleAnnouncement(room, body, except) {
      if (calls.owns(room)) calls.handleAnnouncement(body);
      else subscriptions.brokerHandlers.handleAnnouncement(room, body, except);
    },
    handleRestored: () => subscriptions.brokerHandlers.handleRestored(),
  },
  metrics,
  logger,
});
const presence = createPresence({ config, link, onGone: (...gone) => presenceEvents.handleGone(...gone), logger });

const calls: InstanceCalls = createInstanceCalls({ broker });
const webhooks = await createWebhooks({ config, link, instance: calls.name, version, metrics, logger });
const revocations = createRevocations({
  link,
  handleLearned: () => instance.closeRevoked(revocations.isRevoked),
  logger,
});

// Who gets in, and what they may do.
const jwks = config.JWKS_URL ? createJwks({ url: config.JWKS_URL, logger }) : undefined;
const auth = createAuth({
  secret: config.JWT_SECRET,
  keys: [...config.JWT_SECRETS, ...config.JWT_PUBLIC_KEYS],
  jwks,
  isRevoked: revocations.isRevoked,
  clockTolerance: config.JWT_CLOCK_TOLERANCE,
  issuer: config.JWT_ISSUER,
  audience: config.JWT_AUDIENCE,
  maxLifetime: config.TOKEN_MAX_LIFETIME,
  handleProblem: (problem) => metrics.authFailures.inc(problem),
});
const authUrl = config.AUTH_URL === '' ? undefined : await createAuthUrl();
const asks = new Set(config.AUTH_ASKS);
const authenticate: Authenticate =
  authUrl && asks.has('connect') ? authUrl.identify : ({ token }) => auth.verify(token);
const authorize = createAuthorize({ optionsOf, asks, authUrl });

// On this instance.
const hub = createHub<Connection>(turnEnd);
const recent = createRecentFrames({ maxBytes: config.RECENT_FRAMES_BYTES, maxFrames: config.HISTORY_SIZE });
function handleDelivered(receivers: number, frame: Buffer): void {
  metrics.messagesDelivered.inc(receivers);
  metrics.deliveredBytes.inc(receivers * frame.length);
  throughput.delivered(receivers);
}
const directMessages = createDirectMessages({ calls, hub, handleDelivered });
const subscriptions: Subscriptions = createSubscriptions({
  config,
  hub,
  broker,
  recent,
  metrics,
  handleDelivered,
  logger,
});
const presenceEvents: PresenceEvents = createPresenceEvents({ config, broker, presence, optionsOf, webhooks, logger });
const publisher = createPublisher({
  config,
  broker,
  directMessages,
  hasHistory: subscriptions.hasHistory,
  authorize,
  webhooks,
  metrics,
  logger,
});
const rooms = createRooms({ config, hub, broker, subscriptions, presenceEvents, authorize, metrics, logger });
const drain = createDrain({ config, wheel, handleLateness: (seconds) => metrics.drainSlotLateness.observe(seconds) });
const parts = { hub, broker, subscriptions, recent, rooms, drain };
const instance = createInstance({ config, version, ...parts, metrics, throughput, webhooks, logger });
metrics.watch(() => instance.readings());

// For each connection.
const heartbeat = createHeartbeat({ config, wheel });
const tokenExpiry = createTokenExpiry({ config, wheel });
const context = { rooms, publisher, authenticate, tokenExpiry, maxContentLength: config.MAX_CONTENT_LENGTH };
const dispatch = createDispatch({ handlers, context, metrics, throughput, logger });
const upgrade = createUpgrade({
  config,
  instance,
  newId: directMessages.newId,
  authenticate,
  heartbeat,
  tokenExpiry,
  turnEnd,
  dispatch,
  webhooks,
  metrics,
  logger,
});

const publicServer = createPublicServer(createPublicApp({ auth, demo: config.DEMO, logger }), upgrade.handleUpgrade);
const internalServer = createInternalServer(createInternalApp({ instance, metrics, logger }));

// For other back-ends.
const { INSTANCE_ID: instanceId, MAX_CONTENT_LENGTH: maxContentLength } = config;
const fleet = createFleet({
  ...{ calls, hub, rooms, revocations, instanceId },
  maxLifetime: config.TOKEN_MAX_LIFETIME,
  closeRevoked: () => instance.closeRevoked(revocations.isRevoked),
  status: instance.status,
});
const operations = [
  ...createPublishOperations({ publisher, instanceId, maxContentLength }),
  ...createRoomOperations({ broker, presenceEvents }),
  ...createConnectionOperations({ fleet }),
];
const apiServer = createInternalServer(
  createApiApp({
    findCaller: createKeys(config.API_KEYS, { perMinute: config.API_RATE_LIMIT * 60, burst: config.API_RATE_LIMIT }),
    operations,
    specification: () => describeApi(operations, version),
    metrics,
    logger,
  }),
);

const shutdown = createShutdown({
  deadline: config.SHUTDOWN_DEADLINE,
  drain: instance.drain,
  terminateStragglers: instance.terminateAll,
  async leave() {
    publicServer.close();
    await closeWhenAnswered(apiServer);
    await presence.close();
    revocations.close();
    await webhooks?.close();
    await broker.close();
    jwks?.close();
    wheel.close();
  },
  exit: (code) => process.exit(code),
  logger,
});
process.on('SIGTERM', shutdown.handleSignal);
process.on('SIGINT', shutdown.handleSignal);
// Node's own listener prints to standard error.
process.removeAllListeners('warning');
process.on('warning', ({ name, message }) =>
  logger.warn({ event: 'node_warning', name, message }, 'Node printed a warning'),
);
process.on('uncaughtException', shutdown.handleFatal);
process.on('unhandledRejection', shutdown.handleFatal);

// The internal listener opens first, so that readiness can be checked. The public one opens once messages can flow:
// until then a proxy finds a closed port instead of a silent one.
const internalPort = await listen(internalServer, config.HOST, config.INTERNAL_PORT);
// A provider that is away keeps nobody out who does not need its keys.
await Promise.all([link?.connect(), jwks?.start()]);
await revocations.start();
const apiPort = config.API_KEYS.length > 0 ? await listen(apiServer, config.HOST, config.API_PORT) : undefined;
const port = await listen(publicServer, config.HOST, config.PORT);
logger.info({ event: 'listening', port, internalPort, apiPort, version }, `listening on port ${port}`);
