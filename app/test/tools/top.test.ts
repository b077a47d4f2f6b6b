/** make top's picture, app/tools/top.ts, as a process on real instances: the feed in, what the terminal gets out. */
import { describe, expect, test } from 'vitest';
import { quantile, readBuckets } from '../../tools/top/sample.ts';
import { createScreen, type Line, render } from '../../tools/top/screen.ts';
import { type App, startApp } from '../harness/app.ts';
import { connect } from '../harness/client.ts';
import { runTool, type Tool } from '../harness/tool.ts';

/** What stands on a terminal that got these bytes; throws at anything but the few sequences that top uses. */
function terminal(bytes: string): string[] {
  const rows: string[] = [];
  let row = 0;
  let column = 0;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what a terminal reads
  for (const [token] of bytes.matchAll(/\x1b\[[\d;]*[A-Za-z]|[^\x1b]/gu)) {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: as above
    const [, numbers = '', letter = ''] = /^\x1b\[([\d;]*)([A-Za-z])$/.exec(token) ?? [];
    if (letter === 'H') [row, column] = numbers.split(';').map((number) => Number(number) - 1) as [number, number];
    else if (letter === 'J') rows.length = 0;
    else if (letter === 'K') rows[row] = (rows[row] ?? '').slice(0, column);
    else if (letter === 'm') continue;
    else if (letter || token < ' ') throw new Error(`top wrote ${JSON.stringify(token)}`);
    else {
      rows[row] = (rows[row] ?? '').padEnd(column) + token;
      column += 1;
    }
  }
  return Array.from(rows, (text) => text ?? '');
}

const columnsOf = (line: string) => line.length + [...line.matchAll(/[漢字]/g)].length;
const urlOf = async (app: App) => `http://127.0.0.1:${(await app.log('listening'))['internalPort']}`;
const statesOf = (rows: Record<string, [state: string, url: string]>) =>
  `states ${Object.entries(rows)
    .map(([name, [state, url]]) => [name, state, '1', '2', url].join(','))
    .join(' ')}`;
const rowOf = (tool: Tool, name: string) => terminal(tool.stdout).find((line) => line.startsWith(name)) ?? '';
const logLine = (part: string, event: string, more: object) =>
  `${part} | ${JSON.stringify({ level: 'info', time: Date.now(), event, ...more })}`;

describe('on a terminal', () => {
  test('shows each instance with its connections, a dead one as dead, and what happened', async () => {
    await using app = await startApp({ INSTANCE_ID: 'app1' });
    await using other = await startApp({ INSTANCE_ID: 'app2' });
    await using _client = await connect(app);
    const [url, otherUrl] = [await urlOf(app), await urlOf(other)];
    await using top = await runTool('top');
    const states = (state: string) =>
      statesOf({
        app1: ['running', url],
        app2: [state, otherUrl],
        nginx: ['running', '-'],
        redis: ['exited:137', '-'],
      });

    top.write('size 24 80');
    top.write(states('running'));
    top.write(logLine('app1', 'listening', { msg: 'listening on port 1' }));
    top.write(logLine('app1', 'connected', { msg: 'somebody came' }));
    await expect.poll(() => rowOf(top, 'app1'), { timeout: 8000 }).toMatch(/^app1 +ready +1 .*\d+M +-$/);
    expect(rowOf(top, 'app2')).toMatch(/^app2 +ready +0 /);
    expect(terminal(top.stdout)[0]).toMatch(/^wsfleet {3}2 of 2 ready {3}1 connections/);
    expect(terminal(top.stdout)[1]).toContain('redis exited:137   up nginx');
    expect(terminal(top.stdout).join('\n')).toContain('app1  listening on port 1');
    expect(terminal(top.stdout).join('\n')).not.toContain('somebody came');
    expect(terminal(top.stdout)[23]).toBe('q leaves');

    await other.kill();
    await expect.poll(() => rowOf(top, 'app2'), { timeout: 8000 }).toMatch(/^app2 +no answer +-/);
    top.write(states('exited:137'));
    await expect.poll(() => rowOf(top, 'app2'), { timeout: 8000 }).toMatch(/^app2 +exited:137 +-/);
    expect(terminal(top.stdout).join('\n')).toMatch(/app2 {2}is exited:137/);
    expect(terminal(top.stdout)[0]).toMatch(/1 of 2 ready/);

    top.end();
    expect((await top.exited).code).toBe(0);
    expect(top.stderr).toBe('');
  });

  test('shows how far a drain has come', async () => {
    await using app = await startApp({
      INSTANCE_ID: 'app1',
      DRAIN_WINDOW: '60s',
      DRAIN_GRACE: '60s',
      SHUTDOWN_DEADLINE: '122s',
    });
    const clients = await Promise.all([1, 2, 3].map(() => connect(app)));
    await using top = await runTool('top');
    top.write(statesOf({ app1: ['running', await urlOf(app)], nginx: ['running', '-'] }));
    await expect.poll(() => rowOf(top, 'app1'), { timeout: 8000 }).toMatch(/ready +3 /);
    app.signal('SIGTERM');
    await expect.poll(() => rowOf(top, 'app1'), { timeout: 8000 }).toMatch(/draining +3 .* 3\/3$/);
    await clients[0]?.close();
    await expect.poll(() => rowOf(top, 'app1'), { timeout: 8000 }).toMatch(/draining +2 .* 2\/3$/);
    for (const client of clients) client.socket.terminate();
  });

  test('never exceeds the terminal, also after it was made smaller, with sixteen instances and long events', async () => {
    await using top = await runTool('top', ['--color']);
    const rows = Object.fromEntries(
      Array.from({ length: 16 }, (_, index) => [
        `app${index + 1}`,
        ['exited:137', 'http://127.0.0.1:1'] as [string, string],
      ]),
    );
    top.write('size 24 80');
    const parts = ['nginx', 'redis', 'prometheus', 'redis-exporter', 'nginx-exporter', 'alertmanager'];
    const running = parts.map((name): [string, [string, string]] => [name, ['running', '-']]);
    top.write(statesOf({ ...rows, ...Object.fromEntries(running), grafana: ['exited:1', '-'] }));
    for (let n = 0; n < 30; n += 1) top.write(logLine('app1', 'gap', { n, msg: '漢字 \x1b[2J '.repeat(30) }));
    await expect.poll(() => rowOf(top, 'app16'), { timeout: 8000 }).toMatch(/exited:137/);
    expect(terminal(top.stdout)).toContain(`grafana exited:1   up ${parts.join(' ')}`.slice(0, 80));
    for (const [size, height, width] of [
      // What a terminal says that does not know its size.
      ['size 0 0', 24, 80],
      ['size 12 40', 12, 40],
    ] as const) {
      const before = top.stdout.length;
      top.write(size);
      await expect.poll(() => top.stdout.slice(before), { timeout: 8000 }).toContain('wsfleet');
      const lines = terminal(top.stdout);
      expect(lines.length).toBeLessThanOrEqual(height);
      for (const line of lines) expect(columnsOf(line)).toBeLessThanOrEqual(width);
    }
  });
});

test('prints one table where there is no terminal, and ends', async () => {
  await using app = await startApp({ INSTANCE_ID: 'app1' });
  await using top = await runTool('top', ['--once']);
  top.end([
    statesOf({ app1: ['running', await urlOf(app)], app2: ['stopped', 'http://127.0.0.1:1'], redis: ['running', '-'] }),
    logLine('app1', 'redis_up', { msg: 'Redis is connected' }),
  ]);
  expect((await top.exited).code).toBe(0);
  const lines = top.stdout.split('\n');
  expect(lines.find((line) => line.startsWith('app1'))).toMatch(/^app1 +ready +0 +0 +0 +- +\d+ms/);
  expect(lines.find((line) => line.startsWith('app2'))).toMatch(/^app2 +stopped +-/);
  expect(top.stdout).toContain('Redis is connected');
  expect(top.stdout).not.toContain('\x1b');
});

describe('the screen', () => {
  const draw = (...frames: Line[][]) => {
    const written: string[] = [];
    const screen = createScreen({ color: false, write: (text) => written.push(text) });
    for (const frame of frames) screen.draw(frame);
    return written;
  };

  test('writes only the lines that changed', () => {
    const [first, second, third] = draw([['a'], ['b'], ['c']], [['a'], ['B'], ['c']], [['a'], ['B'], ['c']]);
    expect(first).toContain('a');
    expect(second).toBe('\x1b[2;1H\x1b[KB');
    expect(third).toBeUndefined();
  });

  test('cuts by columns, whatever the style and however wide a character is', () => {
    expect(render([['abc', 'bold'], 'def'], 4, true)).toBe('\x1b[1mabc\x1b[0md');
    expect(render(['漢字漢字'], 5, false)).toBe('漢字');
    expect(render([['abc', 'red']], 10, false)).toBe('abc');
  });
});

describe('the latency', () => {
  const metrics = (...counts: number[]) =>
    ['0.001', '0.01', '0.1', '+Inf']
      .map((le, index) => `ws_x_bucket{le="${le}",instance="i"} ${counts[index]}`)
      .join('\n');

  test('is that of what was counted since, as histogram_quantile has it', () => {
    const before = readBuckets(metrics(1000, 1000, 1000, 1000), 'ws_x');
    const after = readBuckets(metrics(1000, 1050, 1100, 1100), 'ws_x');
    // Half within 1 to 10 ms, half within 10 to 100: 98 % of the way through the second half.
    expect(quantile(0.99, before, after)).toBeCloseTo(0.01 + 0.98 * 0.09);
    expect(quantile(0.5, before, after)).toBeCloseTo(0.01);
  });

  test('is none without deliveries, and the last bound past the buckets', () => {
    const before = readBuckets(metrics(1, 2, 3, 4), 'ws_x');
    expect(quantile(0.99, before, before)).toBeUndefined();
    expect(quantile(0.99, before, readBuckets('', 'ws_x'))).toBeUndefined();
    expect(quantile(0.99, before, readBuckets(metrics(1, 2, 3, 104), 'ws_x'))).toBe(0.1);
  });
});
