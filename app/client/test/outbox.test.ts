import { expect, test } from 'vitest';
import { systemClock } from '../src/clock.ts';
import type { Connection } from '../src/connection.ts';
import { RequestError } from '../src/errors.ts';
import { createMemory } from '../src/memory.ts';
import { createOutbox } from '../src/outbox.ts';
import { memoryStorage } from './fixture.ts';

const ack = { position: { epoch: 'e', offset: 1 }, duplicate: false };

function open(storage?: ReturnType<typeof memoryStorage>) {
  return createOutbox({
    limit: 10,
    memory: createMemory(storage, 'test'),
    clock: systemClock,
    nextId: () => 'm1',
    handleRefused: () => {},
  });
}

test('waits for another connection when the one it has is closing', async () => {
  const outbox = open();
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

  outbox.use({ ended: false, request: () => Promise.resolve(ack) } as unknown as Connection);
  expect(await acknowledged).toEqual(ack);
});

test('keeps nothing that was acknowledged just before the client was closed', async () => {
  const storage = memoryStorage();
  const outbox = open(storage);
  const answer = Promise.withResolvers<typeof ack>();
  outbox.use({ ended: false, request: () => answer.promise } as unknown as Connection);
  void outbox.send('chat', { content: 'hello' });
  answer.resolve(ack);
  // The answer's promise has not had its turn yet.
  outbox.rejectWaiting(new RequestError({ code: 'CLOSED', message: 'the client is closed' }));
  expect(storage.getItem('test:outbox')).not.toBeNull();
  await new Promise(setImmediate);
  expect(storage.getItem('test:outbox')).toBeNull();
});
