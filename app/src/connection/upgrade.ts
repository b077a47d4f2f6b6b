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
import { type HandshakeRefusal, refuseHandshake } from './handshake-refusal.ts';
import type { Heartbeat } from './heartbeat.ts';
import type { TokenExpiry } from './token-expiry.ts';

/** Where the WebSocket is: `/ws`, and `/` for clients written for the tutorial. */
const PATHS = new Set(['/', '/ws']);

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
    const address = proxyAddr(request, trust);
    logger.info({ event: 'handshake_refused', code: refusal.code, address }, 'refused a handshake');
    refuseHandshake(socket, refusal);
  }

  /** The first guard's refusal, or the identity that the token proves. */
  async function check(request: IncomingMessage): Promise<{ refusal: HandshakeRefusal } | { identity: Identity }> {
    const refused = (
      status: HandshakeRefusal['status'],
      code: HandshakeRefusal['code'],
      message: string,
      retryAfter?: number,
    ) => ({
      refusal: { status, code, message, ...(retryAfter !== undefined && { retryAfter }) },
    });
    if (instance.draining) return refused(503, 'DRAINING', 'this instance is restarting', 1);
    const url = parseUrl(request);
    if (!url || !PATHS.has(url.pathname)) return refused(404, 'NOT_FOUND', 'the WebSocket is at /ws');
    if (!isOriginAllowed(request, config.ALLOWED_ORIGINS)) {
      return refused(403, 'ORIGIN_FORBIDDEN', 'this origin may not connect (ALLOWED_ORIGINS)');
    }
    const { headers } = request;
    const address = proxyAddr(request, trust);
    const verdict = await authenticate({ token: readToken(request, url), headers, address });
    if ('problem' in verdict) {
      // Not 503, with which NGINX would let the next instance ask the same.
      if (verdict.problem === 'AUTH_UNAVAILABLE') return refused(502, verdict.problem, verdict.message, 1);
      return refused(401, verdict.problem, verdict.message);
    }
    if (instance.connections.size >= config.MAX_CONNECTIONS) {
      return refused(503, 'CONNECTION_LIMIT', 'this instance is full', 5);
    }
    return verdict;
  }

  /** For webhooks. */
  const describe = ({ id: clientId, user: { userId, username } }: Connection) => ({
    userId,
    username,
    clientId,
    instanceId: config.INSTANCE_ID,
  });

  const connectionOptions: ConnectionOptions = {
    rateLimit: { perMinute: config.RATE_LIMIT_PER_MINUTE, burst: config.RATE_LIMIT_BURST },
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
      instance.handleClosed(connection);
      metrics.connectionsClosed.inc(String(code));
      webhooks?.tell('disconnected', { ...describe(connection), code });
      logger.info({ event: 'disconnected', clientId: connection.id, code, reason }, 'disconnected');
    },
  };

  async function upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const onError = () => socket.destroy();
    socket.on('error', onError);
    const outcome = await check(request);
    if ('refusal' in outcome) return refuse(request, socket, outcome.refusal);
    wss.handleUpgrade(request, socket, head, (ws) => {
      socket.off('error', onError);
      const connection = new Connection(ws, socket as Socket, {
        id: options.newId(),
        user: outcome.identity,
        explicit: ws.protocol === SUBPROTOCOL,
        options: connectionOptions,
      });
      const { userId } = connection.user;
      const address = proxyAddr(request, trust);
      webhooks?.tell('connected', describe(connection));
      logger.info({ event: 'connected', clientId: connection.id, userId, address }, 'connected');
      heartbeat.start(connection);
      tokenExpiry.watch(connection);
      connection.open(instance.open(connection));
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

/** The token of a handshake: from the Authorization header, else a subprotocol entry, else the query. */
function readToken(request: IncomingMessage, url: URL): string | undefined {
  const [, bearer] = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '') ?? [];
  if (bearer) return bearer;
  const entry = request.headers['sec-websocket-protocol']
    ?.split(',')
    .map((item) => item.trim())
    .find((item) => item.startsWith(TOKEN_PROTOCOL_PREFIX));
  return entry?.slice(TOKEN_PROTOCOL_PREFIX.length) ?? url.searchParams.get('token') ?? undefined;
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
