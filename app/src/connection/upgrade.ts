/**
 * From an HTTP upgrade request to a connection: a ladder of guards, each with its own answer, and only then the
 * handshake. Everything is refused before the upgrade, as HTTP with a JSON body `{error: {code, message}}`.
 */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import proxyAddr from 'proxy-addr';
import { WebSocketServer } from 'ws';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import { SUBPROTOCOL, TOKEN_PROTOCOL_PREFIX } from '../protocol.ts';
import { type Auth, type Identity, tokenProblems } from './auth.ts';
import { Connection, type ConnectionOptions, ConnectionSocket } from './connection.ts';

/** Where the WebSocket answers: `/ws`, and `/` for clients written for the tutorial. */
const PATHS = new Set(['/', '/ws']);

/** How long an other side may take to answer a close frame before it is cut. */
const CLOSE_TIMEOUT_MS = 3000;

/** Why a handshake is refused. */
export const handshakeRefusals = [
  'DRAINING',
  'NOT_FOUND',
  'ORIGIN_FORBIDDEN',
  ...tokenProblems,
  'CONNECTION_LIMIT',
  'BAD_HANDSHAKE',
] as const;
type RefusalCode = (typeof handshakeRefusals)[number];

interface HandshakeRefusal {
  status: 400 | 401 | 403 | 404 | 405 | 503;
  code: RefusalCode;
  message: string;
  /** Seconds. */
  retryAfter?: number;
}

const statusTexts = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  503: 'Service Unavailable',
};

/** Headers that belong to a status (RFC 6455, section 4.4; RFC 9110). */
const statusHeaders: Readonly<Record<number, string>> = {
  400: 'Sec-WebSocket-Version: 13',
  401: 'WWW-Authenticate: Bearer',
  405: 'Allow: GET',
};

export interface Upgrade {
  /** For the HTTP server's `upgrade` event. */
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  close(): void;
}

export function createUpgrade(options: {
  instance: { readonly draining: boolean; readonly connections: { readonly size: number } };
  auth: Auth;
  connectionOptions: ConnectionOptions;
  /** Called with every new connection before it is opened. */
  handleConnection(connection: Connection): void;
  maxConnections: number;
  maxFrameBytes: number;
  allowedOrigins: readonly string[];
  trustProxy: readonly string[];
  metrics: Metrics;
  logger: Logger;
}): Upgrade {
  const { instance, auth, metrics } = options;
  const trust = proxyAddr.compile([...options.trustProxy]);
  const wss = new WebSocketServer({
    noServer: true,
    WebSocket: ConnectionSocket,
    clientTracking: false,
    maxPayload: options.maxFrameBytes,
    // Compressed frames would be overtaken by the fan-out's raw writes.
    perMessageDeflate: false,
    // Newer than the types.
    ...{ closeTimeout: CLOSE_TIMEOUT_MS },
    handleProtocols: chooseProtocol,
  });

  // What is no handshake at all in the eyes of `ws`.
  wss.on('wsClientError', (error: Error, socket: Duplex, request: IncomingMessage) => {
    const status = request.method === 'GET' ? 400 : 405;
    refuse(request, socket, { status, code: 'BAD_HANDSHAKE', message: error.message });
  });

  function refuse(request: IncomingMessage, socket: Duplex, refusal: HandshakeRefusal): void {
    metrics.handshakesRefused.inc(refusal.code);
    options.logger.info(
      { event: 'handshake_refused', code: refusal.code, address: proxyAddr(request, trust) },
      'refused a handshake',
    );
    answer(socket, refusal);
  }

  /** The first guard that objects, or who is at the door. */
  function check(request: IncomingMessage): { refusal: HandshakeRefusal } | { identity: Identity } {
    const objection = (
      status: HandshakeRefusal['status'],
      code: RefusalCode,
      message: string,
      retryAfter?: number,
    ) => ({
      refusal: { status, code, message, ...(retryAfter !== undefined && { retryAfter }) },
    });
    if (instance.draining) return objection(503, 'DRAINING', 'this instance is restarting', 1);
    const url = parseUrl(request);
    if (!url || !PATHS.has(url.pathname)) return objection(404, 'NOT_FOUND', 'the WebSocket is at /ws');
    if (!isOriginAllowed(request, options.allowedOrigins)) {
      return objection(403, 'ORIGIN_FORBIDDEN', 'this origin may not connect (ALLOWED_ORIGINS)');
    }
    const verdict = auth.verify(readToken(request, url));
    if ('problem' in verdict) return objection(401, verdict.problem, verdict.message);
    if (instance.connections.size >= options.maxConnections) {
      return objection(503, 'CONNECTION_LIMIT', 'this instance is full', 5);
    }
    return verdict;
  }

  return {
    handleUpgrade(request, socket, head) {
      const onError = () => socket.destroy();
      socket.on('error', onError);
      const outcome = check(request);
      if ('refusal' in outcome) return refuse(request, socket, outcome.refusal);
      const { userId, username, rooms, expiresAt } = outcome.identity;
      wss.handleUpgrade(request, socket, head, (ws) => {
        socket.off('error', onError);
        const connection = new Connection(ws, socket as Socket, {
          id: randomUUID(),
          user: { userId, username, rooms, expiresAt },
          explicit: ws.protocol === SUBPROTOCOL,
          options: options.connectionOptions,
        });
        options.logger.info(
          { event: 'connected', clientId: connection.id, userId, address: proxyAddr(request, trust) },
          'connected',
        );
        options.handleConnection(connection);
      });
    },
    close: () => wss.close(),
  };
}

/**
 * The kit's subprotocol where it is offered; else the entry that carries the token, because a client that offers
 * protocols and is given none must fail the connection (RFC 6455, section 4.1). It goes back to its owner only.
 */
function chooseProtocol(offered: Set<string>): string | false {
  if (offered.has(SUBPROTOCOL)) return SUBPROTOCOL;
  return [...offered].find((entry) => entry.startsWith(TOKEN_PROTOCOL_PREFIX)) ?? false;
}

/** The token of a handshake: the Authorization header, else a subprotocol entry, else the query. */
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

/** Browsers send an Origin and cannot forge it; a page of the same host may connect, others only when listed. */
function isOriginAllowed(request: IncomingMessage, allowed: readonly string[]): boolean {
  const { origin, host } = request.headers;
  if (origin === undefined || allowed.includes('*') || allowed.includes(origin)) return true;
  const parsed = URL.parse(origin);
  return parsed !== null && parsed.host === host;
}

function answer(socket: Duplex, { status, code, message, retryAfter }: HandshakeRefusal): void {
  const body = JSON.stringify({ error: { code, message } });
  const head = [
    `HTTP/1.1 ${status} ${statusTexts[status]}`,
    'Connection: close',
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...(retryAfter === undefined ? [] : [`Retry-After: ${retryAfter}`]),
    ...(statusHeaders[status] ? [statusHeaders[status]] : []),
  ];
  socket.once('finish', () => socket.destroy());
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
}
