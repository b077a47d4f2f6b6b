/**
 * One accepted socket's life: open -> closing -> closed.
 *
 * Messages of one connection are handled one after the other, in the order they came; a bounded number waits, and
 * past that the socket is not read. Handlers are shared by all connections: a closure per connection would cost memory.
 */
import type { Socket } from 'node:net';
import { WebSocket } from 'ws';
import { type CloseName, closeCodes } from '../close-codes.ts';
import {
  type ErrorCode,
  encode,
  parseClientMessage,
  type ServerMessages,
  type ServerMessageType,
} from '../protocol.ts';
import { type RateLimit, RateLimiter } from './rate-limiter.ts';

/** Messages that may wait for the one being handled before the socket is paused. */
const MAX_WAITING = 32;

/** The close code that `ws` sends for its errors, which it does not tell: any other is 1002. */
const errorCloseCodes: Readonly<Record<string, number>> = {
  WS_ERR_UNSUPPORTED_MESSAGE_LENGTH: closeCodes.TOO_BIG.code,
  WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH: closeCodes.TOO_BIG.code,
  WS_ERR_TOO_MANY_BUFFERED_PARTS: 1008,
  WS_ERR_INVALID_UTF8: 1007,
};

export interface ConnectionUser {
  userId: string;
  username: string;
  rooms: readonly string[] | undefined;
  expiresAt: number;
}

/** What all connections of an instance share. */
export interface ConnectionOptions {
  rateLimit: RateLimit;
  /** Refused messages in a row that close the connection. */
  abuseLimit: number;
  maxBufferedBytes: number;
  /** Called for every message, before anything else. */
  handleReceived(bytes: number): void;
  /** Handles one text frame; resolves when its answer has been sent. Must not reject. */
  handleText(connection: Connection, text: string): Promise<void>;
  handleRefused(connection: Connection, code: ErrorCode): void;
  handlePong(connection: Connection): void;
  /**
   * The connection takes no more messages and gets no more: it leaves its rooms. Called once.
   * @param goodbye the other side closed it as done (1000), and is not expected back
   */
  handleClosing(connection: Connection, goodbye: boolean): void;
  /** The socket has ended. Called once, after handleClosing. */
  handleClosed(connection: Connection, code: number, reason: string): void;
}

/** The class that `ws` makes its server sockets of, with a place for what they belong to. */
export class ConnectionSocket extends WebSocket {
  connection: Connection | undefined;
}

export class Connection {
  readonly id: string;
  readonly user: ConnectionUser;
  /** Speaks `wsfleet.v1`: joins the reserved rooms itself. */
  readonly explicit: boolean;
  readonly rooms = new Set<string>();
  state: 'open' | 'closing' | 'closed' = 'open';

  readonly #ws: ConnectionSocket;
  /** The socket below `ws`, as the `upgrade` event handed it over. */
  readonly #socket: Socket;
  readonly #options: ConnectionOptions;
  readonly #limiter: RateLimiter;
  #refusedInARow = 0;
  #waiting: string[] = [];
  /** From the start: messages wait until the connection is open. */
  #handling = true;
  #closeWhenIdle: CloseName | undefined;
  /** Why the server closed it, if it did: our own reasons, */
  #closedAs: CloseName | undefined;
  /** and those of `ws`. */
  #brokenWith: { code: number; reason: string } | undefined;

  constructor(
    ws: ConnectionSocket,
    socket: Socket,
    init: { id: string; user: ConnectionUser; explicit: boolean; options: ConnectionOptions },
  ) {
    this.id = init.id;
    this.user = init.user;
    this.explicit = init.explicit;
    this.#ws = ws;
    this.#socket = socket;
    this.#options = init.options;
    this.#limiter = new RateLimiter(init.options.rateLimit);
    ws.connection = this;
    ws.on('message', onMessage);
    ws.on('pong', onPong);
    ws.on('close', onClose);
    ws.on('error', onError);
  }

