/** make logs' reader, app/tools/logs.ts, as a process: lines `PART | LINE` in, lines for people out. */
import { expect, test } from 'vitest';
import { parseLogLine } from '../../tools/lib/log-line.ts';
import { runTool } from '../harness/tool.ts';

const at = (second: number) => Date.UTC(2026, 10, 25, 10, 0, second);
const app = (part: string, second: number, level: string, msg: string, fields: object = {}) =>
  `${part} | ${JSON.stringify({ level, time: at(second), instanceId: part, event: 'an_event', ...fields, msg })}`;

async function read(lines: readonly string[], ...args: string[]): Promise<string[]> {
  await using tool = await runTool('logs', args);
  tool.end(lines);
  expect(await tool.exited).toMatchObject({ code: 0 });
  return tool.stdout.trimEnd().split('\n');
}

test('puts the lines of all parts in the order of time', async () => {
  const lines = await read([
    app('app2', 4, 'info', 'fourth'),
    app('app1', 1, 'info', 'first'),
    app('app1', 3, 'info', 'third'),
    'nginx-1  | 10.0.0.1 [2026-11-25T10:00:05+00:00] "GET /ws HTTP/1.1" 101 0 1.2 fifth',
    'prometheus | ts=2026-11-25T10:00:02.000Z caller=main.go:1 level=info msg=second',
  ]);
  expect(lines.map((line) => /first|second|third|fourth|fifth/.exec(line)?.[0])).toEqual([
    'first',
    'second',
    'third',
    'fourth',
    'fifth',
  ]);
});

test('shows what comes while it follows, without waiting for the end', async () => {
  await using tool = await runTool('logs');
  tool.write(app('app1', 1, 'info', 'early'));
  await expect.poll(() => tool.stdout).toContain('early');
  tool.write(app('app2', 2, 'info', 'late'));
  await expect.poll(() => tool.stdout).toContain('late');
  tool.end();
  expect((await tool.exited).code).toBe(0);
});

test('keeps out what is below the level, of every part in its own words', async () => {
  const lines = [
    app('app1', 1, 'debug', 'no'),
    app('app1', 2, 'info', 'no'),
    app('app1', 3, 'warn', 'yes'),
    app('app1', 4, 'fatal', 'yes'),
    'app2 | node: bad option',
    'nginx | 2026/11/25 10:00:05 [warn] 1#1: yes',
    'nginx | 10.0.0.1 [2026-11-25T10:00:05+00:00] "GET /no HTTP/1.1" 200',
    'redis | 1:M 25 Nov 2026 10:00:06.000 # yes',
    'redis | and yes, what belongs to it',
    'redis | 1:M 25 Nov 2026 10:00:06.000 * no',
    'redis | and no, what belongs to that',
    'prometheus | time=2026-11-25T10:00:07Z level=ERROR msg=yes',
    'prometheus | time=2026-11-25T10:00:07Z level=INFO msg=no',
  ];
  const shown = await read(lines, '--level', 'warn');
  expect(shown.filter((line) => line.includes('yes'))).toHaveLength(6);
  expect(shown.filter((line) => line.includes('node: bad option'))).toHaveLength(1);
  expect(shown).toHaveLength(7);
});

test('keeps out what is older than the span that was asked for', async () => {
  const ago = (seconds: number) =>
    `app1 | ${JSON.stringify({ level: 'info', time: Date.now() - seconds * 1000, msg: `${seconds} ago` })}`;
  const shown = await read([ago(1000), ago(700), ago(500), ago(1)], '--since', '600');
  expect(shown.map((line) => /\d+ ago/.exec(line)?.[0])).toEqual(['500 ago', '1 ago']);
});

test('gives each instance its own colour with --color, and none without', async () => {
  const lines = [1, 2, 3].map((number) => app(`app${number}`, number, 'info', 'hello'));
  const coloured = (await read(lines, '--color')).map((line) => line.split('app')[0]?.split('m').at(-2));
  expect(new Set(coloured).size).toBe(3);
  expect((await read(lines)).join('')).not.toContain('\x1b');
});

test('shows fields and stacks, and lets nobody steer the terminal', async () => {
  const err = { type: 'Error', message: 'broken', stack: 'Error: broken\n    at here (file.ts:1:1)' };
  const [line, ...stack] = await read([
    app('app1', 1, 'error', 'a \x1b[2J', { reason: '\x1b]0;x\x07', count: 3, err }),
  ]);
  expect(line).toMatch(/ERROR app1 .*count=3/);
  expect(stack).toEqual(['    Error: broken', '        at here (file.ts:1:1)']);
  expect(line).not.toContain('\x1b');
  expect(line).not.toContain('\x07');
});

test('knows when each part wrote a line, and how grave it is', () => {
  expect(
    parseLogLine('app12-1  | {"level":"warn","time":5,"instanceId":"app12","event":"gap","msg":"m","n":1}'),
  ).toEqual({
    part: 'app12',
    time: 5,
    level: 'warn',
    text: 'm',
    fields: { event: 'gap', n: 1 },
  });
  expect(parseLogLine('nginx-1 | 1.2.3.4 [2026-11-25T10:00:05+00:00] "GET / HTTP/1.1" 200')).toMatchObject({
    part: 'nginx',
    time: at(5),
    text: '1.2.3.4 "GET / HTTP/1.1" 200',
  });
  expect(parseLogLine('redis | 12:M 25 Nov 2026 10:00:05.250 * Ready')).toMatchObject({
    level: 'info',
    time: new Date(2026, 10, 25, 10, 0, 5, 250).getTime(),
    text: 'Ready',
  });
  expect(parseLogLine('what nobody wrote')).toBeUndefined();
});

test('refuses a level that does not exist', async () => {
  await using tool = await runTool('logs', ['--level', 'loud']);
  tool.end();
  expect((await tool.exited).code).toBe(64);
  expect(tool.stderr).toContain('usage');
});
