/**
 * The wire protocol: JSON text frames `{type, payload, timestamp, id?}` in both directions.
 * `timestamp` is milliseconds since the Unix epoch. The client chooses `id`, and the answer carries it.
 * Pure functions only. The payload schemas of client messages are in handlers/.
 */

/** The subprotocol of clients that join every room explicitly, including the reserved ones. */
export const SUBPROTOCOL = 'wsfleet.v1';

/** Prefix of the `Sec-WebSocket-Protocol` entry that carries the token. */
export const TOKEN_PROTOCOL_PREFIX = 'bearer.';

/** Reserved rooms: broadcasts to everyone, and direct messages to the connection's own user. */
export const ROOM_ALL = '@all';
export const ROOM_ME = '@me';

/** Direct messages to a user, as the server names them; every user sees their own as `@me`. */
export const USER_PREFIX = '@user:';
export const roomOfUser = (userId: string): string => USER_PREFIX + userId;

/** A room name: 1 to 128 letters, digits and `_ . : -`. */
export const ROOM_PATTERN = /^[\w.:-]{1,128}$/;

export const MAX_ID_LENGTH = 128;

/**
 * A place in a room's history. Offsets count from 1 and continue across epochs. `{epoch: '0', offset: 0}` is before the
 * first message, and the position of every room without history.
 */
export interface Position {
  epoch: string;
  offset: number;
}

/**
 * Who sent a message. `instanceId` is the instance that the sender was connected to. A message of the server API has the
 * `clientId` `@api`, which no connection has.
 */
export interface Sender {
  userId: string;
  username: string;
  clientId: string;
  instanceId: string;
}

/** What a message says: text, or an object that the server API published. */
export type Content = string | Readonly<Record<string, unknown>>;

/** A user in a room. A user with several connections counts once. */
export interface Member {
  userId: string;
  username: string;
}

/**
 * Why a room's history could not be continued. `rewound`: Redis lost messages that members have seen, and some may be
 * delivered again; `trimmed`: the position is older than the history; `unknown_epoch`: Redis does not know the epoch;
 * `invalid`: the position never existed.
 */
export const gapReasons = ['rewound', 'trimmed', 'unknown_epoch', 'invalid'] as const;
export type GapReason = (typeof gapReasons)[number];

/** How a room's history continues for a member that joins. */
export const recoveries = ['none', 'recovered', 'rewound', 'gap'] as const;

/** What a token may allow in a room. */
export const rights = ['join', 'publish', 'presence', 'history'] as const;
export type Right = (typeof rights)[number];

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
  'FORBIDDEN',
  'TOO_MANY_ROOMS',
  'ROOM_FULL',
  'NOT_FOUND',
  'RATE_LIMITED',
  'TOKEN_INVALID',
  'UNAVAILABLE',
  'INTERNAL',
] as const;
export type ErrorCode = (typeof errorCodes)[number];

/** The answer to a refused message. `retryAfter` is in milliseconds; `field` names the invalid part of the payload. */
export interface ErrorPayload {
  code: ErrorCode;
  message: string;
  field?: string;
  retryAfter?: number;
  /** The right that the token lacks. */
  right?: Right;
  /** The outcome is unknown: the message may or may not have been stored. */
  uncertain?: boolean;
}