  /** Handles messages once `opened` has resolved. */
  open(opened: Promise<void>): void {
    void opened.then(() => this.#work());
  }

  /** A message is being handled or waits to be. */
  get busy(): boolean {
    return this.#handling || this.#waiting.length > 0;
  }

  send<T extends ServerMessageType>(type: T, payload: ServerMessages[T], id?: string): void {
    if (this.state === 'closed' || !this.#hasRoom()) return;
    this.#ws.send(encode(type, payload, id));
  }

  /**
   * Writes whole frames straight to the socket: one system call for all the frames of a turn. They stay in order with
   * `ws.send` because permessage-deflate is off, and `ws` does not check them, so nothing is written past `closing`.
   */
  write(frames: Buffer): void {
    if (this.state !== 'open' || !this.#hasRoom()) return;
    this.#socket.write(frames);
  }

  /** Resolves when what was written has been taken by the kernel, or the connection has ended. */
  async drained(): Promise<void> {
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

  /** Why this side closed it, if it did. The other side may send the same code. */
  get closedAs(): CloseName | undefined {
    return this.#closedAs;
  }

  /** Written and not yet taken by the kernel. */
  get bufferedBytes(): number {
    return this.#socket.writableLength;
  }

  ping(): void {
    if (this.state === 'open') this.#ws.ping();
  }

  /** Closes with a code. An other side that does not answer within `ws`'s `closeTimeout` is cut. */
  close(name: CloseName): void {
    if (this.state !== 'open') return;
    this.#closedAs = name;
    this.#leave(false);
    this.#ws.close(closeCodes[name].code, closeCodes[name].reason);
  }

  /** Closes as soon as the messages that were already read are handled and answered; it takes no more. */
  closeWhenIdle(name: CloseName): void {
    if (this.busy) this.#closeWhenIdle = name;
    else this.close(name);
  }

  /** Cuts the socket. */
  terminate(): void {
    this.#ws.terminate();
  }

  /** Bounds what waits for a reader that does not read. */
  #hasRoom(): boolean {
    if (this.#socket.writableLength <= this.#options.maxBufferedBytes) return true;
    this.close('SLOW_CONSUMER');
    return false;
  }

  #leave(goodbye: boolean): void {
    this.state = 'closing';
    this.#waiting = [];
    this.#options.handleClosing(this, goodbye);
  }

  handleMessage(data: Buffer, isBinary: boolean): void {
    if (this.state !== 'open' || this.#closeWhenIdle) return;
    this.#options.handleReceived(data.length);
    const wait = this.#limiter.take();
    if (wait > 0) {
      this.#refusedInARow += 1;
      // Read for its id alone: the sender is told which message it was.
      const id = isBinary ? undefined : parseClientMessage(data.toString()).id;
      this.refuse('RATE_LIMITED', 'too many messages', { retryAfter: wait }, id);
      if (this.#refusedInARow >= this.#options.abuseLimit) this.close('RATE_LIMITED');
      return;
    }
    this.#refusedInARow = 0;
    if (isBinary) {
      this.refuse('BINARY_NOT_SUPPORTED', 'binary frames are not understood; send JSON as text');
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

  handlePong(): void {
    this.#options.handlePong(this);
  }

  /** The other side broke the WebSocket protocol; `ws` has sent the close frame. */
  handleError(error: Error & { code?: string }): void {
    if (this.state !== 'open') return;
    this.#brokenWith = { code: errorCloseCodes[error.code ?? ''] ?? 1002, reason: error.message };
    this.#leave(false);
  }

  handleEnd(code: number, reason: Buffer): void {
    if (this.state === 'open') this.#leave(code === closeCodes.DONE.code);
    this.state = 'closed';
    this.#waiting = [];
    const ours = this.#closedAs ? closeCodes[this.#closedAs] : this.#brokenWith;
    this.#options.handleClosed(this, ours?.code ?? code, ours?.reason ?? reason.toString());
  }
}

function onMessage(this: WebSocket, data: unknown, isBinary: boolean): void {
  (this as ConnectionSocket).connection?.handleMessage(data as Buffer, isBinary);
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
