/** What people look at on a terminal: make top, logs and trace, on a native cluster and on a real terminal (util-linux' script). */
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FleetClient } from '../harness/fleet-client.ts';
import { createTestCluster, type TestCluster, until } from '../harness/test-cluster.ts';

const root = resolve(import.meta.dirname, '../../..');
const PATIENCE_MS = 30_000;
/** What a full screen is entered and left with. */
const ENTER = '\x1b[?1049h\x1b[?25l';
const LEAVE = '\x1b[?25h\x1b[?1049l';

let cluster: TestCluster;

beforeAll(async () => {
  cluster = await createTestCluster({ DRIVER: 'native', INSTANCES: '2' });
  const { code, stderr } = await cluster.make('up', { LOG_LEVEL: 'debug' });
  expect(code, stderr).toBe(0);
});
afterAll(() => cluster?.close());

/** What still runs of the cluster's commands: its parts themselves are not told where its state is. */
function commands(): string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/environ`, 'utf8').includes(`CLUSTER_DIR=${cluster.dir}`);
    } catch {
      return false;
    }
  });
}
const nothingLeft = () => until('nothing is left', PATIENCE_MS, () => commands().length === 0);

interface Terminal {
  readonly shown: string;
  press(key: string): void;
  /** To all that runs there, as a terminal that hangs up does it. */
  readonly child: ChildProcess;
  readonly ended: Promise<number | null>;
}

/** Runs a command of the cluster on a terminal of 24 rows and 80 columns; the terminal's own settings before and after. */
function terminal(script: string, more: Record<string, string> = {}): Terminal {
  const { PATH, HOME } = process.env;
  const command = `trap : INT; stty rows 24 cols 80; stty -a; sh deploy/cluster/commands/${script}; echo "exit=$?"; stty -a`;
  const child = spawn('script', ['-qfc', command, '/dev/null'], {
    cwd: root,
    env: { PATH, HOME, TERM: 'xterm', SHELL: '/bin/sh', ...cluster.settings, ...more },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let shown = '';
  child.stdout.on('data', (data) => {
    shown += data;
  });
  return {
    child,
    get shown() {
      return shown;
    },
    press: (key) => void child.stdin.write(key),
    ended: new Promise((done) => child.on('close', done)),
  };
}

/** The two outputs of `stty -a` around the command. */
const settings = (shown: string) =>
  [...shown.matchAll(/^speed[\s\S]*?iexten.*$/gm)].map(([text]) => text.replaceAll('\r', ''));

describe.skipIf(process.platform !== 'linux')('make top', () => {
  test('draws the instances, and on q puts the terminal back and leaves nothing behind', async () => {
    const top = terminal('top.sh');
    await until('the instances are drawn', PATIENCE_MS, () => /app1 .*ready[\s\S]*app2 .*ready/.test(top.shown));
    await until('the events are drawn', PATIENCE_MS, () => top.shown.includes('listening on port'));
    top.press('q');
    await top.ended;
    expect(top.shown).toContain('exit=0');
    expect(top.shown.indexOf(LEAVE)).toBeGreaterThan(top.shown.indexOf(ENTER));
    expect(top.shown.slice(top.shown.indexOf(LEAVE) + LEAVE.length)).toMatch(/^exit=0/);
    const [before, after] = settings(top.shown);
    expect(before).toContain('icanon');
    expect(after).toBe(before);
    await nothingLeft();
  });

  test('shows that an instance was killed, and on ctrl-c puts the terminal back', async () => {
    const top = terminal('top.sh', { NO_COLOR: '1' });
    await until('app2 is drawn', PATIENCE_MS, () => /app2 +ready/.test(top.shown));
    await cluster.make('kill', { INSTANCE: 'app2' });
    await until('app2 is dead', PATIENCE_MS, () => /app2 +exited:137/.test(top.shown));
    expect(top.shown).not.toContain('\x1b[0m');
    await cluster.make('up', { LOG_LEVEL: 'debug' });
    await until('app2 is back', PATIENCE_MS, () =>
      /app2 +ready/.test(top.shown.slice(top.shown.lastIndexOf('exited:137'))),
    );
    top.press('\x03');
    await top.ended;
    expect(top.shown).toContain(LEAVE);
    const [before, after] = settings(top.shown);
    expect(after).toBe(before);
    await nothingLeft();
  });

  test('puts the terminal back on SIGTERM', async () => {
    const top = terminal('top.sh');
    await until('app1 is drawn', PATIENCE_MS, () => /app1 .*ready/.test(top.shown));
    // Of the shells that run it, the one that the others were forked from.
    const shells = commands().filter((pid) =>
      readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('\0deploy/cluster/commands/top.sh'),
    );
    process.kill(Math.min(...shells.map(Number)), 'SIGTERM');
    await top.ended;
    expect(top.shown).toContain('exit=130');
    expect(top.shown).toContain(LEAVE);
    const [before, after] = settings(top.shown);
    expect(after).toBe(before);
    await nothingLeft();
  });

  test('prints one table where there is no terminal', async () => {
    const { code, stdout } = await cluster.make('top');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^app1 +ready/m);
    expect(stdout).toMatch(/up nginx redis/);
    expect(stdout).not.toContain('\x1b');
  });
});

describe('make logs', () => {
  test('shows all parts in the order of time', async () => {
    const { code, stdout } = await cluster.make('logs', { FOLLOW: '0' });
    expect(code).toBe(0);
    for (const part of ['app1', 'app2', 'redis', 'prometheus'])
      expect(stdout).toMatch(new RegExp(`^\\S+ \\w+ +${part}`, 'm'));
    const times = [...stdout.matchAll(/^(\d\d:\d\d:\d\d\.\d{3}) /gm)].map(([, time]) => time);
    expect(times.length).toBeGreaterThan(10);
    // Not over midnight.
    if ((times[0] ?? '') < (times.at(-1) ?? '')) expect(times).toEqual([...times].sort());
  });

  test('shows one part, above a level, of a time', async () => {
    const { stdout } = await cluster.make('logs', { FOLLOW: '0', INSTANCE: 'app1', SINCE: '1h', LEVEL: 'info' });
    expect(stdout).toContain('listening on port');
    expect(stdout.split('\n').filter((line) => line && !/ INFO +app1 /.test(line))).toEqual([]);
    expect((await cluster.make('logs', { FOLLOW: '0', INSTANCE: 'app1', SINCE: '1h', LEVEL: 'fatal' })).stdout).toBe(
      '',
    );
  });

  test.for([
    ['INSTANCE', 'app7', 'app1 app2 nginx redis prometheus'],
    ['LEVEL', 'loud', 'trace debug info warn error fatal'],
    ['SINCE', 'yesterday', '10m'],
    ['FOLLOW', 'maybe', '0 1'],
  ] as const)('refuses another %s and says what there is', async ([name, value, known]) => {
    const { code, stdout, stderr } = await cluster.make('logs', { FOLLOW: '0', [name]: value });
    expect(code).not.toBe(0);
    expect(stdout).toBe('');
    expect(stderr).toContain(`${name}=${value}: expected`);
    expect(stderr).toContain(known);
  });

  test.skipIf(process.platform !== 'linux')('goes on until ctrl-c, and leaves nothing behind', async () => {
    const logs = terminal('logs.sh');
    await until('the past is shown', PATIENCE_MS, () => logs.shown.includes('listening on port'));
    const client = new FleetClient({ url: `ws://127.0.0.1:${cluster.port}/ws`, token: await cluster.token('late') });
    const before = logs.shown.length;
    await client.connect();
    await until('the present is shown', PATIENCE_MS, () => logs.shown.slice(before).includes('connected'));
    client.close();
    expect(commands()).not.toEqual([]);
    logs.press('\x03');
    await logs.ended;
    await nothingLeft();
  });
});

