/** make doctor, on machines that the tests make up: a /proc of their own, and programs that say what they are told to. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

const script = join(import.meta.dirname, '../../cluster/commands/doctor.sh');

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'wsfleet-doctor-'));
  for (const [path, text] of Object.entries(goodMachine)) file(path, text);
  program('uname', 'echo Linux');
  program('nginx', 'echo nginx version: nginx/1.26.3 >&2');
});
afterEach(() => rmSync(home, { recursive: true }));

/** Enough for 10,000 connections on three instances. */
const goodMachine: Readonly<Record<string, string>> = {
  'proc/meminfo': 'MemTotal:       16384000 kB\nMemFree:  1 kB\nMemAvailable:   12288000 kB\n',
  'proc/cpuinfo': 'processor\t: 0\nmodel name\t: x\n\nprocessor\t: 1\nmodel name\t: x\n',
  'proc/sys/fs/file-max': '1000000\n',
  'proc/sys/fs/nr_open': '1048576\n',
  'proc/sys/net/core/somaxconn': '4096\n',
  'proc/sys/net/ipv4/tcp_syncookies': '1\n',
  'proc/sys/net/ipv4/tcp_max_syn_backlog': '1024\n',
  'proc/sys/net/ipv4/ip_local_port_range': '32768\t60999\n',
  'proc/sys/vm/overcommit_memory': '1\n',
  'sys/kernel/mm/transparent_hugepage/enabled': 'always [madvise] never\n',
};

function file(path: string, text: string, mode = 0o644): void {
  mkdirSync(dirname(join(home, path)), { recursive: true });
  writeFileSync(join(home, path), text, { mode });
}
const program = (name: string, text: string) => file(`bin/${name}`, `#!/bin/sh\n${text}\n`, 0o755);

interface Answer {
  status: number | null;
  stderr: string;
  /** By name: the sign, the text of the row, and the command to type. */
  checks: Map<string, { state: string; cells: string; fix: string }>;
  last: string;
}

/** @param openFiles the limits of the shell that it runs in, soft and hard */
function doctor(settings: Readonly<Record<string, string>> = {}, openFiles = ''): Answer {
  const command = `${openFiles && `ulimit -Hn ${openFiles} 2>/dev/null || ulimit -n ${openFiles};`} exec sh "$0"`;
  const { status, stdout, stderr } = spawnSync('sh', ['-c', command, script], {
    env: {
      PATH: `${join(home, 'bin')}:${process.env['PATH']}`,
      DRIVER: 'native',
      CLUSTER_DIR: join(home, 'cluster'),
      ENV_FILE: join(home, '.env'),
      DOCTOR_ROOT: home,
      ...settings,
    },
    encoding: 'utf8',
  });
  const checks: Answer['checks'] = new Map();
  const rows = /^(ok|too low|advice|-) +(\S.*?) {2,}(.*)\n( {10}(\S.*))?/gm;
  for (const [, state = '', name = '', cells = '', , fix = ''] of stdout.matchAll(rows)) {
    checks.set(name, { state, cells: cells.replace(/ +/g, ' '), fix });
  }
  return { status, stderr, checks, last: stdout.trim().split('\n').at(-1) ?? '' };
}

/** The hard limit of a test's own shell may be too low for the number that is asked for. */
const few = { CONNECTIONS: '100' };

test('says so on a machine that has enough', () => {
  const { status, stderr, checks, last } = doctor(few);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(last).toBe('Set up for 100 connections on 3 instances (native)');
  expect([...checks.values()].filter(({ state }) => state !== 'ok' && state !== '-')).toEqual([]);
  expect(checks.get('cores')?.cells).toBe('2 -');
  expect(checks.get('memory to be had, MB')?.cells).toMatch(/^12,000 1,\d{3}$/);
  expect(checks.get('nginx')?.cells).toBe('1.26.3 -');
});

test.each([
  ['proc/sys/net/core/somaxconn', '128', 'net.core.somaxconn', '128 4,096', 'sudo sysctl -w net.core.somaxconn=4096'],
  ['proc/sys/fs/file-max', '20000', 'fs.file-max', '20,000 50,000', 'sudo sysctl -w fs.file-max=50000'],
  ['proc/sys/fs/nr_open', '1024', 'fs.nr_open', '1,024 21,000', 'sudo sysctl -w fs.nr_open=21000'],
  [
    'proc/sys/net/ipv4/ip_local_port_range',
    '60000 60999',
    'ports toward one instance',
    '1,000 5,500',
    "sudo sysctl -w net.ipv4.ip_local_port_range='1024 65535'",
  ],
  [
    'proc/sys/net/netfilter/nf_conntrack_max',
    '8192',
    'net.netfilter.nf_conntrack_max',
    '8,192 30,000',
    'sudo sysctl -w net.netfilter.nf_conntrack_max=30000',
  ],
  [
    'proc/meminfo',
    'MemTotal: 2048000 kB\nMemAvailable: 1024000 kB',
    'memory to be had, MB',
    expect.stringMatching(/^1,000 2,\d{3}$/),
    expect.stringContaining('larger machine'),
  ],
])('%s that is too low is found, and what to type stands below it', (path, text, name, cells, fix) => {
  file(path, text);
  const { status, checks } = doctor();
  expect(status).toBe(1);
  expect(checks.get(name)).toEqual({ state: 'too low', cells, fix });
});

