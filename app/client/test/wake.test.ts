import { describe, expect } from 'vitest';
import { next, reach, test } from './fixture.ts';

/** A browser's page, as far as the client looks at it. */
function fakePage() {
  const document = Object.assign(new EventTarget(), { visibilityState: 'visible' });
  const page = Object.assign(new EventTarget(), { document });
  const listeners = new Set<string>();
  for (const target of [page, document]) {
    const { addEventListener, removeEventListener } = target;
    target.addEventListener = (type: string, ...rest: [never]) => {
      listeners.add(type);
      addEventListener.call(target, type, ...rest);
    };
    target.removeEventListener = (type: string, ...rest: [never]) => {
      listeners.delete(type);
      removeEventListener.call(target, type, ...rest);
    };
  }
  const wake = {
    'becomes visible': () => document.dispatchEvent(new Event('visibilitychange')),
    thaws: () => document.dispatchEvent(new Event('resume')),
    'is shown again': () => page.dispatchEvent(new Event('pageshow')),
    'comes online': () => page.dispatchEvent(new Event('online')),
  };
  return { page, document, listeners, wake };
}
const ways = ['becomes visible', 'thaws', 'is shown again', 'comes online'] as const;

describe.each(ways)('a page that %s', (way) => {
  test('tries at once instead of waiting out its backoff', async ({ open, server }) => {
    const { page, wake } = fakePage();
    const { client, peer } = await open({ page, backoff: { base: 30_000, cap: 30_000 } });
    peer.terminate();
    await reach(client, 'waiting');
    wake[way]();
    (await server.accept()).greet();
    await reach(client, 'open');
  });

  test('gives an open connection three seconds to answer', async ({ open, clock }) => {
    const { page, wake } = fakePage();
    const { client, peer } = await open({ page });
    wake[way]();
    expect(await peer.next('ping')).toBeDefined();
    clock.advance(2_999);
    expect(client.state.name).toBe('open');
    clock.advance(1);
    expect(client.state).toMatchObject({ name: 'waiting', code: 4000 });
  });

  test('keeps a connection that answers', async ({ open, clock }) => {
    const { page, wake } = fakePage();
    const { client, peer } = await open({ page });
    wake[way]();
    const pong = next(client, 'pong');
    await peer.next('ping');
    peer.send('pong', {});
    await pong;
    clock.advance(3_000);
    expect(client.state.name).toBe('open');
  });
});

test('a first attempt that fails after a wake is followed by quick ones', async ({ open, server, clock }) => {
  const { page, wake } = fakePage();
  const { client, peer } = await open({ page, backoff: { base: 30_000, cap: 30_000 } });
  peer.terminate();
  await reach(client, 'waiting');
  wake['comes online']();
  const waits: number[] = [];
  for (let i = 0; i < 4; i += 1) {
    (await server.accept()).terminate();
    const { retryAt } = await reach(client, 'waiting');
    waits.push(retryAt - clock.now());
    if (i < 3) clock.advance(retryAt - clock.now());
  }
  // random is 0.5: half the ceiling each.
  expect(waits).toEqual([250, 1_000, 2_500, 15_000]);
});

test('a handshake from before the sleep gets three seconds, not ten', async ({ start, server, clock }) => {
  const { page, wake } = fakePage();
  const client = start({ page });
  await server.accept();
  wake.thaws();
  clock.advance(3_000);
  expect(client.state).toMatchObject({ name: 'waiting', reason: 'no connection in time' });
});

test('wakes in quick succession do not put off the end of a dead connection', async ({ open, clock }) => {
  const { page, wake } = fakePage();
  const { client, peer } = await open({ page });
  wake['comes online']();
  await peer.next('ping');
  clock.advance(1_500);
  wake['comes online']();
  clock.advance(1_500);
  expect(client.state).toMatchObject({ name: 'waiting', code: 4000 });
});

test('nor of a handshake', async ({ start, server, clock }) => {
  const { page, wake } = fakePage();
  const client = start({ page });
  await server.accept();
  wake['comes online']();
  clock.advance(1_500);
  wake['comes online']();
  clock.advance(1_500);
  expect(client.state).toMatchObject({ name: 'waiting', reason: 'no connection in time' });
});

test('a client that is closed by the wake leaves no timer', async ({ open, clock }) => {
  const { page } = fakePage();
  const { client, peer } = await open({ page, backoff: { base: 3_600_000, cap: 3_600_000 } });
  peer.terminate();
  await reach(client, 'waiting');
  client.on('state', ({ name }) => {
    if (name === 'connecting') void client.close();
  });
  clock.sleep(60_000);
  expect(client.state.name).toBe('closed');
  expect(clock.delays).toEqual([]);
});

test('a clock that jumped means that the machine was asleep; a slow timer of a hidden page does not', async ({
  open,
  clock,
}) => {
  const { page, document } = fakePage();
  const { client, peer } = await open({ page, heartbeat: { interval: 3_600_000 } });
  document.visibilityState = 'hidden';
  clock.sleep(60_000);
  expect(clock.delays).not.toContain(3_000);
  document.visibilityState = 'visible';
  clock.sleep(60_000);
  expect(await peer.next('ping')).toBeDefined();
  clock.advance(3_000);
  expect(client.state).toMatchObject({ code: 4000 });
});

test('a flapping network causes one attempt a second, and the last event counts', async ({ open, server, clock }) => {
  const { page, wake } = fakePage();
  const { client, peer } = await open({ page, backoff: { base: 30_000, cap: 30_000 } });
  peer.terminate();
  await reach(client, 'waiting');
  wake['comes online']();
  const first = await server.accept();
  first.terminate();
  await reach(client, 'waiting');
  for (let i = 0; i < 10; i += 1) wake['comes online']();
  expect(client.state.name).toBe('waiting');
  clock.advance(1_000);
  (await server.accept()).greet();
  await reach(client, 'open');
});

test('a page that is hidden does not wake the client', async ({ open, clock }) => {
  const { page, document, wake } = fakePage();
  await open({ page });
  document.visibilityState = 'hidden';
  wake['becomes visible']();
  expect(clock.delays).not.toContain(3_000);
});

test('listens from connect to close, and leaves no listener and no timer behind', async ({ open, clock }) => {
  const { page, listeners } = fakePage();
  const { client } = await open({ page });
  expect([...listeners].sort()).toEqual(['online', 'pageshow', 'resume', 'visibilitychange']);
  await client.close();
  expect([...listeners]).toEqual([]);
  expect(clock.delays).toEqual([]);
});

test('without a page there is no timer for it', async ({ open, clock }) => {
  await open({ page: undefined });
  expect(clock.delays).toHaveLength(1);
});
