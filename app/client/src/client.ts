/** The client: what an application holds. Ties the link to rooms, events and the token. */
import { createBackoff } from './backoff.ts';
import { type Clock, systemClock } from './clock.ts';
import { type Connection, createConnection } from './connection.ts';
import { RequestError } from './errors.ts';
import { createEmitter, type Emitter } from './events.ts';
import { createLink, type State } from './link.ts';
import { type ClientStorage, createMemory } from './memory.ts';
import { createOutbox } from './outbox.ts';
import {
  type Answer,
  type ErrorPayload,
  type Frame,
  type GapReason,
  type Position,
  type Recipient,
  type Requests,
  type RequestType,
  ROOM_ALL,
  ROOM_ME,
  type ServerMessages,
  type ServerMessageType,
} from './protocol.ts';
import { createRooms } from './rooms.ts';
import type { SocketConstructor } from './socket.ts';
import { createTokenSource, type TokenProvider } from './token.ts';
import { createWakeWatch, currentPage, type Page } from './wake.ts';

/** Durations in milliseconds. */
export interface ClientOptions {
  /** `ws:`, `wss:`, or the page's own `http:` and `https:`. */
  url: string | URL;
  /** A provider is what lets a client outlive its token. Without one, the page's cookies say who it is (`AUTH_URL`). */
  token?: string | TokenProvider;
  /** Rooms wanted from the start. Default: `@all` and `@me`. */
  rooms?: readonly string[];
  /** Full jitter between 0 and a ceiling that doubles from `base` to `cap`. Default 1,000 and 30,000. */
  backoff?: { base?: number; cap?: number };
  /** A connection that lasted this long resets the backoff. Default 5,000. */
  stableAfter?: number;
  /** Token, handshake and `connected` together. Default 10,000. */
  connectTimeout?: number;
  /** Of a join: without any frame of the server. Default 10,000. */
  requestTimeout?: number;
  /** Silence after which the server is asked, and the time it has to answer. Default: what the server says of itself. */
  heartbeat?: { interval?: number; timeout?: number };
  /** Messages that may wait for their acknowledgement. Default 1,000. */
  outboxLimit?: number;
  /** Keeps positions and waiting messages across page loads and `close`, for one page at a time. Default: none. */
  storage?: ClientStorage;
  /** Separates users in one storage. Default `wsfleet`. */
  storageKey?: string;
  /** Default: the global one. */
  WebSocket?: SocketConstructor;
  clock?: Clock;
  /** Whose waking the client notices. Default: the page it runs in, if any. */
  page?: Page | undefined;
  /** From 0 to below 1. Default: Math.random. */
  random?: () => number;
}

export interface ChatOptions {
  /** False: this client does not get the message; the user's other clients do. Default true. */
  echo?: boolean;
}

/** Each type of server frame is an event, with the payload and the server's time of it (ms since the epoch). */
export type ClientEvents = {
  [T in Exclude<ServerMessageType, 'error' | 'gap'>]: [payload: ServerMessages[T], timestamp: number];
} & {
  state: [state: State];
  /** Redis lost messages that were shown here; what comes after `position` may repeat or replace them. */
  rewound: [broken: { room: string; position: Position }];
  /** Messages before `position` were missed and cannot be had any more. */
  gap: [broken: { room: string; reason: Exclude<GapReason, 'rewound'>; position: Position }];
  /** What failed outside of a request; with `room` when the server refuses it, or a stored message to it, for good. */
  error: [error: RequestError, room?: string];
};

