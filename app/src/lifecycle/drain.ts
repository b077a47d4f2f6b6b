/**
 * Drains connections: all of them before the process ends, or some of them to rebalance the cluster. Each connection
 * gets its own reconnect slot, at which the client opens its next connection and closes this one. A connection that is
 * still open at slot + grace is closed with 1012, once the commands that were read have been answered.
 */
import type { Config } from '../config.ts';
import type { Connection } from '../connection/connection.ts';
import type { TimerWheel } from '../timer-wheel.ts';

/** Reconnects per second that a small drain asks of the other instances. */
const RATE_PER_SECOND = 40;

export interface Drain {
  /** Spreads the connections evenly over the window, or over less where they are few. @returns its length in ms */
  start(connections: readonly Connection[]): number;
  /** For every connection that closes: measures how late it is, if it was asked to reconnect. */
  handleClosing(connection: Connection): void;
}

export function createDrain(options: {
  config: Config;
  wheel: TimerWheel;
  /** Seconds from a connection's slot until it closed; 0 when it closed earlier. */
  handleLateness(seconds: number): void;
}): Drain {
  const slots = new WeakMap<Connection, number>();

  return {
    start(connections) {
      const window = Math.round(Math.min(options.config.DRAIN_WINDOW, (connections.length / RATE_PER_SECOND) * 1000));
      connections.forEach((connection, index) => {
        const slot = Math.round((index / connections.length) * window);
        connection.send('server_shutdown', { reconnectInMs: slot });
        slots.set(connection, performance.now() + slot);
        options.wheel.schedule(slot + options.config.DRAIN_GRACE, (late) => late.closeWhenIdle('DRAIN'), connection);
      });
      return window;
    },
    handleClosing(connection) {
      const slot = slots.get(connection);
      if (slot !== undefined) options.handleLateness(Math.max(0, performance.now() - slot) / 1000);
    },
  };
}
