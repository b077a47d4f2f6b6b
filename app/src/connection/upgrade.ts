/**
 * From an HTTP upgrade request to a connection: a ladder of guards, each with its own refusal, and then the handshake.
 * What one connection needs for its life is wired here too.
 */
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import proxyAddr from 'proxy-addr';
import { WebSocketServer } from 'ws';
import type { Config } from '../config.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import { SUBPROTOCOL, TOKEN_PROTOCOL_PREFIX } from '../protocol.ts';
import type { TurnEnd } from '../turn-end.ts';
import type { Webhooks } from '../webhooks/webhooks.ts';
import type { Authenticate, Identity } from './auth.ts';
import { Connection, type ConnectionOptions, ConnectionSocket } from './connection.ts';
import { createConnectionLimits, toNetwork } from './connection-limits.ts';
import { type HandshakeRefusal, refuseHandshake } from './handshake-refusal.ts';
import type { Heartbeat } from './heartbeat.ts';
import { createLoad } from './load.ts';
import { RateLimiter } from './rate-limiter.ts';
import type { TokenExpiry } from './token-expiry.ts';

/** Where the WebSocket is: `/ws`, and `/` for clients written for the tutorial. */
const PATHS = new Set(['/', '/ws']);

/** Lines about refused handshakes; the metrics count all of them. */
const MAX_LOGGED_ORIGIN = 200;
const REFUSAL_LINES = { perMinute: 300, burst: 50 };

/** How long a peer may take to answer a close frame before its socket is destroyed. */
const CLOSE_TIMEOUT_MS = 3000;

/** The instance, as the connections that it holds see it. */
interface Host {
  readonly draining: boolean;
  readonly connections: { readonly size: number };
  open(connection: Connection): Promise<void>;
  handleClosing(connection: Connection, done: boolean): void;
  handleClosed(connection: Connection): void;
}

export interface Upgrade {
  /** For the HTTP server's `upgrade` event. */
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
}

