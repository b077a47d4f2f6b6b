/** What the services write, as lines `PART | LINE` on standard output. */
import { spawn } from 'node:child_process';
import { basename } from 'node:path';
import { createInterface } from 'node:readline';

const LAST_LINES = 200;

/** The last lines of each file, or all; with `follow` also those to come, until nobody reads on or SIGTERM. */
export async function writeLogs(files: readonly string[], options: { follow: boolean; all: boolean }): Promise<void> {
  const from = options.all ? '+1' : String(LAST_LINES);
  const tails = files.map((file) => {
    const name = basename(file, '.log');
    const tail = spawn('tail', ['-n', from, ...(options.follow ? ['-F'] : []), file], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    createInterface({ input: tail.stdout }).on('line', (line) => process.stdout.write(`${name} | ${line}\n`));
    return tail;
  });
  const end = () => {
    for (const tail of tails) tail.kill();
  };
  process.on('SIGTERM', end);
  process.stdout.on('error', end);
  await Promise.all(tails.map((tail) => new Promise((resolve) => tail.on('close', resolve))));
}
