/** Who is in which room, over the whole cluster. A member is a user: several connections of one user count once. */
import type { Member } from '../protocol.ts';

export interface Presence {
  /**
   * @param maxMembers users that may be in the room; those who are in it may always come again
   * @returns whether the user is new to the room, and how many are in it now; undefined when it is full
   */
  join(room: string, clientId: string, member: Member, maxMembers?: number): Promise<Change | undefined>;
  /**
   * Harmless when the connection is not in the room.
   * @param goodbye the user meant to leave; else they have the grace time to come back before they count as gone
   * @returns whether the user is gone with it
   */
  leave(room: string, clientId: string, goodbye: boolean): Promise<Change>;
  /** At most `limit` members, and the count of all. */
  members(room: string, limit: number): Promise<{ members: Member[]; memberCount: number }>;
  /** Whether the caller is the one to say something about the room in this interval (ms), over all instances. */
  claimInterval(room: string, interval: number): Promise<boolean>;
  close(): Promise<void>;
}

export interface Change {
  changed: boolean;
  memberCount: number;
}

/** Called for users who are gone later than their last connection: its instance died, or their grace time is over. */
export type OnGone = (room: string, member: Member, memberCount: number) => void;
