/** What the broker's scripts cost Redis: each call by itself (`INFO commandstats`), and all that Redis does for it. */
import { createRedisBroker } from '../src/broker/redis-broker.ts';
import { createRedisLink } from '../src/broker/redis-link.ts';
import { createLogger } from '../src/observability/logger.ts';
import { encodeOpenMessage, type Position } from '../src/protocol.ts';
import type { RedisServer } from '../test/harness/redis.ts';
import { redisCpu, withRedis } from './redis.ts';

const ROOMS = 10;
const PUBLISHES = 20_000;
const RESUMES = 5000;
const AT_ONCE = 50;
/** Entries a resume asks for, as room-feed.ts does. */
const PAGE = 200;

async function repeat(count: number, atOnce: number, call: (index: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < count) await call(next++);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

export const scripts = () => withRedis(measure);

async function measure(redis: RedisServer): Promise<void> {
  const logger = createLogger({ instanceId: 'bench', level: 'silent', format: 'json' });
  const link = createRedisLink({ url: redis.url, password: '', instanceId: 'bench', logger });
  const ignore = () => undefined;
  const broker = createRedisBroker({
    link,
    handlers: { handleMessage: ignore, handleAnnouncement: ignore, handleRestored: ignore },
    retentionOf: () => ({ size: 1000, ttl: 600_000 }),
  });
  await link.connect();

  const roomOf = (index: number) => `room${index % ROOMS}`;
  const from = { userId: 'u-bench', username: 'bench', clientId: 'c'.repeat(36), instanceId: 'bench' };
  const bodyOf = (index: number) => encodeOpenMessage({ room: roomOf(index), from, content: 'x'.repeat(100) });
  let ids = 0;
  const publish = (index: number) => broker.publish(roomOf(index), bodyOf(index), from.userId, `id-${++ids}`);
  // One instance listens, and both scripts are loaded.
  await repeat(ROOMS, 1, (index) => broker.subscribe(roomOf(index)));
  await publish(0);
  await broker.resume(roomOf(0), undefined, PAGE);

  /** Microseconds of a call: in its script, and of Redis's CPU in all. */
  async function cost(count: number, atOnce: number, call: (index: number) => Promise<unknown>) {
    await redis.command('CONFIG', 'RESETSTAT');
    const before = await redisCpu(redis);
    await repeat(count, atOnce, call);
    const cpu = (await redisCpu(redis)) - before;
    const stats = String(await redis.command('INFO', 'commandstats'));
    const [, calls, usec] = /^cmdstat_evalsha:calls=(\d+),usec=(\d+)/m.exec(stats) ?? [];
    if (Number(calls) !== count) throw new Error(`${count} calls, of which Redis counted ${calls}`);
    return `${(Number(usec) / count).toFixed(1)} (${(cpu / count).toFixed(0)})`;
  }

  const together = await cost(PUBLISHES, AT_ONCE, publish);
  const alone = await cost(PUBLISHES, 1, publish);

  const heads: Position[] = [];
  for (let index = 0; index < ROOMS; index += 1) {
    heads.push((await broker.resume(roomOf(index), undefined, PAGE)).head);
  }
  const resume = (missed: number) => (index: number) => {
    const { epoch, offset } = heads[index % ROOMS] as Position;
    return broker.resume(roomOf(index), { epoch, offset: offset - missed }, PAGE);
  };
  const [none, ten, page] = [
    await cost(RESUMES, AT_ONCE, resume(0)),
    await cost(RESUMES, AT_ONCE, resume(10)),
    await cost(RESUMES, AT_ONCE, resume(PAGE)),
  ];
  await broker.close();

  const size = Buffer.byteLength(bodyOf(0));
  console.log(
    `scripts publish, us in the script (of Redis's CPU in all): ${together} ${AT_ONCE} at once, ${alone} one by one; ` +
      `${PUBLISHES} each with ids into ${ROOMS} rooms, ${size} bytes`,
  );
  console.log(
    `scripts resume, the same: ${none} with nothing missed, ${ten} with 10 messages, ${page} with a page of ${PAGE}; ` +
      `${RESUMES} each, ${AT_ONCE} at once`,
  );
}
