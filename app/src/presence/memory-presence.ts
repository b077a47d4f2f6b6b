/** Presence of one instance alone. */
import type { Member } from '../protocol.ts';
import type { Change, OnGone, Presence } from './presence.ts';

interface User {
  member: Member;
  connections: Set<string>;
  /** Runs while the user has no connection and may still come back. */
  away: NodeJS.Timeout | undefined;
}

export function createMemoryPresence({ grace, onGone }: { grace: number; onGone: OnGone }): Presence {
  /** room -> userId -> user */
  const rooms = new Map<string, Map<string, User>>();
  /** End of each claim. */
  const claims = new Map<string, number>();
  const count = (room: string) => rooms.get(room)?.size ?? 0;

  function remove(room: string, userId: string): Change {
    const users = rooms.get(room);
    clearTimeout(users?.get(userId)?.away);
    users?.delete(userId);
    if (users?.size === 0) rooms.delete(room);
    return { changed: true, memberCount: count(room) };
  }

  return {
    async join(room, clientId, member, maxMembers = Number.POSITIVE_INFINITY) {
      const users = rooms.get(room) ?? new Map<string, User>();
      if (!users.has(member.userId) && users.size >= maxMembers) return undefined;
      rooms.set(room, users);
      const user = users.get(member.userId);
      if (user) {
        clearTimeout(user.away);
        user.away = undefined;
        user.connections.add(clientId);
      } else {
        users.set(member.userId, { member, connections: new Set([clientId]), away: undefined });
      }
      return { changed: !user, memberCount: users.size };
    },
    async leave(room, clientId, goodbye) {
      const user = [...(rooms.get(room)?.values() ?? [])].find(({ connections }) => connections.has(clientId));
      if (!user) return { changed: false, memberCount: count(room) };
      user.connections.delete(clientId);
      if (user.connections.size > 0) return { changed: false, memberCount: count(room) };
      if (goodbye) return remove(room, user.member.userId);
      user.away = setTimeout(() => onGone(room, user.member, remove(room, user.member.userId).memberCount), grace);
      user.away.unref();
      return { changed: false, memberCount: count(room) };
    },
    async members(room, limit) {
      const users = [...(rooms.get(room)?.values() ?? [])].map(({ member }) => member);
      return { members: users.slice(0, limit), memberCount: users.length };
    },
    async claimInterval(room, interval) {
      const now = performance.now();
      for (const [claimed, end] of claims) if (end <= now) claims.delete(claimed);
      if (claims.has(room)) return false;
      claims.set(room, now + interval);
      return true;
    },
    async close() {
      for (const users of rooms.values()) for (const { away } of users.values()) clearTimeout(away);
      rooms.clear();
    },
  };
}
