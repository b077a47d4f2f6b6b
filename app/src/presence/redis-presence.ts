/**
 * Presence in Redis, under a lease per instance. An instance that dies stops renewing its lease; the instance that
 * notices removes its entries, room by room, and tells the others.
 *
 * The same mechanism repairs everything else: an instance that lost its lease (a long stall, data lost by Redis) or
 * whose commands were lost while Redis was down takes a new lease, writes its connections under it, and lets the old
 * lease expire. Entries that were not written again are ghosts and leave with the old lease.
 *
 * A user whose last connection was lost stays for the grace time. After it, the next instance that renews its lease
 * removes them, so that a restart causes no storm of leaves and joins.
 */
import { randomUUID } from 'node:crypto';
import type { RedisLink } from '../broker/redis-link.ts';
import { loadScript } from '../broker/redis-script.ts';
import type { Logger } from '../observability/logger.ts';
import type { Member } from '../protocol.ts';
import type { Change, OnGone, Presence } from './presence.ts';

/** Both are in one slot of Redis Cluster, because one script reads both. */
const LEASES = 'wsfleet:{presence}:leases';
const AWAY_ROOMS = 'wsfleet:{presence}:away';
const leaseRooms = (lease: string) => `wsfleet:lease:${lease}:rooms`;
/** Longer than an outage of the whole cluster: the first instance that comes back needs the list to remove the ghosts. */
const LEASE_ROOMS_TTL_MS = 7 * 24 * 3600 * 1000;
/** Minimum time between two checks of what is due. */
const MIN_INTERVAL_MS = 50;
const roomKeys = (room: string) => ['connections', 'users', 'away'].map((part) => `wsfleet:{${room}}:${part}`);

const file = (name: string) => new URL(name, import.meta.url);
const joinScript = loadScript(file('join.lua'));
const leaveScript = loadScript(file('leave.lua'));
const renewScript = loadScript(file('renew.lua'));

