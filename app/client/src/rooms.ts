/**
 * The rooms that the application wants to be in. They outlive connections: each new one joins them again, until they
 * are left or the server refuses for good.
 *
 * A room's position goes with every join, so that the server begins where this client ended; what comes again is dropped.
 * While two connections are open (make before break) a room belongs to the newer one once that has joined it: the older
 * one's frames are dropped, and the newer one's replay has what they had. If the newer one ends all the same, the older one
 * joins again from where the newer one came to.
 */
import type { Clock } from './clock.ts';
import type { Connection } from './connection.ts';
import { RequestError } from './errors.ts';
import type { Memory } from './memory.ts';
import type { GapReason, Position, ServerMessages } from './protocol.ts';

type Joined = ServerMessages['joined_room'];

interface Room {
  readonly name: string;
  /** The connection whose frames count; once it has ended nobody's do, until another one has joined. */
  owner: Connection | undefined;
  /** Of the last message that was passed on. */
  position: Position | undefined;
  /** Counts what makes positions from before void: that the history broke, and that it began. */
  turns: number;
  /** What was so when a connection was last asked to join; none once its answer turned out to be void. */
  readonly asked: WeakMap<Connection, { turns: number; position: Position | undefined }>;
  /** Connections whose answer is still to come. */
  readonly joining: WeakSet<Connection>;
  waiters: { resolve(joined: Joined): void; reject(error: RequestError): void }[];
}

/** The epoch of a room without history. */
const BEGINNING = '0';
/** Joins under way at once on one connection: below the burst that a server's rate limit lets through. */
const PARALLEL_JOINS = 8;

export interface Rooms {
  readonly names: readonly string[];
  /** Wants a room from now on; resolves when one of `connections`, or one to come, has joined it. */
  join(name: string, connections: readonly Connection[]): Promise<Joined>;
  leave(name: string, connections: readonly Connection[]): Promise<void>;
  /** Joins every wanted room on a new connection; resolves when each is joined or refused. Never rejects. */
  joinAll(connection: Connection): Promise<void>;
  /** @returns false when the answer does not count, because the room goes on from elsewhere */
  handleJoined(connection: Connection, joined: Joined): boolean;
  /** The server joined this connection to a room by itself: it is wanted from now on, also on `others`. */
  adopt(connection: Connection, joined: Joined, others: readonly Connection[]): void;
  /** The server took this client out of a room by itself: it is not wanted any more. */
  drop(name: string): void;
  /** The server cannot go on from where this client was. */
  handleGap(room: string, reason: GapReason, position: Position): void;
  /** Whether the message is new to this client, which then counts it as seen. */
  accept(room: string, position: Position): boolean;
  /** Whether another connection is the one that brings this room's frames. */
  isElsewhere(connection: Connection, name: string): boolean;
  /** @param others connections that are still open, and in the rooms */
  handleEnd(connection: Connection, others: readonly Connection[]): void;
  /** Those who wait for a join learn that it will not come; the rooms stay wanted. */
  rejectWaiting(error: RequestError): void;
}