test('the SYN backlog matters only without SYN cookies', () => {
  expect(doctor(few).checks.has('net.ipv4.tcp_max_syn_backlog')).toBe(false);
  file('proc/sys/net/ipv4/tcp_syncookies', '0\n');
  const { status, checks } = doctor(few);
  expect(status).toBe(1);
  expect(checks.get('net.ipv4.tcp_max_syn_backlog')?.fix).toBe('sudo sysctl -w net.ipv4.tcp_max_syn_backlog=4096');
});

test('open files are counted twice for each connection, against the hard limit', () => {
  const { status, checks } = doctor({ CONNECTIONS: '1000' }, '2048');
  expect(status).toBe(1);
  expect(checks.get('open files, hard')).toEqual({
    state: 'too low',
    cells: '2,048 3,000',
    fix: expect.stringContaining('sudo prlimit --pid $$ --nofile=3000:3000'),
  });
  expect(doctor({ CONNECTIONS: '500' }, '2048').checks.get('open files, hard')?.state).toBe('ok');
});

test('what Redis would like is advice, and no reason to fail', () => {
  file('proc/sys/vm/overcommit_memory', '0\n');
  file('sys/kernel/mm/transparent_hugepage/enabled', '[always] madvise never\n');
  const { status, checks } = doctor(few);
  expect(status).toBe(0);
  expect(checks.get('vm.overcommit_memory')).toMatchObject({
    state: 'advice',
    fix: 'sudo sysctl -w vm.overcommit_memory=1',
  });
  expect(checks.get('transparent huge pages')).toMatchObject({ state: 'advice', cells: 'always madvise' });
});

test("the kit's own limits are checked, too", () => {
  const { status, checks } = doctor({ CONNECTIONS: '100000' });
  expect(status).toBe(1);
  expect(checks.get('worker_connections of NGINX')?.cells).toBe('32,768 200,000');
  expect(checks.get('MAX_CONNECTIONS of an instance')?.fix).toContain('MAX_CONNECTIONS=50000');
  expect(
    doctor({ CONNECTIONS: '100000', MAX_CONNECTIONS: '50000' }).checks.get('MAX_CONNECTIONS of an instance')?.state,
  ).toBe('ok');
  expect(doctor({ CONNECTIONS: '1000000', INSTANCES: '2' }).checks.get('ports toward one instance')?.fix).toMatch(
    /^more instances: make scale N=\d+$/,
  );
});

test('with Compose it looks at the engine, and at what a container is given', () => {
  program('docker', 'case $* in *--short*) echo 2.20.1 ;; version*) echo 28.3.2 ;; esac');
  file('cluster/compose/open-files', '1024\n');
  const { status, checks } = doctor({ DRIVER: 'compose' });
  expect(status).toBe(1);
  expect(checks.get('Docker engine')?.cells).toBe('28.3.2 -');
  expect(checks.get('Docker Compose')).toEqual({
    state: 'too low',
    cells: '2.20.1 2.24',
    fix: 'https://docs.docker.com/compose/install',
  });
  expect(checks.get('open files, in a container')).toMatchObject({ state: 'too low', cells: '1,024 21,000' });
  // The containers have a range of their own.
  expect(checks.get('ports toward one instance')?.cells).toBe('64,512 5,500');
  program('docker', 'case $* in *--short*) echo v2.40.3-desktop.1 ;; version*) echo 28.3.2 ;; esac');
  expect(doctor({ DRIVER: 'compose' }).checks.get('Docker Compose')).toMatchObject({
    state: 'ok',
    cells: '2.40.3 2.24',
  });
});

test('on macOS it asks sysctl, in its names', () => {
  program('uname', 'echo Darwin');
  program(
    'sysctl',
    `case $2 in
       hw.memsize) echo 17179869184 ;; hw.ncpu) echo 8 ;; kern.ipc.somaxconn) echo 128 ;;
       kern.maxfiles) echo 245760 ;; kern.maxfilesperproc) echo 122880 ;;
       net.inet.ip.portrange.first) echo 49152 ;; net.inet.ip.portrange.last) echo 65535 ;; *) exit 1 ;;
     esac`,
  );
  const { status, checks } = doctor(few);
  expect(status).toBe(1);
  expect(checks.get('cores')?.cells).toBe('8 -');
  expect(checks.get('memory to be had, MB')?.cells).toMatch(/^16,384 /);
  expect(checks.get('kern.ipc.somaxconn')).toEqual({
    state: 'too low',
    cells: '128 4,096',
    fix: 'sudo sysctl kern.ipc.somaxconn=4096',
  });
  expect(checks.get('ports toward one instance')?.cells).toBe('16,384 550');
  expect([...checks.keys()].filter((name) => /^(net\.core|net\.ipv4|vm|fs)\./.test(name))).toEqual([]);
});

test.each(['0', 'many', '-5'])('CONNECTIONS=%s: says what it expects', (connections) => {
  const { status, stderr } = doctor({ CONNECTIONS: connections });
  expect({ status, stderr }).toMatchObject({ status: 1, stderr: expect.stringContaining('expected a number') });
});
