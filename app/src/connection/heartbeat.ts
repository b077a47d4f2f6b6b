/**
 * Finds dead connections: pings every interval, and closes with 4000 when no pong arrives within the timeout. The first
 * ping comes at a random point of the interval, so that connections that opened together are not pinged together.
 */

import type { Config } from '../config.ts';
import type { Entry, TimerWheel } from '../timer-wheel.ts';
import type { Connection } from './connection.ts';

export interface Heartbeat {
  start(connection: Connection): void;
  handlePong(connection: Connection): void;
  stop(connection: Connection): void;
}

export function createHeartbeat({ config, wheel }: { config: Config; wheel: TimerWheel }): Heartbeat {
  const { HEARTBEAT_INTERVAL: interval, HEARTBEAT_TIMEOUT: timeout } = config;
  const pending = new WeakMap<Connection, Entry>();

  function ping(connection: Connection): void {
    connection.ping();
    pending.set(connection, wheel.schedule(timeout, expire, connection));
  }

  function expire(connection: Connection): void {
    connection.close('HEARTBEAT_TIMEOUT');
  }

  return {
    start: (connection) => void pending.set(connection, wheel.schedule(Math.random() * interval, ping, connection)),
    handlePong(connection) {
      const entry = pending.get(connection);
      if (entry?.run !== expire) return;
      wheel.cancel(entry);
      pending.set(connection, wheel.schedule(interval, ping, connection));
    },
    stop(connection) {
      wheel.cancel(pending.get(connection));
      pending.delete(connection);
    },
  };
}
