/** The dashboards: their list, what is made from it, and the console page in Chromium on a real Prometheus and app. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Dashboard as GrafanaDashboard, Panel as GrafanaPanel } from '@grafana/grafana-foundation-sdk/dashboard';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { createAuth } from '../../../app/src/connection/auth.ts';
import { find } from '../../cluster/drivers/native/program.ts';
import { writeFolder } from '../../cluster/drivers/native/template.ts';
import { CONSOLE, GRAFANA, makeAll } from '../../dashboards/make.ts';
import { dashboards } from '../../dashboards/panels.ts';
import { fillIn } from '../../dashboards/promql.ts';
import { FleetClient } from '../harness/fleet-client.ts';
import { freePorts, run, until } from '../harness/test-cluster.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const text = (path: string) => readFileSync(join(root, path), 'utf8');
const panels = dashboards.flatMap(({ id, ofOneInstance, rows }) =>
  rows.flatMap((row) => row.panels.map((panel) => ({ dashboard: id, ofOneInstance, ...panel }))),
);

describe('the list of panels', () => {
  test('is what the files in the repository are made from (npm run dashboards)', async () => {
    for (const [path, made] of Object.entries(await makeAll())) expect(text(path) === made, path).toBe(true);
  });

  test('has an id for each panel, and says what it answers, shows and counts as good', () => {
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    for (const { id, dashboard, title, question, description, queries, thresholds, ofOneInstance } of panels) {
      expect(id).toMatch(new RegExp(`^${dashboard}-[a-z0-9-]+$`));
      expect(title).not.toBe('');
      expect(question, id).toMatch(/\?$/);
      expect(description, id).toMatch(/\.$/);
      expect(queries.length, id).toBeGreaterThan(0);
      const [first, ...rest] = thresholds.map(({ from }) => from);
      expect(first, id).toBeNull();
      expect(rest, id).toEqual([...rest].sort((a, b) => Number(a) - Number(b)));
      for (const { expr } of queries) expect(expr.includes('$instance'), id).toBe(ofOneInstance === true);
    }
  });
});

describe.each(dashboards.map(({ id }) => id))('Grafana’s dashboard %s', (id) => {
  const dashboard = JSON.parse(text(`${GRAFANA}/${id}.json`)) as GrafanaDashboard;
  const all = dashboard.panels as GrafanaPanel[];
  const shown = all.filter(({ type }) => type !== 'row');

  test('gives every panel a unit, a description, thresholds, queries and the chosen data source', () => {
    for (const { title, description, fieldConfig, targets, datasource } of shown) {
      const { unit, thresholds } = fieldConfig?.defaults ?? {};
      expect(description, title).toMatch(/\S/);
      expect(unit, title).toMatch(/\S/);
      expect(thresholds?.steps.length, title).toBeGreaterThan(0);
      expect(datasource, title).toEqual({ type: 'prometheus', uid: '$datasource' });
      const of = targets as unknown as { refId: string; datasource: unknown }[];
      const refs = of.map(({ refId }) => refId);
      expect(new Set(refs).size, title).toBe(refs.length);
      for (const target of of) expect(target.datasource).toEqual(datasource);
    }
    expect(dashboard.templating?.list?.map(({ name }) => name)).toContain('datasource');
  });

  test('has unique ids, and no panel on top of another or beyond the edge', () => {
    expect(new Set(all.map(({ id: each }) => each)).size).toBe(all.length);
    const cells = new Set<string>();
    for (const { title, gridPos } of all) {
      const { x, y, w, h } = gridPos ?? { x: 0, y: 0, w: 0, h: 0 };
      expect(w * h, title).toBeGreaterThan(0);
      expect(x + w, title).toBeLessThanOrEqual(24);
      for (let column = x; column < x + w; column += 1) {
        for (let line = y; line < y + h; line += 1) {
          expect(cells, `${title} at ${column},${line}`).not.toContain(`${column},${line}`);
          cells.add(`${column},${line}`);
        }
      }
    }
  });
});

describe('the console page, on a Prometheus that watches an instance', () => {
  const home = mkdtempSync(join(tmpdir(), 'wsfleet-dashboards-'));
  const SECRET = 'for-the-dashboards-test-only-not-a-secret';
  const running: ChildProcess[] = [];
  const clients: FleetClient[] = [];
  let app: ChildProcess;
  let prometheus: string;
  let browser: Browser;
  let chat: NodeJS.Timeout;

  /** Starts a process and waits for a line of its output. */
  async function start(program: string, args: string[], ready: RegExp, env = {}): Promise<ChildProcess> {
    const child = spawn(program, args, { cwd: home, env: { PATH: process.env['PATH'], ...env } });
    running.push(child);
    let output = '';
    await new Promise<void>((resolve, reject) => {
      child.once('exit', (code) => reject(new Error(`${program} ended with ${code}:\n${output}`)));
      for (const stream of [child.stdout, child.stderr]) {
        createInterface({ input: stream }).on('line', (line) => {
          output = `${output}${line}\n`.slice(-4_000);
          if (ready.test(line)) resolve();
        });
      }
    });
    return child;
  }

  async function ask(path: string): Promise<{ status: string; error?: string; data: { result: unknown[] } }> {
    return (await (await fetch(`${prometheus}/api/v1/${path}`)).json()) as never;
  }

  beforeAll(async () => {
    const base = await freePorts();
    app = await start(process.execPath, [join(root, 'app/src/main.ts')], /"event":"listening"/, {
      ...{ PORT: String(base), INTERNAL_PORT: String(base + 1), HOST: '127.0.0.1', BROKER: 'memory' },
      ...{ INSTANCE_ID: 'app1', JWT_SECRET: SECRET, RATE_LIMIT_PER_MINUTE: '6000' },
    });
    writeFolder(join(root, 'deploy/prometheus'), home);
    writeFolder(join(root, 'deploy/dashboards/generated/console'), join(home, 'consoles'));
    // The project's own configuration, five times as fast.
    writeFileSync(
      join(home, 'prometheus.yml'),
      text('deploy/prometheus/prometheus.yml').replaceAll(/: [45]s$/gm, ': 1s'),
    );
    writeFileSync(
      join(home, 'targets.json'),
      JSON.stringify([{ targets: [`127.0.0.1:${base + 1}`], labels: { instance: 'app1' } }]),
    );
    prometheus = `http://127.0.0.1:${base + 2}`;
    await start(
      find('prometheus'),
      [
        ...[`--config.file=${join(home, 'prometheus.yml')}`, `--storage.tsdb.path=${join(home, 'data')}`],
        ...[`--web.listen-address=127.0.0.1:${base + 2}`],
        ...[`--web.console.templates=${join(home, 'consoles')}`, `--web.console.libraries=${join(home, 'consoles')}`],
      ],
      /Server is ready to receive web requests/,
    );

    const auth = createAuth({ secret: SECRET, issuer: '', audience: '' });
    for (const userId of ['alice', 'bob']) {
      const client = new FleetClient({
        url: `ws://127.0.0.1:${base}/ws`,
        token: auth.sign({ userId, username: userId }, 600_000),
      });
      clients.push(client);
      await client.connect();
    }
    chat = setInterval(() => clients[0]?.send('chat', { content: 'hello' }), 50);
    await until('rates can be told, some seconds ago too', 60_000, async () => {
      const { data } = await ask(
        `query?query=${encodeURIComponent('rate(ws_messages_delivered_total[20s] offset 10s) > 0')}`,
      );
      return data.result.length > 0;
    });
    browser = await chromium.launch({ executablePath: find('chromium'), args: ['--no-sandbox', '--disable-gpu'] });
  });

  afterAll(async () => {
    clearInterval(chat);
    for (const client of clients) client.close();
    await browser?.close();
    const ended = running.filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null);
    await Promise.all(
      ended.map((child) => {
        child.kill('SIGKILL');
        return once(child, 'exit');
      }),
    );
    rmSync(home, { recursive: true, force: true });
  });

  /** Opens the page and notes what it complains of, and whom else it asks. */
  async function open(
    view: string,
    options: BrowserContextOptions = {},
  ): Promise<{ page: Page; complaints: string[] }> {
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
    const page = await context.newPage();
    const complaints: string[] = [];
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
    page.on('request', (request) => {
      const url = request.url();
      if (!url.startsWith(prometheus) && !url.startsWith('data:')) complaints.push(`asks ${url}`);
    });
    await page.goto(`${prometheus}/consoles/wsfleet.html#${view}`);
    await drawn(page, view.split('?')[0] ?? '');
    return { page, complaints };
  }

  const drawn = (page: Page, dashboard: string) =>
    page.locator(`html[data-drawn=${dashboard}]`).waitFor({ timeout: 30_000 });

  test('comes out of Prometheus as it was made', async () => {
    const template = text(CONSOLE);
    const inside = template
      .replace(/^\{\{\/\*.*?\*\/\}\}\{\{\$backtick := safeHtml "`"\}\}/, '')
      .replaceAll('{{$backtick}}', '{{safeHtml `\u0000`}}')
      .replaceAll(/\{\{safeHtml `([^`]*)`\}\}/g, '$1')
      .replaceAll('\u0000', '`');
    const response = await fetch(`${prometheus}/consoles/wsfleet.html`);
    expect(response.headers.get('content-type')).toContain('text/html');
    expect((await response.text()) === inside).toBe(true);
    expect(inside).toMatch(/^<!doctype html>.*<\/html>\n$/s);
  });

  test('is drawn on every tab, without an error and without asking anybody else', async () => {
    const { page, complaints } = await open('overview');
    for (const { id, title } of dashboards) {
      await page.getByRole('link', { name: title, exact: true }).click();
      await drawn(page, id);
      const cards = await page.locator('.card').evaluateAll((all) =>
        all.map((card) => {
          const canvas = card.querySelector('canvas');
          const pixels = canvas?.getContext('2d')?.getImageData(0, 0, canvas.width, canvas.height).data;
          return {
            id: card.id,
            state: card.getAttribute('data-state'),
            ink: pixels ? [...pixels].some((value: number) => value > 0) : true,
          };
        }),
      );
      const wanted = panels.filter(({ dashboard }) => dashboard === id).map((panel) => panel.id);
      expect(cards.map((card) => card.id).sort()).toEqual(wanted.sort());
      // Redis and NGINX are not there.
      const blank = cards.filter(({ state, ink }) => state !== 'drawn' || !ink).map((card) => card.id);
      expect(blank.filter((each) => !/^parts-(redis|nginx)/.test(each))).toEqual([]);
    }
    await expect(page.locator('#answer').textContent()).resolves.toMatch(/^Yes/);
    expect(complaints).toEqual([]);
  });

  test('fits a phone, follows the system’s colours, and keeps the view in the URL', async () => {
    const phone = { viewport: { width: 390, height: 844 }, colorScheme: 'dark' as const };
    const { page, complaints } = await open('deploy?range=3600&refresh=15', phone);
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(390);
    await expect(page.locator('html').getAttribute('data-theme')).resolves.toBe('dark');
    await page.getByRole('button', { name: 'Light or dark' }).click();
    await expect(page.locator('html').getAttribute('data-theme')).resolves.toBe('light');
    await expect(page.locator('#range').inputValue()).resolves.toBe('3600');
    await page.locator('#range').selectOption('21600');
    await page.waitForURL(/range=21600&refresh=15/);
    expect(complaints).toEqual([]);
  });

  test('every query is taken by Prometheus', async () => {
    for (const { id, queries } of panels) {
      for (const { expr } of queries) {
        const query = fillIn(expr, { range: 900, step: 5, instance: 'app1' });
        const answer = await ask(`query?query=${encodeURIComponent(query)}`);
        expect(answer.status, `${id}: ${answer.error}`).toBe('success');
      }
    }
  });

  test('dashboards:check names the panels that are empty, and only those', async () => {
    const { code, stdout } = await run('node', ['deploy/dashboards/check.ts', prometheus]);
    const [empty, full] = ['✗', '✓'].map((mark) =>
      [...stdout.matchAll(new RegExp(`${mark} (\\S+)`, 'g'))].map(([, id = '']) => id),
    );
    expect(code).toBe(1);
    expect(empty?.length).toBeGreaterThan(0);
    expect(empty?.filter((id) => !/^parts-(redis|nginx)/.test(id))).toEqual([]);
    expect([...(empty ?? []), ...(full ?? [])].sort()).toEqual(panels.map(({ id }) => id).sort());
  });

  test('says within seconds that the only instance was killed', async () => {
    const { page } = await open('deploy');
    app.kill('SIGKILL');
    await page.locator('#verdict[data-level=bad]').waitFor({ timeout: 30_000 });
    await expect(page.locator('#answer').textContent()).resolves.toBe('No: no instance accepts connections');
    await expect(page.locator('#detail').textContent()).resolves.toContain('app1 is down.');
    await page
      .locator('#events', { hasText: 'app1 went down without draining: 2 connections cut.' })
      .waitFor({ timeout: 30_000 });
  });
});

test('Grafana is given the data source and the folder that the dashboards are in', () => {
  const provisioning = 'deploy/dashboards/provisioning';
  const { datasources } = parse(text(`${provisioning}/datasources/prometheus.yml`));
  const { providers } = parse(text(`${provisioning}/dashboards/wsfleet.yml`));
  const { services } = parse(text('docker-compose.yml'), { merge: true, maxAliasCount: -1 });
  expect(datasources).toMatchObject([{ type: 'prometheus', url: 'http://prometheus:9090', isDefault: true }]);
  const [mount] = services.grafana.volumes.map((volume: string) => /:(\/[^:]+):ro$/.exec(volume)?.[1]);
  expect(providers[0].options.path).toBe(`${mount}/dashboards`);
  expect(services.grafana.environment).toMatchObject({
    GF_PATHS_PROVISIONING: `${mount}/provisioning`,
    GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH: `${mount}/dashboards/${dashboards[0]?.id}.json`,
  });
  expect(services.grafana.ports.every((port: string) => port.startsWith('127.0.0.1:'))).toBe(true);
});
