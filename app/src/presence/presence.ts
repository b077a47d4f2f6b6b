/** Who is in which room, over the whole cluster. A member is a user: several connections of one user count once. */
import type { Member } from '../protocol.ts';

export interface Presence {
  /** @returns whether the user is new to the room, and how many are in it now */
  join(room: string, clientId: string, member: Member): Promise<Change>;
  /** @returns whether it was the user's last connection in the room; harmless when the connection is not in it */
  leave(room: string, clientId: string): Promise<Change>;
  /** At most `limit` members, and the count of all. */
  members(room: string, limit: number): Promise<{ members: Member[]; memberCount: number }>;
  close(): Promise<void>;
}

export interface Change {
  changed: boolean;
  memberCount: number;
}

/** Called for users who left because their instance died. */
export type OnGone = (room: string, member: Member, memberCount: number) => void;