export interface Client {
  readonly state: State;
  /** Who the server says this is; undefined before the first connection. */
  readonly user: ServerMessages['authenticated'] | undefined;
  /** Rooms wanted, joined or not yet. */
  readonly rooms: readonly string[];
  on: Emitter<ClientEvents>['on'];
  /** Starts; again after `closed`. Nothing happens while it runs. */
  connect(): void;
  /** Does not wait for the next attempt's time: the network is back, or someone pressed a button. */
  retry(): void;
  /**
   * Leaves until `connect`. Requests under way fail with CLOSED; messages that a storage keeps are sent after `connect` all
   * the same. Resolves when the socket is closed.
   */
  close(): Promise<void>;
  /** Stays in the room across reconnects until `leave`. Resolves once joined, however long the connection takes. */
  join(room: string): Promise<ServerMessages['joined_room']>;
  leave(room: string): Promise<void>;
  /**
   * To a room's members, or without a room to everyone. Resolves once it is stored, however long the connection takes:
   * until then it is sent again, with its id, and is stored once.
   */
  chat(content: string, room?: string, options?: ChatOptions): Promise<ServerMessages['ack']>;
  /** As chat, to every connection of a user; or to one connection, live only, and perhaps twice when its answer was lost. */
  direct(to: Recipient, content: string): Promise<ServerMessages['ack']>;
  /** Has no answer; lost while there is no connection. */
  typing(room: string, isTyping: boolean): void;
  listRooms(): Promise<string[]>;
  listMembers(room: string): Promise<ServerMessages['members']>;
  /** @returns the round trip in milliseconds */
  ping(): Promise<number>;
  /** Replaces a fixed token, on the open connection too. */
  refreshToken(token: string): Promise<ServerMessages['authenticated']>;
  /** Any request that has an answer. @throws {RequestError} */
  request<T extends RequestType>(type: T, payload: Requests[T]['payload']): Promise<Answer<T>>;
}

/** Connections whose messages with `echo: false` are known as the client's own. */
const CLIENT_IDS = 100;

