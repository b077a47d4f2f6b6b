/**
 * One connection of a client: greeted, then in all its rooms, then it brings their messages in order. What a connection
 * that has been replaced still brings is dropped, since its successor's replay has the same.
 */
import { setTimeout } from 'k6/timers';
import * as metrics from './metrics.ts';
import type { Socket, SocketOptions } from './socket.ts';

/** A frame of the server. */
export interface Frame {
  type: string;
  payload: Record<string, unknown>;
  id?: string;
}

/** A member's place in a room: the last offset it took. */
export interface Place {
  epoch: string;
  offset: number;
  /** Where it joined first. */
  first: number;
}

interface Position {
  epoch: string;
  offset: number;
}

/** Not 1000, which would say goodbye. */
const DROPPED = 3000;
/** Ids of joins begin with this. */
const JOIN = 'join ';
const RETRY_MS = 1000;

export interface Link {
  /** The instance that greeted; empty before. */
  readonly instance: string;
  /** Closed by this side. */
  readonly leaving: boolean;
  readonly dropped: boolean;
  /** @returns false when it is not open */
  send(type: string, payload: object, id?: string): boolean;
  close(code: number): void;
  drop(): void;
}

export function createLink(options: {
  open(handlers: Pick<SocketOptions, 'handleOpen' | 'handleText' | 'handleEnd'>): Socket;
  rooms: readonly string[];
  /** Of the client; kept up to date here. */
  places: Map<string, Place>;
  /** Joins with the positions that the places have. */
  resume: boolean;
  /** Whether the client has made this its connection. */
  owns(): boolean;
  /** In all rooms. */
  handleJoined(): void;
  handleMessage(room: string, from: string, content: string, late: boolean): void;
  handleFrame(frame: Frame): void;
  handleEnd(code: number, opened: boolean): void;
}): Link {
  const { places } = options;
  /** Rooms joined here, with the highest offset that this connection brought. */
  const heads = new Map<string, number>();
  let instance = '';
  let state: 'opening' | 'open' | 'ended' = 'opening';
  let leaving = false;
  let dropped = false;
  let greetedAt = 0;
  /** What came for a room before the client was in all of them. */
  let early: Frame[] = [];

  function send(type: string, payload: object, id?: string): boolean {
    if (state !== 'open' || leaving) return false;
    socket.send(JSON.stringify({ type, payload, timestamp: Date.now(), id }));
    return true;
  }

  function handleText(text: string): void {
    const frame = JSON.parse(text) as Frame;
    if (frame.type === 'message') {
      if (options.owns()) take(frame);
      else if (heads.size < options.rooms.length) early.push(frame);
    } else if (frame.type === 'connected') {
      instance = String(frame.payload['instanceId']);
      greetedAt = Date.now();
      metrics.opened.add(1);
      for (const room of options.rooms) join(room);
    } else if (frame.type === 'joined_room' && frame.id?.startsWith(JOIN)) {
      handleJoined(frame.payload);
    } else if (frame.type === 'error' && frame.id?.startsWith(JOIN)) {
      const room = frame.id.slice(JOIN.length);
      metrics.countError(String(frame.payload['code']));
      setTimeout(() => join(room), Number(frame.payload['retryAfter'] ?? RETRY_MS));
    } else {
      if (frame.type === 'gap') handleGap(String(frame.payload['room']), frame.payload['position'] as Position);
      options.handleFrame(frame);
    }
  }

  function join(room: string): void {
    const place = options.resume ? places.get(room) : undefined;
    send('join_room', { room, ...(place && { position: { epoch: place.epoch, offset: place.offset } }) }, JOIN + room);
  }

  function handleJoined(payload: Frame['payload']): void {
    const room = String(payload['room']);
    const position = payload['position'] as Position;
    metrics.joinLatency.add(Date.now() - greetedAt);
    const place = places.get(room);
    if (payload['recovery'] === 'gap' || payload['recovery'] === 'rewound') handleGap(room, position);
    else if (!place) places.set(room, { ...position, first: position.offset });
    else if (payload['recovery'] === 'none') Object.assign(place, position);
    heads.set(room, position.offset);
    if (heads.size < options.rooms.length) return;
    options.handleJoined();
    for (const frame of early) take(frame);
    early = [];
  }

  /** The history goes on after `position`, and the server has said so. */
  function handleGap(room: string, position: Position): void {
    metrics.gapsTold.add(1);
    const place = places.get(room);
    if (place) Object.assign(place, position);
    heads.set(room, position.offset);
  }

  function take({ payload }: Frame): void {
    const room = String(payload['room']);
    const position = payload['position'] as Position | undefined;
    const { userId } = payload['from'] as { userId: string };
    const content = String(payload['content']);
    const place = places.get(room);
    const head = heads.get(room);
    if (!place || head === undefined || !position) return;
    if (position.offset > head) heads.set(room, position.offset);
    // While this connection joined, the one before brought it already.
    if (position.offset > head && position.offset <= place.offset) return;
    const late = position.offset <= place.offset;
    if (!late) Object.assign(place, position);
    options.handleMessage(room, userId, content, late);
  }

  const socket = options.open({
    handleOpen() {
      state = 'open';
    },
    handleText,
    handleEnd(code, opened) {
      state = 'ended';
      options.handleEnd(code, opened);
    },
  });

  return {
    get instance() {
      return instance;
    },
    get leaving() {
      return leaving;
    },
    get dropped() {
      return dropped;
    },
    send,
    close(code) {
      if (leaving || state !== 'open') return;
      leaving = true;
      socket.close(code);
    },
    drop() {
      dropped = true;
      this.close(DROPPED);
    },
  };
}
