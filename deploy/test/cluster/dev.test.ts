import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { FleetClient } from '../harness/fleet-client.ts';
import { freePorts, until } from '../harness/test-cluster.ts';

const root = join(import.meta.dirname, '../../..');
const home = mkdtempSync(join(tmpdir(), 'wsfleet-dev-'));
const started: ChildProcess[] = [];

afterAll(async () => {
  for (const child of started.filter(({ exitCode }) => exitCode === null)) {
    child.kill();
    await once(child, 'close');
  }
  rmSync(home, { recursive: true });
});

function start(port: number): { child: ChildProcess; output(): string } {
  const { PATH, HOME } = process.env;
  const child = spawn('sh', [join(root, 'deploy/cluster/commands/dev.sh')], {
    env: { PATH, HOME, PORT: String(port), ENV_FILE: join(home, '.env'), CLUSTER_DIR: join(home, 'cluster') },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  started.push(child);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (data) => {
      output += data;
    });
  }
  return { child, output: () => output };
}

test('make dev prints a page and a token that work, restarts on a change, and names the owner of a taken port', async () => {
  const port = await freePorts();
  const { output } = start(port);
  const [, token = ''] = await until('the token', 20_000, () => /Token +(\S+)/.exec(output()) ?? undefined);
  expect(output()).toContain(`http://localhost:${port}`);
  expect(statSync(join(home, '.env')).mode & 0o777).toBe(0o600);
  const client = new FleetClient({ url: `ws://127.0.0.1:${port}/ws`, token });
  await client.connect();
  expect(client.instanceId).toBe('dev');

  const second = start(port);
  const [code] = await once(second.child, 'close');
  expect(code).toBe(1);
  expect(second.output()).toMatch(
    new RegExp(`Port ${port} is taken by node \\(pid \\d+\\)\\. Choose another: make dev PORT=`),
  );

  utimesSync(join(root, 'app/src/observability/logger.ts'), new Date(), new Date());
  await until('the restart', 20_000, () => output().match(/listening on port/g)?.length === 2);
  await until('the client is back', 20_000, () => client.moves.length > 0 && client.instanceId === 'dev');
  client.close();
});