export function createRooms(options: {
  names: readonly string[];
  clock: Clock;
  memory: Memory;
  /** Called when a room's history broke: what follows comes after `position`. */
  handleBroken(room: string, reason: GapReason, position: Position): void;
  /** Called when the server refuses a room for good; the room is not wanted any more. */
  handleRefused(error: RequestError, room: string): void;
}): Rooms {
  const { clock, memory } = options;
  const rooms = new Map<string, Room>();
  /** The connection that was opened last. */
  let newest: Connection | undefined;
  const open = (name: string): Room => ({
    name,
    owner: undefined,
    position: memory.readPosition(name),
    turns: 0,
    asked: new WeakMap(),
    joining: new WeakSet(),
    waiters: [],
  });
  for (const name of options.names) rooms.set(name, open(name));

  function move(room: Room, position: Position): void {
    room.position = position;
    memory.writePosition(room.name, position);
  }

  function turn(room: Room, position: Position): void {
    room.turns += 1;
    move(room, position);
  }

  async function joinOn(connection: Connection, room: Room): Promise<void> {
    if (room.joining.has(connection)) {
      // Two answers could not be told apart. The one that comes is void, and then the room is asked for again.
      room.asked.delete(connection);
      return;
    }
    room.joining.add(connection);
    await askUntilJoined(connection, room).finally(() => room.joining.delete(connection));
  }

  async function askUntilJoined(connection: Connection, room: Room): Promise<void> {
    while (rooms.get(room.name) === room && !connection.ended) {
      try {
        room.asked.set(connection, { turns: room.turns, position: room.position });
        const joined = await connection.request('join_room', {
          room: room.name,
          ...(room.position && { position: room.position }),
        });
        if (!room.asked.has(connection)) continue;
        for (const waiter of room.waiters.splice(0)) waiter.resolve(joined);
        return;
      } catch (error) {
        if (!(error instanceof RequestError)) throw error;
        // With the connection goes the attempt, not the wish.
        if (connection.ended || error.code === 'NOT_CONNECTED') return;
        const wait = error.code === 'TIMEOUT' ? 0 : error.retryAfter;
        if (wait === undefined) return refuse(room, error);
        await new Promise<void>((resolve) => void clock.setTimeout(resolve, wait));
      }
    }
  }

  function refuse(room: Room, error: RequestError): void {
    if (rooms.get(room.name) === room) rooms.delete(room.name);
    for (const waiter of room.waiters.splice(0)) waiter.reject(error);
    options.handleRefused(error, room.name);
  }

  function drop(name: string): void {
    const room = rooms.get(name);
    rooms.delete(name);
    memory.writePosition(name, undefined);
    const error = new RequestError({ code: 'LEFT', message: 'the room was left before it was joined' });
    for (const waiter of room?.waiters.splice(0) ?? []) waiter.reject(error);
  }

  return {
    get names() {
      return [...rooms.keys()];
    },
    join(name, connections) {
      const room = rooms.get(name) ?? open(name);
      rooms.set(name, room);
      const joined = new Promise<Joined>((resolve, reject) => void room.waiters.push({ resolve, reject }));
      // A refusal is an `error` event too, so it is no fault to leave this promise alone.
      joined.catch(() => {});
      for (const connection of connections) void joinOn(connection, room);
      return joined;
    },
    async leave(name, connections) {
      drop(name);
      const left = await Promise.allSettled(connections.map((each) => each.request('leave_room', { room: name })));
      for (const [index, result] of left.entries()) {
        if (result.status === 'fulfilled' || result.reason?.code === 'NOT_IN_ROOM') continue;
        // A connection that ended has left all its rooms.
        if (!connections[index]?.ended) throw result.reason;
      }
    },
    async joinAll(connection) {
      newest = connection;
      const queue = [...rooms.values()];
      const work = async () => {
        for (let room = queue.shift(); room; room = queue.shift()) await joinOn(connection, room);
      };
      await Promise.all(Array.from({ length: PARALLEL_JOINS }, work));
    },
    handleJoined(connection, { room: name, recovery, reason, position }) {
      const room = rooms.get(name);
      if (!room) return false;
      // An answer that comes late on the older connection takes nothing back.
      if (connection !== newest && room.owner === newest && !newest?.ended) return false;
      // The other connection was faster, and where this one was asked to begin is void by now: it is asked again.
      const asked = room.asked.get(connection);
      // Redis may have lost what the other connection has brought since, when the epoch is a new one.
      const moved = room.position?.offset !== asked?.position?.offset;
      const forked = recovery === 'recovered' && moved && position.epoch !== room.position?.epoch;
      if (asked?.turns !== room.turns || forked) {
        room.asked.delete(connection);
        return false;
      }
      room.owner = connection;
      if (recovery === 'recovered') return true;
      turn(room, position);
      if (recovery !== 'none') options.handleBroken(name, reason ?? 'rewound', position);
      return true;
    },
    adopt(connection, { room: name, position }, others) {
      // What this client asked for itself has an answer of its own.
      if (rooms.has(name)) return;
      const room = open(name);
      rooms.set(name, room);
      room.owner = connection;
      turn(room, position);
      for (const other of others) if (other !== connection) void joinOn(other, room);
    },
    drop,
    handleGap(name, reason, position) {
      const room = rooms.get(name);
      if (!room) return;
      turn(room, position);
      options.handleBroken(name, reason, position);
    },
    accept(name, position) {
      const room = rooms.get(name);
      // Offsets continue across epochs: only a gap or a rewind turns them back.
      if (!room?.position) return true;
      if (position.offset <= room.position.offset) return false;
      // The first message names the epoch. A join under way from before it would not notice that Redis lost it since.
      if (room.position.epoch === BEGINNING) turn(room, position);
      else move(room, position);
      return true;
    },
    isElsewhere(connection, name) {
      const owner = rooms.get(name)?.owner;
      return owner !== undefined && owner !== connection;
    },
    handleEnd(connection, others) {
      for (const room of rooms.values()) {
        if (room.owner === connection) for (const other of others) void joinOn(other, room);
      }
    },
    rejectWaiting(error) {
      for (const room of rooms.values()) for (const waiter of room.waiters.splice(0)) waiter.reject(error);
    },
  };
}
