/** The least that a WebSocket server can do: bare ws, which greets, and answers every message, with prepared frames. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';
import { encode } from '../src/protocol.ts';

const greeting = encode('authenticated', { userId: 'u', username: 'u', expiresAt: 0 });
const position = { epoch: '0', offset: 0 };
const joined = encode('joined_room', { room: 'r', memberCount: 1, position, recovery: 'none', replayed: 0 });

const server = createServer();
new WebSocketServer({ server, perMessageDeflate: false, handleProtocols: ([first = '']) => first }).on(
  'connection',
  (socket) => {
    socket.send(greeting);
    socket.on('message', () => socket.send(joined));
  },
);
server.listen(0, '127.0.0.1', 4096, () => {
  const { port } = server.address() as AddressInfo;
  console.log(JSON.stringify({ event: 'listening', port }));
});
