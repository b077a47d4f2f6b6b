/** How a handshake is refused: as plain HTTP before the upgrade, with a JSON body `{error: {code, message}}`. */
import type { Duplex } from 'node:stream';
import { tokenProblems } from './auth.ts';

/** Why a handshake is refused. */
export const handshakeRefusals = [
  'DRAINING',
  'NOT_FOUND',
  'ORIGIN_FORBIDDEN',
  ...tokenProblems,
  'CONNECTION_LIMIT',
  'ADDRESS_LIMIT',
  'USER_LIMIT',
  'OVERLOADED',
  'BAD_HANDSHAKE',
] as const;

export interface HandshakeRefusal {
  status: 400 | 401 | 403 | 404 | 405 | 429 | 502 | 503;
  code: (typeof handshakeRefusals)[number];
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
  429: 'Too Many Requests',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
};

/** Headers that a status requires (RFC 6455, section 4.4; RFC 9110). */
const statusHeaders: Readonly<Record<number, string>> = {
  400: 'Sec-WebSocket-Version: 13',
  401: 'WWW-Authenticate: Bearer',
  405: 'Allow: GET',
};

/** Writes the refusal to a socket that was not upgraded, and closes it. */
export function refuseHandshake(socket: Duplex, { status, code, message, retryAfter }: HandshakeRefusal): void {
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
