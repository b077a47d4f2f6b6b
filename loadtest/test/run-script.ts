/** Runs a script in the Node runner, as a child process: real exit codes, real output. */
import type { ChildProcess } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { collectOutput, run, within } from '../../app/test/harness/process.ts';
import type { Summary } from '../runner/summary-file.ts';

const main = fileURLToPath(new URL('../runner/main.ts', import.meta.url));

export interface ScriptRun {
  code: number | null;
  stdout: string;
  stderr: string;
  /** What its handleSummary wrote into the file SUMMARY; undefined when it did not. */
  summary: Summary | undefined;
  /** Thresholds that did not hold, as `metric expression`. */
  red: string[];
}

const DEADLINE_MS = 90_000;

/** @param script the path of a script, or the text of one */
export async function runScript(
  script: string,
  env: Record<string, string> = {},
  args: readonly string[] = [],
  { whileRunning }: { whileRunning?: (runner: ChildProcess) => Promise<void> } = {},
): Promise<ScriptRun> {
  const folder = await mkdtemp(join(tmpdir(), 'wsfleet-loadtest-'));
  try {
    const file = script.endsWith('.ts') ? script : join(folder, 'script.ts');
    if (file !== script) await writeFile(file, script);
    const summaryFile = join(folder, 'summary.json');
    const { child, exited } = await run(process.execPath, [main, ...args, file], {
      env: { PATH: process.env['PATH'] ?? '', SUMMARY: summaryFile, ...env },
      group: true,
    });
    const output = collectOutput(child);
    const [{ code }] = await Promise.all([
      within(exited, () => `the script to end:\n${output.stdout}${output.stderr}`, DEADLINE_MS),
      whileRunning?.(child),
    ]);
    const text = await readFile(summaryFile, 'utf8').catch(() => undefined);
    const summary = text === undefined ? undefined : (JSON.parse(text) as Summary);
    const red = Object.entries(summary?.metrics ?? {}).flatMap(([metric, { thresholds = {} }]) =>
      Object.entries(thresholds).flatMap(([expression, { ok }]) => (ok ? [] : [`${metric} ${expression}`])),
    );
    return { code, ...output, summary, red };
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** The end of a script whose summary a test looks at. */
export const keepSummary = `
export function handleSummary(data) { return { [__ENV.SUMMARY]: JSON.stringify(data) }; }
`;
