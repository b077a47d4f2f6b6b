/** What can be asked of all instances at once: the connections of a user, wherever they are, and every instance's status. */
import type { Connection } from './connection/connection.ts';
import type { Status } from './instance.ts';
import { EVERY_INSTANCE, type InstanceCalls } from './instance-calls.ts';
import type { Revocation, Revocations } from './revocations/revocations.ts';
import { instanceOf } from './rooms/direct-messages.ts';
import type { Hub } from './rooms/hub.ts';
import type { Rooms } from './rooms/rooms.ts';

/** A join waits for its subscription, see rooms/subscriptions.ts. */
const JOIN_DEADLINE_MS = 5000;
/** Of one user on one instance, that are listed. */
const MAX_LISTED = 1000;

export interface ConnectionInfo {
  clientId: string;
  userId: string;
  username: string;
  instanceId: string;
  rooms: string[];
  /** Milliseconds since the Unix epoch. */
  expiresAt: number;
}

/** The tokens of a user, the token of a connection, or the token with this `jti`. */
export type RevocationTarget = { userId: string } | { clientId: string } | { jti: string };

/** Every method @throws {BrokerUnavailable} with `uncertain` when an instance did not answer in time. */
export interface Fleet {
  connectionsOf(userId: string): Promise<ConnectionInfo[]>;
  /** @returns how many connections were closed */
  disconnect(target: { userId: string } | { clientId: string }, code: number): Promise<number>;
  /** The connections that the user has now join the room. `refused`: their token or limits do not allow it. */
  join(userId: string, room: string): Promise<{ joined: number; refused: number }>;
  /** @returns how many connections left the room */
  leave(userId: string, room: string): Promise<number>;
  /**
   * Refuses tokens from now on, and closes the connections that use them.
   * @returns how many were closed; undefined if there is no such connection
   * @throws {TooManyRevocations}
   */
  revoke(target: RevocationTarget): Promise<number | undefined>;
  status(): Promise<Omit<Status, 'pid'>[]>;
}

const sum = (numbers: readonly number[]) => numbers.reduce((total, each) => total + each, 0);

export function createFleet(options: {
  calls: InstanceCalls;
  hub: Hub<Connection>;
  rooms: Rooms;
  revocations: Revocations;
  /** The longest that a token is good for, in ms. */
  maxLifetime: number;
  instanceId: string;
  /** Closes the connections of this instance whose tokens are revoked. @returns how many */
  closeRevoked(): number;
  status(): Status;
}): Fleet {
  const { calls, hub, rooms, revocations, maxLifetime, instanceId } = options;

  // The connections are looked through: an index of users would cost memory and time at every connect.
  const find = (userId: string) =>
    [...hub.connections.values()].filter(({ user, state }) => user.userId === userId && state === 'open');

  const list = calls.define('connections', ({ userId }: { userId: string }): ConnectionInfo[] =>
    find(userId)
      .slice(0, MAX_LISTED)
      .map(({ id, user: { username, expiresAt }, rooms: joined }) => ({
        clientId: id,
        userId,
        username,
        instanceId,
        rooms: [...joined],
        expiresAt,
      })),
  );

  type Disconnect = { userId?: string; clientId?: string; code: number };
  const disconnect = calls.define('disconnect', ({ userId, clientId, code }: Disconnect) => {
    const one = clientId === undefined ? undefined : hub.connections.get(clientId);
    const connections = userId === undefined ? (one?.state === 'open' ? [one] : []) : find(userId);
    for (const connection of connections) connection.close('KICKED', code);
    return connections.length;
  });

  type InRoom = { userId: string; room: string };
  const join = calls.define(
    'join',
    async ({ userId, room }: InRoom) => {
      const refusals = await Promise.all(
        find(userId).map(async (connection) => {
          const begin = (joined: Parameters<Parameters<Rooms['join']>[3]>[0]) =>
            connection.send('joined_room', { room, ...joined });
          return connection.rooms.has(room) ? undefined : rooms.join(connection, room, undefined, begin);
        }),
      );
      const refused = refusals.filter((refusal) => refusal !== undefined).length;
      return { joined: refusals.length - refused, refused };
    },
    JOIN_DEADLINE_MS,
  );

  const leave = calls.define('leave', async ({ userId, room }: InRoom) => {
    const members = find(userId).filter((connection) => connection.rooms.has(room));
    await Promise.all(
      members.map(async (connection) => {
        await rooms.leave(connection, room);
        connection.send('left_room', { room });
      }),
    );
    return members.length;
  });

  const tokenOf = calls.define('token', ({ clientId }: { clientId: string }) => {
    const user = hub.connections.get(clientId)?.user;
    return user && { tokenId: user.tokenId, expiresAt: user.expiresAt };
  });

  /** Closes the connections of this instance whose tokens are revoked by now. */
  const applyRevocation = calls.define('revoke', (revocation: Revocation) => {
    revocations.learn(revocation);
    return options.closeRevoked();
  });

  async function describeTokens(target: RevocationTarget): Promise<Revocation | undefined> {
    const expiresAt = Date.now() + maxLifetime;
    // Tokens tell the second in which they were issued.
    if ('userId' in target) return { ...target, issuedUntil: Math.floor(Date.now() / 1000) * 1000, expiresAt };
    if ('jti' in target) return { tokenId: `jti:${target.jti}`, expiresAt };
    const instance = instanceOf(target.clientId);
    const [token] = instance === undefined ? [] : await tokenOf(instance, target);
    return token ?? undefined;
  }

  const status = calls.define('status', () => {
    const { pid: _, ...rest } = options.status();
    return rest;
  });

  return {
    connectionsOf: async (userId) => (await list(EVERY_INSTANCE, { userId })).flat(),
    async disconnect(target, code) {
      if ('userId' in target) return sum(await disconnect(EVERY_INSTANCE, { ...target, code }));
      const instance = instanceOf(target.clientId);
      return instance === undefined ? 0 : sum(await disconnect(instance, { ...target, code }));
    },
    async join(userId, room) {
      const answers = await join(EVERY_INSTANCE, { userId, room });
      return { joined: sum(answers.map(({ joined }) => joined)), refused: sum(answers.map(({ refused }) => refused)) };
    },
    leave: async (userId, room) => sum(await leave(EVERY_INSTANCE, { userId, room })),
    async revoke(target) {
      const revocation = await describeTokens(target);
      if (!revocation) return undefined;
      await revocations.revoke(revocation);
      return sum(await applyRevocation(EVERY_INSTANCE, revocation));
    },
    status: () => status(EVERY_INSTANCE, {}),
  };
}
