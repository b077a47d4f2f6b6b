/**
 * The life of one accepted WebSocket: open -> closing -> closed.
 *
 * A connection's messages are handled one at a time, in order. A bounded number of them waits; beyond that the socket is
 * paused. All connections share their event handlers, because a closure per connection costs memory.
 */
import type { Socket } from 'node:net';
import { WebSocket } from 'ws';
import { type CloseName, closeCodes, comebackAfter } from '../close-codes.ts';
import {
  type ErrorCode,
  encode,
  parseClientMessage,
  type Right,
  type ServerMessages,
  type ServerMessageType,
} from '../protocol.ts';
import type { TurnEnd } from '../turn-end.ts';
import { encodeTextFrame } from './frame.ts';
import { type RateLimit, RateLimiter } from './rate-limiter.ts';

/** The socket is paused when this many messages wait. */
const MAX_WAITING = 32;

/** Pings and pongs that one connection may send. */
const CONTROL_FRAMES: RateLimit = { perMinute: 120, burst: 60 };

/** A turn that has so much for one connection does not wait for its end: the send buffer's limit has to see it. */
const FLUSH_BYTES = 16_384;

/** The close codes that `ws` sends for its own errors, which it does not report; 1002 for all others. */
const errorCloseCodes: Readonly<Record<string, number>> = {
  WS_ERR_UNSUPPORTED_MESSAGE_LENGTH: closeCodes.TOO_BIG.code,
  WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH: closeCodes.TOO_BIG.code,
  WS_ERR_TOO_MANY_BUFFERED_PARTS: 1008,
  WS_ERR_INVALID_UTF8: 1007,
};

export interface ConnectionUser {
  userId: string;
  username: string;
  /** Claims, see rooms/authorize.ts. */
  rooms: readonly string[] | undefined;
  rights: Readonly<Record<string, readonly Right[]>> | undefined;
  expiresAt: number;
  issuedAt: number;
  tokenId: string;
}

/** What all connections of a user share. */
export interface UserLimiters {
  /** Messages. */
  messages: RateLimiter;
  /** Rooms that had no history before they wrote to it. */
  newRooms: RateLimiter;
}

/** Limits and callbacks that all connections of an instance share. */
export interface ConnectionOptions {
  rateLimit: RateLimit;
  /** Consecutive refused messages that close the connection. */
  abuseLimit: number;
  maxBufferedBytes: number;
  turnEnd: TurnEnd;
  /** Called first, for every message. */
  handleReceived(bytes: number): void;
  /** Handles one text frame and resolves when its answer has been sent. Must not reject. */
  handleText(connection: Connection, text: string): Promise<void>;
  handleRefused(connection: Connection, code: ErrorCode): void;
  handlePong(connection: Connection): void;
  /**
   * The connection neither receives nor sends messages from here on, and leaves its rooms. Called once.
   * @param done the client will not reconnect: it closed with 1000, or the server with a code that says so
   */
  handleClosing(connection: Connection, done: boolean): void;
  /** The socket has closed. Called once, after handleClosing. */
  handleClosed(connection: Connection, code: number, reason: string): void;
}

/** The class of the server sockets that `ws` creates, with a reference to their connection. */
export class ConnectionSocket extends WebSocket {
  connection: Connection | undefined;

  /** Also called by `ws`, when the peer closes or violates the protocol: nothing may follow a close frame. */
  override close(code?: number, data?: string | Buffer): void {
    this.connection?.flush();
    super.close(code, data);
  }
}

export class Connection {
  readonly id: string;
  readonly user: ConnectionUser;
  /** Uses `wsfleet.v1`: joins the reserved rooms explicitly. */
  readonly explicit: boolean;
  readonly rooms = new Set<string>();
  state: 'open' | 'closing' | 'closed' = 'open';

