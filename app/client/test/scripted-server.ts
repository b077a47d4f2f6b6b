/** A real WebSocket server that does what a test tells it to. */
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';

export interface ClientFrame {
  type: string;
  payload: Record<string, unknown>;
  id?: string;
}

/** The server's end of one connection. */
export interface Peer {
  request: IncomingMessage;
  /** What the client offered. */
  protocols: string[];
  token: string | undefined;
  /** The next frame of the client, of `type` when given (others before it are passed over). */
  next(type?: string): Promise<ClientFrame>;
  /** Frames that no one has asked for yet. */
  readonly unread: readonly ClientFrame[];
  send(type: string, payload: object, id?: string): void;
  /** A frame as it stands; a Buffer goes out as a binary one. */
  sendRaw(data: string | Buffer): void;
  /** Several frames in one write, so that the client reads them at once. */
  sendTogether(frames: readonly { type: string; payload: object; id?: string }[]): void;
  greet(instanceId?: string): void;
  /** Answers the joins that come, in order, until all of `rooms` are joined. */
  acceptJoins(rooms: readonly string[]): Promise<void>;
  close(code: number, reason?: string): void;
  /** Cuts it without a close frame. */
  terminate(): void;
  /** The code that it ended with. */
  closed: Promise<number>;
}

export interface ScriptedServer {
  url: string;
  /** The next connection that a client opens. */
  accept(): Promise<Peer>;
  /** Connections that were opened so far. */
  readonly count: number;
  close(): Promise<void>;
}

export async function createScriptedServer(): Promise<ScriptedServer> {
  const server = new WebSocketServer({
    port: 0,
    host: '127.0.0.1',
    handleProtocols: (offered) => (offered.has('wsfleet.v1') ? 'wsfleet.v1' : false),
  });
  await once(server, 'listening');
  const peers = createQueue<Peer>();
  let count = 0;
  server.on('connection', (ws, request) => {
    count += 1;
    peers.push(createPeer(ws, request, `client-${count}`));
  });
  return {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}/ws`,
    accept: () => peers.take(),
    get count() {
      return count;
    },
    close: async () => {
      for (const ws of server.clients) ws.terminate();
      server.close();
      await once(server, 'close');
    },
  };
}

function createPeer(ws: WebSocket, request: IncomingMessage, clientId: string): Peer {
  const frames = createQueue<ClientFrame>();
  const protocols = (request.headers['sec-websocket-protocol'] ?? '').split(',').map((entry) => entry.trim());
  ws.on('message', (data) => frames.push(JSON.parse(String(data))));
  const frame = (type: string, payload: object, id?: string) =>
    JSON.stringify({ type, payload, timestamp: 1_700_000_000_000, id });
  const peer: Peer = {
    request,
    protocols,
    token: protocols.find((entry) => entry.startsWith('bearer.'))?.slice('bearer.'.length),
    unread: frames.items,
    async next(type) {
      for (;;) {
        const taken = await frames.take();
        if (type === undefined || taken.type === type) return taken;
      }
    },
    send: (type, payload, id) => ws.send(frame(type, payload, id)),
    sendRaw: (data) => ws.send(data),
    sendTogether(list) {
      const socket = (ws as unknown as { _socket: { cork(): void; uncork(): void } })._socket;
      socket.cork();
      for (const { type, payload, id } of list) ws.send(frame(type, payload, id));
      socket.uncork();
    },
    greet(instanceId = 'app1') {
      peer.send('connected', {
        clientId,
        instanceId,
        heartbeat: { interval: 30_000, timeout: 10_000 },
        limits: { maxFrameBytes: 65_536, maxContentLength: 4_096, maxRooms: 100, ratePerMinute: 60, burst: 20 },
      });
      peer.send('authenticated', { userId: 'u1', username: 'alice', expiresAt: 1_700_000_000_000 });
    },
    async acceptJoins(rooms) {
      const open = new Set(rooms);
      while (open.size > 0) {
        const { payload, id } = await peer.next('join_room');
        peer.send(
          'joined_room',
          { room: payload['room'], memberCount: 1, recovery: 'none', position: { epoch: 'e', offset: 0 }, replayed: 0 },
          id,
        );
        open.delete(String(payload['room']));
      }
    },
    close: (code, reason) => ws.close(code, reason),
    terminate: () => ws.terminate(),
    closed: once(ws, 'close').then(([code]) => code as number),
  };
  return peer;
}

function createQueue<T>() {
  const items: T[] = [];
  const takers: ((item: T) => void)[] = [];
  return {
    items: items as readonly T[],
    push(item: T): void {
      const taker = takers.shift();
      if (taker) taker(item);
      else items.push(item);
    },
    take: (): Promise<T> =>
      new Promise((resolve) => {
        const item = items.shift();
        if (item === undefined) takers.push(resolve);
        else resolve(item);
      }),
  };
}
