/** A Redis as the kit configures it, and its CPU time. */
import { fileURLToPath } from 'node:url';
import { type RedisServer, startRedis } from '../test/harness/redis.ts';

const configuration = fileURLToPath(new URL('../../deploy/redis/redis.conf', import.meta.url));

export async function withRedis<T>(measure: (redis: RedisServer) => Promise<T>): Promise<T> {
  const redis = await startRedis({ args: ['--include', configuration] });
  try {
    return await measure(redis);
  } finally {
    await redis[Symbol.asyncDispose]();
  }
}

/** What it has used, user and system, in microseconds. */
export async function redisCpu(redis: RedisServer): Promise<number> {
  const info = String(await redis.command('INFO', 'cpu'));
  const seconds = (name: string) => Number(new RegExp(`^${name}:(.+)`, 'm').exec(info)?.[1]);
  return 1e6 * (seconds('used_cpu_user') + seconds('used_cpu_sys'));
}
