/**
 * Takes the pictures of the demo page for the README: `npm run screenshots`. Three people on three instances, one of
 * which is restarted while they write. Fonts are the machine's; the pictures in docs/images were taken with Inter
 * (Debian: fonts-inter).
 */
import { mkdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { startBrowserCluster } from './cluster.ts';
import { openPage, type Person } from './person.ts';

const folder = fileURLToPath(new URL('../../../docs/images/', import.meta.url));
await mkdir(folder, { recursive: true });
const cluster = await startBrowserCluster(['app1', 'app2', 'app3']);

try {
  const browser = await cluster.launchBrowser();
  const desktop = { viewport: { width: 1280, height: 800 } };
  const alice = await openPage(browser, cluster.url, desktop);
  await alice.signIn('Alice Martin');
  const bob = await openPage(browser, cluster.url, {
    viewport: { width: 390, height: 844 },
    deviceScaleFactor: 2,
    isMobile: true,
    hasTouch: true,
  });
  await bob.signIn('Bob');
  const chloe = await openPage(browser, cluster.url, { ...desktop, colorScheme: 'dark' });
  await chloe.signIn('Chloé Dubois');
  const everyone = [alice, bob, chloe];

  async function say(person: Person, text: string): Promise<void> {
    await person.say(text);
    for (const each of everyone) await each.hear(text);
  }

  async function restart(instance: string, moved: Person): Promise<void> {
    await cluster.stop(instance);
    await moved.read(`${instance} is restarting: moved`);
    await cluster.start(instance);
  }

  await say(alice, 'Morning! I am about to deploy 0.2.0, one instance after the other.');
  await say(bob, 'Go ahead. I keep writing and tell you when I notice.');
  await say(chloe, 'Each of us is on another instance, by the way.');
  await say(chloe, 'Three processes, one order of messages.');
  await restart(await alice.instance(), alice);
  await say(alice, 'That was mine. Did anyone see a gap?');
  await say(bob, 'No. You never left the list of members.');
  await restart(await bob.instance(), bob);
  await say(bob, 'Now it was me. Nothing missing, nothing twice 🎉');
  await restart(await chloe.instance(), chloe);
  await say(chloe, 'And me. The last one done.');
  await say(alice, 'Then 0.2.0 is out, and nobody had to stop talking.');

  // Something in the other places of the page.
  await alice.page.getByRole('textbox', { name: 'Join or open a room' }).fill('release-notes');
  await alice.page.keyboard.press('Enter');
  await alice.page.getByRole('heading', { name: '#release-notes' }).waitFor();
  await alice.page.locator('[data-id=lobby]').click();
  await chloe.page.locator('#members').getByRole('button', { name: 'Alice Martin' }).click();
  await chloe.say('Nicely done.');
  await chloe.hear('Nicely done.');
  await chloe.page.locator('[data-id=lobby]').click();
  await alice.page.locator('#directs .badge').waitFor();
  for (const { page } of everyone) {
    await page.locator('.toast').waitFor({ state: 'detached', timeout: 15_000 });
    await page.mouse.move(640, 300);
  }
  await bob.page.getByLabel('Message', { exact: true }).pressSequentially('Lunch?');
  await alice.page.locator('#typing', { hasText: 'Bob is typing' }).waitFor();

  await alice.page.screenshot({ path: `${folder}demo-desktop.png`, animations: 'disabled' });
  await bob.page.screenshot({ path: `${folder}demo-phone.png`, animations: 'disabled' });
  await chloe.page.screenshot({ path: `${folder}demo-dark.png`, animations: 'disabled' });
} finally {
  await cluster.close();
}
