/**
 * A client of the cluster for tests: comes back whenever it is sent away or cut off, and keeps account of how that
 * went. It obeys `server_shutdown` as the kit's client does: at its slot it opens the new connection first, and
 * leaves the old one once it is greeted on the new.
 */
import { WebSocket } from 'ws';
import type { ServerMessage, ServerMessages } from '../../../app/src/protocol.ts';

export interface FleetClientOptions {
  url: string;
  token: string;
  /** Source address; with `ip_hash` clients of one /24 share an instance, so that tests use 127.0.x.1. */
  localAddress?: string;
  /** An address that X-Forwarded-For names, for an NGINX that believes it. */
  forwardedFor?: string;
  /** False for a self-signed certificate. */
  rejectUnauthorized?: boolean;
}

/** One change of connection. Times in milliseconds since the epoch. */
export interface Move {
  /** `slot`: it was told when to come back. `lost`: the connection ended. */
  reason: 'slot' | 'lost';
  from: string;
  to: string;
  /** When it was to be back: its slot, or when the connection ended. */
  dueAt: number;
  backAt: number;
}

const RETRY_MS = 100;
const HANDSHAKE_TIMEOUT_MS = 10_000;

export class FleetClient {
  /** The instance it is on; undefined while it has no connection. */
  instanceId: string | undefined;
  readonly moves: Move[] = [];
  /** HTTP status codes of handshakes that were answered with anything but 101. */
  readonly refusals: number[] = [];
  /** Handshakes that got no answer at all. */
  readonly failures: string[] = [];
  /** Codes with which the server ended connections that it was on. */
  readonly closeCodes: number[] = [];
  readonly messages: ServerMessages['message'][] = [];

  readonly #options: FleetClientOptions;
  #socket: WebSocket | undefined;
  #away: { reason: Move['reason']; from: string; dueAt: number } | undefined;
  #timer: NodeJS.Timeout | undefined;
  #trying = false;
  #closed = false;
  #greeted: (() => void)[] = [];

  constructor(options: FleetClientOptions) {
    this.#options = options;
  }

  /** Resolves when it is greeted for the first time. */
  connect(): Promise<void> {
    const greeted = new Promise<void>((resolve) => this.#greeted.push(resolve));
    this.#open();
    return greeted;
  }

  send(type: string, payload: object): void {
    this.#socket?.send(JSON.stringify({ type, payload, timestamp: Date.now() }));
  }

  /** Leaves for good. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#socket?.terminate();
  }

  /** How long it has been away past the time it was to be back, now or in an earlier move: the longest, in ms. */
  get lateness(): number {
    const past = this.moves.map(({ dueAt, backAt }) => backAt - dueAt);
    return Math.max(0, ...past, this.#away ? Date.now() - this.#away.dueAt : 0);
  }

  #open(): void {
    if (this.#trying || this.#closed) return;
    this.#trying = true;
    const { url, token, localAddress, forwardedFor, rejectUnauthorized } = this.#options;
    const socket = new WebSocket(url, {
      headers: {
        Authorization: `Bearer ${token}`,
        ...(forwardedFor !== undefined && { 'X-Forwarded-For': forwardedFor }),
      },
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      perMessageDeflate: false,
      ...(localAddress !== undefined && { localAddress }),
      ...(rejectUnauthorized !== undefined && { rejectUnauthorized }),
    });
    let undecided = true;
    const fail = () => {
      if (!undecided) return;
      undecided = false;
      this.#trying = false;
      this.#schedule(RETRY_MS * (1 + Math.random()));
    };
    socket.on('unexpected-response', (request, response) => {
      this.refusals.push(response.statusCode ?? 0);
      request.destroy();
      fail();
    });
    socket.on('error', (error) => {
      if (undecided) this.failures.push(error.message);
    });
    socket.on('message', (data) => {
      const message = JSON.parse(String(data)) as ServerMessage;
      if (message.type === 'connected') {
        undecided = false;
        this.#handleGreeting(socket, message.payload.instanceId);
      } else {
        this.#handle(socket, message);
      }
    });
    socket.on('close', (code) => {
      if (socket === this.#socket) this.#handleLost(code);
      else fail();
    });
  }

  #handle(socket: WebSocket, message: ServerMessage): void {
    if (message.type === 'message') this.messages.push(message.payload);
    if (message.type === 'server_shutdown' && socket === this.#socket) {
      const { reconnectInMs } = message.payload;
      this.#away ??= { reason: 'slot', from: this.instanceId ?? '', dueAt: Date.now() + reconnectInMs };
      this.#schedule(reconnectInMs);
    }
  }

  #handleGreeting(socket: WebSocket, instanceId: string): void {
    const old = this.#socket;
    this.#trying = false;
    this.#socket = socket;
    this.instanceId = instanceId;
    if (this.#away) this.moves.push({ ...this.#away, to: instanceId, backAt: Date.now() });
    this.#away = undefined;
    old?.close(1000);
    for (const resolve of this.#greeted.splice(0)) resolve();
  }

  #handleLost(code: number): void {
    this.#socket = undefined;
    if (this.#closed) return;
    this.closeCodes.push(code);
    this.#away ??= { reason: 'lost', from: this.instanceId ?? '', dueAt: Date.now() };
    this.instanceId = undefined;
    this.#schedule(0);
  }

  #schedule(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#open(), ms);
  }
}
