/** 12: everything at once, in an order that the seed decides. */
import { setTimeout as delay } from 'node:timers/promises';
import { losing } from '../resp.ts';
import type { Context, Scenario } from '../scenario.ts';

/** The kinds of fault run side by side, so that they meet; each repairs what it breaks. */
const kinds: Readonly<Record<string, (context: Context) => Promise<void>>> = {
  async instances({ rig, random }) {
    const instance = random.pick(rig.instances);
    const how = random.pick(['SIGKILL', 'SIGTERM', 'SIGSTOP'] as const);
    if (how === 'SIGSTOP') {
      instance.app.signal('SIGSTOP');
      await delay(random.between(500, 9000));
      instance.app.signal('SIGCONT');
      return;
    }
    if (how === 'SIGKILL') await instance.kill();
    else await instance.stop();
    // Redis may be away: then it has to be started again.
    while (!instance.running) await instance.start().catch(() => undefined);
  },
  async redis({ rig, random }) {
    if (random.next() < 0.5) {
      await rig.redis.kill();
      await delay(random.between(200, 4000));
      await rig.redis.start();
    } else {
      rig.redis.signal('SIGSTOP');
      await delay(random.between(200, 5000));
      rig.redis.signal('SIGCONT');
    }
  },
  async links({ rig, random }) {
    const links = await rig.redisLinks(random.pick(['subscriber', 'subscriber', 'commands']));
    if (links.length === 0) return;
    const { id, link } = random.pick(links);
    const how = random.pick(['kill', 'silent', 'losing', 'cut'] as const);
    if (how === 'kill') await rig.redis.command('CLIENT', 'KILL', 'ID', id);
    else if (how === 'cut') link?.cut();
    else if (how === 'silent') {
      link?.stall(random.pick(['down', 'up']));
      await delay(random.between(500, 5000));
      link?.flow();
    } else {
      // The filter stays: it may hold the beginning of a message.
      let share = 0.5;
      link?.filter(losing(() => random.next() < share));
      await delay(random.between(500, 5000));
      share = 0;
    }
  },
  async nginx({ rig, random }) {
    await delay(random.between(2000, 10_000));
    await rig.nginx.stop(random.pick(['SIGTERM', 'SIGKILL']));
    await rig.nginx.start();
  },
  async edge({ rig, random }) {
    if (random.next() < 0.5) return rig.edge.cut();
    rig.edge.silence();
    await delay(random.between(500, 12_000));
    rig.edge.flow();
  },
};

export const everything: Scenario = {
  number: 12,
  name: 'everything at once',
  // Whoever is struck again and again waits up to 30 s between attempts, and is away for as long as the whole of it.
  rig: { redisProxy: true, env: { HISTORY_SIZE: process.env['HISTORY_SIZE'] ?? '5000' } },
  fleet: ({ url, edgeUrl }) => ({ url: (index) => (index % 3 === 0 ? edgeUrl : url) }),
  async run(context) {
    const { random, sized, note } = context;
    const until = performance.now() + sized(120_000, 8000);
    const count: Record<string, number> = {};
    await Promise.all(
      Object.entries(kinds).map(async ([kind, fault]) => {
        count[kind] = 0;
        while (performance.now() < until) {
          await delay(random.between(0, 5000));
          // Redis does not answer while it is stopped or away.
          await fault(context).catch((error: unknown) => {
            if (kind !== 'links') throw error;
          });
          count[kind] += 1;
        }
      }),
    );
    note(
      'faults',
      Object.entries(count)
        .map(([kind, times]) => `${times} ${kind}`)
        .join(', '),
    );
    return undefined;
  },
};
