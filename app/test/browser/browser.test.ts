import type { Browser, BrowserContextOptions } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type BrowserCluster, startBrowserCluster } from './cluster.ts';
import { openPage, type Person } from './person.ts';

let cluster: BrowserCluster;
let browser: Browser;
let visitors: Person[] = [];

beforeAll(async () => {
  cluster = await startBrowserCluster(['app1', 'app2']);
  browser = await cluster.launchBrowser();
});
afterAll(() => cluster?.close());
afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') console.log(visitors.map(({ complaints }) => complaints));
  visitors = [];
  await Promise.all(browser.contexts().map((context) => context.close()));
});

async function visit(options?: BrowserContextOptions): Promise<Person> {
  const visitor = await openPage(browser, cluster.url, options);
  visitors.push(visitor);
  return visitor;
}

/** Two people in the lobby, one on each instance. */
async function meet(): Promise<{ alice: Person; bob: Person }> {
  const alice = await visit();
  await alice.signIn('Alice');
  const bob = await visit();
  await bob.signIn('Bob');
  expect([await alice.instance(), await bob.instance()].sort()).toEqual(['app1', 'app2']);
  return { alice, bob };
}

async function chat(alice: Person, bob: Person, topic: string): Promise<void> {
  await alice.say(`${topic}, says Alice`);
  await bob.hear(`${topic}, says Alice`);
  await bob.say(`${topic}, says Bob`);
  await alice.hear(`${topic}, says Bob`);
}

describe('two people on two instances', () => {
  it('keep chatting while each instance is restarted, and see what happens', async () => {
    const { alice, bob } = await meet();
    await chat(alice, bob, 'before');
    const [first, second] = [await alice.instance(), await bob.instance()];

    expect(await cluster.stop(first)).toBe(0);
    await alice.read(`${first} is restarting: moved to ${second} without a break.`);
    expect(await alice.instance()).toBe(second);
    await chat(alice, bob, 'on one instance');

    await cluster.start(first);
    expect(await cluster.stop(second)).toBe(0);
    for (const person of [alice, bob]) {
      await person.read(`${second} is restarting: moved to ${first} without a break.`);
      expect(await person.instance()).toBe(first);
    }
    await chat(alice, bob, 'on the other one');
    await cluster.start(second);

    expect(await alice.page.locator('#fact-reconnects').textContent()).toBe('2');
    expect(await bob.page.locator('#fact-reconnects').textContent()).toBe('1');
    // Each message once, in one order, and no one seems to have left.
    const [hers, his] = [alice, bob].map((person) => person.page.locator('.message .text').allTextContents());
    expect(await hers).toHaveLength(6);
    expect(await hers).toEqual(await his);
    expect(await alice.page.locator('.note-line', { hasText: 'left' }).count()).toBe(0);
    expect([...alice.complaints, ...bob.complaints]).toEqual([]);
  });

  it('are back after an instance was killed', async () => {
    const { alice, bob } = await meet();
    const [first, second] = [await alice.instance(), await bob.instance()];
    await cluster.stop(first, 'SIGKILL');
    await alice.read(`The connection to ${first} was lost.`);
    await alice.read(`Back on ${second}`);
    await chat(alice, bob, 'afterwards');
    await cluster.start(first);
  });

  it('see content as text, whatever it is', async () => {
    const { alice, bob } = await meet();
    const hostile = [
      '<img src=x onerror="document.title=\'taken\'">',
      '<script>document.title="taken"</script>',
      "\"><svg onload=document.title='taken'>",
      'javascript:document.title=1',
    ];
    for (const content of hostile) {
      await alice.say(content);
      await bob.hear(content);
    }
    for (const { page, complaints } of [alice, bob]) {
      expect(await page.locator('#messages :is(img, script, svg, a, iframe)').count()).toBe(0);
      expect(await page.title()).not.toContain('taken');
      expect(complaints).toEqual([]);
    }
  });

  it('see who types, count what is unread, and write to each other directly', async () => {
    const { alice, bob } = await meet();
    await bob.page.getByLabel('Message', { exact: true }).pressSequentially('Hm');
    await alice.page.locator('#typing', { hasText: 'Bob is typing' }).waitFor();
    await alice.page.getByRole('textbox', { name: 'Join or open a room' }).fill('ship it');
    await alice.page.keyboard.press('Enter');
    await alice.page.getByRole('heading', { name: '#ship-it' }).waitFor();
    await bob.say('Where are you?');
    await alice.page.locator('[data-id=lobby] .badge', { hasText: '1' }).waitFor();
    await alice.page.keyboard.press('Alt+ArrowUp');
    await alice.hear('Where are you?');
    expect(await alice.page.locator('.badge:visible').count()).toBe(0);
    await alice.page.getByRole('button', { name: 'Bob' }).click();
    await alice.say('In ship-it, come over');
    await alice.hear('In ship-it, come over');
    await bob.page.getByRole('button', { name: /Alice.*unread/ }).click();
    await bob.hear('In ship-it, come over');
  });
});

