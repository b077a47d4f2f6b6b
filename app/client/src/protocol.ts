/**
 * The wire protocol as the client sees it. The server's sources own the shapes: they are imported as types,
 * which are gone before a browser or Node runs this, so a new message type of the server is typed here at once.
 */
import type * as server from '../../src/protocol.ts';

export type {
  ErrorCode,
  ErrorPayload,
  GapReason,
  Member,
  Position,
  Sender,
  ServerMessages,
  ServerMessageType,
} from '../../src/protocol.ts';

type ServerMessages = server.ServerMessages;

export const SUBPROTOCOL: typeof server.SUBPROTOCOL = 'wsfleet.v1';
export const TOKEN_PROTOCOL_PREFIX: typeof server.TOKEN_PROTOCOL_PREFIX = 'bearer.';
export const ROOM_ALL: typeof server.ROOM_ALL = '@all';
export const ROOM_ME: typeof server.ROOM_ME = '@me';

/** A direct message goes to every connection of a user, or to one connection. */
export type Recipient = { userId: string } | { clientId: string };

/** What the client asks, by type, and the type of the frame that answers it. */
export interface Requests {
  join_room: { payload: { room: string; position?: server.Position }; answer: 'joined_room' };
  leave_room: { payload: { room: string }; answer: 'left_room' };
  /** Without a room it goes to everyone. */
  chat: { payload: { content: string; room?: string; echo?: false }; answer: 'ack' };
  direct: { payload: { to: Recipient; content: string }; answer: 'ack' };
  ping: { payload: Record<string, never>; answer: 'pong' };
  refresh_token: { payload: { token: string }; answer: 'authenticated' };
  list_rooms: { payload: Record<string, never>; answer: 'rooms' };
  list_members: { payload: { room: string }; answer: 'members' };
}
export type RequestType = keyof Requests;
export type Answer<T extends RequestType> = ServerMessages[Requests[T]['answer']];

/** One frame of the server. `payload` is what `ServerMessages` says for the types that it knows. */
export interface Frame {
  type: string;
  payload: unknown;
  /** Milliseconds since the epoch, by the server's clock. */
  timestamp: number;
  id?: string;
  /** False on a message that its sender did not want back. */
  echo?: boolean;
}

/** Reads one text frame; undefined for anything that is not an envelope. */
export function parseFrame(data: unknown): Frame | undefined {
  if (typeof data !== 'string') return undefined;
  let value: Partial<Frame> | null;
  try {
    value = JSON.parse(data);
  } catch {
    return undefined;
  }
  if (typeof value?.type !== 'string' || typeof value.payload !== 'object' || value.payload === null) return undefined;
  return { timestamp: Date.now(), ...value } as Frame;
}
