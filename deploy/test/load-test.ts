/** A short `make loadtest` on a test's cluster: all that the long one does, every instance is replaced under load. */
import { rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type Result, readResult } from '../../loadtest/report/result.ts';
import type { Output, TestCluster } from './test-cluster.ts';

const root = resolve(import.meta.dirname, '../..');

/** @returns what make said, and the result that it wrote (removed again) */
export async function loadTest(cluster: TestCluster): Promise<{ output: Output; result: Result }> {
  // The gap's bar is the long run's: here it is clusters that are tested, on a machine that tests much besides.
  const output = await cluster.make('loadtest', {
    ...{ CLIENTS: '30', ROOMS: '3', PER_VU: '1' },
    ...{ DURATION: '75s', RESTART_AT: '2', GAP_P99: '1000' },
  });
  const [, file = ''] = /^Result: (\S+\.json)$/m.exec(output.stdout) ?? [];
  if (file === '') throw new Error(`no result:\n${output.stdout}${output.stderr}`);
  const path = join(root, file);
  try {
    return { output, result: readResult(path) };
  } finally {
    for (const each of [path, path.replace(/json$/, 'html')]) rmSync(each, { force: true });
  }
}
