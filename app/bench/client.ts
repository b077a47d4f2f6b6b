/**
 * The benchmarks' clients: WebSocket on bare TCP sockets. The kit's client, or `ws`, would use up the CPU that is measured.
 * They believe the server: no answer is checked against the handshake's key, and every frame is taken as whole text.
 */
import { connect, type Socket } from 'node:net';
import { SUBPROTOCOL } from '../src/protocol.ts';
import { frameAt } from '../test/harness/raw.ts';
import type { Dialect } from './dialect.ts';

const TEXT = 0x81;
const CLOSE = 0x88;
const PING = 0x89;
const PONG = 0x8a;
const HEAD_END = '\r\n\r\n';

export class BenchSocket {
  readonly #socket: Socket;
  readonly #handle: (payload: Buffer) => void;
  /** Of a frame that is not whole yet, or of the handshake's answer. */
  #rest: Buffer = Buffer.alloc(0);
  #opened: PromiseWithResolvers<void> | undefined = Promise.withResolvers();

  /** @param handle takes the payload of every frame; valid only during the call */
  constructor(url: URL, token: string, handle: (payload: Buffer) => void) {
    this.#handle = handle;
    const host = url.hostname;
    this.#socket = connect({ host, port: Number(url.port), noDelay: true });
    this.#socket.write(
      `GET ${url.pathname}${url.search} HTTP/1.1\r\nHost: ${url.host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
        'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n' +
        `Sec-WebSocket-Protocol: ${SUBPROTOCOL}\r\nAuthorization: Bearer ${token}${HEAD_END}`,
    );
    this.#socket.on('data', (chunk: Buffer) => this.#take(chunk));
    // Why it closed, `close` says.
    this.#socket.on('error', () => undefined);
    this.#socket.on('close', () => this.#opened?.reject(new Error('closed before the handshake was answered')));
  }

  /** Resolves when the handshake is answered. */
  get opened(): Promise<void> {
    return this.#opened?.promise ?? Promise.resolve();
  }

  send(text: string): void {
    this.#socket.write(frame(TEXT, Buffer.from(text)));
  }

  onClose(handle: () => void): void {
    this.#socket.on('close', handle);
  }

  /** Says goodbye with a close code. */
  close(code: number): void {
    this.#socket.end(frame(CLOSE, Buffer.from([code >> 8, code & 255])));
  }

  terminate(): void {
    this.#socket.destroy();
  }

  #take(chunk: Buffer): void {
    let bytes = this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : chunk;
    if (this.#opened) {
      const end = bytes.indexOf(HEAD_END);
      this.#rest = bytes;
      if (end < 0) return;
      if (bytes.toString('latin1', 9, 12) === '101') this.#opened.resolve();
      else this.#opened.reject(new Error(bytes.toString('latin1')));
      this.#opened = undefined;
      bytes = bytes.subarray(end + HEAD_END.length);
    }
    const read = this.#readFrames(bytes);
    this.#rest = bytes.subarray(read);
  }

  /** @returns how many bytes were whole frames */
  #readFrames(bytes: Buffer): number {
    let at = 0;
    for (let next = frameAt(bytes, at); next; next = frameAt(bytes, at)) {
      const payload = bytes.subarray(next.start, next.end);
      if (bytes[at] === TEXT) this.#handle(payload);
      else if (bytes[at] === PING) this.#socket.write(frame(PONG, payload));
      else this.#socket.end();
      at = next.end;
    }
    return at;
  }
}

/** Masked with zeros, which leaves the payload as it is. */
function frame(head: number, payload: Buffer): Buffer {
  const long = payload.length > 125;
  const bytes = Buffer.alloc((long ? 8 : 6) + payload.length);
  bytes[0] = head;
  bytes[1] = 0x80 | (long ? 126 : payload.length);
  if (long) bytes.writeUInt16BE(payload.length, 2);
  payload.copy(bytes, bytes.length - payload.length);
  return bytes;
}

/** @param handle takes every frame from the first on: the greeting may come with the handshake's answer */
export async function openSocket(url: string, token: string, handle: (frame: Buffer) => void): Promise<BenchSocket> {
  const socket = new BenchSocket(new URL(url), token, handle);
  await socket.opened;
  return socket;
}

/** Connects and joins a room, as the server's dialect has it. @param handle takes the frames after that */
export async function openMember(
  origin: string,
  dialect: Dialect,
  token: string,
  room: string,
  handle: (frame: Buffer) => void,
): Promise<BenchSocket> {
  const greeted = Promise.withResolvers<void>();
  const joined = Promise.withResolvers<void>();
  let take = (frame: Buffer): void => {
    if (dialect.isGreeting(frame)) {
      greeted.resolve();
    } else if (dialect.isJoined(frame)) {
      take = handle;
      joined.resolve();
    } else if (dialect.isError(frame)) {
      joined.reject(new Error(frame.toString()));
    }
  };
  const socket = await openSocket(origin + dialect.path, token, (frame) => take(frame));
  if (dialect.hello) socket.send(dialect.hello(token));
  await Promise.race([greeted.promise, joined.promise]);
  socket.send(dialect.join(room));
  await joined.promise;
  return socket;
}

/** Opens so many, a handful at a time: a listener's queue is short. */
export async function openAll<T>(count: number, open: (index: number) => Promise<T>): Promise<T[]> {
  const all: T[] = [];
  while (all.length < count) {
    const some = Array.from({ length: Math.min(50, count - all.length) }, (_, i) => open(all.length + i));
    all.push(...(await Promise.all(some)));
  }
  return all;
}