export function createRedisPresence(options: {
  link: RedisLink;
  /** How long an instance may be silent before it counts as dead, in ms. */
  lease: number;
  /** How long a user may be away without having left, in ms. */
  grace: number;
  onGone: OnGone;
  logger: Logger;
}): Presence {
  const { link, logger, onGone } = options;
  /** What this instance has entered: room -> clientId -> member. */
  const local = new Map<string, Map<string, Member>>();
  /** Rooms of `local` that Redis has on the list of the lease. */
  const listed = new Set<string>();
  /** Joins that wait for a lease; a leave calls them off. */
  const waiting = new Set<string>();
  const keyOf = (room: string, clientId: string) => `${room} ${clientId}`;
  let lease: string = randomUUID();
  let held = false;
  let renewal: Promise<void> | undefined;
  let closed = false;

  const send = <T>(...command: string[]) => link.commands.sendCommand(command) as Promise<T>;

  /** A backstop for a list whose lease was already buried. */
  const keepLeaseRooms = () => send('PEXPIRE', leaseRooms(lease), String(LEASE_ROOMS_TTL_MS));

  /** Before the first entry under the lease: without it, nobody would remove the room's entries if this instance died. */
  async function listRoom(room: string): Promise<void> {
    const clients = local.get(room);
    const listedUnder = lease;
    await Promise.all([send('SADD', leaseRooms(lease), room), keepLeaseRooms()]);
    // Unless the room was emptied or the lease lost meanwhile, which takes it off the list.
    if (clients && local.get(room) === clients && lease === listedUnder) listed.add(room);
  }

  async function enter(room: string, clientId: string, member: Member, maxMembers = 0): Promise<Change | undefined> {
    const args = [clientId, member.userId, member.username, lease, String(maxMembers)];
    const [, answer] = await Promise.all([
      listed.has(room) ? undefined : listRoom(room),
      joinScript.run<[number, number] | null>(link.commands, roomKeys(room), args),
    ]);
    if (!answer) return undefined;
    const [changed, memberCount] = answer;
    return { changed: changed === 1, memberCount };
  }

  /** For commands whose failure the caller sees. */
  async function guard<T>(command: () => Promise<T>): Promise<T> {
    try {
      return await command();
    } catch (error) {
      throw link.refusals.refuse(error);
    }
  }

  async function take(
    room: string,
    ...what: string[]
  ): Promise<{ memberCount: number; nextGrace: number; gone: Member[] }> {
    type Answer = [number, number, ...string[]];
    const [memberCount, nextGrace, ...fields] = await leaveScript.run<Answer>(link.commands, roomKeys(room), what);
    const gone: Member[] = [];
    for (let i = 0; i + 1 < fields.length; i += 2)
      gone.push({ userId: fields[i] ?? '', username: fields[i + 1] ?? '' });
    if (nextGrace > 0) await send('ZADD', AWAY_ROOMS, String(nextGrace), room);
    return { memberCount, nextGrace, gone };
  }

  /** Takes what is due out of a room. Safe for several instances to do at once: each removes what is left. */
  async function clear(room: string, ...what: string[]): Promise<void> {
    const { memberCount, gone } = await take(room, ...what);
    for (const member of gone) onGone(room, member, memberCount);
  }

  /** Takes a dead instance's connections out. */
  async function bury(dead: string): Promise<void> {
    const rooms = await send<string[]>('SMEMBERS', leaseRooms(dead));
    for (const room of rooms) await clear(room, 'lease', dead);
    await Promise.all([send('ZREM', LEASES, dead), send('UNLINK', leaseRooms(dead))]);
    logger.info(
      { event: 'presence_lease_ended', lease: dead, rooms: rooms.length },
      'members of an ended lease have left',
    );
  }

  async function sweep(room: string): Promise<void> {
    // Taken off the list first: what is still to come puts it back.
    await send('ZREM', AWAY_ROOMS, room);
    await clear(room, 'away');
  }

  function runRenew(kind: 'new' | 'held') {
    const args = [lease, String(options.lease), kind];
    return renewScript.run<[number, string[], string[]]>(link.commands, [LEASES, AWAY_ROOMS], args);
  }

  /** Renews the lease; the one renewal that is under way where there is one. */
  function renew(): Promise<void> {
    renewal ??= renewNow().finally(() => {
      renewal = undefined;
    });
    return renewal;
  }

  async function renewNow(): Promise<void> {
    if (closed || !link.ready) return;
    try {
      const [holds, ended, awayRooms] = await runRenew('held');
      if (!held || holds === 0) {
        lease = randomUUID();
        listed.clear();
        await runRenew('new');
        held = true;
        const entries = [...local].flatMap(([room, clients]) =>
          [...clients].map(([id, member]) => ({ room, id, member })),
        );
        await Promise.all(entries.map(({ room, id, member }) => enter(room, id, member)));
      }
      await keepLeaseRooms();
      for (const dead of ended) if (dead !== lease) await bury(dead);
      for (const room of awayRooms) await sweep(room);
    } catch (error) {
      held = false;
      logger.debug({ event: 'presence_renew_failed', err: error }, 'the presence lease could not be renewed');
    }
  }

  const renewSoon = () => void renew();
  const timer = setInterval(renewSoon, Math.max(MIN_INTERVAL_MS, Math.min(options.lease, options.grace) / 3));
  const lose = () => {
    held = false;
  };
  link.events.on('up', renewSoon);
  link.events.on('down', lose);

  async function leave(room: string, clientId: string, goodbye: boolean): Promise<Change> {
    waiting.delete(keyOf(room, clientId));
    const clients = local.get(room);
    clients?.delete(clientId);
    if (clients?.size === 0) {
      local.delete(room);
      listed.delete(room);
    }
    try {
      const [{ memberCount, gone }] = await Promise.all([
        take(room, 'client', clientId, String(goodbye ? 0 : options.grace)),
        clients?.size === 0 && send('SREM', leaseRooms(lease), room),
      ]);
      return { changed: gone.length > 0, memberCount };
    } catch (error) {
      // The entry may have stayed behind: it goes with the old lease.
      lose();
      throw error;
    }
  }

  return {
    async join(room, clientId, member, maxMembers) {
      if (!held) {
        // Under a lease that Redis does not know nobody would ever take it out.
        const key = keyOf(room, clientId);
        waiting.add(key);
        await renew();
        if (!waiting.delete(key)) return { changed: false, memberCount: 0 };
      }
      const clients = local.get(room);
      if (clients) clients.set(clientId, member);
      else local.set(room, new Map([[clientId, member]]));
      const change = await guard(() => enter(room, clientId, member, maxMembers));
      // Its entry here and on the list of the lease.
      if (!change) await leave(room, clientId, true);
      return change;
    },
    leave,
    members: (room, limit) =>
      guard(async () => {
        const users = roomKeys(room)[1] ?? '';
        const memberCount = await send<number>('HLEN', users);
        const members = new Map<string, Member>();
        for (let cursor: string | undefined = '0'; cursor !== undefined && members.size < limit; ) {
          const [next, fields]: [string, string[]] = await send('HSCAN', users, cursor, 'COUNT', String(limit));
          for (let i = 0; i + 1 < fields.length && members.size < limit; i += 2) {
            const [, username] = JSON.parse(fields[i + 1] ?? '') as [number, string];
            const userId = fields[i] ?? '';
            members.set(userId, { userId, username });
          }
          cursor = next === '0' ? undefined : next;
        }
        return { members: [...members.values()], memberCount };
      }),
    async claimInterval(room, interval) {
      return (await send<string | null>('SET', `wsfleet:{${room}}:said`, '1', 'PX', String(interval), 'NX')) === 'OK';
    },
    async close() {
      closed = true;
      clearInterval(timer);
      link.events.off('up', renewSoon);
      link.events.off('down', lose);
      await renewal;
      if (link.ready) await bury(lease).catch(() => undefined);
    },
  };
}
