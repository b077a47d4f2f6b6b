import { DatabaseSync } from 'node:sqlite';

/**
 * Runs `work` while no other process does so under the same lock file; waits up to `waitMs` for its turn.
 * The lock is the operating system's, through SQLite: it goes with its process, so that none is ever stale.
 */
export async function locked<T>(file: string, waitMs: number, work: () => Promise<T>): Promise<T> {
  const database = new DatabaseSync(file, { timeout: waitMs });
  try {
    try {
      database.exec('BEGIN EXCLUSIVE');
    } catch (cause) {
      throw new Error(`another command has been at work on this cluster for ${waitMs / 1000} s`, { cause });
    }
    return await work();
  } finally {
    database.close();
  }
}
