/**
 * Sends connections away, each at its own slot: all of them before the process ends, or some of them so that the
 * cluster is balanced again. The client opens its new connection at its slot and leaves this one; what has not left by
 * slot + grace is closed with 1012, once the commands that were read are answered.
 */
import type { Connection } from '../connection/connection.ts';
import type { TimerWheel } from '../timer-wheel.ts';

/** Reconnects a second that this asks of the rest of the cluster while there are few connections. */
const RATE_PER_SECOND = 40;

export interface Drain {
  /** One that may have been sent away is leaving. */
  handleLeaving(connection: Connection): void;
  /** Spreads the connections evenly over the window, or over less where they are few. @returns its length in ms */
  sendAway(connections: readonly Connection[]): number;
}

export function createDrain(options: {
  wheel: TimerWheel;
  window: number;
  grace: number;
  /** Of a connection that was sent away: seconds from its slot until it left, 0 when it left earlier. */
  handleLateness(seconds: number): void;
}): Drain {
  const slots = new WeakMap<Connection, number>();

  return {
    handleLeaving(connection) {
      const slot = slots.get(connection);
      if (slot !== undefined) options.handleLateness(Math.max(0, performance.now() - slot) / 1000);
    },
    sendAway(connections) {
      const window = Math.round(Math.min(options.window, (connections.length / RATE_PER_SECOND) * 1000));
      connections.forEach((connection, index) => {
        const slot = Math.round((index / connections.length) * window);
        connection.send('server_shutdown', { reconnectInMs: slot });
        slots.set(connection, performance.now() + slot);
        options.wheel.schedule(slot + options.grace, (late) => late.closeWhenIdle('DRAIN'), connection);
      });
      return window;
    },
  };
}
