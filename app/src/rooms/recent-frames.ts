/** The recent frames of the rooms on this instance, as they go on the wire, with one limit in bytes for all rooms. */
export interface RoomFrames {
  push(offset: number, frame: Buffer): void;
  /** Whether every frame after `offset` is cached; true if there is none. */
  covers(offset: number): boolean;
  /** The next frames after `offset`, concatenated, and the offset of the last one. */
  after(offset: number): [bytes: Buffer, last: number];
  /** Drops all frames; the next one is the frame after `offset`. */
  clear(offset: number): void;
  close(): void;
}

export interface RecentFrames {
  readonly bytes: number;
  openRoom(): RoomFrames;
}

/** About this much is written to a reader at once: far below the limit of its send buffer. */
const CHUNK_BYTES = 16_384;

/** Frames from index `start`, until they reach CHUNK_BYTES. */
export function chunkOf(frames: readonly Buffer[], start: number): Buffer[] {
  let bytes = 0;
  let end = start;
  while (end < frames.length && bytes < CHUNK_BYTES) bytes += frames[end++]?.length ?? 0;
  return frames.slice(start, end);
}

export function createRecentFrames(limits: { maxBytes: number; maxFrames: number }): RecentFrames {
  interface Room {
    /** Offset of frames[0]. */
    first: number;
    frames: Buffer[];
  }
  /** Least recently used first. */
  const rooms = new Set<Room>();
  let bytes = 0;

  function dropFirst(room: Room): void {
    const frame = room.frames.shift();
    if (!frame) return;
    room.first += 1;
    bytes -= frame.length;
  }

  function makeRoom(): void {
    for (const room of rooms) {
      while (bytes > limits.maxBytes && room.frames.length > 0) dropFirst(room);
      if (bytes <= limits.maxBytes) return;
    }
  }

  function empty(room: Room): void {
    for (const frame of room.frames) bytes -= frame.length;
    room.frames = [];
  }

  return {
    get bytes() {
      return bytes;
    },
    openRoom() {
      const room: Room = { first: 1, frames: [] };
      rooms.add(room);
      return {
        push(offset, frame) {
          if (offset !== room.first + room.frames.length) {
            empty(room);
            room.first = offset;
          }
          room.frames.push(frame);
          bytes += frame.length;
          rooms.delete(room);
          rooms.add(room);
          if (room.frames.length > limits.maxFrames) dropFirst(room);
          if (bytes > limits.maxBytes) makeRoom();
        },
        covers: (offset) => offset + 1 >= room.first && offset + 1 <= room.first + room.frames.length,
        after(offset) {
          const some = chunkOf(room.frames, offset + 1 - room.first);
          return [Buffer.concat(some), offset + some.length];
        },
        clear(offset) {
          empty(room);
          room.first = offset + 1;
        },
        close() {
          empty(room);
          rooms.delete(room);
        },
      };
    },
  };
}
