/** The broker of one instance alone: same order, same asynchrony, no Redis. */
import { type Broker, BrokerUnavailable, type OnMessage } from './broker.ts';

export function createMemoryBroker({ onMessage }: { onMessage: OnMessage }): Broker {
  const rooms = new Set<string>();
  let open = true;

  return {
    get ready() {
      return open;
    },
    publish(room, body, except) {
      if (!open) return Promise.reject(new BrokerUnavailable({ uncertain: false }));
      const receivers = rooms.has(room) ? 1 : 0;
      return new Promise((resolve) => {
        // Later, as from Redis: nothing is delivered inside the publisher's own call.
        queueMicrotask(() => {
          if (rooms.has(room)) onMessage(room, Buffer.from(body), except);
          resolve({ position: null, duplicate: false, receivers });
        });
      });
    },
    async subscribe(room) {
      rooms.add(room);
    },
    unsubscribe: (room) => void rooms.delete(room),
    async close() {
      open = false;
    },
  };
}
