/** `k6/websockets`, with k6's own ways of saying how a socket ended. */
import type { IncomingMessage } from 'node:http';
import { WebSocket as NodeWebSocket } from 'ws';
import type { Tags } from '../store.ts';
import { type Handle, vuOf } from '../vu.ts';

const vu = vuOf(import.meta.url);

const HANDSHAKE_TIMEOUT_MS = 60_000;
const NORMAL = 1000;
const GOING_AWAY = 1001;
/** What `ws` says of a connection that ended without a close frame. */
const NO_CLOSE_FRAME = 1006;

type EventName = 'open' | 'message' | 'error' | 'close' | 'ping' | 'pong';
type Listener = (event: Record<string, unknown>) => void;

for (const name of ['ws_sessions', 'ws_msgs_sent', 'ws_msgs_received']) vu.store.define(name, 'counter');
for (const name of ['ws_connecting', 'ws_session_duration']) vu.store.define(name, 'trend', 'time');

export class WebSocket {
  static readonly CONNECTING = 0;
  static readonly OPEN = 1;
  static readonly CLOSING = 2;
  static readonly CLOSED = 3;

  readonly url: string;
  readyState: 0 | 1 | 2 | 3 = WebSocket.CONNECTING;
  onopen: Listener | undefined;
  onmessage: Listener | undefined;
  onerror: Listener | undefined;
  onclose: Listener | undefined;

  readonly #listeners: { name: EventName; listener: Listener }[] = [];
  readonly #socket: NodeWebSocket;
  readonly #handle: Handle;
  readonly #tags: Tags;
  readonly #createdAt = performance.now();
  #openedAt: number | undefined;
  #reset = false;

  constructor(
    url: string,
    protocols?: string[] | null,
    params: { headers?: Record<string, string>; tags?: Record<string, string | number | boolean> } = {},
  ) {
    if (vu.initializing) throw new Error('websocket is not available in the init context');
    if (!/^wss?:\/\//.test(url)) throw new SyntaxError(`The URL's scheme must be either 'ws' or 'wss': ${url}`);
    this.url = url;
    this.#tags = { scenario: vu.scenario, url, ...mapTags(params.tags) };
    const { 'Sec-WebSocket-Protocol': offered, ...headers } = params.headers ?? {};
    this.#socket = new NodeWebSocket(url, [...(protocols ?? []), ...(offered?.split(/, */) ?? [])], {
      headers: { 'User-Agent': 'wsfleet-loadtest', ...headers },
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      perMessageDeflate: false,
      skipUTF8Validation: true,
      ...(vu.localAddress !== undefined && { localAddress: vu.localAddress }),
    });
    this.#handle = vu.hold(() => this.#socket.terminate());
    this.#listen();
  }

  addEventListener(name: EventName, listener: Listener): void {
    this.#listeners.push({ name, listener });
  }

  send(data: string): void {
    if (this.readyState !== WebSocket.OPEN) throw new Error('InvalidStateError: the socket is not open');
    vu.store.add('ws_msgs_sent', 1, this.#tags);
    this.#socket.send(data);
  }

  close(code: number = NORMAL, reason = ''): void {
    // k6 would wait forever; here the script gets an error.
    if (this.readyState === WebSocket.CONNECTING) throw new Error('close() while CONNECTING blocks the VU in k6');
    if (code !== NORMAL && !(code >= 3000 && code <= 4999)) throw new Error(`InvalidAccessError: code ${code}`);
    if (this.readyState !== WebSocket.OPEN) return;
    this.readyState = WebSocket.CLOSING;
    this.#socket.close(code, reason);
  }

  ping(): void {
    if (this.readyState !== WebSocket.OPEN) throw new Error('InvalidStateError: the socket is not open');
    this.#socket.ping();
  }

  #listen(): void {
    let status = 0;
    this.#socket.on('upgrade', (response: IncomingMessage) => {
      status = response.statusCode ?? 0;
      response.socket.on('error', ({ code }: NodeJS.ErrnoException) => {
        this.#reset = code === 'ECONNRESET' || code === 'EPIPE';
      });
    });
    this.#socket.on('open', () => {
      this.#openedAt = performance.now();
      this.readyState = WebSocket.OPEN;
      this.#noteHandshake(status);
      this.#emit('open');
    });
    this.#socket.on('message', (data: Buffer, isBinary: boolean) => {
      // Neither when closing.
      if (this.readyState !== WebSocket.OPEN) return;
      vu.store.add('ws_msgs_received', 1, this.#tags);
      this.#emit('message', { data: isBinary ? Uint8Array.from(data).buffer : data.toString() });
    });
    this.#socket.on('ping', () => this.#emit('ping'));
    this.#socket.on('pong', () => this.#emit('pong'));
    this.#socket.on('unexpected-response', (request, response) => {
      status = response.statusCode ?? 0;
      request.destroy();
      this.#fail(status, `websocket: bad handshake (${status})`);
    });
    this.#socket.on('error', (error) => {
      if (this.#openedAt === undefined) this.#fail(status, error.message);
      else this.#emit('error', { error: error.message });
    });
    this.#socket.on('close', (code: number, reason: Buffer) => {
      if (this.readyState === WebSocket.CLOSED) return;
      if (this.#openedAt !== undefined) this.#endOpen(code, reason.toString());
      else this.#fail(status, 'the connection ended before the handshake');
    });
  }

  /** A handshake that was refused or got no answer: `error`, then `close` without a code. */
  #fail(status: number, message: string): void {
    if (this.readyState === WebSocket.CLOSED) return;
    this.readyState = WebSocket.CLOSED;
    this.#noteHandshake(status);
    this.#emit('error', { error: message });
    this.#emit('close', {});
    this.#handle.release();
  }

  #endOpen(code: number, reason: string): void {
    this.readyState = WebSocket.CLOSED;
    vu.store.add('ws_session_duration', performance.now() - (this.#openedAt ?? 0), this.#tags);
    if (code === NO_CLOSE_FRAME && this.#reset) {
      this.#emit('close', {});
    } else {
      const expected = code === NORMAL || code === GOING_AWAY;
      if (!expected) this.#emit('error', { error: `websocket: close ${code} ${reason}` });
      this.#emit('close', { code, reason });
    }
    this.#handle.release();
  }

  #noteHandshake(status: number): void {
    const tags = { ...this.#tags, status: String(status) };
    vu.store.add('ws_sessions', 1, tags);
    vu.store.add('ws_connecting', performance.now() - this.#createdAt, tags);
  }

  #emit(type: EventName, more: Record<string, unknown> = {}): void {
    const event = { type, timestamp: Date.now(), ...more };
    const on = { open: this.onopen, message: this.onmessage, error: this.onerror, close: this.onclose };
    const own = type in on ? on[type as keyof typeof on] : undefined;
    if (own) vu.callback(own)(event);
    for (const { name, listener } of this.#listeners) if (name === type) vu.callback(listener)(event);
  }
}

function mapTags(tags: Record<string, string | number | boolean> = {}): Tags {
  const text = Object.fromEntries(Object.entries(tags).map(([key, value]) => [key, String(value)]));
  // As in k6, the name replaces the URL.
  return 'name' in text ? { ...text, url: text['name'] ?? '' } : text;
}
