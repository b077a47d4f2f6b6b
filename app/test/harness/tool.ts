/** One of app/tools as a process, fed through its standard input. */
import { fileURLToPath } from 'node:url';
import { collectOutput, type Exit, run, within } from './process.ts';

export interface Tool extends AsyncDisposable {
  readonly stdout: string;
  readonly stderr: string;
  readonly exited: Promise<Exit>;
  write(line: string): void;
  /** Writes the last lines and ends the input. */
  end(lines?: readonly string[]): void;
}

export async function runTool(
  name: string,
  args: readonly string[] = [],
  env: Record<string, string> = {},
): Promise<Tool> {
  const file = fileURLToPath(new URL(`../../tools/${name}.ts`, import.meta.url));
  const { child, exited } = await run(process.execPath, [file, ...args], {
    env: { TZ: process.env['TZ'] ?? '', ...env },
    stdin: true,
  });
  const output = collectOutput(child);
  // It may have ended already.
  child.stdin?.on('error', () => undefined);
  return {
    get stdout() {
      return output.stdout;
    },
    get stderr() {
      return output.stderr;
    },
    get exited() {
      return within(exited, () => `${name} to end; it said:\n${output.stdout}\n${output.stderr}`);
    },
    write: (line) => void child.stdin?.write(`${line}\n`),
    end: (lines = []) => void child.stdin?.end(lines.map((line) => `${line}\n`).join('')),
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}
