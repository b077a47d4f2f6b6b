/**
 * The registry of this instance: its connections, and the members of each room. Synchronous and without sockets: a member
 * is anything with an id that takes bytes.
 *
 * Fan-out: frames are queued per room. Once per turn of the event loop, each member gets all queued frames in one
 * write, because system calls are what fan-out costs. The members share the bytes.
 */
export interface HubMember {
  readonly id: string;
  /** Takes whole frames as they go on the wire. */
  write(frames: Buffer): void;
}

interface Room<M> {
  readonly members: Set<M>;
  /** The frames of this turn, and for each the id of the member that must not get it, if any. */
  frames: Buffer[];
  except: (string | undefined)[];
}

export interface Hub<M extends HubMember> {
  readonly connections: ReadonlyMap<string, M>;
  /** Rooms with at least one member here. */
  readonly roomCount: number;
  add(connection: M): void;
  /** Removes the connection, which must have left its rooms. */
  remove(connection: M): void;
  /** @returns whether it is the room's first member on this instance */
  join(room: string, member: M): boolean;
  /** @returns whether it was the room's last member on this instance */
  leave(room: string, member: M): boolean;
  /** Queues one frame for every member of the room but `except`; @returns how many will get it. */
  deliver(room: string, frame: Buffer, except?: string): number;
  /** Writes everything that is queued now. */
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
        // A member gets no frames from before its join.
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
        // setImmediate, not nextTick, so that frames from all sockets read in this turn share a write.
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
