/**
 * Tells the members of a room who joined and left: `user_joined` and `user_left` events, or in a large room one `members`
 * summary per second instead. Reserved rooms have no presence.
 */
import { type Broker, BrokerUnavailable } from '../broker/broker.ts';
import type { Config } from '../config.ts';
import type { Connection } from '../connection/connection.ts';
import type { Logger } from '../observability/logger.ts';
import type { OnGone, Presence } from '../presence/presence.ts';
import { encode, type Member, type ServerMessages } from '../protocol.ts';
import type { RoomOptionsOf } from '../room-options.ts';
import type { Webhooks } from '../webhooks/webhooks.ts';

/** Between two summaries of a large room, across all instances. */
const SUMMARY_INTERVAL_MS = 1000;
const MEMBER_LIST_LIMIT = 1000;

export interface PresenceEvents {
  /**
   * @returns users in the room, undefined when it is full; 0 for a room without presence
   * @throws {BrokerUnavailable}
   */
  enter(connection: Connection, room: string): Promise<number | undefined>;
  /**
   * Never rejects: an entry that could not be removed expires with the lease of this instance.
   * @param done the user left for good; without it they have the grace period to come back
   */
  leave(connection: Connection, room: string, done: boolean): Promise<void>;
  /** @throws {BrokerUnavailable} */
  list(room: string, limit?: number): Promise<ServerMessages['members']>;
  /** Presence calls this when a user's grace period or an instance's lease has expired. */
  handleGone: OnGone;
}

export const memberOf = ({ user }: Connection): Member => ({ userId: user.userId, username: user.username });

export function createPresenceEvents(options: {
  config: Config;
  broker: Broker;
  presence: Presence;
  optionsOf: RoomOptionsOf;
  webhooks: Pick<Webhooks, 'tell'> | undefined;
  logger: Logger;
}): PresenceEvents {
  const { broker, presence, optionsOf, webhooks } = options;
  /** Reserved rooms have none. */
  const hasPresence = (room: string) => !room.startsWith('@') && optionsOf(room).presence;

  /** Large rooms that are due a summary: a thousand joins must not cost a million frames. */
  const due = new Set<string>();

  /** Sends an event whose loss does not fail the command. */
  function announce(room: string, body: string, except?: string): void {
    broker.announce(room, body, except).catch((error: unknown) => {
      options.logger.debug({ event: 'announce_failed', err: error }, 'a presence event could not be published');
    });
  }

  function notify(
    type: 'user_joined' | 'user_left',
    room: string,
    who: Member,
    memberCount: number,
    except?: string,
  ): void {
    webhooks?.tell(type === 'user_joined' ? 'joined' : 'left', { room, ...who, memberCount });
    if (!optionsOf(room).events) return;
    if (memberCount > options.config.PRESENCE_DETAIL_MAX) due.add(room);
    else announce(room, encode(type, { room, ...who, memberCount }), except);
  }

  async function summarize(room: string): Promise<void> {
    // One instance sends the summary of an interval; the others keep their rooms for the next one.
    if (!(await presence.claimInterval(room, SUMMARY_INTERVAL_MS))) return;
    due.delete(room);
    const { memberCount } = await presence.members(room, 0);
    announce(room, encode('members', { room, memberCount }));
  }

  setInterval(() => {
    if (broker.ready) for (const room of due) summarize(room).catch(() => due.add(room));
  }, SUMMARY_INTERVAL_MS).unref();

  /** Presence needs the broker: without it the command is refused. */
  async function available<T>(command: () => Promise<T>): Promise<T> {
    if (!broker.ready) throw new BrokerUnavailable({ uncertain: false });
    try {
      return await command();
    } catch (cause) {
      if (cause instanceof BrokerUnavailable) throw cause;
      throw new BrokerUnavailable({ uncertain: true, cause });
    }
  }

  return {
    async enter(connection, room) {
      if (!hasPresence(room)) return 0;
      const who = memberOf(connection);
      const { maxMembers } = optionsOf(room);
      const change = await available(() => presence.join(room, connection.id, who, maxMembers));
      if (!change) return undefined;
      const { changed, memberCount } = change;
      if (changed) notify('user_joined', room, who, memberCount, connection.id);
      return memberCount;
    },
    async leave(connection, room, done) {
      if (!hasPresence(room)) return;
      try {
        const { changed, memberCount } = await presence.leave(room, connection.id, done);
        if (changed) notify('user_left', room, memberOf(connection), memberCount);
      } catch (error) {
        options.logger.debug({ event: 'leave_failed', err: error }, 'a member could not be removed from presence');
      }
    },
    list: (room, limit = MEMBER_LIST_LIMIT) =>
      available(async () => ({ room, ...(await presence.members(room, limit)) })),
    handleGone: (room, who, memberCount) => notify('user_left', room, who, memberCount),
  };
}
