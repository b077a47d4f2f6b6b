/** 13 to 15: Redis loses what it acknowledged. Those whom it concerns are told, nobody else is, and the rest is whole. */
import { setTimeout as delay } from 'node:timers/promises';
import { until } from '../../../../deploy/test/harness/test-cluster.ts';
import type { RedisServer } from '../../harness/redis.ts';
import type { Fleet, FleetOptions, Judgement } from '../fleet.ts';
import { channelsOf, isTold, judgeByHistory } from '../history.ts';
import type { Member } from '../member.ts';
import { startProxy } from '../proxy.ts';
import type { Rig } from '../rig.ts';
import type { Context, Scenario, Size } from '../scenario.ts';

const fleet = (_rig: Rig, size: Size): Partial<FleetOptions> => ({
  ...(size === 'full' ? { clients: 60 } : { clients: 15 }),
  rooms: 3,
  publishersPerRoom: 2,
  interval: 100,
  keepViews: true,
});

/** Some of the members that publish nothing. */
const readers = ({ members }: Fleet, part: 0 | 1): Member[] =>
  members.slice(6).filter((_, index) => index % 3 === part);

/** The last place of a room that a member holds. */
const highest = (member: Member, channel: string): number => Math.max(0, ...(member.view(channel)?.keys() ?? []));

async function leave(members: readonly Member[]): Promise<void> {
  await Promise.all(members.map(({ client }) => client.close()));
}

function comeBack(members: readonly Member[]): void {
  for (const { client } of members) client.connect();
}

/** Ends the traffic, and compares. */
async function conclude({ fleet, sized, note, check }: Context, redis: RedisServer): Promise<Judgement> {
  await fleet.flowing(30_000);
  await delay(sized(3000, 500));
  await fleet.hush();
  const { gone, example, ...judgement } = await judgeByHistory(
    fleet,
    redis,
    sized(30_000, Number(process.env['SETTLE_MS'] ?? 15_000)),
  );
  note('acknowledged and gone', gone);
  check(example === '', example);
  return judgement;
}

export const staleReplica: Scenario = {
  number: 13,
  name: 'failover to a stale replica',
  rig: { redisProxy: true },
  spoilsRig: true,
  fleet,
  async run(context) {
    const { rig, fleet, sized, note, check } = context;
    const channels = channelsOf(fleet);
    await using replication = await startProxy({ upstream: rig.redis.port });
    const replica = await rig.startReplica(['--replicaof', `127.0.0.1 ${replication.port}`]);
    const lengthOn = async (redis: RedisServer, channel: string) =>
      Number(await redis.command('HGET', `wsfleet:{${channel}}:meta`, 'offset'));
    const early = readers(fleet, 0);
    const late = readers(fleet, 1);
    await leave(early);
    const needed = await Promise.all(channels.map((channel) => lengthOn(rig.redis, channel)));
    await until('the replica has all that the first sleepers have', 20_000, async () => {
      const has = await Promise.all(channels.map((channel) => lengthOn(replica, channel)));
      return has.every((length, index) => length >= (needed[index] ?? 0));
    });

    replication.silence();
    await delay(sized(5000, 1500));
    await leave(late);
    await delay(300);
    const forks = await Promise.all(channels.map((channel) => lengthOn(replica, channel)));
    await rig.redis.kill();
    // What it had sent is read.
    await delay(300);
    const isAhead = (member: Member, index: number) => highest(member, channels[index] ?? '') > (forks[index] ?? 0);
    const ahead = channels.map((_, index) => fleet.members.filter((member) => isAhead(member, index)));
    await replica.command('REPLICAOF', 'NO', 'ONE');
    rig.redisProxy.upstream = replica.port;
    comeBack(early);
    // Until the numbers have passed those of the lost messages: only the epoch tells them from each other.
    await until('the replica’s history is longer than the lost one', 30_000, async () => {
      const lengths = await Promise.all(channels.map((channel) => lengthOn(replica, channel)));
      return late.every((member) =>
        channels.every((channel, index) => highest(member, channel) < (lengths[index] ?? 0)),
      );
    });
    comeBack(late);

    const judgement = await conclude(context, replica);
    for (const [index, channel] of channels.entries()) {
      for (const member of fleet.members.filter(({ client }) => client.rooms.includes(channel))) {
        const rewound = isTold(member, channel, 'rewound');
        if (ahead[index]?.includes(member)) check(rewound, `${member.name} was ahead in ${channel}, and told so`);
        else check(!rewound, `${member.name} was not ahead in ${channel}, and not told that it was`);
      }
    }
    check(
      late.every((member) => ahead.flat().includes(member)),
      'those who left late were ahead too',
    );
    note('members ahead', new Set(ahead.flat()).size);
    note('not ahead', fleet.members.length - new Set(ahead.flat()).size);
    return judgement;
  },
};

export const flush: Scenario = {
  number: 14,
  name: 'FLUSHALL',
  fleet,
  async run(context) {
    const { rig, fleet, sized, note, check } = context;
    const away = readers(fleet, 0);
    await leave(away);
    await delay(sized(5000, 1500));
    await rig.redis.command('FLUSHALL');
    comeBack(away);
    // Nobody publishes to @all here: what has no history loses none.
    const knows = (member: Member) =>
      member.client.rooms
        .filter((room) => !room.startsWith('@'))
        .every((room) => isTold(member, room, 'unknown_epoch'));
    // The audit finds it in a silent room.
    await until('everyone is told', 15_000, () => fleet.members.every(knows)).catch(() => undefined);
    const judgement = await conclude(context, rig.redis);
    const told = fleet.members.filter(knows);
    check(told.length === fleet.members.length, `${told.length} of ${fleet.members.length} were told unknown_epoch`);
    note('told', told.length);
    return judgement;
  },
};

export const trimmed: Scenario = {
  number: 15,
  name: 'trimmed history',
  rig: { env: { HISTORY_SIZE: '50' } },
  fleet,
  async run(context) {
    const { rig, fleet, note, check } = context;
    const away = readers(fleet, 0);
    await leave(away);
    for (let i = 0; i < 5; i += 1) {
      fleet.burst(12);
      await delay(100);
    }
    const published = fleet.streams.map((stream) => stream.published);
    await until('what was published meanwhile is stored', 30_000, () =>
      fleet.streams.every(({ acknowledged }, index) => acknowledged >= (published[index] ?? 0)),
    );
    comeBack(away);
    const judgement = await conclude(context, rig.redis);
    for (const member of fleet.members) {
      const told = fleet.rooms.some((room) => isTold(member, room, 'trimmed'));
      check(told === away.includes(member), `${member.name} was ${told ? '' : 'not '}told of trimmed history`);
    }
    note('told', away.length);
    return judgement;
  },
};
