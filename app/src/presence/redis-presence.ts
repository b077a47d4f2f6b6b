/**
 * Presence in Redis, under a lease per instance. An instance that dies stops renewing; whoever notices takes its
 * entries out, room by room, and tells the others.
 *
 * The same mechanism heals everything else: an instance that lost its lease (a long stall, data lost by Redis) or
 * whose commands went missing while Redis was away takes a new lease, enters its connections anew under it, and lets
 * the old lease end. What nobody entered anew was a ghost and leaves with the old lease.
 */
import { createHash, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { RedisLink } from '../broker/redis-link.ts';
import type { Logger } from '../logger.ts';
import type { Member } from '../protocol.ts';
import type { Change, OnGone, Presence } from './presence.ts';

const LEASES = 'wsfleet:leases';
const leaseRooms = (lease: string) => `wsfleet:lease:${lease}:rooms`;
/** Both keys of a room share a slot of Redis Cluster. */
const roomKeys = (room: string) => [`wsfleet:{${room}}:connections`, `wsfleet:{${room}}:users`] as const;

function loadScript(name: string) {
  const source = readFileSync(new URL(name, import.meta.url), 'utf8');
  return { source, sha: createHash('sha1').update(source).digest('hex') };
}
const scripts = { join: loadScript('join.lua'), leave: loadScript('leave.lua'), renew: loadScript('renew.lua') };

export function createRedisPresence(options: {
  link: RedisLink;
  /** How long an instance may be silent before it counts as dead, in ms. */
  lease: number;
  onGone: OnGone;
  logger: Logger;
}): Presence {
  const { link, logger, onGone } = options;
  /** What this instance has entered: room -> clientId -> member. */
  const local = new Map<string, Map<string, Member>>();
  /** Joins that wait for a lease; a leave calls them off. */
  const waiting = new Set<string>();
  const keyOf = (room: string, clientId: string) => `${room} ${clientId}`;
  let lease: string = randomUUID();
  let held = false;
  let renewal: Promise<void> | undefined;
  let closed = false;

  async function run<T>(
    script: { source: string; sha: string },
    keys: readonly string[],
    args: readonly string[],
  ): Promise<T> {
    const tail = [String(keys.length), ...keys, ...args];
    try {
      return await link.commands.sendCommand<T & (string | number | (string | number)[])>([
        'EVALSHA',
        script.sha,
        ...tail,
      ]);
    } catch (error) {
      if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error;
      return await link.commands.sendCommand<T & (string | number | (string | number)[])>([
        'EVAL',
        script.source,
        ...tail,
      ]);
    }
  }

  async function enter(room: string, clientId: string, member: Member): Promise<Change> {
    const [, [changed, memberCount]] = await Promise.all([
      link.commands.sendCommand(['SADD', leaseRooms(lease), room]),
      run<[number, number]>(scripts.join, roomKeys(room), [clientId, member.userId, member.username, lease]),
    ]);
    return { changed: changed === 1, memberCount };
  }

  async function take(
    room: string,
    kind: 'client' | 'lease',
    id: string,
  ): Promise<{ memberCount: number; gone: Member[] }> {
    const [memberCount, ...fields] = await run<[number, ...string[]]>(scripts.leave, roomKeys(room), [kind, id]);
    const gone: Member[] = [];
    for (let i = 0; i + 1 < fields.length; i += 2)
      gone.push({ userId: fields[i] ?? '', username: fields[i + 1] ?? '' });
    return { memberCount, gone };
  }

  /** Takes a dead instance's connections out. Safe for several instances to do at once: each removes what is left. */
  async function bury(dead: string): Promise<void> {
    const rooms = await link.commands.sendCommand<string[]>(['SMEMBERS', leaseRooms(dead)]);
    for (const room of rooms) {
      const { memberCount, gone } = await take(room, 'lease', dead);
      for (const member of gone) onGone(room, member, memberCount);
    }
    await link.commands.sendCommand(['ZREM', LEASES, dead]);
    await link.commands.sendCommand(['UNLINK', leaseRooms(dead)]);
    logger.info(
      { event: 'presence_lease_ended', lease: dead, rooms: rooms.length },
      'members of an ended lease have left',
    );
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
      const duration = String(options.lease);
      const [holds, ...ended] = await run<[number, ...string[]]>(scripts.renew, [LEASES], [lease, duration, 'held']);
      if (!held || holds === 0) {
        lease = randomUUID();
        await run(scripts.renew, [LEASES], [lease, duration, 'new']);
        held = true;
        const entries = [...local].flatMap(([room, clients]) =>
          [...clients].map(([id, member]) => ({ room, id, member })),
        );
        await Promise.all(entries.map(({ room, id, member }) => enter(room, id, member)));
      }
      for (const dead of ended) if (dead !== lease) await bury(dead);
    } catch (error) {
      held = false;
      logger.debug({ event: 'presence_renew_failed', err: error }, 'the presence lease could not be renewed');
    }
  }

  const renewSoon = () => void renew();
  const timer = setInterval(renewSoon, options.lease / 3);
  link.events.on('up', renewSoon);
  link.events.on('down', () => {
    held = false;
  });

  return {
    async join(room, clientId, member) {
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
      return enter(room, clientId, member);
    },
    async leave(room, clientId) {
      waiting.delete(keyOf(room, clientId));
      const clients = local.get(room);
      clients?.delete(clientId);
      if (clients?.size === 0) local.delete(room);
      try {
        const [{ memberCount, gone }] = await Promise.all([
          take(room, 'client', clientId),
          clients?.size === 0 && link.commands.sendCommand(['SREM', leaseRooms(lease), room]),
        ]);
        return { changed: gone.length > 0, memberCount };
      } catch (error) {
        // The entry may have stayed behind: it goes with the old lease.
        held = false;
        throw error;
      }
    },
    async members(room, limit) {
      const [connections, users] = roomKeys(room);
      const [entries, memberCount] = await Promise.all([
        link.commands.sendCommand<string[]>(['HVALS', connections]),
        link.commands.sendCommand<number>(['HLEN', users]),
      ]);
      const members = new Map<string, Member>();
      for (const entry of entries) {
        const [, userId, username] = JSON.parse(entry) as [string, string, string];
        members.set(userId, { userId, username });
        if (members.size >= limit) break;
      }
      return { members: [...members.values()], memberCount };
    },
    async close() {
      closed = true;
      clearInterval(timer);
      link.events.off('up', renewSoon);
      await renewal;
      if (link.ready) await bury(lease).catch(() => undefined);
    },
  };
}
