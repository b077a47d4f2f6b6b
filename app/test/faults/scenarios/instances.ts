/** 1 to 3: instances that are replaced, and instances that die. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Cluster } from '../rig.ts';
import { type Context, percentileOf, type Scenario, STABLE_MS, spread } from '../scenario.ts';

/** Kills instances in the middle of a burst; @returns how long their members were without what they missed, in ms. */
async function killMidBurst(
  { rig, fleet, random, sized }: Context<Cluster>,
  ids: readonly string[],
): Promise<number[]> {
  await delay(sized(STABLE_MS, 0));
  const orphans = fleet.members.filter(({ instanceId }) => instanceId !== undefined && ids.includes(instanceId));
  const victims = rig.instances.filter(({ id }) => ids.includes(id));
  fleet.burst(5);
  await delay(random.between(0, 20));
  const killedAt = performance.now();
  await Promise.all(victims.map((victim) => victim.kill()));
  await fleet.flowing(30_000);
  await Promise.all(victims.map((victim) => victim.start()));
  return orphans.map(({ backAt, caughtUpAt }) => Math.max(backAt, caughtUpAt) - killedAt);
}

export const rollingRestart: Scenario<Cluster> = {
  number: 1,
  name: 'rolling restart',
  // Enough traffic for something to happen in the moment of each move.
  fleet: (_rig, size) => (size === 'short' ? { interval: 30 } : {}),
  async run({ rig, fleet, sized, note, check }) {
    fleet.takeLatencies();
    await delay(sized(5000, 1000));
    const undisturbed = fleet.takeLatencies();
    note('undisturbed ms p50/p99/max', spread(undisturbed));
    const rolls = sized(10, 1);
    for (let i = 0; i < rolls; i += 1) await rig.roll();
    await fleet.flowing(30_000);
    note('rolls', rolls);
    const gaps = fleet.members.flatMap((member) => member.gaps);
    note('gap ms p50/p99/max', spread(gaps));
    note('moves', gaps.length);
    // Few moves on a machine that tests much besides say nothing about time.
    const quick = percentileOf(gaps, 0.99) <= 100 && percentileOf(gaps, 0.5) <= 2 * percentileOf(undisturbed, 0.5);
    check(sized(quick, true), 'gaps have p99 of 100 ms at most, and p50 of twice the undisturbed latency');
    return undefined;
  },
};

export const killOne: Scenario<Cluster> = {
  number: 2,
  name: 'SIGKILL of an instance mid-burst',
  async run(context) {
    const { rig, random, sized, note, check } = context;
    const recoveries: number[] = [];
    const kills = sized(20, 2);
    for (let i = 0; i < kills; i += 1)
      recoveries.push(...(await killMidBurst(context, [random.pick(rig.instances).id])));
    note('kills', kills);
    note('recovery ms p50/p99/max', spread(recoveries));
    check(sized(percentileOf(recoveries, 0.99) <= 2000, true), 'members have what they missed within 2 s (p99)');
    return undefined;
  },
};

export const killTwo: Scenario<Cluster> = {
  number: 3,
  name: 'SIGKILL of two of three at once',
  async run(context) {
    const { rig, random, sized, note } = context;
    const recoveries: number[] = [];
    const kills = sized(5, 1);
    for (let i = 0; i < kills; i += 1) {
      const survivor = random.pick(rig.instances);
      const victims = rig.instances.filter((instance) => instance !== survivor).map(({ id }) => id);
      recoveries.push(...(await killMidBurst(context, victims)));
    }
    note('kills', kills);
    note('recovery ms p50/p99/max', spread(recoveries));
    return undefined;
  },
};
