/**
 * The least that a WebSocket server with rooms can do: bare ws and one framed buffer for each message. No Redis, numbers,
 * history, tokens or limits; what it answers is prepared.
 */
import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { WebSocketServer } from 'ws';
import { encodeTextFrame } from '../src/connection/frame.ts';
import { encode } from '../src/protocol.ts';

const position = { epoch: '0', offset: 0 };
const greeting = encode('authenticated', { userId: 'u', username: 'u', expiresAt: 0 });
const joined = encode('joined_room', { room: 'r', memberCount: 1, position, recovery: 'none', replayed: 0 });
const ack = encode('ack', { position, duplicate: false });
const from = { userId: 'u', username: 'u', clientId: 'c', instanceId: 'i' };

const rooms = new Map<string, Set<Socket>>();

const server = createServer();
new WebSocketServer({ server, perMessageDeflate: false, handleProtocols: ([first = '']) => first }).on(
  'connection',
  (ws, { socket }) => {
    ws.send(greeting);
    ws.on('message', (data) => {
      const { type, payload } = JSON.parse(String(data)) as {
        type: string;
        payload: { room: string; content: string };
      };
      const { room, content } = payload;
      if (type === 'join_room') {
        const members = rooms.get(room) ?? new Set();
        rooms.set(room, members.add(socket));
        ws.send(joined);
      } else {
        const frame = encodeTextFrame(Buffer.from(encode('message', { room, from, content })));
        for (const member of rooms.get(room) ?? []) member.write(frame);
        ws.send(ack);
      }
    });
  },
);
server.listen(Number(process.env['PORT'] ?? 0), '127.0.0.1', 4096, () => {
  const { port } = server.address() as AddressInfo;
  console.log(JSON.stringify({ event: 'listening', port }));
});
