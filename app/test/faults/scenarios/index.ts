import type { Scenario } from '../scenario.ts';
import { everything } from './everything.ts';
import { killOne, killTwo, rollingRestart } from './instances.ts';
import { cutSilently, lostAcknowledgement, restartNginx, slowReader } from './network.ts';
import { killSubscribers, losingSubscriber, restartRedis, silentSubscriber, stopRedisAndInstance } from './redis.ts';
import { flush, staleReplica, trimmed } from './told.ts';

/** By number; neighbours that need the same rig share it. */
export const scenarios: readonly Scenario[] = [
  rollingRestart,
  killOne,
  killTwo,
  restartRedis,
  stopRedisAndInstance,
  killSubscribers,
  silentSubscriber,
  restartNginx,
  cutSilently,
  slowReader,
  lostAcknowledgement,
  everything,
  staleReplica,
  flush,
  trimmed,
  losingSubscriber,
];
