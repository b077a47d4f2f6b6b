/** Bytes on a TCP socket: for HTTP and WebSocket frames that no library would send. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { within } from './process.ts';

/** One WebSocket frame, well formed unless told otherwise. */
export function frame(options: {
  opcode: number;
  payload?: Buffer | string;
  fin?: boolean;
  rsv?: number;
  mask?: boolean;
}): Buffer {
  const { opcode, fin = true, rsv = 0, mask = true } = options;
  const payload = Buffer.from(options.payload ?? '');
  const head = [(fin ? 0x80 : 0) | (rsv << 4) | opcode];
  const masked = mask ? 0x80 : 0;
  if (payload.length < 126) {
    head.push(masked | payload.length);
  } else if (payload.length < 65_536) {
    head.push(masked | 126, payload.length >> 8, payload.length & 255);
  } else {
    head.push(masked | 127, 0, 0, 0, 0, ...[24, 16, 8, 0].map((shift) => (payload.length >>> shift) & 255));
  }
  if (!mask) return Buffer.concat([Buffer.from(head), payload]);
  const key = randomBytes(4);
  return Buffer.concat([Buffer.from(head), key, payload.map((byte, index) => byte ^ (key[index % 4] ?? 0))]);
}

export interface ServerFrame {
  opcode: number;
  payload: Buffer;
}

/** Where the payload of the server's frame at `at` starts and ends; undefined if the frame is not whole. */
export function frameAt(bytes: Buffer, at: number): { start: number; end: number } | undefined {
  if (bytes.length < at + 2) return undefined;
  let length = (bytes[at + 1] ?? 0) & 127;
  let start = at + 2;
  if (length === 126) {
    start = at + 4;
    if (bytes.length < start) return undefined;
    length = bytes.readUInt16BE(at + 2);
  } else if (length === 127) {
    start = at + 10;
    if (bytes.length < start) return undefined;
    length = Number(bytes.readBigUInt64BE(at + 2));
  }
  const end = start + length;
  return bytes.length < end ? undefined : { start, end };
}

/** The frames of a server in a buffer, as far as they are whole. */
export function readFrames(bytes: Buffer): ServerFrame[] {
  const frames: ServerFrame[] = [];
  let at = 0;
  for (let next = frameAt(bytes, at); next; next = frameAt(bytes, at)) {
    frames.push({ opcode: (bytes[at] ?? 0) & 15, payload: bytes.subarray(next.start, next.end) });
    at = next.end;
  }
  return frames;
}

export class RawSocket implements Disposable {
  readonly socket: Socket;
  #bytes = Buffer.alloc(0);
  #lookers = new Set<() => void>();
  #ended = false;

  constructor(socket: Socket) {
    this.socket = socket;
    const look = () => {
      for (const each of this.#lookers) each();
    };
    socket.on('data', (chunk) => {
      this.#bytes = Buffer.concat([this.#bytes, Buffer.from(chunk)]);
      look();
    });
    const end = () => {
      this.#ended = true;
      look();
    };
    socket.on('end', end);
    socket.on('close', end);
    socket.on('error', () => undefined);
  }

  /** Everything that came after the head of the handshake. */
  get bytes(): Buffer {
    return this.#bytes;
  }

  get frames(): ServerFrame[] {
    return readFrames(this.#bytes);
  }

  write(data: Buffer | string): void {
    this.socket.write(data);
  }

  /** Resolves when `ready` says so, or rejects when the server ends first. */
  async until<T>(ready: () => T | undefined, what: string): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const look = () => {
      const value = ready();
      if (value !== undefined) resolve(value);
      else if (this.#ended) reject(new Error(`the connection ended before ${what}`));
    };
    this.#lookers.add(look);
    look();
    return await within(promise, () => what, 18_000).finally(() => this.#lookers.delete(look));
  }

  /** Everything received until the server ended. */
  async end(): Promise<string> {
    await this.until(() => (this.#ended ? true : undefined), 'the end').catch(() => undefined);
    return this.#bytes.toString('latin1');
  }

  /** The code of the close frame; 1006 if the server ended without one. */
  async closeCode(): Promise<number> {
    const found = () => this.frames.find(({ opcode }) => opcode === 8);
    const close = await this.until(() => found() ?? (this.#ended ? null : undefined), 'a close frame');
    if (close === null) return 1006;
    return close.payload.length < 2 ? 1005 : close.payload.readUInt16BE(0);
  }

  /** Takes the head of an HTTP answer off the front; @returns it */
  async head(): Promise<string> {
    const end = await this.until(() => {
      const at = this.#bytes.indexOf('\r\n\r\n');
      return at < 0 ? undefined : at;
    }, 'the head of an HTTP answer');
    const head = this.#bytes.toString('latin1', 0, end);
    this.#bytes = this.#bytes.subarray(end + 4);
    return head;
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}

export async function openRaw(port: number): Promise<RawSocket> {
  const socket = connect({ port, host: '127.0.0.1' });
  socket.setNoDelay();
  const raw = new RawSocket(socket);
  await once(socket, 'connect');
  return raw;
}

/** The head of a handshake; each header can be replaced, or left out with undefined. */
export function handshakeHead(
  options: { method?: string; path?: string; headers?: Record<string, string | undefined> } = {},
): string {
  const headers = {
    Host: '127.0.0.1',
    Upgrade: 'websocket',
    Connection: 'Upgrade',
    'Sec-WebSocket-Key': randomBytes(16).toString('base64'),
    'Sec-WebSocket-Version': '13',
    ...options.headers,
  };
  const lines = Object.entries(headers).flatMap(([name, value]) => (value === undefined ? [] : [`${name}: ${value}`]));
  return `${[`${options.method ?? 'GET'} ${options.path ?? '/ws'} HTTP/1.1`, ...lines].join('\r\n')}\r\n\r\n`;
}

/** A WebSocket connection whose frames the test writes itself. */
export async function openRawWebSocket(port: number, token: string): Promise<RawSocket> {
  const raw = await openRaw(port);
  raw.write(handshakeHead({ headers: { Authorization: `Bearer ${token}` } }));
  const head = await raw.head();
  if (!head.startsWith('HTTP/1.1 101 ')) throw new Error(head);
  await raw.until(() => raw.frames.find(({ payload }) => payload.includes('"authenticated"')), 'the greeting');
  return raw;
}
