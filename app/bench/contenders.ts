/** The servers that are measured side by side. */
import { type Dialect, kitDialect, socketIoDialect } from './dialect.ts';
import { startPeer } from './peer.ts';
import { type BenchServer, SECRET, startServer } from './server.ts';

export interface Contender {
  name: string;
  dialect: Dialect;
  start(redisUrl: string): Promise<BenchServer>;
}

/** A command of the user's: see docs/benchmarks.md. */
const peer = process.env['PEER'];

export const kit: Contender = {
  name: 'kit',
  dialect: kitDialect,
  start: (REDIS_URL) => startServer({}, { BROKER: 'redis', REDIS_URL }),
};
export const bareWs: Contender = {
  name: 'bare ws',
  dialect: kitDialect,
  start: () => startServer({}, {}, './floor.ts'),
};

export const contenders: readonly Contender[] = [
  kit,
  bareWs,
  {
    name: 'Socket.IO',
    dialect: socketIoDialect,
    start: (REDIS_URL) => startServer({}, { REDIS_URL }, './socket-io.ts'),
  },
  ...(peer
    ? [
        {
          name: 'peer',
          dialect: kitDialect,
          start: (REDIS_URL: string) => startPeer(peer, { REDIS_URL, JWT_SECRET: SECRET }),
        },
      ]
    : []),
];
