/** A Lua script, run by its hash and loaded when Redis does not know it. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { RedisConnection } from './redis-link.ts';

type Argument = string | Buffer;

export interface RedisScript {
  run<T>(connection: RedisConnection, keys: readonly string[], args: readonly Argument[], options?: object): Promise<T>;
}

/** @param files one after the other, the text of one script; URLs of the importing module's folder */
export function loadScript(...files: readonly URL[]): RedisScript {
  const source = files.map((file) => readFileSync(file, 'utf8')).join('\n');
  const sha = createHash('sha1').update(source).digest('hex');
  return {
    async run<T>(connection: RedisConnection, keys: readonly string[], args: readonly Argument[], options?: object) {
      const send = (command: string, script: string) =>
        connection.sendCommand([command, script, String(keys.length), ...keys, ...args], options) as Promise<T>;
      try {
        return await send('EVALSHA', sha);
      } catch (error) {
        if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error;
        return send('EVAL', source);
      }
    },
  };
}