/** Makes a client; `connect` starts it. */
export function createClient(options: ClientOptions): Client {
  const { clock = systemClock, random = Math.random } = options;
  const events = createEmitter<ClientEvents>();
  const token = createTokenSource(options.token);
  const memory = createMemory(options.storage, options.storageKey ?? 'wsfleet');
  const idPrefix = Array.from(crypto.getRandomValues(new Uint32Array(2)), (word) => word.toString(36)).join('');
  let requestCount = 0;
  const nextId = () => `${idPrefix}-${++requestCount}`;
  const handleRefused = (error: RequestError, room?: string) => events.emit('error', error, room);
  const outbox = createOutbox({ limit: options.outboxLimit ?? 1_000, memory, clock, nextId, handleRefused });
  const rooms = createRooms({
    // Who is not in a room may not write to it: what is stored could not be sent.
    names: [...(options.rooms ?? [ROOM_ALL, ROOM_ME]), ...outbox.storedRooms],
    clock,
    memory,
    handleBroken(room, reason, position) {
      if (reason === 'rewound') events.emit('rewound', { room, position });
      else events.emit('gap', { room, reason, position });
    },
    handleRefused,
  });
  let user: ServerMessages['authenticated'] | undefined;
  /** Of the last connections, the oldest first. */
  const clientIds: string[] = [];

  const link = createLink({
    clock,
    backoff: createBackoff({ base: options.backoff?.base ?? 1_000, cap: options.backoff?.cap ?? 30_000, random }),
    stableAfter: options.stableAfter ?? 5_000,
    canRenewToken: () => token.renewable,
    async prepare(connection) {
      await rooms.joinAll(connection);
      if (!connection.ended) outbox.use(connection);
    },
    handleState(state) {
      if (state.name === 'closed') {
        wakeWatch.stop();
        const error = new RequestError({ code: 'CLOSED', message: `the client is closed: ${state.reason}` });
        rooms.rejectWaiting(error);
        outbox.rejectWaiting(error);
      }
      events.emit('state', state);
    },
    createConnection: () =>
      createConnection({
        url: String(options.url).replace(/^http/, 'ws'),
        readToken,
        nextId,
        WebSocket: options.WebSocket ?? (globalThis.WebSocket as unknown as SocketConstructor),
        clock,
        connectTimeout: options.connectTimeout ?? 10_000,
        requestTimeout: options.requestTimeout ?? 10_000,
        heartbeat: options.heartbeat ?? {},
        handleConnected: (connection) => link.handleConnected(connection),
        handleFrame,
        handleEnd(connection, ending) {
          link.handleEnd(connection, ending);
          rooms.handleEnd(connection, link.open);
        },
      }),
  });

  const page = 'page' in options ? options.page : currentPage();
  const wakeWatch = createWakeWatch({ page, clock, handleWake: link.wake });

  async function readToken(): Promise<string | undefined> {
    try {
      return await token.read();
    } catch (error) {
      if (error instanceof RequestError) events.emit('error', error);
      throw error;
    }
  }

  function handleFrame(connection: Connection, frame: Frame, isAnswer: boolean): void {
    const { type, payload, timestamp } = frame;
    const { room } = payload as { room?: unknown };
    if (typeof room === 'string') {
      if (type === 'joined_room') {
        const joined = payload as ServerMessages['joined_room'];
        // Without an id nobody asked: the server API joined the room, or left it.
        if (frame.id === undefined) rooms.adopt(connection, joined, link.open);
        else if (!rooms.handleJoined(connection, joined)) return;
      }
      if (type === 'left_room' && frame.id === undefined) rooms.drop(room);
      if (!isAnswer && rooms.isElsewhere(connection, room)) return;
      const { position } = payload as { position?: Position };
      if (type === 'message' && position && !rooms.accept(room, position)) return;
    }
    // A replay, or another connection of this client, brings it.
    if (frame.echo === false && clientIds.includes((payload as ServerMessages['message']).from?.clientId)) return;
    switch (type) {
      case 'error':
        if (!isAnswer) events.emit('error', new RequestError(payload as ErrorPayload));
        return;
      case 'gap': {
        const { room: broken, reason, position } = payload as ServerMessages['gap'];
        rooms.handleGap(broken, reason, position);
        return;
      }
      case 'connected':
        clientIds.push((payload as ServerMessages['connected']).clientId);
        if (clientIds.length > CLIENT_IDS) clientIds.shift();
        break;
      case 'authenticated':
        user = payload as ServerMessages['authenticated'];
        break;
      case 'server_shutdown':
        link.handleSlot(connection);
        break;
      case 'token_expiring':
        if (token.hasProvider) void renewToken(connection);
        break;
    }
    // Types that ServerMessages does not know are events all the same.
    events.emit(type as 'message', payload as ServerMessages['message'], timestamp);
  }

  /** A failure is only reported: the server then closes with 4001, and the next attempt asks the provider again. */
  async function renewToken(connection: Connection): Promise<void> {
    try {
      const renewed = await token.read();
      if (renewed !== undefined) await connection.request('refresh_token', { token: renewed });
    } catch (error) {
      if (error instanceof RequestError && !connection.ended) events.emit('error', error);
    }
  }

  function request<T extends RequestType>(type: T, payload: Requests[T]['payload']): Promise<Answer<T>> {
    if (link.current) return link.current.request(type, payload);
    return Promise.reject(new RequestError({ code: 'NOT_CONNECTED', message: 'there is no connection' }));
  }

  return {
    get state() {
      return link.state;
    },
    get user() {
      return user;
    },
    get rooms() {
      return rooms.names;
    },
    on: events.on,
    connect() {
      wakeWatch.start();
      link.connect();
    },
    retry: link.retry,
    close: link.close,
    join: (room) => rooms.join(room, link.open),
    leave: (room) => rooms.leave(room, link.open),
    chat: (content, room, { echo = true } = {}) =>
      outbox.send('chat', { content, ...(room !== undefined && { room }), ...(!echo && { echo }) }),
    direct: (to, content) => outbox.send('direct', { to, content }),
    typing: (room, isTyping) => void link.current?.send('typing', { room, isTyping }),
    listRooms: async () => (await request('list_rooms', {})).rooms,
    listMembers: (room) => request('list_members', { room }),
    async ping() {
      const start = clock.now();
      await request('ping', {});
      return clock.now() - start;
    },
    refreshToken(renewed) {
      token.replace(renewed);
      return request('refresh_token', { token: renewed });
    },
    request,
  };
}
