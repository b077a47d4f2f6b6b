/**
 * The wire protocol: JSON text frames `{type, payload, timestamp, id?}` in both directions.
 * `timestamp` is milliseconds since the epoch; `id` is the client's own and comes back on the answer.
 * Pure: no sockets, no state. The shapes of client messages live with their handlers.
 */

/** The subprotocol of clients that join everything explicitly, the reserved rooms too. */
export const SUBPROTOCOL = 'wsfleet.v1';

/** An entry of `Sec-WebSocket-Protocol` that starts with this carries the token. */
export const TOKEN_PROTOCOL_PREFIX = 'bearer.';

/** Reserved rooms: everyone, and the messages addressed to the connection's own user. */
export const ROOM_ALL = '@all';
export const ROOM_ME = '@me';

/** A name that users may give a room: 1 to 128 of letters, digits and `_ . : -`. */
export const ROOM_PATTERN = /^[\w.:-]{1,128}$/;

export const MAX_ID_LENGTH = 128;

/** A place in a room's history. `offset` counts from 1 within `epoch`. */
export interface Position {
  epoch: string;
  offset: number;
}

/** Who sent a message: `instanceId` is the instance that it entered the cluster through. */
export interface Sender {
  userId: string;
  username: string;
  clientId: string;
  instanceId: string;
}

/** Someone in a room. One user counts once, however many connections they have. */
export interface Member {
  userId: string;
  username: string;
}

/**
 * Why a room's history could not be continued. `rewound`: Redis lost messages that were seen, some may come again;
 * `trimmed`: older than what is kept; `unknown_epoch`: Redis does not know that history; `invalid`: never was.
 */
export const gapReasons = ['rewound', 'trimmed', 'unknown_epoch', 'invalid'] as const;
export type GapReason = (typeof gapReasons)[number];

/** How a room's history goes on for a member that joins. */
export const recoveries = ['none', 'recovered', 'rewound', 'gap'] as const;

export const errorCodes = [
  'INVALID_JSON',
  'BINARY_NOT_SUPPORTED',
  'INVALID_MESSAGE',
  'MISSING_TYPE',
  'UNKNOWN_TYPE',
  'INVALID_PAYLOAD',
  'CONTENT_TOO_LONG',
  'NOT_IN_ROOM',
  'ROOM_FORBIDDEN',
  'TOO_MANY_ROOMS',
  'NOT_FOUND',
  'RATE_LIMITED',
  'TOKEN_INVALID',
  'UNAVAILABLE',
  'INTERNAL',
] as const;
export type ErrorCode = (typeof errorCodes)[number];

/** What a refused message is answered with. `retryAfter` is in milliseconds; `field` names the part of the payload. */
export interface ErrorPayload {
  code: ErrorCode;
  message: string;
  field?: string;
  retryAfter?: number;
  /** The message may or may not have been taken: its outcome was lost. */
  uncertain?: boolean;
}

/** Everything the server says, by type. Durations are in milliseconds, points in time milliseconds since the epoch. */
export interface ServerMessages {
  connected: {
    clientId: string;
    instanceId: string;
    heartbeat: { interval: number; timeout: number };
    limits: { maxFrameBytes: number; maxContentLength: number; maxRooms: number; ratePerMinute: number; burst: number };
  };
  authenticated: { userId: string; username: string; expiresAt: number };
  /** Everything after `position` follows: `replayed` messages at once, then live. */
  joined_room: {
    room: string;
    memberCount: number;
    position: Position;
    recovery: (typeof recoveries)[number];
    reason?: Exclude<GapReason, 'rewound'>;
    replayed: number;
  };
  left_room: { room: string };
  rooms: { rooms: string[] };
  /** The answer to list_members, and without `members` the summed-up news of a large room. */
  members: { room: string; members?: Member[]; memberCount: number };
  message: { room: string; from: Sender; content: string; position?: Position };
  user_joined: { room: string; userId: string; username: string; memberCount: number };
  user_left: { room: string; userId: string; username: string; memberCount: number };
  typing: { room: string; userId: string; username: string; isTyping: boolean };
  /** `position` is null for a message to one connection, which nobody keeps. */
  ack: { position: Position | null; duplicate: boolean };
  /** The history that was seen does not go on: what follows comes after `position`. */
  gap: { room: string; reason: GapReason; position: Position };
  pong: Record<string, never>;
  token_expiring: { expiresAt: number };
  server_shutdown: { reconnectInMs: number };
  error: ErrorPayload;
}
export type ServerMessageType = keyof ServerMessages;

/** One frame of the server, as the client reads it. */
export type ServerMessage = {
  [T in ServerMessageType]: { type: T; payload: ServerMessages[T]; timestamp: number; id?: string };
}[ServerMessageType];

/** The text of one server frame. */
export function encode<T extends ServerMessageType>(type: T, payload: ServerMessages[T], id?: string): string {
  return JSON.stringify({ type, payload, timestamp: Date.now(), id });
}

/**
 * A `message` frame but for its end: its position is only known when it is numbered. `closeBody` has the end, and every
 * instance puts the two together without parsing.
 */
export function encodeOpenMessage(payload: Omit<ServerMessages['message'], 'position'>): string {
  const { room, from, content } = payload;
  return JSON.stringify({ type: 'message', timestamp: Date.now(), payload: { room, from, content } }).slice(0, -2);
}

const TIMESTAMP_AT = '{"type":"message","timestamp":'.length;
const TIMESTAMP_END = TIMESTAMP_AT + String(Date.now()).length;

/** When the publisher's instance took an open message, by its clock; undefined for another shape. Parses no JSON. */
export function readTimestamp(body: Uint8Array): number | undefined {
  let timestamp = 0;
  for (let at = TIMESTAMP_AT; at < TIMESTAMP_END; at += 1) {
    const digit = (body[at] ?? 0) - 0x30;
    if (digit < 0 || digit > 9) return undefined;
    timestamp = timestamp * 10 + digit;
  }
  return timestamp;
}

/** The end of an open message. */
export function closeBody(position?: Position): string {
  return position ? `,"position":{"epoch":${JSON.stringify(position.epoch)},"offset":${position.offset}}}}` : '}}';
}

/** A client's message before its payload is checked against the handler's schema. */
export interface ClientMessage {
  type: string;
  payload: unknown;
  id: string | undefined;
}

/** Why a frame is not a message, with the client's `id` where it could be read. */
export interface Malformed {
  error: ErrorPayload;
  id: string | undefined;
}

/**
 * Reads one text frame. The older flat shape, `{type, room, content}` without `payload`, is read as
 * the same thing: every field but `type`, `id` and `timestamp` is then the payload.
 */
export function parseClientMessage(text: string): ClientMessage | Malformed {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return malformed('INVALID_JSON', 'the frame is not valid JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return malformed('INVALID_MESSAGE', 'a message is a JSON object');
  }
  const { type, payload, timestamp: _, id, ...flat } = value as Record<string, unknown>;
  if (id !== undefined && (typeof id !== 'string' || id.length === 0 || id.length > MAX_ID_LENGTH)) {
    return malformed('INVALID_MESSAGE', `id must be a string of 1 to ${MAX_ID_LENGTH} characters`, undefined, 'id');
  }
  if (type === undefined) return malformed('MISSING_TYPE', 'a message needs a type', id, 'type');
  if (typeof type !== 'string') return malformed('INVALID_MESSAGE', 'type must be a string', id, 'type');
  return { type, payload: payload === undefined ? flat : payload, id };
}

function malformed(code: ErrorCode, message: string, id?: string, field?: string): Malformed {
  return { error: { code, message, ...(field && { field }) }, id };
}
