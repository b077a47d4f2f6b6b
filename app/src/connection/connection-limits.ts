/** How many connections an address and a user may have on this instance, and how much a user may send through all of them. */
import ipaddr from 'ipaddr.js';
import type { Connection, UserLimiters } from './connection.ts';
import { type RateLimit, RateLimiter } from './rate-limiter.ts';

interface User extends UserLimiters {
  /** The oldest first. */
  connections: Set<Connection>;
}

export interface ConnectionLimits {
  /** Why one more connection of this user from this network (see `toNetwork`) is refused, if it is. */
  refusal(userId: string, network: string): 'ADDRESS_LIMIT' | 'USER_LIMIT' | undefined;
  /** What the user's connections share, for one that is about to be added. */
  limitersOf(userId: string): UserLimiters;
  /** Counts a connection that was opened. @returns the connection that has to go for it, if any */
  add(connection: Connection, network: string): Connection | undefined;
  remove(connection: Connection): void;
}

export function createConnectionLimits(options: {
  perAddress: number;
  perUser: number;
  /** Who is one too many: the connection that is opened, or the user's oldest, which is closed instead. */
  policy: 'newest' | 'oldest';
  /** Of all connections of a user together. */
  messages: RateLimit;
  newRooms: RateLimit;
}): ConnectionLimits {
  const { perAddress, perUser, policy } = options;
  const users = new Map<string, User>();
  const networks = new Map<string, number>();
  const networkOf = new WeakMap<Connection, string>();

  function userOf(userId: string): User {
    const user = users.get(userId) ?? {
      connections: new Set(),
      messages: new RateLimiter(options.messages),
      newRooms: new RateLimiter(options.newRooms),
    };
    users.set(userId, user);
    return user;
  }

  return {
    refusal(userId, network) {
      if ((networks.get(network) ?? 0) >= perAddress) return 'ADDRESS_LIMIT';
      const count = users.get(userId)?.connections.size ?? 0;
      return policy === 'newest' && count >= perUser ? 'USER_LIMIT' : undefined;
    },
    limitersOf: userOf,
    add(connection, network) {
      networkOf.set(connection, network);
      networks.set(network, (networks.get(network) ?? 0) + 1);
      const user = userOf(connection.user.userId);
      user.connections.add(connection);
      const [oldest] = user.connections;
      return user.connections.size > perUser ? oldest : undefined;
    },
    remove(connection) {
      const network = networkOf.get(connection) ?? '';
      const left = (networks.get(network) ?? 0) - 1;
      if (left > 0) networks.set(network, left);
      else networks.delete(network);
      const user = users.get(connection.user.userId);
      user?.connections.delete(connection);
      if (user?.connections.size === 0) users.delete(connection.user.userId);
    },
  };
}

/** An IPv4 address, or the /64 of an IPv6 address: whoever has one address there has all of them. */
export function toNetwork(address: string): string {
  if (!ipaddr.isValid(address)) return address;
  const parsed = ipaddr.process(address);
  if (parsed.kind() === 'ipv4') return parsed.toString();
  return `${(parsed as ipaddr.IPv6).parts
    .slice(0, 4)
    .map((part) => part.toString(16))
    .join(':')}::/64`;
}
