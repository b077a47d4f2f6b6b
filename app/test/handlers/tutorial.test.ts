/** The clients of the tutorial that this kit grew out of: flat messages, no ids, nothing joined for broadcasts. */
import { beforeAll, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { type App, startApp } from '../harness/app.ts';
import { within } from '../harness/process.ts';
import { tokenFor } from '../harness/tokens.ts';

let app: App;
beforeAll(async () => {
  app = await startApp();
  return () => app.kill();
});

interface Tutorial {
  ws: WebSocket;
  /** Calls the tutorial's `onmessage`; resolves with the first frame that fits. */
  next(fits: (frame: Record<string, unknown>) => boolean): Promise<Record<string, unknown>>;
}

async function tutorialClient(name: string): Promise<Tutorial> {
  const ws = new WebSocket(`${app.origin}/?token=${tokenFor(name)}`);
  const frames: Record<string, unknown>[] = [];
  const waiting = new Set<() => void>();
  ws.onmessage = ({ data }) => {
    frames.push(JSON.parse(String(data)) as Record<string, unknown>);
    for (const look of waiting) look();
  };
  const client: Tutorial = {
    ws,
    next(fits) {
      const { promise, resolve } = Promise.withResolvers<Record<string, unknown>>();
      const look = () => {
        const found = frames.find(fits);
        if (found) resolve(found);
      };
      waiting.add(look);
      look();
      return within(promise, () => `a frame for ${name}; came: ${JSON.stringify(frames)}`);
    },
  };
  await client.next(({ type }) => type === 'connected');
  return client;
}

const ofType = (type: string) => (frame: Record<string, unknown>) => frame['type'] === type;

test('the tutorial’s clients join, chat in a room, chat to everyone and type, unchanged', async () => {
  const [alice, bob] = [await tutorialClient('alice'), await tutorialClient('bob')];
  expect(await alice.next(ofType('connected'))).toMatchObject({ payload: { clientId: expect.any(String) } });
  expect(await alice.next(ofType('authenticated'))).toMatchObject({ payload: { username: 'alice' } });

  alice.ws.send(JSON.stringify({ type: 'join_room', room: 'general' }));
  expect(await alice.next(ofType('joined_room'))).toMatchObject({ payload: { room: 'general', memberCount: 1 } });
  bob.ws.send(JSON.stringify({ type: 'join_room', room: 'general' }));
  expect(await alice.next(ofType('user_joined'))).toMatchObject({
    payload: { room: 'general', username: 'bob', memberCount: 2 },
  });

  bob.ws.send(JSON.stringify({ type: 'typing', room: 'general', isTyping: true }));
  expect(await alice.next(ofType('typing'))).toMatchObject({ payload: { username: 'bob', isTyping: true } });

  bob.ws.send(JSON.stringify({ type: 'room_message', room: 'general', content: 'Hi all' }));
  for (const client of [alice, bob]) {
    expect(await client.next(ofType('message'))).toMatchObject({
      payload: { room: 'general', content: 'Hi all', from: { username: 'bob' } },
      timestamp: expect.any(Number),
    });
  }

  const carol = await tutorialClient('carol');
  alice.ws.send(JSON.stringify({ type: 'chat', content: 'to everyone' }));
  for (const client of [alice, bob, carol]) {
    expect(
      await client.next(({ payload }) => (payload as { content?: string }).content === 'to everyone'),
    ).toMatchObject({ type: 'message', payload: { from: { username: 'alice' } } });
  }

  alice.ws.send(JSON.stringify({ type: 'ping' }));
  await alice.next(ofType('pong'));

  bob.ws.send(JSON.stringify({ type: 'leave_room', room: 'general' }));
  expect(await bob.next(ofType('left_room'))).toMatchObject({ payload: { room: 'general' } });
  expect(await alice.next(ofType('user_left'))).toMatchObject({ payload: { username: 'bob', memberCount: 1 } });

  alice.ws.send(JSON.stringify({ type: 'room_message', content: 'a'.repeat(5000), room: 'general' }));
  expect(await alice.next(ofType('error'))).toMatchObject({ payload: { code: 'CONTENT_TOO_LONG' } });
  for (const { ws } of [alice, bob, carol]) ws.close();
});
