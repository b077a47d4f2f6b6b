/**
 * What a room hears of its members: `user_joined` and `user_left` to the others, and in a large room one summed-up
 * `members` a second in their place. Reserved rooms have no presence.
 */
import { type Broker, BrokerUnavailable } from '../broker/broker.ts';
import type { Config } from '../config.ts';
import type { Connection } from '../connection/connection.ts';
import type { Logger } from '../observability/logger.ts';
import type { OnGone, Presence } from '../presence/presence.ts';
import { encode, type Member, type ServerMessages } from '../protocol.ts';

/** Between two summed-up news of a large room, over all instances. */
const SUMMARY_INTERVAL_MS = 1000;
const MEMBER_LIST_LIMIT = 1000;

export interface PresenceEvents {
  /** @returns users in the room; 0 for a reserved room. @throws {BrokerUnavailable} */
  enter(connection: Connection, room: string): Promise<number>;
  /**
   * Does not fail: what presence did not hear of now leaves with this instance's old lease.
   * @param goodbye the user meant to leave, and is not expected back
   */
  leave(connection: Connection, room: string, goodbye: boolean): Promise<void>;
  /** @throws {BrokerUnavailable} */
  list(room: string): Promise<ServerMessages['members']>;
  /** Where presence reports users who are gone later than their last connection. */
  handleGone: OnGone;
}

export const memberOf = ({ user }: Connection): Member => ({ userId: user.userId, username: user.username });
const isReserved = (room: string) => room.startsWith('@');

export function createPresenceEvents(options: {
  config: Config;
  broker: Broker;
  presence: Presence;
  logger: Logger;
}): PresenceEvents {
  const { broker, presence } = options;
  /** Rooms with news to sum up. A thousand joins must not cost a million frames. */
  const unsummed = new Set<string>();

  /** Says something to a room that is not worth failing a command for. */
  function announce(room: string, body: string, except?: string): void {
    broker.announce(room, body, except).catch((error: unknown) => {
      options.logger.debug({ event: 'announce_failed', err: error }, 'a presence event could not be published');
    });
  }

  type News = 'user_joined' | 'user_left';
  function tell(type: News, room: string, who: Member, memberCount: number, except?: string): void {
    if (memberCount > options.config.PRESENCE_DETAIL_MAX) unsummed.add(room);
    else announce(room, encode(type, { room, ...who, memberCount }), except);
  }

  async function sumUp(room: string): Promise<void> {
    // One instance speaks in each interval; the others' turn comes while they still have news.
    if (!(await presence.claimInterval(room, SUMMARY_INTERVAL_MS))) return;
    unsummed.delete(room);
    const { memberCount } = await presence.members(room, 0);
    announce(room, encode('members', { room, memberCount }));
  }

  setInterval(() => {
    if (broker.ready) for (const room of unsummed) sumUp(room).catch(() => unsummed.add(room));
  }, SUMMARY_INTERVAL_MS).unref();

  /** Presence lives behind the broker: when it fails, so does the command. */
  async function available<T>(command: () => Promise<T>): Promise<T> {
    if (!broker.ready) throw new BrokerUnavailable({ uncertain: false });
    try {
      return await command();
    } catch (cause) {
      throw new BrokerUnavailable({ uncertain: true, cause });
    }
  }

  return {
    async enter(connection, room) {
      if (isReserved(room)) return 0;
      const who = memberOf(connection);
      const { changed, memberCount } = await available(() => presence.join(room, connection.id, who));
      if (changed) tell('user_joined', room, who, memberCount, connection.id);
      return memberCount;
    },
    async leave(connection, room, goodbye) {
      if (isReserved(room)) return;
      try {
        const { changed, memberCount } = await presence.leave(room, connection.id, goodbye);
        if (changed) tell('user_left', room, memberOf(connection), memberCount);
      } catch (error) {
        options.logger.debug({ event: 'leave_failed', err: error }, 'presence did not hear of a leaving');
      }
    },
    list: (room) => available(async () => ({ room, ...(await presence.members(room, MEMBER_LIST_LIMIT)) })),
    handleGone: (room, who, memberCount) => tell('user_left', room, who, memberCount),
  };
}
