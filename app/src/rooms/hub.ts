/**
 * The registry of this instance: its connections, and the members of each room. Synchronous and without sockets: a member
 * is anything with an id that takes bytes.
 *
 * Fan-out: frames are queued per room. At the end of the turn of the event loop, each member gets all queued frames in one
 * write, because system calls are what fan-out costs. The members share the bytes.
 *
 * Presence events are patient: in a room that fills, each would be a write to every member. The first goes with its turn;
 * the others wait for the room's next message, or up to PATIENCE_MS.
 */
import type { TurnEnd } from '../turn-end.ts';

export interface HubMember {
  readonly id: string;
  /** Takes whole frames as they go on the wire. */
  write(frames: Buffer): void;
}

/** How long a patient frame may wait. */
const PATIENCE_MS = 100;

interface Room<M> {
  readonly members: Set<M>;
  /** The frames that are queued, and for each the id of the member that must not get it, if any. */
  frames: Buffer[];
  except: (string | undefined)[];
  /** Members that joined when frames were queued: how many, which they do not get. */
  late: Map<M, number> | undefined;
  flushedAt: number;
}

export interface Hub<M extends HubMember> {
  readonly connections: ReadonlyMap<string, M>;
  /** Rooms with at least one member here. */
  readonly roomCount: number;
  add(connection: M): void;
  /** Removes the connection, which must have left its rooms. */
  remove(connection: M): void;
  /** The member gets no frames from before. @returns whether it is the room's first member on this instance */
  join(room: string, member: M): boolean;
  /** The member gets the frames from before. @returns whether it was the room's last member on this instance */
  leave(room: string, member: M): boolean;
  /**
   * Queues one frame for every member of the room but `except`; @returns how many will get it.
   * @param patient it may wait for others
   */
  deliver(room: string, frame: Buffer, except?: string, patient?: boolean): number;
}

export function createHub<M extends HubMember>(turnEnd: TurnEnd): Hub<M> {
  const connections = new Map<string, M>();
  const rooms = new Map<string, Room<M>>();
  /** Rooms that are flushed at the end of the turn. */
  const due = new Set<Room<M>>();
  /** Rooms that are flushed when the oldest patient frame has waited long enough. */
  const held = new Set<Room<M>>();

  function flushAll(queue: Set<Room<M>>): void {
    const all = [...queue];
    queue.clear();
    for (const room of all) flush(room);
  }

  const fanOut = { flush: () => flushAll(due) };

  function schedule(room: Room<M>, patient: boolean): void {
    if (due.has(room)) return;
    if (patient && performance.now() - room.flushedAt < PATIENCE_MS) {
      if (held.size === 0) setTimeout(flushAll, PATIENCE_MS, held).unref();
      held.add(room);
      return;
    }
    due.add(room);
    turnEnd.fanOut(fanOut);
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
      if (!room) {
        const members = new Set([member]);
        rooms.set(name, { members, frames: [], except: [], late: undefined, flushedAt: -PATIENCE_MS });
        return true;
      }
      if (room.members.has(member)) return false;
      room.members.add(member);
      if (room.frames.length > 0) {
        room.late ??= new Map();
        room.late.set(member, room.frames.length);
      }
      return false;
    },
    leave(name, member) {
      const room = rooms.get(name);
      if (!room?.members.delete(member)) return false;
      if (room.members.size === 0) rooms.delete(name);
      const frames = framesFor(room, member);
      room.late?.delete(member);
      if (frames.length > 0) member.write(join(frames));
      return room.members.size === 0;
    },
    deliver(name, frame, except, patient = false) {
      const room = rooms.get(name);
      if (!room) return 0;
      room.frames.push(frame);
      room.except.push(except);
      schedule(room, patient);
      const excepted = except === undefined ? undefined : connections.get(except);
      return room.members.size - (excepted && room.members.has(excepted) ? 1 : 0);
    },
  };
}

function flush<M extends HubMember>(room: Room<M>): void {
  const { frames, except, late } = room;
  if (frames.length === 0) return;
  room.flushedAt = performance.now();
  room.frames = [];
  room.except = [];
  room.late = undefined;
  const all = join(frames);
  const excepted = new Set(except);
  excepted.delete(undefined);
  for (const member of room.members) {
    if (late?.has(member) || excepted.has(member.id)) {
      const own = framesFor({ frames, except, late }, member);
      if (own.length > 0) member.write(join(own));
    } else {
      member.write(all);
    }
  }
}

/** Of the queued frames, those that the member gets. */
function framesFor<M extends HubMember>(
  { frames, except, late }: Pick<Room<M>, 'frames' | 'except' | 'late'>,
  member: M,
): Buffer[] {
  const since = late?.get(member) ?? 0;
  return frames.filter((_, index) => index >= since && except[index] !== member.id);
}

function join(frames: readonly Buffer[]): Buffer {
  const [first] = frames;
  return frames.length === 1 && first ? first : Buffer.concat(frames);
}
