/**
 * What a user may do: by the options of the room, by the claims of their token, and where `AUTH_ASKS` says so by the answer of
 * `AUTH_URL`. Replace `may`, or all of it, to decide by other rules. A refusal is a value, not an exception: the client made
 * the mistake.
 *
 * - `rights` lists rights by room, `{"orders.*": ["join", "presence"], "lobby": ["join", "publish"]}`. A name that ends with `*`
 *   stands for all that begin alike, and several that fit add up. `@all` stands for broadcasts, `@me` for receiving
 *   direct messages, and `@user:ID` for writing to that user.
 * - `rooms`, without `rights`, lists rooms with every right. `@me` then also stands for writing to anyone.
 * - A token with neither allows everything.
 */
import { type AuthQuestion, AuthUnavailable } from '../connection/auth-questions.ts';
import type { AuthUrl } from '../connection/auth-url.ts';
import type { Connection, ConnectionUser } from '../connection/connection.ts';
import { type ErrorCode, type Right, ROOM_ME, USER_PREFIX } from '../protocol.ts';
import type { RoomOptionsOf } from '../room-options.ts';

const RETRY_AFTER_MS = 1000;

export interface Refusal {
  refused: ErrorCode;
  message: string;
  /** The right that is lacking. */
  right?: Right;
  /** Milliseconds. */
  retryAfter?: number;
}

type Claims = Pick<ConnectionUser, 'rooms' | 'rights'>;

export const notInRoom = (room: string): Refusal => ({ refused: 'NOT_IN_ROOM', message: `join ${room} first` });
export const forbidden = (message: string): Refusal => ({ refused: 'ROOM_FORBIDDEN', message });

/** The room of a connection whose user the sender does not name: only a right to write to anyone fits. */
export const ANY_USER = USER_PREFIX;

export function may({ rooms, rights }: Claims, right: Right, room: string): boolean {
  if (rights) {
    return Object.entries(rights).some(([pattern, granted]) => granted.includes(right) && matches(pattern, room));
  }
  return rooms === undefined || rooms.includes(room.startsWith(USER_PREFIX) ? ROOM_ME : room);
}

const matches = (pattern: string, room: string) =>
  pattern.endsWith('*') ? room.startsWith(pattern.slice(0, -1)) : pattern === room;

export interface Authorize {
  /** The refusal to join or publish, if any. */
  refuse(connection: Connection, right: 'join' | 'publish', room: string): Promise<Refusal | undefined>;
  /** The same without asking `AUTH_URL`, for what is not worth a question. */
  refuseAtOnce(connection: Connection, right: Right, room: string): Refusal | undefined;
}

export function createAuthorize(options: {
  optionsOf: RoomOptionsOf;
  /** What `AUTH_URL` is asked. */
  asks: ReadonlySet<AuthQuestion>;
  authUrl: Pick<AuthUrl, 'allows'> | undefined;
}): Authorize {
  const { authUrl, asks, optionsOf } = options;

  function refuseAtOnce(connection: Connection, right: Right, room: string): Refusal | undefined {
    if (right === 'publish' && optionsOf(room).publish === 'api') {
      return { refused: 'FORBIDDEN', message: `only the server API publishes in ${room} (rooms.yml)`, right };
    }
    return refuseByToken(connection, right, room);
  }

  return {
    async refuse(connection, right, room) {
      const refusal = refuseAtOnce(connection, right, room);
      if (refusal || !authUrl || !asks.has(right)) return refusal;
      const { user, id: clientId } = connection;
      try {
        if (await authUrl.allows(right, { user, clientId, room })) return undefined;
        return { refused: 'FORBIDDEN', message: `AUTH_URL does not allow to ${right} in ${room}`, right };
      } catch (error) {
        if (!(error instanceof AuthUnavailable)) throw error;
        return { refused: 'UNAVAILABLE', message: 'AUTH_URL does not answer', retryAfter: RETRY_AFTER_MS };
      }
    },
    refuseAtOnce,
  };
}

function refuseByToken({ user }: Connection, right: Right, room: string): Refusal | undefined {
  if (may(user, right, room)) return undefined;
  const what = room.startsWith(USER_PREFIX)
    ? `to write to ${room.slice(USER_PREFIX.length) || 'anyone'}`
    : `${right} in ${room}`;
  // Clients know the code of the older claim.
  const refused = user.rights ? 'FORBIDDEN' : 'ROOM_FORBIDDEN';
  return { refused, message: `the token does not allow ${what}`, right };
}
