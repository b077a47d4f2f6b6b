/**
 * Takes pictures of a report: `npm run screenshots:report -- RESULT.json PREFIX`, which become PREFIX-desktop.png, PREFIX-dark.png and PREFIX-phone.png; with
 * --full the whole pages, and PREFIX-print.pdf; with --against OTHER.json those of the comparison. Fonts are the machine's; those in docs/images were taken with Inter (Debian: fonts-inter).
 */
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';
import { comparePage } from '../report/compare-page.ts';
import { htmlReport } from '../report/html.ts';
import { readResult } from '../report/result.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { full: { type: 'boolean', default: false }, against: { type: 'string' } },
});
const [file, prefix] = positionals;
if (!file || !prefix) {
  console.error('Usage: npm run screenshots:report -- RESULT.json PREFIX [--full] [--against OTHER.json]');
  process.exit(64);
}

const result = readResult(file);
const html = values.against ? comparePage(result, readResult(values.against)) : htmlReport(result);
const views = {
  desktop: { viewport: { width: 1280, height: 900 } },
  dark: { viewport: { width: 1280, height: 900 }, colorScheme: 'dark' as const },
  phone: { viewport: { width: 360, height: 780 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true },
};
const browser = await chromium.launch({
  executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'],
});
try {
  for (const [name, view] of Object.entries(views)) {
    const page = await browser.newPage(view);
    await page.setContent(html);
    await page.screenshot({ path: `${prefix}-${name}.png`, fullPage: values.full });
    const [scrollWidth, clientWidth] = await page.evaluate<[number, number]>(
      '[document.documentElement.scrollWidth, document.documentElement.clientWidth]',
    );
    if (!scrollWidth || !clientWidth) throw new Error(`${name}: nothing was drawn`);
    if (scrollWidth > clientWidth) throw new Error(`${name}: the page is ${scrollWidth} wide on ${clientWidth}`);
    if (values.full && name === 'desktop')
      await page.pdf({ path: `${prefix}-print.pdf`, format: 'A4', printBackground: true });
  }
} finally {
  await browser.close();
}
