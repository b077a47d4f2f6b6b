/**
 * Counts the messages of a room that never came live and were read from the history. A reading often overtakes a message
 * that is on its way, so each is counted when it has not come by the room's next audit.
 */
export interface BackfillCounter {
  /** The message was read before it came. @param audit whether nothing but the audit noticed */
  read(offset: number, audit: boolean): void;
  /** It came after all. */
  arrived(offset: number): void;
  /** Counts those that did not come since they were read. */
  settle(): void;
}

export function createBackfillCounter(count: (messages: number, found: number) => void): BackfillCounter {
  /** Whether the audit read it, by offset. Most rooms never need one. */
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
