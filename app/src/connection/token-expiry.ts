/** Warns a connection that its token is about to expire, and closes it with 4001 when the token has expired. */

import type { Config } from '../config.ts';
import type { Entry, TimerWheel } from '../timer-wheel.ts';
import type { Connection } from './connection.ts';

export interface TokenExpiry {
  /** Watches the connection's token; called again after a refresh. */
  watch(connection: Connection): void;
  stop(connection: Connection): void;
}

export function createTokenExpiry({ config, wheel }: { config: Config; wheel: TimerWheel }): TokenExpiry {
  const pending = new WeakMap<Connection, Entry>();
  const left = (connection: Connection) => connection.user.expiresAt - Date.now();

  function warn(connection: Connection): void {
    connection.send('token_expiring', { expiresAt: connection.user.expiresAt });
    pending.set(connection, wheel.schedule(left(connection), expire, connection));
  }

  const expire = (connection: Connection) => connection.close('TOKEN_EXPIRED');

  function stop(connection: Connection): void {
    wheel.cancel(pending.get(connection));
    pending.delete(connection);
  }

  return {
    watch(connection) {
      stop(connection);
      pending.set(connection, wheel.schedule(left(connection) - config.TOKEN_EXPIRY_WARNING, warn, connection));
    },
    stop,
  };
}
