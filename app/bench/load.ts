/** A closed loop of clients: each publisher sends its next message when its last is acknowledged. */
import { once } from 'node:events';
import { WebSocket } from 'ws';
import { createAuth } from '../src/auth.ts';
import { SECRET } from './server.ts';

export interface Shape {
  rooms: number;
  /** Of each room. */
  members: number;
  /** Of its members, those that publish. */
  publishers: number;
}

export interface Load {
  /** Runs the loop until so many messages have been delivered; resolves with how many it was. */
  run(deliveries: number): Promise<number>;
  close(): void;
}

const CONTENT = 'x'.repeat(100);
/** How a frame of this type begins. */
const ACK = Buffer.from('{"type":"ack"');
const JOINED = Buffer.from('{"type":"joined_room"');
const MESSAGE = Buffer.from('{"type":"message"');
const beginsWith = (data: Buffer, beginning: Buffer) => data.subarray(0, beginning.length).equals(beginning);

export async function connectLoad(origin: string, { rooms, members, publishers }: Shape): Promise<Load> {
  const auth = createAuth({ secret: SECRET, issuer: '', audience: '' });
  const loops: (() => void)[] = [];
  let delivered = 0;
  let running = false;
  let underWay = 0;
  let wanted = 0;
  let finish: (() => void) | undefined;

  async function join(index: number): Promise<WebSocket> {
    const room = `room${index % rooms}`;
    const token = auth.sign({ userId: `u${index}`, username: `u${index}` }, 3_600_000);
    const socket = new WebSocket(`${origin}/ws`, 'wsfleet.v1', {
      headers: { Authorization: `Bearer ${token}` },
      perMessageDeflate: false,
    });
    const joined = Promise.withResolvers<void>();
    await once(socket, 'open');
    socket.send(JSON.stringify({ type: 'join_room', payload: { room } }));
    const frame = JSON.stringify({ type: 'chat', payload: { room, content: CONTENT } });
    const publish = () => {
      underWay += 1;
      socket.send(frame);
    };
    socket.on('message', (data: Buffer) => {
      if (beginsWith(data, MESSAGE)) {
        delivered += 1;
        if (delivered >= wanted) running = false;
      } else if (beginsWith(data, ACK)) {
        underWay -= 1;
        if (running) publish();
        else if (underWay === 0) finish?.();
      } else if (beginsWith(data, JOINED)) {
        joined.resolve();
      }
    });
    await joined.promise;
    if (index < rooms * publishers) loops.push(publish);
    return socket;
  }

  const sockets: WebSocket[] = [];
  // A handful at a time: a listener's queue is short.
  for (let index = 0; index < rooms * members; index += 50) {
    const some = Array.from({ length: Math.min(50, rooms * members - index) }, (_, i) => join(index + i));
    sockets.push(...(await Promise.all(some)));
  }

  return {
    async run(deliveries) {
      delivered = 0;
      wanted = deliveries;
      running = true;
      const finished = new Promise<void>((resolve) => {
        finish = resolve;
      });
      for (const publish of loops) publish();
      await finished;
      return delivered;
    },
    close() {
      for (const socket of sockets) socket.terminate();
    },
  };
}