describe('make trace', () => {
  test('shows the way of one message over all instances, with what they log of it', async () => {
    const { code, stdout, stderr } = await cluster.make('trace', { ROOM: 'lobby' });
    expect(code, stderr).toBe(0);
    const lines = stdout.trimEnd().split('\n');
    expect(lines[0]).toMatch(/^ +\+0 ms INFO +app[12] +a member here sends it .*"offset":\d+/);
    for (const name of ['app1', 'app2']) {
      const own = lines.filter((line) => line.includes(` ${name} `)).join('\n');
      for (const step of [
        'received a message from the broker',
        'delivered a message to the members',
        'the member here has it',
      ]) {
        expect(own).toContain(step);
      }
    }
    expect(stdout).toContain('the broker took a message');
    expect(lines.at(-1)).toMatch(/acknowledged after [\d.]+ ms, on 2 of 2 instances after [\d.]+ ms$/);
    const times = lines.map((line) => Number(/([+-]\d+) ms/.exec(line)?.[1]));
    expect(times).toEqual([...times].sort((a, b) => a - b));
  });

  test('says which instance did not get it', async () => {
    await cluster.make('kill', { INSTANCE: 'app2', SIGNAL: 'STOP' });
    try {
      const { code, stdout } = await cluster.make('trace', { ROOM: 'lobby', WAIT: '5s' });
      expect(code).not.toBe(0);
      expect(stdout).toMatch(/ERROR app2 +has no member/);
      expect(stdout).toMatch(/on 1 of 2 instances/);
    } finally {
      await cluster.make('kill', { INSTANCE: 'app2', SIGNAL: 'CONT' });
    }
  });

  test.for([
    ['ROOM', '', 'Which room?'],
    ['ROOM', 'a room', 'expected letters'],
    ['WAIT', 'long', 'WAIT=long: expected a time like 30s'],
  ] as const)('refuses %s=%s', async ([name, value, reason]) => {
    const { code, stderr } = await cluster.make('trace', { ROOM: 'lobby', [name]: value });
    expect(code).not.toBe(0);
    expect(stderr).toContain(reason);
  });
});