export function createUpgrade(options: {
  config: Config;
  instance: Host;
  /** An id for a new connection. */
  newId(): string;
  authenticate: Authenticate;
  heartbeat: Heartbeat;
  tokenExpiry: TokenExpiry;
  turnEnd: TurnEnd;
  dispatch: ConnectionOptions['handleText'];
  webhooks: Pick<Webhooks, 'tell'> | undefined;
  metrics: Metrics;
  logger: Logger;
}): Upgrade {
  const { config, instance, authenticate, heartbeat, tokenExpiry, webhooks, metrics, logger } = options;
  const trust = proxyAddr.compile([...config.TRUST_PROXY]);
  const { RATE_LIMIT_PER_MINUTE: perMinute, RATE_LIMIT_BURST: burst, RATE_LIMIT_USER_FACTOR: factor } = config;
  const limits = createConnectionLimits({
    perAddress: config.MAX_CONNECTIONS_PER_ADDRESS,
    perUser: config.MAX_CONNECTIONS_PER_USER,
    policy: config.USER_LIMIT_REFUSES,
    messages: { perMinute: perMinute * factor, burst: burst * factor },
    newRooms: { perMinute: config.NEW_ROOMS_PER_MINUTE, burst: config.NEW_ROOMS_PER_MINUTE },
  });
  const load = createLoad(config.MAX_EVENT_LOOP_LAG);
  const refusalLines = new RateLimiter(REFUSAL_LINES);
  /** Refusals since the last line. */
  let unlogged = 0;
  const wss = new WebSocketServer({
    noServer: true,
    WebSocket: ConnectionSocket,
    clientTracking: false,
    maxPayload: config.MAX_FRAME_BYTES,
    // The fan-out's raw writes would overtake compressed frames.
    perMessageDeflate: false,
    // Newer than the types.
    ...{ closeTimeout: CLOSE_TIMEOUT_MS },
    handleProtocols: chooseProtocol,
  });

  // Requests that `ws` itself does not accept as a handshake.
  wss.on('wsClientError', (error: Error, socket: Duplex, request: IncomingMessage) => {
    const status = request.method === 'GET' ? 400 : 405;
    refuse(request, socket, { status, code: 'BAD_HANDSHAKE', message: error.message });
  });

  function refuse(request: IncomingMessage, socket: Duplex, refusal: HandshakeRefusal): void {
    metrics.handshakesRefused.inc(refusal.code);
    // A flood of handshakes must not become a flood of lines.
    if (refusalLines.take() > 0) {
      unlogged += 1;
    } else {
      const { code } = refusal;
      const origin = code === 'ORIGIN_FORBIDDEN' ? request.headers.origin?.slice(0, MAX_LOGGED_ORIGIN) : undefined;
      const address = proxyAddr(request, trust);
      logger.info({ event: 'handshake_refused', code, address, origin, unlogged }, 'refused a handshake');
      unlogged = 0;
    }
    refuseHandshake(socket, refusal);
  }

  /** The first guard's refusal, or the identity that the token proves. */
  async function check(
    request: IncomingMessage,
    address: string,
  ): Promise<{ refusal: HandshakeRefusal } | { identity: Identity }> {
    const refused = (
      status: HandshakeRefusal['status'],
      code: HandshakeRefusal['code'],
      message: string,
      retryAfter?: number,
    ) => ({
      refusal: { status, code, message, ...(retryAfter !== undefined && { retryAfter }) },
    });
    if (instance.draining) return refused(503, 'DRAINING', 'this instance is restarting', 1);
    if (load.overloaded) return refused(503, 'OVERLOADED', 'this instance has too much to do', 2);
    const url = parseUrl(request);
    if (!url || !PATHS.has(url.pathname)) return refused(404, 'NOT_FOUND', 'the WebSocket is at /ws');
    if (!isOriginAllowed(request, config.ALLOWED_ORIGINS)) {
      return refused(403, 'ORIGIN_FORBIDDEN', 'this origin may not connect (ALLOWED_ORIGINS)');
    }
    const { headers } = request;
    const verdict = await authenticate({ token: readToken(request, url, config.ALLOW_QUERY_TOKEN), headers, address });
    if ('problem' in verdict) {
      // Not 503, with which NGINX would let the next instance ask the same.
      if (verdict.problem === 'AUTH_UNAVAILABLE') return refused(502, verdict.problem, verdict.message, 1);
      return refused(401, verdict.problem, verdict.message);
    }
    return verdict;
  }

  /** The refusal of someone who would get in but for the limits. */
  function checkLimits({ userId }: Identity, network: string): HandshakeRefusal | undefined {
    if (instance.connections.size >= config.MAX_CONNECTIONS) {
      return { status: 503, code: 'CONNECTION_LIMIT', message: 'this instance is full', retryAfter: 5 };
    }
    const code = limits.refusal(userId, network);
    if (code === undefined) return undefined;
    const who = code === 'USER_LIMIT' ? 'this user' : 'this address';
    // Not 503, with which NGINX would try the next instance.
    return { status: 429, code, message: `${who} has as many connections as it may`, retryAfter: 5 };
  }

  /** For webhooks. */
  const describe = ({ id: clientId, user: { userId, username } }: Connection) => ({
    userId,
    username,
    clientId,
    instanceId: config.INSTANCE_ID,
  });

  const connectionOptions: ConnectionOptions = {
    rateLimit: { perMinute, burst },
    abuseLimit: config.RATE_LIMIT_ABUSE,
    maxBufferedBytes: config.MAX_BUFFERED_BYTES,
    turnEnd: options.turnEnd,
    handleReceived: (bytes) => metrics.receivedBytes.inc(bytes),
    handleText: options.dispatch,
    handleRefused(_connection, code) {
      metrics.messagesRefused.inc(code);
      if (code === 'RATE_LIMITED') metrics.rateLimited.inc();
    },
    handlePong: (connection) => heartbeat.handlePong(connection),
    handleClosing(connection, done) {
      heartbeat.stop(connection);
      tokenExpiry.stop(connection);
      if (connection.closedAs === 'SLOW_CONSUMER') metrics.slowConsumers.inc();
      instance.handleClosing(connection, done);
    },
    handleClosed(connection, code, reason) {
      limits.remove(connection);
      instance.handleClosed(connection);
      metrics.connectionsClosed.inc(String(code));
      webhooks?.tell('disconnected', { ...describe(connection), code });
      logger.info({ event: 'disconnected', clientId: connection.id, code, reason }, 'disconnected');
    },
  };

  async function upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const onError = () => socket.destroy();
    socket.on('error', onError);
    const address = proxyAddr(request, trust);
    const outcome = await check(request, address);
    if ('refusal' in outcome) return refuse(request, socket, outcome.refusal);
    const { identity } = outcome;
    const network = toNetwork(address);
    // From here on in one turn, so that no two handshakes take the last place.
    const refusal = checkLimits(identity, network);
    if (refusal) return refuse(request, socket, refusal);
    wss.handleUpgrade(request, socket, head, (ws) => {
      socket.off('error', onError);
      const connection = new Connection(ws, socket as Socket, {
        id: options.newId(),
        user: identity,
        explicit: ws.protocol === SUBPROTOCOL,
        limiters: limits.limitersOf(identity.userId),
        options: connectionOptions,
      });
      const { userId } = identity;
      const surplus = limits.add(connection, network);
      webhooks?.tell('connected', describe(connection));
      logger.info({ event: 'connected', clientId: connection.id, userId, address }, 'connected');
      heartbeat.start(connection);
      tokenExpiry.watch(connection);
      connection.open(instance.open(connection));
      surplus?.close('CONNECTION_LIMIT');
    });
  }

  return {
    handleUpgrade: (request, socket, head) => void upgrade(request, socket, head),
  };
}

/**
 * The kit's subprotocol where it is offered, otherwise the entry that carries the token: a client that offers protocols
 * and is given none must fail the connection (RFC 6455, section 4.1). Only the token's owner sees the entry.
 */
function chooseProtocol(offered: Set<string>): string | false {
  if (offered.has(SUBPROTOCOL)) return SUBPROTOCOL;
  return [...offered].find((entry) => entry.startsWith(TOKEN_PROTOCOL_PREFIX)) ?? false;
}

/** The token of a handshake: from the Authorization header, else a subprotocol entry, else the query where that may be. */
function readToken(request: IncomingMessage, url: URL, allowQuery: boolean): string | undefined {
  const [, bearer] = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '') ?? [];
  if (bearer) return bearer;
  const entry = request.headers['sec-websocket-protocol']
    ?.split(',')
    .map((item) => item.trim())
    .find((item) => item.startsWith(TOKEN_PROTOCOL_PREFIX));
  const query = allowQuery ? url.searchParams.get('token') : null;
  return entry?.slice(TOKEN_PROTOCOL_PREFIX.length) ?? query ?? undefined;
}

function parseUrl(request: IncomingMessage): URL | undefined {
  return URL.parse(request.url ?? '', 'http://localhost') ?? undefined;
}

/** Browsers send an Origin and pages cannot forge it. Pages of the same host may connect, others only when listed. */
function isOriginAllowed(request: IncomingMessage, allowed: readonly string[]): boolean {
  const { origin, host } = request.headers;
  if (origin === undefined || allowed.includes('*') || allowed.includes(origin)) return true;
  const parsed = URL.parse(origin);
  return parsed !== null && parsed.host === host;
}