describe('the page', () => {
  it('survives a reload: same name, same room', async () => {
    const alice = await visit();
    await alice.signIn('Alice');
    await alice.page.getByRole('textbox', { name: 'Join or open a room' }).fill('quiet');
    await alice.page.keyboard.press('Enter');
    await alice.page.reload();
    await alice.page.getByRole('heading', { name: '#quiet' }).waitFor();
    await alice.page.locator('#members', { hasText: 'Alice' }).waitFor();
    await alice.page.getByRole('button', { name: 'Sign out' }).click();
    await alice.page.getByLabel('Your name').waitFor();
    expect(await alice.page.evaluate('JSON.stringify(sessionStorage)')).toBe('{}');
  });

  it('says what is wrong with a name', async () => {
    const { page } = await visit();
    const name = page.getByLabel('Your name');
    const alert = page.locator('#name-error');
    const answers: { status: number; headers?: Record<string, string>; json: object }[] = [
      { status: 429, headers: { 'retry-after': '7' }, json: { error: { message: 'slowly' } } },
      { status: 503, json: {} },
      { status: 404, json: {} },
    ];
    await page.route('**/demo/token', async (route) => {
      const answer = answers.shift();
      await (answer ? route.fulfill(answer) : route.abort());
    });
    await name.press('Enter');
    await alert.getByText('Please enter a name.').waitFor();
    await name.fill('Alice');
    await name.press('Enter');
    await alert.getByText('Try again in 7 s').waitFor();
    await name.press('Enter');
    await alert.getByText('(503)').waitFor();
    await name.press('Enter');
    // Without demo tokens it asks for a real one, and says how to make it.
    await page.getByText('make -s token NAME=alice').waitFor();
    await page.getByText('DEMO is off').waitFor();
    await page.getByLabel('Paste it here').fill('rubbish');
    await page.getByRole('button', { name: 'Join the chat' }).click();
    await page.getByText('This is not a token').waitFor();
    await page.getByRole('button', { name: 'Use a name instead' }).click();
    await name.press('Enter');
    await alert.getByText('The server does not answer').waitFor();
  });

  it('takes a token that was made elsewhere', async () => {
    const response = await fetch(`${cluster.url}/demo/token`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'Zoë' }),
    });
    const { token } = (await response.json()) as { token: string };
    const zoe = await visit();
    await zoe.page.getByRole('button', { name: 'Use a token instead' }).click();
    await zoe.page.getByLabel('Paste it here').fill(`${token}\n`);
    await zoe.page.getByRole('button', { name: 'Join the chat' }).click();
    await zoe.page.locator('#me', { hasText: 'Zoë' }).waitFor();
    await zoe.state('open').waitFor({ state: 'attached' });
  });

  it('says that messages wait for the rate limit, and sends them all, in order', async () => {
    const alice = await visit();
    await alice.signIn('Alice');
    // More than the burst of the default rate limit.
    for (let turn = 0; turn < 22; turn += 1) await alice.say(`message ${turn}`);
    await alice.page.getByText(/waiting to be sent/).waitFor();
    await alice.page.getByText('message 21', { exact: true }).waitFor({ timeout: 20_000 });
    const texts = await alice.page.locator('.message .text').allTextContents();
    expect(texts).toEqual(Array.from({ length: 22 }, (_, turn) => `message ${turn}`));
    await alice.page.getByText(/waiting to be sent/).waitFor({ state: 'hidden' });
  });

  it('works on a phone: the panels are drawers', async () => {
    const phone = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true };
    const alice = await visit(phone);
    await alice.signIn('Alice');
    const rooms = alice.page.getByRole('navigation', { name: 'Rooms' });
    expect(await rooms.isVisible()).toBe(false);
    await alice.page.getByRole('button', { name: 'Rooms' }).tap();
    await rooms.getByRole('button', { name: 'Everyone' }).tap();
    await rooms.waitFor({ state: 'hidden' });
    await alice.page.getByRole('heading', { name: 'Everyone' }).waitFor();
    await alice.page.getByRole('button', { name: /Connected to app/ }).tap();
    await alice.page.getByText('Reconnects').waitFor();
    await alice.page.keyboard.press('Escape');
    await alice.page.getByText('Reconnects').waitFor({ state: 'hidden' });
    expect(await alice.page.evaluate('document.documentElement.scrollWidth <= innerWidth')).toBe(true);
  });
});