  readonly #ws: ConnectionSocket;
  /** The TCP socket below `ws`, from the `upgrade` event. */
  readonly #socket: Socket;
  readonly #options: ConnectionOptions;
  readonly #limiter: RateLimiter;
  readonly #limiters: UserLimiters;
  /** Of ping and pong frames; most clients send none but the pongs that are asked for. */
  #controlLimiter: RateLimiter | undefined;
  #refusedInARow = 0;
  #waiting: string[] = [];
  /** Frames of this turn. */
  #unwritten: Buffer[] = [];
  #unwrittenBytes = 0;
  /** Initially true: messages wait until the connection is open. */
  #handling = true;
  #closeWhenIdle: CloseName | undefined;
  /** Why the app closed it, if it did. */
  #closedAs: CloseName | undefined;
  #closeCode = 0;
  /** Why `ws` closed it, if it did. */
  #brokenWith: { code: number; reason: string } | undefined;

  constructor(
    ws: ConnectionSocket,
    socket: Socket,
    init: {
      id: string;
      user: ConnectionUser;
      explicit: boolean;
      /** That all connections of the user share. */
      limiters: UserLimiters;
      options: ConnectionOptions;
    },
  ) {
    this.id = init.id;
    this.user = init.user;
    this.explicit = init.explicit;
    this.#ws = ws;
    this.#socket = socket;
    this.#options = init.options;
    this.#limiter = new RateLimiter(init.options.rateLimit);
    this.#limiters = init.limiters;
    ws.connection = this;
    ws.on('message', onMessage);
    ws.on('ping', onPing);
    ws.on('pong', onPong);
    ws.on('close', onClose);
    ws.on('error', onError);
  }

