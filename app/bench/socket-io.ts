/**
 * What users would pick instead: Socket.IO with its Redis streams adapter, tokens and connection state recovery. It has no
 * presence, numbers or history per room, and its acknowledgement does not wait for Redis.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAdapter } from '@socket.io/redis-streams-adapter';
import { createClient } from 'redis';
import { Server, type Socket } from 'socket.io';
import { createAuth } from '../src/connection/auth.ts';

const auth = createAuth({ secret: process.env['JWT_SECRET'] ?? '', issuer: '', audience: '' });
const redis = createClient({ url: process.env['REDIS_URL'] ?? '' });
redis.on('error', console.error);
await redis.connect();

const server = createServer();
const io = new Server(server, {
  transports: ['websocket'],
  adapter: createAdapter(redis),
  connectionStateRecovery: {},
  // The generator does not answer pings.
  pingInterval: 600_000,
});

io.use((socket, next) => {
  void Promise.resolve(auth.verify(socket.handshake.auth['token'] as string)).then((verdict) => {
    if ('problem' in verdict) return next(new Error(verdict.message));
    socket.data = verdict.identity;
    next();
  });
});

io.on('connection', (socket: Socket) => {
  const { userId, username } = socket.data as { userId: string; username: string };
  const from = { userId, username, clientId: socket.id };
  socket.on('join_room', async (room: string, answer: (joined: object) => void) => {
    await socket.join(room);
    answer({ room });
  });
  socket.on('chat', (room: string, content: string, answer: (ack: object) => void) => {
    io.to(room).emit('message', { room, from, content, timestamp: Date.now() });
    answer({});
  });
});

server.listen(0, '127.0.0.1', 4096, () => {
  const { port } = server.address() as AddressInfo;
  console.log(JSON.stringify({ event: 'listening', port }));
});
