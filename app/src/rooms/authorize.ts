/** What a connection may do, and the refusals. A value, not an exception: the client made the mistake. */
import type { Connection } from '../connection/connection.ts';
import type { ErrorCode } from '../protocol.ts';

export interface Refusal {
  refused: ErrorCode;
  message: string;
}

export const notInRoom = (room: string): Refusal => ({ refused: 'NOT_IN_ROOM', message: `join ${room} first` });
export const forbidden = (message: string): Refusal => ({ refused: 'ROOM_FORBIDDEN', message });

/**
 * Whether a token allows `room`. A token without a `rooms` claim allows everything. With one it allows exactly what the
 * claim lists: rooms by name, `@all` to read and write broadcasts, `@me` to send and receive direct messages.
 */
export function isAllowed(rooms: readonly string[] | undefined, room: string): boolean {
  return rooms === undefined || rooms.includes(room);
}

export function refuseByToken({ user }: Connection, room: string): Refusal | undefined {
  return isAllowed(user.rooms, room) ? undefined : forbidden(`the token does not allow ${room}`);
}
