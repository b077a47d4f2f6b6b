import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

const script = join(import.meta.dirname, '../../cluster/lib/install.sh');

let bin: string;
beforeEach(() => {
  bin = mkdtempSync(join(tmpdir(), 'wsfleet-bin-'));
  for (const name of ['sh', 'dirname', 'mktemp', 'cat']) {
    symlinkSync(execFileSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim(), join(bin, name));
  }
  program('id', 'echo 1000');
});
afterEach(() => rmSync(bin, { recursive: true }));

function program(name: string, text = ''): void {
  writeFileSync(join(bin, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
}

/** With nothing on the PATH but what the test puts there, and the folders that the script adds. */
function install(...programs: string[]): { status: number | null; stderr: string } {
  return spawnSync('sh', [script, ...programs], { env: { PATH: bin }, encoding: 'utf8' });
}

test('says nothing when all is there', () => {
  program('wsfleet-one');
  expect(install('wsfleet-one')).toMatchObject({ status: 0, stderr: '' });
});

test('prints the one command with apt when it may not install', () => {
  program('apt-get', 'echo called >&2');
  program('wsfleet-one');
  const { status, stderr } = install('wsfleet-one', 'wsfleet-two', 'wsfleet-three');
  expect(status).toBe(1);
  expect(stderr).toContain('sudo apt-get install --no-install-recommends wsfleet-two wsfleet-three\n');
  expect(stderr).not.toContain('called');
});

test('prints the one command with Homebrew, in its names', () => {
  program('brew');
  const { status, stderr } = install('redis-server', 'wsfleet-two');
  expect(status).toBe(1);
  expect(stderr).toMatch(/ {2}brew install .*\bwsfleet-two\n/);
  expect(stderr).not.toContain('redis-server\n');
});
