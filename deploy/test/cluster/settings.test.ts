// biome-ignore-all lint/suspicious/noTemplateCurlyInString: placeholders of .env files
/** env.sh: where settings come from, and the secrets that make up writes. Needs neither Docker nor a cluster. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '../../..');
const text = (path: string) => readFileSync(join(root, path), 'utf8');
let home: string;
let envFile: string;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'wsfleet-settings-'));
  envFile = join(home, '.env');
});

afterEach(() => rmSync(home, { recursive: true }));

/** Runs lines as a command of deploy/cluster would, after env.sh. */
function command(lines: string, environment: Readonly<Record<string, string>> = {}) {
  const { status, stdout, stderr } = spawnSync(
    'sh',
    ['-c', `. "$0"; ${lines}`, join(root, 'deploy/cluster/lib/env.sh')],
    {
      env: { PATH: process.env['PATH'], DRIVER: 'native', CLUSTER_DIR: home, ENV_FILE: envFile, ...environment },
      encoding: 'utf8',
    },
  );
  return { status, stdout, stderr };
}

test('.env.example lists every setting of the cluster with its default and its meaning, and no other', () => {
  const [, block = ''] =
    /# --- defaults.*?\n(.*?)# --- end of defaults/s.exec(text('deploy/cluster/lib/settings.sh')) ?? [];
  const known = [...block.matchAll(/^default_([A-Z_]+)=(.*)$/gm)].map(
    ([, name, value]) => `${name}=${value === "''" ? '' : value}`,
  );
  expect(known.length).toBe(block.trim().split('\n').length);

  const [, section = ''] = /\n# --- cluster.*?\n(.*)/s.exec(text('.env.example')) ?? [];
  const lines = section.trim().split('\n');
  expect(lines.filter((_, index) => index % 2 === 1)).toEqual(known);
  expect(lines.filter((line, index) => index % 2 === 0 && !/^# \S/.test(line))).toEqual([]);
});

/** A setting and a value that it cannot have. */
const wrong = [
  ['INSTANCES', '17'],
  ['INSTANCES', 'many'],
  ['PUBLIC_PORT', '0'],
  ['PUBLIC_PORT', '70000'],
  ['TLS', 'yes'],
  ['STICKY_MODE', 'cookie'],
  ['HANDSHAKE_RATE', '0'],
  ['DEMO_PUBLIC', 'yes'],
  ['ALERTS', 'maybe'],
  ['ALERT_WEBHOOK', 'mailto:someone@example.org'],
  ['ALERT_WEBHOOK', 'http://example.org/"} ]'],
  ['ALERTMANAGER_PORT', '0'],
  ['TRUSTED_PROXIES', '10.0.0.0/8; include /etc/passwd'],
] as const;

describe('where a setting comes from', () => {
  const shown = 'echo "$PUBLIC_PORT $INSTANCES"';

  test('the environment wins over .env, and .env over the default', () => {
    expect(command(shown).stdout).toBe('8080 3\n');
    writeFileSync(envFile, 'PUBLIC_PORT=9000\nINSTANCES="4"\n');
    expect(command(shown).stdout).toBe('9000 4\n');
    expect(command(shown, { PUBLIC_PORT: '9001', INSTANCES: '2' }).stdout).toBe('9001 2\n');
  });

  test('a cluster that was scaled keeps its size, unless one is given', () => {
    writeFileSync(envFile, 'INSTANCES=4\n');
    expect(command(`remember settings/INSTANCES 6; ${shown}`).stdout).toBe('8080 4\n');
    expect(command(shown).stdout).toBe('8080 6\n');
    expect(command(shown, { INSTANCES: '2' }).stdout).toBe('8080 2\n');
  });

  test.each(wrong)('%s=%s is refused by name', (name, value) => {
    const { status, stderr } = command('require_settings; echo not reached', { [name]: value });
    expect(status).toBe(1);
    expect(stderr).toContain(`${name}=${value}: expected`);
  });

  test.each(wrong)('with %s=%s what stops and shows goes on with what the cluster was started with', (name, value) => {
    const { status, stdout } = command(`echo "$${name}"`, { [name]: value });
    expect({ status, stdout }).toEqual({ status: 0, stdout: command(`echo "$${name}"`).stdout });
    const goodValues: Readonly<Record<string, string>> = {
      INSTANCES: '5',
      PUBLIC_PORT: '9999',
      TLS: 'true',
      STICKY_MODE: 'off',
      ALERTS: 'true',
    };
    const good = goodValues[name];
    if (!good) return;
    // up and scale remember INSTANCES themselves.
    const start = name === 'INSTANCES' ? `remember settings/INSTANCES ${good}` : 'require_settings';
    expect(command(start, { [name]: good }).status).toBe(0);
    expect(command(`echo "$${name}"`, { [name]: value }).stdout).toBe(`${good}\n`);
  });

  test('a line of .env that is no assignment is refused with its number, and the others count', () => {
    writeFileSync(envFile, 'PUBLIC_PORT=9000\nnonsense here\nINSTANCES=4\n');
    expect(command(shown).stdout).toBe('9000 4\n');
    const { status, stderr } = command('require_settings');
    expect(status).toBe(1);
    expect(stderr).toContain('line 2: expected NAME=VALUE');
  });

  test('nothing in .env is run', () => {
    writeFileSync(envFile, `JWT_SECRET=$(touch ${home}/ran)\`touch ${home}/ran\`";touch ${home}/ran;"\n`);
    expect(command('printf %s "$JWT_SECRET"').stdout).toBe(
      `$(touch ${home}/ran)\`touch ${home}/ran\`";touch ${home}/ran;"`,
    );
    expect(statSync(join(home, 'ran'), { throwIfNoEntry: false })).toBeUndefined();
  });
});

/** What Compose 2.40 makes of these lines; the test below asks the real one. */
const format: readonly { line: string; value: string }[] = [
  { line: 'X=plain', value: 'plain' },
  { line: 'X=plain\r', value: 'plain' },
  { line: 'X=two # a comment', value: 'two' },
  { line: 'X=two# no comment', value: 'two# no comment' },
  { line: 'X=', value: '' },
  { line: 'X= # a value', value: '# a value' },
  { line: 'export X=exported', value: 'exported' },
  { line: 'X = blanks around ', value: 'blanks around' },
  { line: 'X: colon', value: 'colon' },
  { line: 'X="double # quoted" # comment', value: 'double # quoted' },
  { line: 'X="a\\tb\\nc\\"d\\\\e"', value: 'a\tb\nc"d\\e' },
  { line: "X='single $Y # \\n'", value: 'single $Y # \\n' },
  { line: "X='it\\'s'", value: "it's" },
  { line: "X=it's", value: "it's" },
  { line: 'X="two\r\nlines"', value: 'two\r\nlines' },
  { line: 'Y=1\nX=$Y-${Y}', value: '1-1' },
  { line: 'Y=1\nX="${Y}2"', value: '12' },
  { line: 'X=${NOPE:-default}', value: 'default' },
  { line: 'X=${NOPE-a ${NOPE:-b}}', value: 'a b' },
  { line: 'Y=\nX=${Y:-empty}${Y-unset}', value: 'empty' },
  { line: 'Y=1\nX=${Y:+set}${NOPE:+set}', value: 'set' },
  { line: 'X=a$$b', value: 'a$b' },
  { line: 'X=$(date)`date`', value: '$(date)`date`' },
  { line: 'X=first\nX=last', value: 'last' },
];

describe('.env has the format of Compose', () => {
  test.each(format)('$line', ({ line, value }) => {
    writeFileSync(envFile, `# a comment\r\n\r\n${line}\r\nZ=end`);
    expect(command('printf "%s" "$X|$Z"').stdout).toBe(`${value}|end`);
  });

  const { status: noEngine } = spawnSync('docker', ['compose', 'version']);
  test.skipIf(noEngine !== 0)('the table above is what docker compose makes of the same lines', () => {
    const project = join(home, 'compose.yml');
    writeFileSync(project, 'services: { x: { image: x } }\n');
    for (const { line, value } of format) {
      writeFileSync(envFile, `# a comment\r\n\r\n${line}\r\nZ=end`);
      const { stdout, stderr } = spawnSync(
        'docker',
        ['compose', '--env-file', envFile, '-f', project, 'config', '--environment'],
        { env: { PATH: process.env['PATH'] }, encoding: 'utf8' },
      );
      expect(stderr.replaceAll(/.*variable is not set.*\n?/g, ''), line).toBe('');
      expect(`\n${stdout}`, line).toContain(`\nX=${value}\n`);
    }
  });
});

describe('the secrets in .env', () => {
  test('are made on first use, for their owner alone, and kept from then on', () => {
    expect(command('ensure_env_file').status).toBe(0);
    const first = readFileSync(envFile, 'utf8');
    expect(first).toMatch(
      /^JWT_SECRET=[0-9a-f]{64}\nREDIS_PASSWORD=[0-9a-f]{64}\nAPI_KEYS=local:publish\+presence\+history\+manage:[0-9a-f]{64}\nDEMO=true\n$/,
    );
    expect(statSync(envFile).mode & 0o777).toBe(0o600);
    expect(command('ensure_env_file').status).toBe(0);
    expect(readFileSync(envFile, 'utf8')).toBe(first);
  });

  test('are added to a file that lacks them or has them empty, and the rest of it stays', () => {
    writeFileSync(envFile, '# mine\nJWT_SECRET=\nDEMO=false\nLOG_LEVEL=debug', { mode: 0o644 });
    const { stdout } = command('ensure_env_file; echo "$JWT_SECRET $DEMO"');
    const file = readFileSync(envFile, 'utf8');
    expect(file).toMatch(
      /^# mine\nDEMO=false\nLOG_LEVEL=debug\nJWT_SECRET=(\w{64})\nREDIS_PASSWORD=\w{64}\nAPI_KEYS=\S+\n$/,
    );
    expect(stdout).toBe(`${/JWT_SECRET=(\w+)/.exec(file)?.[1]} false\n`);
    expect(statSync(envFile).mode & 0o777).toBe(0o600);
  });
});

describe('DEMO=true on an address that others reach', () => {
  const up = (environment: Record<string, string>) =>
    command('ensure_env_file; refuse_public_demo; echo started', environment);

  test('is refused, unless it is said twice', () => {
    writeFileSync(envFile, 'JWT_SECRET=x\nREDIS_PASSWORD=x\nAPI_KEYS=x\nDEMO=true\n');
    for (const bind of ['127.0.0.1', '127.0.5.1', '::1', 'localhost']) {
      expect(up({ PUBLIC_BIND: bind })).toMatchObject({ status: 0, stdout: 'started\n' });
    }
    for (const bind of ['0.0.0.0', '192.0.2.1', '::']) {
      const refused = up({ PUBLIC_BIND: bind });
      expect(refused.status).toBe(1);
      expect(refused.stderr).toContain(`PUBLIC_BIND=${bind} with DEMO=true`);
      expect(up({ PUBLIC_BIND: bind, DEMO_PUBLIC: 'true' })).toMatchObject({ status: 0 });
      expect(up({ PUBLIC_BIND: bind, DEMO: 'false' })).toMatchObject({ status: 0 });
    }
  });

  test('is not what make up writes there', () => {
    expect(up({ PUBLIC_BIND: '0.0.0.0' })).toMatchObject({ status: 0 });
    expect(readFileSync(envFile, 'utf8')).toContain('DEMO=false');
  });
});

test('make help has one line for every target of the Makefile', () => {
  const targets = [...text('Makefile').matchAll(/^([a-z-]+):/gm)]
    .map(([, name]) => name)
    .filter((n) => n !== 'install');
  const help = spawnSync('make', ['-s', 'help'], { cwd: root, encoding: 'utf8' }).stdout;
  expect([...help.matchAll(/^ {2}make ([a-z-]+) +\S/gm)].map(([, name]) => name)).toEqual(targets);
});
