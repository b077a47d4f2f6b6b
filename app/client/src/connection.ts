/**
 * One socket's life: token, handshake, `connected`, messages, end. It knows nothing of reconnecting: it ends exactly
 * once and says how; its caller decides what comes next.
 */
import type { Clock } from './clock.ts';
import { type Comeback, comebackAfter } from './close-codes.ts';
import { RequestError } from './errors.ts';
import { createPendingRequests } from './pending-requests.ts';
import {
  type Answer,
  type ErrorPayload,
  type Frame,
  parseFrame,
  type Requests,
  type RequestType,
  type ServerMessages,
  SUBPROTOCOL,
  TOKEN_PROTOCOL_PREFIX,
} from './protocol.ts';
import { OPEN, type Socket, type SocketConstructor } from './socket.ts';

/** How a connection ended; `code` is a close code, 1006 where there was no close frame. */
export interface Ending {
  code: number;
  reason: string;
  comeback: Comeback;
}

/** Milliseconds throughout. */
export interface ConnectionOptions {
  url: string;
  /** Undefined: there is none, so do not come back. A rejection: try again later. */
  readToken(): Promise<string | undefined>;
  /** A new id for a request; ids of one client never repeat. */
  nextId(): string;
  WebSocket: SocketConstructor;
  clock: Clock;
  connectTimeout: number;
  requestTimeout: number;
  /** Overrides what the server says in `connected`. */
  heartbeat: { interval?: number; timeout?: number };
  handleConnected(connection: Connection): void;
  /** Every frame; `isAnswer` when a request waits for it. */
  handleFrame(connection: Connection, frame: Frame, isAnswer: boolean): void;
  handleEnd(connection: Connection, ending: Ending): void;
}

export interface Connection {
  /** What the server said first, and when; undefined before. */
  readonly connected: (ServerMessages['connected'] & { at: number }) | undefined;
  readonly ended: boolean;
  /** When the server asked to reconnect (ms since the epoch), once it did. */
  readonly slotAt: number | undefined;
  /**
   * Sends a request and waits for the frame with its id.
   * @param id of a request that may have been sent before; default: a new one
   * @throws {RequestError} the server's refusal, NOT_CONNECTED, CONNECTION_LOST, TIMEOUT or CLOSED
   */
  request<T extends RequestType>(type: T, payload: Requests[T]['payload'], id?: string): Promise<Answer<T>>;
  /** Sends a message that has no answer. @returns whether there was a socket to take it */
  send(type: string, payload: object, id?: string): boolean;
  /** Asks the server for a sign of life: without one within `timeout` ms the connection ends. */
  check(timeout: number): void;
  /** Resolves when no request is under way. */
  idle(): Promise<void>;
  /** Ends it with 1000. Resolves when the server has answered, or after 2 s. */
  close(): Promise<void>;
}

/** Time for the server to answer a close frame. */
const CLOSE_TIMEOUT = 2_000;
const CONNECT_TIMEOUT: Ending = { code: 1006, reason: 'no connection in time', comeback: 'backoff' };

