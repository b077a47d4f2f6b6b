/**
 * The end of a turn of the event loop, when everything that has arrived is handled. Rooms fan out first, connections write
 * last, so that whatever a turn has for a socket goes out in one system call.
 */
interface Flushable {
  flush(): void;
}

export interface TurnEnd {
  /** Flushes a registry of rooms at the end of this turn. */
  fanOut(hub: Flushable): void;
  /** Flushes a connection at the end of this turn. */
  write(connection: Flushable): void;
}

export function createTurnEnd(): TurnEnd {
  const hubs = new Set<Flushable>();
  const connections = new Set<Flushable>();
  let scheduled = false;

  function add(queue: Set<Flushable>, flushable: Flushable): void {
    queue.add(flushable);
    if (scheduled) return;
    scheduled = true;
    // setImmediate, not nextTick, so that all sockets read in this turn come before.
    setImmediate(run);
  }

  function run(): void {
    try {
      for (const queue of [hubs, connections]) {
        for (const flushable of queue) {
          queue.delete(flushable);
          flushable.flush();
        }
      }
    } finally {
      scheduled = false;
    }
  }

  return {
    fanOut: (hub) => add(hubs, hub),
    write: (connection) => add(connections, connection),
  };
}
