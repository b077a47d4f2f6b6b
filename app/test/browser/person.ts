/** Someone at the demo page, in a browser profile of their own. */
import type { Browser, BrowserContextOptions, Locator, Page } from 'playwright-core';

export interface Person {
  page: Page;
  /** Uncaught errors, console errors, violations of the content security policy, requests that failed. */
  readonly complaints: readonly string[];
  signIn(name: string): Promise<void>;
  say(text: string): Promise<void>;
  /** Waits until the open conversation shows a message with this text. */
  hear(text: string): Promise<void>;
  /** Waits until a line that is no message, or one of the activity, has this text. */
  read(text: string | RegExp): Promise<void>;
  /** The instance that the page says it is on. */
  instance(): Promise<string>;
  state(name: 'open' | 'waiting'): Locator;
}

/** Chromium aborts requests when a network interface comes or goes, as those of containers do during a test. */
const NETWORK_CHANGED = /ERR_NETWORK_CHANGED/;

export async function openPage(browser: Browser, url: string, options: BrowserContextOptions = {}): Promise<Person> {
  const context = await browser.newContext({ locale: 'en-GB', ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(10_000);
  const complaints: string[] = [];
  const complain = (text: string) => NETWORK_CHANGED.test(text) || complaints.push(text);
  let interrupted = false;
  page.on('pageerror', (error) => complain(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error') complain(message.text());
  });
  page.on('requestfailed', (request) => {
    const text = `${request.url()}: ${request.failure()?.errorText}`;
    complain(text);
    if (NETWORK_CHANGED.test(text)) interrupted = true;
  });
  do {
    interrupted = false;
    await page.goto(url);
  } while (interrupted);
  const state = (name: string) => page.locator(`#fact-state [data-state=${name}]`);

  return {
    page,
    complaints,
    state,
    async signIn(name) {
      await page.getByLabel('Your name').fill(name);
      await page.getByRole('button', { name: 'Join the chat' }).click();
      await state('open').waitFor({ state: 'attached' });
      await page.locator('#members', { hasText: name }).waitFor({ state: 'attached' });
    },
    async say(text) {
      const field = page.getByLabel('Message', { exact: true });
      await field.fill(text);
      await field.press('Enter');
    },
    hear: (text) => page.locator('.message .text').getByText(text, { exact: true }).waitFor(),
    read: (text) => page.locator('.note-line, #activity li', { hasText: text }).first().waitFor({ state: 'attached' }),
    instance: async () => (await page.locator('#fact-instance').textContent()) ?? '',
  };
}
