/**
 * The judgement where Redis has lost history: what a member holds, without what it was told is void, has to be what Redis
 * still has, and in the same places.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { closeBody, type GapReason } from '../../src/protocol.ts';
import type { RedisServer } from '../harness/redis.ts';
import type { Fleet, Judgement } from './fleet.ts';
import type { Member } from './member.ts';

/** A room's messages by offset, as Redis keeps them. */
async function readHistory(redis: RedisServer, channel: string): Promise<Map<number, string>> {
  const entries = (await redis.command('XRANGE', `wsfleet:{${channel}}:stream`, '-', '+')) as [string, string[]][];
  return new Map(
    entries.map(([id, [, body = '']]) => {
      const { payload } = JSON.parse(body + closeBody());
      return [Number.parseInt(id, 10), `${payload.from.userId} ${payload.content}`];
    }),
  );
}

export const isTold = ({ told }: Member, room: string, reason: GapReason): boolean =>
  told.some((each) => each.room === room && each.reason === reason);

/** What members hold: rooms and broadcasts. */
export const channelsOf = (fleet: Fleet): string[] => [...fleet.rooms, '@all'];

export interface HistoryJudgement extends Judgement {
  /** Messages that were acknowledged and are not there. */
  gone: number;
  /** One of the members that are not right, in words. */
  example: string;
}

async function judgeOnce(fleet: Fleet, redis: RedisServer): Promise<HistoryJudgement> {
  const judgement = { expected: 0, lost: 0, doubled: 0, disordered: 0, gone: 0, example: '' };
  for (const channel of channelsOf(fleet)) {
    const history = await readHistory(redis, channel);
    const kept = new Set(history.values());
    const oldest = Math.min(...history.keys());
    judgement.gone += fleet.acknowledged.filter(
      (message) => message.channel === channel && !kept.has(`${message.userId} ${message.content}`),
    ).length;
    for (const member of fleet.members) {
      if (!member.client.rooms.includes(channel)) continue;
      const view = member.view(channel) ?? new Map<number, string>();
      // It joined here: what stood in the room before is not its own.
      const since = member.joins.find((join) => join.room === channel)?.position.offset ?? 0;
      const own = [...history].filter(([offset]) => offset > since || isTold(member, channel, 'unknown_epoch'));
      judgement.expected += own.length;
      const missing = own.filter(([offset, message]) => view.get(offset) !== message);
      judgement.lost += missing.length;
      if (missing.length > 0) {
        const { name, told, joins } = member;
        const places = `${missing[0]?.[0]} to ${missing.at(-1)?.[0]} of ${channel}, ${missing.length} of ${own.length}`;
        judgement.example = `${name} lacks ${places}: ${JSON.stringify({ told, joins: joins.filter(({ room }) => room === channel) })}`;
      }
      judgement.doubled += view.size - new Set(view.values()).size;
      // Held, and not what the room has there: a lost history that is taken for the present one.
      for (const [offset, message] of view) {
        if (offset >= oldest && history.get(offset) !== message) judgement.disordered += 1;
      }
    }
  }
  return judgement;
}

/** Waits until members and Redis agree, at most `ms`. */
export async function judgeByHistory(fleet: Fleet, redis: RedisServer, ms: number): Promise<HistoryJudgement> {
  const deadline = performance.now() + ms;
  for (;;) {
    const judgement = await judgeOnce(fleet, redis);
    if (judgement.lost + judgement.disordered === 0 || performance.now() > deadline) return judgement;
    await delay(200);
  }
}