/** Every message that the server sends, by type. Durations are milliseconds, times milliseconds since the Unix epoch. */
export interface ServerMessages {
  connected: {
    clientId: string;
    instanceId: string;
    heartbeat: { interval: number; timeout: number };
    limits: { maxFrameBytes: number; maxContentLength: number; maxRooms: number; ratePerMinute: number; burst: number };
  };
  authenticated: { userId: string; username: string; expiresAt: number };
  /** Everything after `position` follows: first a replay of `replayed` messages, then live messages. */
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
  /** The answer to list_members; without `members`, the summary that large rooms get instead of presence events. */
  members: { room: string; members?: Member[]; memberCount: number };
  message: { room: string; from: Sender; content: Content; position?: Position };
  user_joined: { room: string; userId: string; username: string; memberCount: number };
  user_left: { room: string; userId: string; username: string; memberCount: number };
  typing: { room: string; userId: string; username: string; isTyping: boolean };
  /** `position` is null for a direct message to one connection, which is not stored. */
  ack: { position: Position | null; duplicate: boolean };
  /** The history could not be continued. The messages that follow come after `position`. */
  gap: { room: string; reason: GapReason; position: Position };
  pong: Record<string, never>;
  token_expiring: { expiresAt: number };
  server_shutdown: { reconnectInMs: number };
  error: ErrorPayload;
}
export type ServerMessageType = keyof ServerMessages;

/** One server frame as the client parses it. `echo: false` is on a message that its sender did not want back. */
export type ServerMessage = {
  [T in ServerMessageType]: { type: T; payload: ServerMessages[T]; timestamp: number; id?: string; echo?: false };
}[ServerMessageType];

/** The text of one server frame. */
export function encode<T extends ServerMessageType>(type: T, payload: ServerMessages[T], id?: string): string {
  return JSON.stringify({ type, payload, timestamp: Date.now(), id });
}

/**
 * A `message` frame without its end, because its position is not known yet. Every instance appends `closeBody` without
 * parsing JSON.
 */
export function encodeOpenMessage(
  payload: Omit<ServerMessages['message'], 'position'>,
  { echo = true }: { echo?: boolean | undefined } = {},
): string {
  const { room, from, content } = payload;
  const frame = { type: 'message', timestamp: Date.now(), payload: { room, from, content } };
  return JSON.stringify(echo ? frame : { echo, ...frame }).slice(0, -2);
}

const SILENT_BEGIN = new TextEncoder().encode('{"echo":false');

/** The connection that must not get an open message, because it sent it with `echo: false`. */
export function exceptOf(body: Uint8Array): string | undefined {
  if (SILENT_BEGIN.some((byte, index) => body[index] !== byte)) return undefined;
  return parseOpenMessage(new TextDecoder().decode(body)).payload.from.clientId;
}

const TIMESTAMP_AT = '{"type":"message","timestamp":'.length;
const TIMESTAMP_END = TIMESTAMP_AT + String(Date.now()).length;

/** The `timestamp` of an open message, read without parsing JSON; undefined if the body has another shape. */
export function readTimestamp(body: Uint8Array): number | undefined {
  let timestamp = 0;
  for (let at = TIMESTAMP_AT; at < TIMESTAMP_END; at += 1) {
    const digit = (body[at] ?? 0) - 0x30;
    if (digit < 0 || digit > 9) return undefined;
    timestamp = timestamp * 10 + digit;
  }
  return timestamp;
}

const PRESENCE_BEGIN = new TextEncoder().encode('{"type":"user_');

/** Whether a body is `user_joined` or `user_left`, read without parsing JSON. */
export function isPresenceEvent(body: Uint8Array): boolean {
  return PRESENCE_BEGIN.every((byte, index) => body[index] === byte);
}

/** The end of an open message: its position. */
export function closeBody(position?: Position): string {
  return position ? `,"position":{"epoch":${JSON.stringify(position.epoch)},"offset":${position.offset}}}}` : '}}';
}

/** The whole of an open message. */
export function parseOpenMessage(body: string, position?: Position): ServerMessage & { type: 'message' } {
  return JSON.parse(body + closeBody(position)) as ServerMessage & { type: 'message' };
}

/** A client message whose payload has not been validated yet. */
export interface ClientMessage {
  type: string;
  payload: unknown;
  id: string | undefined;
}

/** Why a frame is not a message, with the client's `id` if it could be read. */
export interface Malformed {
  error: ErrorPayload;
  id: string | undefined;
}

/**
 * Parses one text frame. In the older flat form `{type, room, content}` without `payload`, every field except `type`,
 * `id` and `timestamp` is the payload.
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
