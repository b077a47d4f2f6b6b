/** A short `make loadtest` on a test's cluster. Like the long one, it replaces every instance under load. */
import { rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect } from 'vitest';
import { readResult } from '../../../loadtest/report/result.ts';
import type { TestCluster } from './test-cluster.ts';

const root = resolve(import.meta.dirname, '../../..');
const INSTANCES = ['app1', 'app2', 'app3'];

/**
 * It passes, with clients on all instances, each of which is replaced.
 * @param duration of the load, longer than the rolling restart
 */
export async function expectLoadTestToPass(cluster: TestCluster, duration = '100s'): Promise<void> {
  // The limit of the gap is for a machine that runs other tests too; the long run has a strict one.
  const { code, stdout, stderr } = await cluster.make('loadtest', {
    ...{ CLIENTS: '30', ROOMS: '3', PER_VU: '1' },
    ...{ DURATION: process.env['FULL'] ? '90s' : duration, RESTART_AT: '2', GAP_P99: '1000' },
  });
  const [, file = ''] = /^Result: (\S+\.json)$/m.exec(stdout) ?? [];
  expect(file, stdout + stderr).not.toBe('');
  const path = join(root, file);
  try {
    const { verdict, restarts, spread } = readResult(path);
    expect({ code, verdict }, stdout + stderr).toEqual({ code: 0, verdict: 'PASS' });
    expect(restarts.map(({ instance }) => instance)).toEqual(INSTANCES);
    expect(Object.keys(spread).sort()).toEqual(INSTANCES);
  } finally {
    for (const each of [path, path.replace(/json$/, 'html')]) rmSync(each, { force: true });
  }
}
