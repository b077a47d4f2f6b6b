/**
 * Takes the pictures of the console page for the docs: `npm run screenshots:dashboards`. A separate native cluster with
 * several hundred of the kit's clients in four rooms, at rest, under load, after an instance was killed, and across a
 * roll. Fonts are the machine's; the pictures in docs/images were taken with Inter (Debian: fonts-inter).
 */
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { WebSocket } from 'ws';
import { type Client, createClient } from '../../app/client/src/index.ts';
import { find } from '../cluster/drivers/native/program.ts';
import { createTestCluster, until } from '../test/harness/test-cluster.ts';

const CLIENTS = 480;
const ROOMS = ['lobby', 'support', 'games', 'news'];
/** Between two messages to each room. */
const PACE_MS = 400;
/** What the pictures show, in seconds. */
const RANGE = 300;

const folder = fileURLToPath(new URL('../../docs/images/', import.meta.url));
mkdirSync(folder, { recursive: true });
const seconds = (count: number) => new Promise((resolve) => setTimeout(resolve, count * 1000));

const cluster = await createTestCluster({
  ...{ DRIVER: 'native', STICKY_MODE: 'off' },
  ...{ RATE_LIMIT_PER_MINUTE: '600', RATE_LIMIT_BURST: '60' },
});
const members: { client: Client; room: string; moves: number; seen: number[] }[] = [];
let browser: Browser | undefined;

const desktop: BrowserContextOptions = { viewport: { width: 1440, height: 900 } };
const high: BrowserContextOptions = { viewport: { width: 1440, height: 1480 } };
const phone: BrowserContextOptions = {
  viewport: { width: 390, height: 844 },
  ...{ deviceScaleFactor: 2, isMobile: true, hasTouch: true },
};

async function open(view: string, options: BrowserContextOptions): Promise<Page> {
  const context = await browser?.newContext(options);
  const page = await context?.newPage();
  if (!page) throw new Error('there is no browser');
  const { urls } = await cluster.status();
  await page.goto(`${urls.dashboards}#${view}&range=${RANGE}`);
  await page.locator(`html[data-drawn=${view.split('?')[0]}]`).waitFor({ timeout: 30_000 });
  return page;
}

async function shoot(name: string, view: string, options: BrowserContextOptions): Promise<void> {
  const page = await open(view, options);
  await page.screenshot({ path: `${folder}console-${name}.png`, animations: 'disabled' });
  await page.context().close();
  console.log(`docs/images/console-${name}.png`);
}

/** The kit's clients, evenly over the rooms; the first of each room will write. */
async function connect(token: string): Promise<void> {
  class Socket extends WebSocket {
    constructor(address: string, protocols: string[]) {
      super(address, protocols, { perMessageDeflate: false });
      this.on('error', () => undefined);
    }
  }
  for (let index = 0; index < CLIENTS; index += 1) {
    const room = ROOMS[index % ROOMS.length] ?? '';
    const client = createClient({
      url: `ws://127.0.0.1:${cluster.port}/ws`,
      token: () => token,
      rooms: [room],
      WebSocket: Socket as never,
    });
    const member = { client, room, moves: -1, seen: [] as number[] };
    client.on('message', ({ content }) => member.seen.push(Number(content)));
    client.on('connected', () => {
      member.moves += 1;
    });
    client.connect();
    members.push(member);
  }
  await Promise.all(members.map(({ client, room }) => client.join(room)));
}

const sent = new Map<string, number>();
/** One writes 1, 2, 3, ... into each room. */
function talk(): NodeJS.Timeout {
  return setInterval(() => {
    for (const [index, room] of ROOMS.entries()) {
      const number = (sent.get(room) ?? 0) + 1;
      sent.set(room, number);
      void members[index]?.client.chat(String(number), room);
    }
  }, PACE_MS);
}

/** What the clients themselves say: the pictures have to agree. */
function account(): string {
  const wrong = members.filter(
    ({ room, seen }) => seen.length !== sent.get(room) || seen.some((number, index) => number !== index + 1),
  );
  const moves = members.reduce((sum, each) => sum + each.moves, 0);
  return `${CLIENTS} clients moved ${moves} times; ${wrong.length} of them missed a message, got one twice or out of order`;
}

try {
  const up = await cluster.make('up');
  if (up.code !== 0) throw new Error(up.stderr);
  browser = await chromium.launch({ executablePath: find('chromium'), args: ['--no-sandbox', '--disable-gpu'] });
  await connect(await cluster.token('ada'));
  await seconds(45);
  await shoot('rest', 'overview?refresh=5', desktop);
  await shoot('rest-phone', 'overview?refresh=5', phone);

  const talking = talk();
  await seconds(60);
  await shoot('load', 'overview?refresh=5', { ...high, colorScheme: 'dark' });
  await shoot('load-phone', 'overview?refresh=5', phone);

  await cluster.make('kill', { INSTANCE: 'app2' });
  await seconds(35);
  await shoot('killed', 'deploy?refresh=5', { viewport: { width: 1440, height: 1160 } });
  await shoot('killed-phone', 'deploy?refresh=5', phone);
  await cluster.make('up');
  await seconds(15);

  const rolled = cluster.make('rolling-restart');
  const watching = await open('deploy?refresh=5', high);
  await until(
    'an instance is seen to drain',
    60_000,
    async () => (await watching.locator('.instance[data-level=busy]').count()) > 0,
  );
  await watching.screenshot({ path: `${folder}console-draining.png`, animations: 'disabled' });
  console.log('docs/images/console-draining.png');
  const { code, stderr } = await rolled;
  if (code !== 0) throw new Error(stderr);
  await seconds(20);
  await shoot('rolled', 'deploy?refresh=5', { viewport: { width: 1440, height: 1280 } });
  await shoot('rolled-dark', 'deploy?refresh=5', { ...desktop, colorScheme: 'dark' });
  await shoot('rolled-phone', 'deploy?refresh=5', { ...phone, colorScheme: 'dark' });
  await shoot('instance', 'instance?refresh=5&instance=app2', high);
  await shoot('parts', 'parts?refresh=5', high);

  clearInterval(talking);
  await seconds(3);
  console.log(account());
} finally {
  await browser?.close();
  await Promise.all(members.map(({ client }) => client.close()));
  await cluster.close();
}
