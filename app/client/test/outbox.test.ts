import { expect, test } from 'vitest';
import { systemClock } from '../src/clock.ts';
import type { Connection } from '../src/connection.ts';
import { RequestError } from '../src/errors.ts';
import { createMemory } from '../src/memory.ts';
import { createOutbox } from '../src/outbox.ts';

test('waits for another connection when the one it has is closing', async () => {
  const outbox = createOutbox({
    limit: 10,
    memory: createMemory(undefined, 'test'),
    clock: systemClock,
    nextId: () => 'm1',
  });
  // The server has begun the closing handshake: nothing can be sent, and the end has not been told yet.
  let asked = 0;
  const closing = {
    ended: false,
    request: () => {
      asked += 1;
      if (asked > 100) return new Promise(() => undefined);
      return Promise.reject(new RequestError({ code: 'NOT_CONNECTED', message: 'closing' }));
    },
  } as unknown as Connection;
  outbox.use(closing);
  const acknowledged = outbox.send('chat', { content: 'hello' });
  await new Promise(setImmediate);
  expect(asked).toBe(1);

  const ack = { position: { epoch: 'e', offset: 1 }, duplicate: false };
  outbox.use({ ended: false, request: () => Promise.resolve(ack) } as unknown as Connection);
  expect(await acknowledged).toEqual(ack);
});
