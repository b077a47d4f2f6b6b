/** What stands between the clients and the instances in a test, and does harm to their frames. */
import { createServer as createHttpServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { WebSocket, WebSocketServer } from 'ws';

export interface Gate extends AsyncDisposable {
  readonly url: string;
}

/** Passes connections on to the instances in turn, past those that do not listen. @param hold how long each waits, in ms */
export async function startBalancer(ports: readonly number[], hold = () => 0): Promise<Gate> {
  const sockets = new Set<Socket>();
  let turn = 0;
  const server = createServer((client) => {
    sockets.add(client);
    client.on('error', () => undefined);
    turn += 1;
    const order = ports.map((_, index) => ports[(turn + index) % ports.length] as number);
    const attempt = (): void => {
      const port = order.shift();
      if (port === undefined) return void client.destroy();
      const upstream = connect(port, '127.0.0.1');
      upstream.once('error', attempt);
      upstream.once('connect', () => {
        upstream.off('error', attempt);
        upstream.on('error', () => client.destroy());
        upstream.on('close', () => client.destroy());
        client.on('close', () => upstream.destroy());
        client.pipe(upstream).pipe(client);
      });
    };
    setTimeout(attempt, hold());
  });
  return listen(server, () => {
    for (const socket of sockets) socket.destroy();
  });
}

/** A frame of the server that a client is to get: `send` may be called never, once or twice, now or later. */
export type Meddle = (text: string, send: (text: string) => void) => void;

/** Passes frames on; those of one type by way of `meddle`, which is made for each connection. */
export async function startMeddler(target: string, createMeddle: () => Meddle, type = 'message'): Promise<Gate> {
  const server = createHttpServer();
  const wss = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    handleProtocols: ([first]) => first ?? false,
  });
  server.on('upgrade', (request: IncomingMessage, socket, head) => {
    const protocols = request.headers['sec-websocket-protocol']?.split(', ') ?? [];
    const headers = { Authorization: request.headers.authorization ?? '' };
    const upstream = new WebSocket(target + (request.url ?? ''), protocols, { headers, perMessageDeflate: false });
    upstream.on('error', () => socket.destroy());
    upstream.once('open', () => {
      wss.handleUpgrade(request, socket, head, (client) => {
        const meddle = createMeddle();
        const send = (text: string) => client.readyState === client.OPEN && client.send(text);
        for (const text of early.splice(0)) pass(text);
        function pass(text: string): void {
          if (text.startsWith(`{"type":"${type}"`)) meddle(text, send);
          else send(text);
        }
        forward = pass;
        client.on('message', (data) => upstream.send(data.toString()));
        client.on('close', () => upstream.close());
        upstream.on('close', () => client.terminate());
      });
    });
    // What comes before the client's own handshake is done.
    const early: string[] = [];
    let forward = (text: string): void => void early.push(text);
    upstream.on('message', (data) => forward(data.toString()));
  });
  return listen(server, () => {
    for (const client of wss.clients) client.terminate();
  });
}

async function listen(server: Server, cut: () => void): Promise<Gate> {
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  return {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}/ws`,
    async [Symbol.asyncDispose]() {
      cut();
      await new Promise((resolve) => void server.close(resolve));
    },
  };
}
