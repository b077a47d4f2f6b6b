/** 4 to 7, and 16: Redis and the links to it. */
import { setTimeout as delay } from 'node:timers/promises';
import { until } from '../../../../deploy/test/harness/test-cluster.ts';
import { losing } from '../resp.ts';
import type { Rig } from '../rig.ts';
import { type Scenario, spread } from '../scenario.ts';

/** A dead link is to be found within this, in ms; the rest is for a busy machine. */
const CANARY_MS = 3000;
const BUSY_MS = 1500;

export const restartRedis: Scenario = {
  number: 4,
  name: 'Redis killed and restarted (appendfsync always)',
  async run({ rig, sized, note }) {
    const away = sized(10_000, 1500);
    await rig.redis.kill();
    await delay(away);
    await rig.redis.start();
    note('away s', away / 1000);
    return undefined;
  },
};

export const stopRedisAndInstance: Scenario = {
  number: 5,
  name: 'SIGSTOP of Redis, and of an instance',
  async run({ rig, fleet, random, sized, note }) {
    const redisStop = sized(5000, 4000);
    rig.redis.signal('SIGSTOP');
    await delay(redisStop);
    rig.redis.signal('SIGCONT');
    await fleet.flowing(30_000);

    // Longer than its clients' patience: they have gone when it comes back.
    const instanceStop = sized(40_000, 8000);
    const { id, app } = random.pick(rig.instances);
    const clients = fleet.members.filter(({ instanceId }) => instanceId === id);
    app.signal('SIGSTOP');
    await delay(instanceStop);
    await until('every client of the stopped instance has noticed', 30_000, () =>
      clients.every(({ instanceId }) => instanceId !== id),
    );
    app.signal('SIGCONT');
    await fleet.flowing(60_000);
    await until('the instance has noticed that its clients are gone', 30_000, async () => {
      const { json } = await app.internal('/status');
      const here = fleet.members.filter(({ instanceId }) => instanceId === id).length;
      return (json as { connections: number }).connections === here;
    });
    note('stopped s', `${redisStop / 1000} and ${instanceStop / 1000}`);
    note('clients that had left', clients.length);
    return undefined;
  },
};

export const killSubscribers: Scenario = {
  number: 6,
  name: 'CLIENT KILL of subscriber links',
  async run({ rig, random, sized, note }) {
    const kills = sized(50, 6);
    for (let i = 0; i < kills; i += 1) {
      const { id, instance } = random.pick(await rig.redisLinks('subscriber'));
      await rig.redis.command('CLIENT', 'KILL', 'ID', id);
      await until(`${instance} is back`, 10_000, async () =>
        (await rig.redisLinks('subscriber')).some((link) => link.instance === instance && link.id !== id),
      );
      await delay(random.between(0, 100));
    }
    note('kills', kills);
    return undefined;
  },
};

export const silentSubscriber: Scenario = {
  number: 7,
  name: 'a subscriber link that stays open but silent',
  // Without the audit: what the canary does not find, nobody does.
  rig: { redisProxy: true, env: { AUDIT_INTERVAL: '1h' } },
  async run({ rig, fleet, sized, note, check }) {
    const found: number[] = [];
    for (const instance of rig.instances) {
      // A link that answers pings and brings no messages; and one on which nothing comes at all.
      for (const kind of ['deaf', 'silent'] as const) {
        const since = Date.now();
        for (const link of await subscriberOf(rig, instance.id)) {
          if (kind === 'silent') link.stall('down');
          else link.filter(losing(() => true));
        }
        const replaced = await instance.app
          .log('subscriber_replaced', ({ time }) => Number(time) >= since)
          .catch(() => undefined);
        if (!replaced) {
          check(false, `${instance.id} found that its link was ${kind}`);
          return undefined;
        }
        found.push(Number(replaced['time']) - since);
        await fleet.flowing(30_000);
      }
    }
    check(Math.max(...found) < CANARY_MS + sized(0, BUSY_MS), `found within ${CANARY_MS} ms: ${found}`);
    note('found after ms p50/p99/max', spread(found));
    return undefined;
  },
};

export const losingSubscriber: Scenario = {
  number: 16,
  name: 'a subscriber link that loses single messages',
  rig: { redisProxy: true },
  async run({ rig, fleet, random, sized, note }) {
    let lost = 0;
    const links = (await Promise.all(rig.instances.map(({ id }) => subscriberOf(rig, id)))).flat();
    let share = 0.2;
    for (const link of links) {
      // One filter for the whole of it: it may hold the beginning of a message.
      link.filter(
        losing((message) => {
          const loses = message.includes('wsfleet:room:') && random.next() < share;
          if (loses) lost += 1;
          return loses;
        }),
      );
    }
    await delay(sized(20_000, 3000));
    // The end of a burst is lost whole, and nothing follows that would show it.
    await fleet.hush();
    share = 1;
    fleet.burst(3);
    await fleet.hush();
    share = 0;
    const settled = await fleet.settle(sized(30_000, Number(process.env['SETTLE_MS'] ?? 15_000)));
    note('lost by links', lost);
    return settled;
  },
};

async function subscriberOf(rig: Rig, instance: string) {
  return until(`the subscriber link of ${instance}`, 10_000, async () => {
    const links = (await rig.redisLinks('subscriber')).filter((each) => each.instance === instance);
    const known = links.flatMap(({ link }) => link ?? []);
    return known.length > 0 && known;
  });
}
