/** The client in real pages that are hidden, frozen or offline: Chromium, and Firefox through WebDriver BiDi. */

import puppeteer, { type Browser, type Page } from 'puppeteer-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Client } from '../../client/src/client.ts';
import { type NetworkProxy, startProxy } from '../faults/proxy.ts';
import { type App, startApp } from '../harness/app.ts';
import { connect } from '../harness/client.ts';
import { tokenFor } from '../harness/tokens.ts';
import { findProgram } from './cluster.ts';

/** Far below the backoff and the heartbeat of the clients here. */
const SOON_MS = 8_000;

/** What the page keeps for the test. */
interface Held {
  client: Client;
  states: string[];
  messages: string[];
}

let app: App;
let proxy: NetworkProxy;
beforeAll(async () => {
  app = await startApp();
  proxy = await startProxy({ upstream: app.port });
});
afterAll(async () => {
  await proxy[Symbol.asyncDispose]();
  await app[Symbol.asyncDispose]();
});

/** A page with an open client that would wait a minute before it tries again, and an hour before it asks. */
async function openPage(browser: Browser): Promise<Page> {
  const page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${proxy.port}/`);
  // Text, since the test runner would rewrite the import.
  await page.evaluate(`(async () => {
    const { createClient } = await import('/client/index.js');
    const client = createClient({
      url: 'ws://127.0.0.1:${proxy.port}/ws',
      token: '${tokenFor('sleeper')}',
      rooms: ['wake'],
      backoff: { base: 60_000, cap: 60_000 },
      heartbeat: { interval: 3_600_000, timeout: 3_600_000 },
      random: () => 0.99,
    });
    globalThis.held = { client, states: [], messages: [] };
    client.on('state', ({ name }) => held.states.push(name));
    client.on('message', ({ content }) => held.messages.push(content));
    client.connect();
  })()`);
  await expect.poll(() => read(page)).toMatchObject({ state: 'open', joined: true });
  return page;
}

const read = (page: Page) =>
  page.evaluate(async () => {
    const { client, messages } = (globalThis as unknown as { held: Held }).held;
    const rooms = client.state.name === 'open' ? await client.listRooms().catch(() => []) : [];
    return { state: client.state.name, joined: rooms.includes('wake'), messages };
  });

/** Waits until the page is back. @returns how long that took, in ms */
async function back(page: Page): Promise<number> {
  const start = performance.now();
  await expect
    .poll(() => read(page), { timeout: SOON_MS, interval: 20 })
    .toMatchObject({ state: 'open', joined: true });
  return Math.round(performance.now() - start);
}

describe.each([
  { name: 'Chromium', browser: 'chrome', programs: ['chromium', 'chromium-browser', 'google-chrome'] },
  { name: 'Firefox', browser: 'firefox', programs: ['firefox-esr', 'firefox'] },
] as const)('in $name', ({ name, browser: kind, programs }) => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await puppeteer.launch({
      browser: kind,
      executablePath: await findProgram(...programs),
      args:
        kind === 'chrome' ? ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking'] : [],
    });
  });
  afterAll(() => browser?.close());
  // The browser would load the next page over a link that was stalled.
  afterEach(() => proxy.cut());

  test('a page that comes online is back at once, with what it missed', async () => {
    const page = await openPage(browser);
    await page.setOfflineMode(true);
    proxy.cut();
    await expect.poll(async () => (await read(page)).state).toBe('waiting');
    await using other = await connect(app, { as: 'other' });
    await other.request('join_room', { room: 'wake' });
    await other.request('chat', { room: 'wake', content: `while offline in ${name}` });
    await page.setOfflineMode(false);
    console.log(`${name}: back ${await back(page)} ms after it came online; its backoff was 59,400 ms`);
    await expect.poll(async () => (await read(page)).messages).toContain(`while offline in ${name}`);
    await page.close();
  });

  test('a page that becomes visible finds that its connection is dead, and gets what it missed', async () => {
    const page = await openPage(browser);
    const cover = await browser.newPage();
    await cover.bringToFront();
    await expect.poll(() => page.evaluate('document.visibilityState')).toBe('hidden');
    for (const link of proxy.links) link.stall('up', 'down');
    await using other = await connect(app, { as: 'other' });
    await other.request('join_room', { room: 'wake' });
    await other.request('chat', { room: 'wake', content: `while hidden in ${name}` });
    await page.evaluate(() => {
      (globalThis as unknown as { held: Held }).held.states.length = 0;
    });
    const visible = performance.now();
    await page.bringToFront();
    await expect
      .poll(async () => (await read(page)).messages, { timeout: SOON_MS, interval: 20 })
      .toContain(`while hidden in ${name}`);
    console.log(`${name}: has what it missed ${Math.round(performance.now() - visible)} ms after it became visible`);
    expect(await page.evaluate(() => (globalThis as unknown as { held: Held }).held.states)).toContain('waiting');
    await cover.close();
    await page.close();
  });

  // Firefox does not freeze pages.
  if (kind === 'chrome') {
    test('a page that thaws finds that its connection is dead, and is back', async () => {
      const page = await openPage(browser);
      const cover = await browser.newPage();
      await cover.bringToFront();
      const session = await page.createCDPSession();
      await session.send('Page.setWebLifecycleState', { state: 'frozen' });
      for (const link of proxy.links) link.cut();
      await page.bringToFront();
      await session.send('Page.setWebLifecycleState', { state: 'active' });
      console.log(`${name}: back ${await back(page)} ms after it thawed`);
      await cover.close();
      await page.close();
    });
  }
});
