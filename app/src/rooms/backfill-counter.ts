/**
 * Counts the messages of a room that were missed live and backfilled from the history. A backfill often overtakes a live
 * message that is still on its way, so a message counts only when it has not arrived by the room's next audit.
 */
export interface BackfillCounter {
  /** The message was read from the history. @param audit whether only the audit noticed that it was missing */
  read(offset: number, audit: boolean): void;
  /** The message arrived live after all. */
  arrived(offset: number): void;
  /** Counts the messages that have not arrived since they were read. */
  settle(): void;
}

export function createBackfillCounter(count: (messages: number, found: number) => void): BackfillCounter {
  /** By offset: whether the audit found it. Created on demand, because most rooms never need it. */
  let pending: Map<number, boolean> | undefined;

  return {
    read(offset, audit) {
      pending ??= new Map();
      pending.set(offset, audit);
    },
    arrived: (offset) => void pending?.delete(offset),
    settle() {
      if (pending?.size) count(pending.size, [...pending.values()].filter(Boolean).length);
      pending = undefined;
    },
  };
}
