/**
 * Every WebSocket close code that the server sends, and whether the client should reconnect after it. As in Centrifugo,
 * clients reconnect after 4000 to 4499 (with a new token after 4001) and stay away after 4500 to 4999. The kit's client
 * uses the same table.
 */
export type Comeback = 'never' | 'backoff' | 'at-slot' | 'new-token';

export const closeCodes = {
  DONE: { code: 1000, reason: 'done', comeback: 'never' },
  GONE: { code: 1001, reason: 'going away', comeback: 'backoff' },
  BAD_TOKEN: { code: 1008, reason: 'bad token', comeback: 'never' },
  TOO_BIG: { code: 1009, reason: 'frame too big', comeback: 'backoff' },
  INTERNAL: { code: 1011, reason: 'internal error', comeback: 'backoff' },
  DRAIN: { code: 1012, reason: 'instance is restarting', comeback: 'at-slot' },
  OVERLOADED: { code: 1013, reason: 'overloaded, come back later', comeback: 'backoff' },
  HEARTBEAT_TIMEOUT: { code: 4000, reason: 'heartbeat timeout', comeback: 'backoff' },
  TOKEN_EXPIRED: { code: 4001, reason: 'token expired', comeback: 'new-token' },
  SLOW_CONSUMER: { code: 4008, reason: 'slow consumer', comeback: 'backoff' },
  RATE_LIMITED: { code: 4029, reason: 'rate limited', comeback: 'backoff' },
  TOKEN_REFUSED: { code: 4500, reason: 'bad token', comeback: 'never' },
  PROTOCOL_ERROR: { code: 4501, reason: 'protocol error', comeback: 'never' },
  FORBIDDEN: { code: 4503, reason: 'forbidden', comeback: 'never' },
  CONNECTION_LIMIT: { code: 4504, reason: 'connection limit', comeback: 'never' },
  KICKED: { code: 4505, reason: 'kicked', comeback: 'never' },
} as const satisfies Record<string, { code: number; reason: string; comeback: Comeback }>;

export type CloseName = keyof typeof closeCodes;

/** What the client does after a connection closed with `code`. It reconnects after unknown codes, such as 1006. */
export function comebackAfter(code: number): Comeback {
  const known = Object.values(closeCodes).find((entry) => entry.code === code);
  if (known) return known.comeback;
  return code >= 4500 && code <= 4999 ? 'never' : 'backoff';
}