  /** Handles messages once `opened` has resolved. */
  open(opened: Promise<void>): void {
    void opened.then(() => this.#work());
  }

  /** Rooms that the user may still be the first to write to. */
  get newRooms(): RateLimiter {
    return this.#limiters.newRooms;
  }

  /** A message is being handled or waits. */
  get busy(): boolean {
    return this.#handling || this.#waiting.length > 0;
  }

  send<T extends ServerMessageType>(type: T, payload: ServerMessages[T], id?: string): void {
    this.write(encodeTextFrame(Buffer.from(encode(type, payload, id))));
  }

  /**
   * Writes whole frames at the end of the turn, directly to the socket: `ws` would take two buffers for each. They stay in
   * order with its close frame because permessage-deflate is off. It does not know of them, so the state is checked here.
   */
  write(frames: Buffer): void {
    if (this.state !== 'open' || this.#ws.readyState !== WebSocket.OPEN || !this.#hasRoom()) return;
    this.#unwritten.push(frames);
    this.#unwrittenBytes += frames.length;
    if (this.#unwrittenBytes >= FLUSH_BYTES) this.flush();
    else if (this.#unwritten.length === 1) this.#options.turnEnd.write(this);
  }

  /** Writes what the turn had for this connection. */
  flush(): void {
    const [first] = this.#unwritten;
    if (!first || this.state !== 'open') return;
    this.#socket.write(this.#unwritten.length === 1 ? first : Buffer.concat(this.#unwritten));
    this.#unwritten = [];
    this.#unwrittenBytes = 0;
  }

  /** Resolves when the kernel has taken everything that was written, or the connection has closed. */
  async drained(): Promise<void> {
    this.flush();
    if (!this.#socket.writableNeedDrain || this.state !== 'open') return;
    await new Promise<void>((resolve) => {
      const done = () => {
        this.#socket.off('drain', done);
        this.#socket.off('close', done);
        resolve();
      };
      this.#socket.on('drain', done);
      this.#socket.on('close', done);
    });
  }

  /** Why the app closed it, if it did. The code alone does not tell: a client may send the same one. */
  get closedAs(): CloseName | undefined {
    return this.#closedAs;
  }

  /** Bytes written that the kernel has not taken yet. */
  get bufferedBytes(): number {
    return this.#socket.writableLength;
  }

  ping(): void {
    if (this.state === 'open') this.#ws.ping();
  }

  /** Closes with a code. `ws` destroys the socket when the peer does not answer within its `closeTimeout`. */
  close(name: CloseName, code: number = closeCodes[name].code): void {
    if (this.state !== 'open') return;
    this.#closedAs = name;
    this.#closeCode = code;
    this.#leave(comebackAfter(code) === 'never');
    this.#ws.close(code, closeCodes[name].reason);
  }

  /** Reads no more messages, and closes once those already read have been answered. */
  closeWhenIdle(name: CloseName): void {
    if (this.busy) this.#closeWhenIdle = name;
    else this.close(name);
  }

  /** Destroys the socket without a close frame. */
  terminate(): void {
    this.#ws.terminate();
  }

  /** Bounds the send buffer: closes a slow consumer. */
  #hasRoom(): boolean {
    if (this.#socket.writableLength <= this.#options.maxBufferedBytes) return true;
    this.close('SLOW_CONSUMER');
    return false;
  }

  #leave(done: boolean): void {
    this.flush();
    this.state = 'closing';
    this.#waiting = [];
    this.#options.handleClosing(this, done);
  }

  handleMessage(data: Buffer, isBinary: boolean): void {
    if (this.state !== 'open' || this.#closeWhenIdle) return;
    this.#options.handleReceived(data.length);
    const wait = this.#limiter.take() || this.#limiters.messages.take();
    if (wait > 0) {
      this.#refusedInARow += 1;
      // Parsed only for its id, so that the sender knows which message was refused.
      const id = isBinary ? undefined : parseClientMessage(data.toString()).id;
      this.refuse('RATE_LIMITED', 'too many messages', { retryAfter: wait }, id);
      if (this.#refusedInARow >= this.#options.abuseLimit) this.close('RATE_LIMITED');
      return;
    }
    this.#refusedInARow = 0;
    if (isBinary) {
      this.refuse('BINARY_NOT_SUPPORTED', 'binary frames are not supported; send JSON as text');
      return;
    }
    this.#waiting.push(data.toString());
    if (this.#waiting.length >= MAX_WAITING) this.#ws.pause();
    if (!this.#handling) void this.#work();
  }

  refuse(
    code: ErrorCode,
    message: string,
    more: Omit<ServerMessages['error'], 'code' | 'message'> = {},
    id?: string,
  ): void {
    this.#options.handleRefused(this, code);
    this.send('error', { code, message, ...more }, id);
  }

  async #work(): Promise<void> {
    this.#handling = true;
    for (let text = this.#waiting.shift(); text !== undefined; text = this.#waiting.shift()) {
      await this.#options.handleText(this, text);
      if (this.#ws.isPaused && this.#waiting.length < MAX_WAITING / 2) this.#ws.resume();
    }
    this.#handling = false;
    if (this.#closeWhenIdle) this.close(this.#closeWhenIdle);
  }

  handlePing(): void {
    this.#controlLimiter ??= new RateLimiter(CONTROL_FRAMES);
    if (this.#controlLimiter.take() > 0) this.close('RATE_LIMITED');
  }

  handlePong(): void {
    this.handlePing();
    this.#options.handlePong(this);
  }

  /** The peer violated the WebSocket protocol; `ws` has already sent the close frame. */
  handleError(error: Error & { code?: string }): void {
    if (this.state !== 'open') return;
    this.#brokenWith = { code: errorCloseCodes[error.code ?? ''] ?? 1002, reason: error.message };
    this.#leave(false);
  }

  handleEnd(code: number, reason: Buffer): void {
    if (this.state === 'open') this.#leave(code === closeCodes.DONE.code);
    this.state = 'closed';
    this.#waiting = [];
    const ours = this.#closedAs
      ? { code: this.#closeCode, reason: closeCodes[this.#closedAs].reason }
      : this.#brokenWith;
    this.#options.handleClosed(this, ours?.code ?? code, ours?.reason ?? reason.toString());
  }
}

function onMessage(this: WebSocket, data: unknown, isBinary: boolean): void {
  (this as ConnectionSocket).connection?.handleMessage(data as Buffer, isBinary);
}
function onPing(this: WebSocket): void {
  (this as ConnectionSocket).connection?.handlePing();
}
function onPong(this: WebSocket): void {
  (this as ConnectionSocket).connection?.handlePong();
}
function onClose(this: WebSocket, code: number, reason: Buffer): void {
  (this as ConnectionSocket).connection?.handleEnd(code, reason);
}
function onError(this: WebSocket, error: Error): void {
  (this as ConnectionSocket).connection?.handleError(error);
}
