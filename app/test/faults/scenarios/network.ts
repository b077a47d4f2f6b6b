/** 8 to 11: NGINX, and the network between clients and NGINX. */
import { setTimeout as delay } from 'node:timers/promises';
import { until } from '../../../../deploy/test/harness/test-cluster.ts';
import type { Member } from '../member.ts';
import type { Cluster } from '../rig.ts';
import { type Scenario, STABLE_MS, spread } from '../scenario.ts';

export const restartNginx: Scenario<Cluster> = {
  number: 8,
  name: 'NGINX restarted, and NGINX SIGKILLed',
  async run({ rig, fleet, sized, note }) {
    const recoveries: number[] = [];
    const rounds = sized(3, 1);
    for (let i = 0; i < rounds; i += 1) {
      for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
        await delay(sized(STABLE_MS, 0));
        const since = performance.now();
        await rig.nginx.stop(signal);
        await rig.nginx.start();
        await fleet.flowing(60_000);
        recoveries.push(...fleet.members.map(({ backAt, caughtUpAt }) => Math.max(backAt, caughtUpAt) - since));
      }
    }
    note('times', 2 * rounds);
    note('recovery ms p50/p99/max', spread(recoveries));
    return undefined;
  },
};

export const cutSilently: Scenario = {
  number: 9,
  name: 'the network of half the clients cut silently',
  fleet: ({ url, edgeUrl }) => ({ url: (index) => (index % 2 === 1 && index >= 20 ? edgeUrl : url) }),
  async run({ rig, fleet, sized, note, check }) {
    const cut = sized(60_000, 8000);
    const linked = rig.edge.links.size;
    rig.edge.silence();
    await delay(cut);
    check(linked > 0, 'some clients are behind the network that is cut');
    rig.edge.flow();
    await fleet.flowing(90_000);
    note('cut s', cut / 1000);
    note('clients', linked);
    return undefined;
  },
};

export const slowReader: Scenario = {
  number: 10,
  name: 'slow readers: closed with 4008, and back',
  rig: {
    env: {
      MAX_BUFFERED_BYTES: '1000000',
      MAX_CONTENT_LENGTH: '60000',
      // Only so that it is seen when a reader is closed.
      PRESENCE_GRACE: '100ms',
      HEARTBEAT_INTERVAL: '60s',
      HEARTBEAT_TIMEOUT: '50s',
    },
  },
  fleet: () => ({ clients: 8, rooms: 1, publishersPerRoom: 1, interval: 100 }),
  async run({ rig, fleet, sized, note, check }) {
    const [talker, , ...others] = fleet.members;
    const slow = others.slice(-2);
    const room = fleet.rooms[0] ?? '';
    const rounds = sized(5, 1);
    const recoveries: string[] = [];
    for (let i = 0; i < rounds; i += 1) {
      await delay(sized(STABLE_MS, 0));
      const left = new Set<string>();
      const stopListening = talker?.client.on('user_left', ({ userId }) => left.add(userId));
      const codes = slow.map(({ closeCodes }) => closeCodes.length);
      const joins = slow.map((member) => member.joins.length);
      for (const { socket } of slow) socket?.pause();
      // More than the buffers of all the sockets between here and there take.
      fleet.burst(600, 50_000);
      await until('the slow readers have been closed', 30_000, () => slow.every(({ userId }) => left.has(userId)));
      for (const { socket } of slow) socket?.resume();
      await fleet.flowing(60_000);
      for (const [index, { closeCodes }] of slow.entries()) {
        check(closeCodes[codes[index] ?? 0] === 4008, `a slow reader is closed with 4008, not ${closeCodes}`);
      }
      recoveries.push(
        ...slow.flatMap((member, index) =>
          member.joins.slice(joins[index]).flatMap((join) => (join.room === room ? join.recovery : [])),
        ),
      );
      stopListening?.();
    }
    check(
      recoveries.every((recovery) => recovery === 'recovered'),
      `slow readers resume: ${recoveries}`,
    );
    const closed = await Promise.all(
      rig.instances.map(({ app }) => app.metric('ws_connections_closed_total{code="4008"}')),
    );
    note(
      'closed with 4008',
      closed.reduce((sum, count) => sum + count, 0),
    );
    return undefined;
  },
};

export const lostAcknowledgement: Scenario = {
  number: 11,
  name: 'publishers cut off between send and ack',
  // The publishers, who are the first members of each room, are behind the network that is cut.
  fleet: ({ url, edgeUrl }, size) => {
    const rooms = size === 'full' ? 10 : 3;
    return { rooms, url: (index) => (index < 2 * rooms ? edgeUrl : url) };
  },
  async run({ rig, fleet, sized, note }) {
    const rounds = sized(20, 3);
    const publishers = new Set(fleet.streams.map(({ publisher }) => publisher));
    /** Readers with a whole network have a message that its publisher knows nothing of. */
    const isUnanswered = (publisher: Member) =>
      fleet.streams.some(
        (stream) =>
          stream.publisher === publisher &&
          (stream.readers.at(-1)?.ledger(stream.channel, publisher.userId).last ?? 0) > stream.acknowledged,
      );
    for (let i = 0; i < rounds; i += 1) {
      await delay(sized(STABLE_MS, 0));
      for (const link of rig.edge.links) link.stall('down');
      // What was on this side of the proxy already is taken.
      await delay(50);
      await until('a message of every publisher is stored, and not acknowledged', 20_000, () =>
        [...publishers].every(isUnanswered),
      );
      rig.edge.cut();
      await fleet.flowing(30_000);
    }
    const expected = rounds * publishers.size;
    await until('all were sent again, and known already', 30_000, () => fleet.duplicates >= expected);
    note('cut off', expected);
    note('sent again', fleet.duplicates);
    return undefined;
  },
};
