/**
 * This instance's registry: connections, and room -> members. Synchronous, and knows no sockets: a member is
 * anything with an id that takes bytes.
 *
 * Fan-out: a frame is queued on its room, and once per turn of the event loop every member gets all the frames
 * that wait for it in one write. System calls are what fan-out costs; the members share the bytes.
 */
export interface HubMember {
  readonly id: string;
  /** Takes whole frames, ready for the wire. */
  write(frames: Buffer): void;
}

interface Room<M> {
  readonly members: Set<M>;
  /** Frames of this turn, and beside each the id of the one member that must not get it. */
  frames: Buffer[];
  except: (string | undefined)[];
}

export interface Hub<M extends HubMember> {
  readonly connections: ReadonlyMap<string, M>;
  /** Rooms with at least one member here. */
  readonly roomCount: number;
  add(connection: M): void;
  /** Takes the connection out; it must have left its rooms. */
  remove(connection: M): void;
  /** @returns whether the room is new to this instance */
  join(room: string, member: M): boolean;
  /** @returns whether that was the room's last member here */
  leave(room: string, member: M): boolean;
  /** Queues one frame for every member of the room but `except`; @returns how many will get it. */
  deliver(room: string, frame: Buffer, except?: string): number;
  /** Writes what is queued, now. */
  flush(): void;
}

export function createHub<M extends HubMember>(): Hub<M> {
  const connections = new Map<string, M>();
  const rooms = new Map<string, Room<M>>();
  let waiting: Room<M>[] = [];

  function flush(): void {
    const due = waiting;
    waiting = [];
    for (const room of due) flushRoom(room);
  }

  return {
    connections,
    get roomCount() {
      return rooms.size;
    },
    add: (connection) => void connections.set(connection.id, connection),
    remove: (connection) => void connections.delete(connection.id),
    join(name, member) {
      const room = rooms.get(name);
      if (room) {
        // A member gets nothing that was delivered before it joined.
        flushRoom(room);
        room.members.add(member);
        return false;
      }
      rooms.set(name, { members: new Set([member]), frames: [], except: [] });
      return true;
    },
    leave(name, member) {
      const room = rooms.get(name);
      if (!room?.members.has(member)) return false;
      flushRoom(room);
      room.members.delete(member);
      if (room.members.size > 0) return false;
      rooms.delete(name);
      return true;
    },
    deliver(name, frame, except) {
      const room = rooms.get(name);
      if (!room) return 0;
      if (room.frames.length === 0) {
        // setImmediate, not nextTick: the frames of all sockets that this turn reads meet.
        if (waiting.push(room) === 1) setImmediate(flush);
      }
      room.frames.push(frame);
      room.except.push(except);
      const excepted = except === undefined ? undefined : connections.get(except);
      return room.members.size - (excepted && room.members.has(excepted) ? 1 : 0);
    },
    flush,
  };
}

function flushRoom(room: Room<HubMember>): void {
  const { frames, except } = room;
  if (frames.length === 0) return;
  room.frames = [];
  room.except = [];
  const all = join(frames);
  const excepted = new Set(except);
  excepted.delete(undefined);
  for (const member of room.members) {
    if (excepted.has(member.id)) {
      const own = frames.filter((_, index) => except[index] !== member.id);
      if (own.length > 0) member.write(join(own));
    } else {
      member.write(all);
    }
  }
}

function join(frames: readonly Buffer[]): Buffer {
  const [first] = frames;
  return frames.length === 1 && first ? first : Buffer.concat(frames);
}
