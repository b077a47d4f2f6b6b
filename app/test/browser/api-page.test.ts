/** The page on the listener of the server API: it shows every operation, and calls one with a key. */
import { type Browser, chromium } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { renderApi } from '../../tools/api-docs.ts';
import { buildPages } from '../../tools/build-pages.ts';
import { type App, startApp } from '../harness/app.ts';
import { findProgram } from './cluster.ts';
import { openPage } from './person.ts';

const KEY = 'admin-secret-0123456789abcdefghijklmnop';

let app: App;
let browser: Browser;
beforeAll(async () => {
  await buildPages();
  app = await startApp({ API_KEYS: `admin:publish+manage:${KEY}`, API_PORT: '0' });
  browser = await chromium.launch({
    executablePath: await findProgram('chromium', 'chromium-browser', 'google-chrome'),
    args: ['--no-sandbox'],
  });
});
afterAll(async () => {
  await browser?.close();
  await app?.kill();
});

test('shows every operation of the specification, and can be used to call one', async () => {
  const port = app.lines.find(({ event }) => event === 'listening')?.['apiPort'];
  const { page, complaints } = await openPage(browser, `http://127.0.0.1:${port}/`);
  await page.locator('.opblock').first().waitFor();
  const ids = [...(await renderApi()).matchAll(/operationId: (\w+)/g)].map(([, id]) => id);
  expect(await page.locator('.opblock').count()).toBe(ids.length);

  await page.getByRole('button', { name: 'Authorize' }).first().click();
  await page.locator('.auth-container input').fill(KEY);
  await page.locator('.auth-btn-wrapper .authorize').click();
  await page.locator('.auth-btn-wrapper .btn-done').click();
  const stats = page.locator('#operations-default-stats');
  await stats.click();
  await stats.getByRole('button', { name: 'Try it out' }).click();
  await stats.getByRole('button', { name: 'Execute' }).click();
  await stats.locator('.live-responses-table .response-col_status', { hasText: '200' }).waitFor();
  expect(await stats.locator('.live-responses-table').textContent()).toContain('instances');
  expect(complaints).toEqual([]);
});

test('is not on the public listener', async () => {
  for (const path of ['/swagger-ui.css', '/api/', '/openapi.json', '/../api/index.html']) {
    expect((await app.public(path)).status, path).toBe(404);
  }
});
