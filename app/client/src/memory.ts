/**
 * What outlives a page, if the application gives a storage: the position in each room and the messages that wait. A
 * storage that fails (full, forbidden) costs the memory, never a message.
 */
import type { Position } from './protocol.ts';

/** `localStorage` is one. */
export interface ClientStorage {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

export interface Memory {
  readPosition(room: string): Position | undefined;
  writePosition(room: string, position: Position | undefined): void;
  readOutbox<T>(): T[];
  writeOutbox(entries: readonly unknown[]): void;
}

/** @param key separates users, and applications of one origin */
export function createMemory(storage: ClientStorage | undefined, key: string): Memory {
  function read(name: string): unknown {
    try {
      return JSON.parse(storage?.getItem(`${key}:${name}`) ?? 'null');
    } catch {
      return null;
    }
  }

  function write(name: string, value: unknown): void {
    try {
      if (value === undefined) storage?.removeItem(`${key}:${name}`);
      else storage?.setItem(`${key}:${name}`, JSON.stringify(value));
    } catch {}
  }

  return {
    readPosition(room) {
      const { epoch, offset } = (read(`position:${room}`) ?? {}) as Partial<Position>;
      return typeof epoch === 'string' && typeof offset === 'number' ? { epoch, offset } : undefined;
    },
    writePosition: (room, position) => write(`position:${room}`, position),
    readOutbox<T>() {
      const entries = read('outbox');
      return Array.isArray(entries) ? (entries as T[]) : [];
    },
    writeOutbox: (entries) => write('outbox', entries.length > 0 ? entries : undefined),
  };
}
