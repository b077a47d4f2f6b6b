/** A small WebSocket client: it remembers every message, and waits for those that a test names. */
import { once } from 'node:events';
import type { ClientOptions } from 'ws';
import { WebSocket } from 'ws';
import type { ServerMessage, ServerMessageType } from '../../src/protocol.ts';
import { serverFrame } from '../../tools/lib/server-messages.ts';
import { within } from './process.ts';
import { tokenFor } from './tokens.ts';

export type Message<T extends ServerMessageType> = Extract<ServerMessage, { type: T }>;

export interface Closed {
  code: number;
  reason: string;
}

/** A handshake that was answered with something else than 101. */
export class HandshakeRefused extends Error {
  override readonly name = 'HandshakeRefused';
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly body: string;
  constructor(status: number, headers: Record<string, string | string[] | undefined>, body: string) {
    super(`the handshake was answered ${status}: ${body}`);
    this.status = status;
    this.headers = headers;
    this.body = body;
  }
}

export interface ConnectOptions extends ClientOptions {
  /** Signs a token for this name; `token: null` sends none. */
  as?: string;
  token?: string | null;
  protocols?: string[];
  path?: string;
}

export class Client implements AsyncDisposable {
  readonly socket: WebSocket;
  /** Everything that came, in order. */
  readonly received: ServerMessage[] = [];
  readonly #closed: Promise<Closed>;
  #unread: ServerMessage[] = [];
  /** Those who wait for a message, or for the end. */
  #lookers = new Set<() => void>();
  #requests = new Map<string, (answer: ServerMessage) => void>();
  #lastId = 0;

  constructor(socket: WebSocket) {
    this.socket = socket;
    this.#closed = new Promise((resolve) => {
      socket.once('close', (code, reason) => {
        resolve({ code, reason: reason.toString() });
        for (const look of this.#lookers) look();
      });
    });
    socket.on('message', (data) => {
      const message = JSON.parse(data.toString()) as ServerMessage;
      // Whatever a test does, the server speaks as docs/asyncapi.yaml says.
      const { error } = serverFrame.safeParse(message);
      if (error) throw new Error(`${data} is not what docs/asyncapi.yaml says: ${error.message}`);
      this.received.push(message);
      const answer = message.id === undefined ? undefined : this.#requests.get(message.id);
      if (answer) return answer(message);
      this.#unread.push(message);
      for (const look of this.#lookers) look();
    });
    socket.on('error', () => undefined);
  }

  /** How the connection ends. */
  get closed(): Promise<Closed> {
    return within(this.#closed, () => this.#waited('the connection to end'));
  }

  /** The first unread message of this type that matches; those that do not stay unread. */
  async next<T extends ServerMessageType>(
    type: T,
    matches: (payload: Message<T>['payload']) => boolean = () => true,
  ): Promise<Message<T>> {
    return (await this.#find(
      (message) => message.type === type && matches(message.payload as Message<T>['payload']),
      type,
    )) as Message<T>;
  }

  /** Sends a message with an id; resolves with what comes back under it. */
  async request(type: string, payload: object = {}): Promise<ServerMessage> {
    this.#lastId += 1;
    const id = `r${this.#lastId}`;
    const { promise, resolve, reject } = Promise.withResolvers<ServerMessage>();
    this.#requests.set(id, resolve);
    void this.#closed.then(({ code }) => reject(new Error(`closed with ${code} before the answer to ${type}`)));
    this.send({ type, payload, id });
    return await within(promise, () => this.#waited(`the answer to ${type} ${JSON.stringify(payload)}`)).finally(() =>
      this.#requests.delete(id),
    );
  }

  /** Sends an object as JSON, or text and bytes as they stand. */
  send(frame: object | string | Buffer): void {
    this.socket.send(typeof frame === 'string' || Buffer.isBuffer(frame) ? frame : JSON.stringify(frame));
  }

  /** What came of this type, read or not. */
  all<T extends ServerMessageType>(type: T): Message<T>[] {
    return this.received.filter((message) => message.type === type) as Message<T>[];
  }

  async close(code = 1000): Promise<Closed> {
    this.socket.close(code);
    return await this.closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.terminate();
    await this.#closed;
  }

  async #find(matches: (message: ServerMessage) => boolean, what: string): Promise<ServerMessage> {
    const { promise, resolve, reject } = Promise.withResolvers<ServerMessage>();
    const look = () => {
      const index = this.#unread.findIndex(matches);
      const [found] = index < 0 ? [] : this.#unread.splice(index, 1);
      if (found) resolve(found);
      else if (this.socket.readyState === WebSocket.CLOSED) reject(new Error(`the socket closed before ${what}`));
      if (found) this.#lookers.delete(look);
    };
    this.#lookers.add(look);
    look();
    return await within(promise, () => this.#waited(what)).finally(() => this.#lookers.delete(look));
  }

  #waited(what: string): string {
    const last = this.received.slice(-10).map((message) => JSON.stringify(message));
    return `${what}; last came:\n${last.join('\n')}`;
  }
}

/** The WebSocket handshake, and nothing after it. @throws {HandshakeRefused} */
export async function open(app: { origin: string }, options: ConnectOptions = {}): Promise<Client> {
  const { as = 'someone', token = tokenFor(as), protocols = [], path = '/ws', headers, ...rest } = options;
  const socket = new WebSocket(app.origin + path, protocols, {
    ...rest,
    headers: { ...(token !== null && { Authorization: `Bearer ${token}` }), ...headers },
  });
  const client = new Client(socket);
  const { promise, resolve, reject } = Promise.withResolvers<Client>();
  socket.once('open', () => resolve(client));
  socket.once('error', reject);
  socket.once('unexpected-response', async (_request, response) => {
    const chunks: Buffer[] = [];
    response.on('data', (chunk: Buffer) => chunks.push(chunk));
    await once(response, 'end').catch(() => undefined);
    reject(new HandshakeRefused(response.statusCode ?? 0, response.headers, Buffer.concat(chunks).toString()));
  });
  return await within(promise, () => 'the handshake');
}

/** A client that has received `authenticated`; `you` holds its payload. */
export async function connect(app: { origin: string }, options: ConnectOptions = {}): Promise<Greeted> {
  const client = await open(app, options);
  const { payload: connected } = await client.next('connected');
  const { payload: you } = await client.next('authenticated');
  return Object.assign(client, { clientId: connected.clientId, instanceId: connected.instanceId, userId: you.userId });
}

export type Greeted = Client & { clientId: string; instanceId: string; userId: string };

/** How a handshake is refused. */
export async function refusal(app: { origin: string }, options: ConnectOptions): Promise<HandshakeRefused> {
  try {
    await using _client = await open(app, options);
  } catch (error) {
    if (error instanceof HandshakeRefused) return error;
    throw error;
  }
  throw new Error('the handshake was not refused');
}
