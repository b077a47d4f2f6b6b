/** Where programs of this machine are. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

// The same for every caller: a service whose command or environment differs is restarted.
export const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/homebrew/bin';

/** The absolute path of a program; ordinary users' PATH often lacks the folders of servers. */
export function find(program: string): string {
  for (const folder of `${process.env['PATH']}${delimiter}${PATH}`.split(delimiter)) {
    const file = join(folder, program);
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      // The next one.
    }
  }
  throw new Error(`${program} is not installed: run make up, or deploy/cluster/lib/install.sh ${program}`);
}
