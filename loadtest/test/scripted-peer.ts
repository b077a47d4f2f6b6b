/** A WebSocket server that ends its connections in every way there is, by the path that was asked for. */
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';

export interface ScriptedPeer extends AsyncDisposable {
  /** ws://127.0.0.1:PORT */
  readonly url: string;
  /** Source addresses of its connections, in turn. */
  readonly addresses: string[];
  /** The `Sec-WebSocket-Protocol` that each asked for. */
  readonly protocols: (string | undefined)[];
}

type Way = (socket: WebSocket, raw: Socket) => void;

const ways: Record<string, Way> = {
  '/close-1000': (socket) => socket.close(1000),
  '/close-1001': (socket) => socket.close(1001),
  '/close-1012': (socket) => socket.close(1012, 'restarting'),
  '/close-4001': (socket) => socket.close(4001, 'token expired'),
  '/eof': (_socket, raw) => raw.destroy(),
  '/reset': (_socket, raw) => raw.resetAndDestroy(),
  '/stay': () => undefined,
  '/flood': (socket) => {
    for (let number = 0; number < 100; number += 1) socket.send(String(number));
  },
  '/echo': (socket) => socket.on('message', (data) => socket.send(data.toString())),
};

export async function startScriptedPeer(): Promise<ScriptedPeer> {
  const server = createServer();
  const wss = new WebSocketServer({ noServer: true });
  const addresses: string[] = [];
  const protocols: (string | undefined)[] = [];
  server.on('upgrade', (request: IncomingMessage, socket: Socket, head) => {
    addresses.push(request.socket.remoteAddress ?? '');
    protocols.push(request.headers['sec-websocket-protocol']);
    const way = ways[request.url ?? ''];
    if (!way) {
      socket.end('HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
      return;
    }
    // Ends once the client says that it is open: it must have seen that.
    wss.handleUpgrade(request, socket, head, (ws) => {
      ws.on('error', () => undefined);
      ws.once('message', () => way(ws, socket));
    });
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  return {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`,
    addresses,
    protocols,
    async [Symbol.asyncDispose]() {
      for (const client of wss.clients) client.terminate();
      await new Promise((resolve) => void server.close(resolve));
    },
  };
}
