/** Presence of one instance alone. */
import type { Member } from '../protocol.ts';
import type { Presence } from './presence.ts';

export function createMemoryPresence(): Presence {
  /** room -> clientId -> member */
  const rooms = new Map<string, Map<string, Member>>();

  const users = (room: string): Map<string, Member> =>
    new Map([...(rooms.get(room)?.values() ?? [])].map((member) => [member.userId, member]));

  return {
    async join(room, clientId, member) {
      const changed = !users(room).has(member.userId);
      const connections = rooms.get(room);
      if (connections) connections.set(clientId, member);
      else rooms.set(room, new Map([[clientId, member]]));
      return { changed, memberCount: users(room).size };
    },
    async leave(room, clientId) {
      const connections = rooms.get(room);
      const member = connections?.get(clientId);
      if (!connections || !member) return { changed: false, memberCount: users(room).size };
      connections.delete(clientId);
      if (connections.size === 0) rooms.delete(room);
      return { changed: !users(room).has(member.userId), memberCount: users(room).size };
    },
    async members(room, limit) {
      const all = [...users(room).values()];
      return { members: all.slice(0, limit), memberCount: all.length };
    },
    async close() {
      rooms.clear();
    },
  };
}