export function createConnection(options: ConnectionOptions): Connection {
  const { clock } = options;
  const requests = createPendingRequests({ clock, timeout: options.requestTimeout });
  let socket: Socket | undefined;
  let connected: Connection['connected'];
  let ended = false;
  let slotAt: number | undefined;
  let heardAt = 0;
  let heard = 0;
  let socketClosed = () => {};
  /** The connect deadline first, then the heartbeat. */
  let timer = clock.setTimeout(() => end(CONNECT_TIMEOUT), options.connectTimeout);
  /** When the connection ends unless the server is heard; infinity while nothing is asked. */
  let deadline = clock.now() + options.connectTimeout;

  async function open(): Promise<void> {
    let token: string | undefined;
    try {
      token = await options.readToken();
    } catch (error) {
      return end({ code: 1006, reason: messageOf(error), comeback: 'backoff' });
    }
    if (ended) return;
    if (token === undefined) return end({ code: 1006, reason: 'no token', comeback: 'never' });
    try {
      socket = new options.WebSocket(options.url, [SUBPROTOCOL, ...(token ? [TOKEN_PROTOCOL_PREFIX + token] : [])]);
    } catch (error) {
      // A URL or a token that no handshake can carry.
      return end({ code: 1006, reason: messageOf(error), comeback: 'never' });
    }
    socket.addEventListener('message', ({ data }) => handleData(data));
    socket.addEventListener('close', ({ code, reason }) => {
      socketClosed();
      end({ code, reason, comeback: comebackAfter(code) });
    });
    // `close` follows and says all there is to know, which is little: a browser hides a refused handshake's status.
    socket.addEventListener('error', () => {});
  }

  function handleData(data: unknown): void {
    heardAt = clock.now();
    heard += 1;
    const frame = ended ? undefined : parseFrame(data);
    if (!frame) return;
    if (frame.type === 'connected' && !connected) {
      connected = { ...(frame.payload as ServerMessages['connected']), at: heardAt };
      clock.clearTimeout(timer);
      listen();
      options.handleConnected(connection);
    } else if (frame.type === 'server_shutdown') {
      slotAt = heardAt + (frame.payload as ServerMessages['server_shutdown']).reconnectInMs;
    }
    // At once, not when the promise gets its turn: the next frame of the same read must find what this one changed.
    options.handleFrame(connection, frame, requests.has(frame.id));
    if (frame.id === undefined) return;
    if (frame.type === 'error') requests.reject(frame.id, frame.payload as ErrorPayload);
    else requests.resolve(frame.id, frame.payload);
  }

  /** Waits for silence, then asks: a link that died without a word is found, and nothing is sent while others talk. */
  function listen(): void {
    const interval = options.heartbeat.interval ?? connected?.heartbeat.interval ?? 30_000;
    const timeout = options.heartbeat.timeout ?? connected?.heartbeat.timeout ?? 10_000;
    const silence = clock.now() - heardAt;
    if (silence < interval) {
      deadline = Number.POSITIVE_INFINITY;
      timer = clock.setTimeout(listen, interval - silence);
      return;
    }
    ask(timeout);
  }

  function ask(timeout: number): void {
    const before = heard;
    deadline = clock.now() + timeout;
    send('ping', {});
    timer = clock.setTimeout(() => {
      if (heard > before) listen();
      else end({ code: 4000, reason: 'heartbeat timeout', comeback: 'backoff' });
    }, timeout);
  }

  function send(type: string, payload: object, id?: string): boolean {
    if (ended || socket?.readyState !== OPEN) return false;
    socket.send(JSON.stringify({ type, payload, timestamp: clock.now(), id }));
    return true;
  }

  function end(ending: Ending, code: 'CONNECTION_LOST' | 'CLOSED' = 'CONNECTION_LOST'): void {
    if (ended) return;
    ended = true;
    clock.clearTimeout(timer);
    // It does not wait for the server's close frame: on a dead link, that takes minutes.
    socket?.close(1000, 'done');
    requests.rejectAll(code, code === 'CLOSED' ? 'the client was closed' : `the connection ended (${ending.code})`);
    options.handleEnd(connection, ending);
  }

  const connection: Connection = {
    get connected() {
      return connected;
    },
    get ended() {
      return ended;
    },
    get slotAt() {
      return slotAt;
    },
    check(timeout) {
      // An earlier deadline stands: one wake after the other must not put off the end of a dead connection.
      if (ended || deadline <= clock.now() + timeout) return;
      clock.clearTimeout(timer);
      if (connected) return ask(timeout);
      deadline = clock.now() + timeout;
      timer = clock.setTimeout(() => end(CONNECT_TIMEOUT), timeout);
    },
    send,
    async request(type, payload, id = options.nextId()) {
      if (!connected || !send(type, payload, id)) {
        throw new RequestError({ code: 'NOT_CONNECTED', message: 'there is no connection' });
      }
      // The answer to a join may stand behind the replays of others, and asked again the server would replay it again.
      const patience = type === 'join_room' ? () => heardAt : undefined;
      return (await requests.wait(id, type, patience)) as Answer<typeof type>;
    },
    idle: requests.idle,
    close() {
      const closed = new Promise<void>((resolve) => {
        if (!socket || ended) return resolve();
        const timer = clock.setTimeout(resolve, CLOSE_TIMEOUT);
        socketClosed = () => {
          clock.clearTimeout(timer);
          resolve();
        };
      });
      end({ code: 1000, reason: 'done', comeback: 'never' }, 'CLOSED');
      return closed;
    },
  };
  void open();
  return connection;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
