/** A closed loop of clients: each publisher sends its next message when its last is acknowledged. */
import { type BenchSocket, frameTest, openAll, openSocket } from './client.ts';
import { tokenFor } from './server.ts';

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
const isAck = frameTest('ack');
const isJoined = frameTest('joined_room');
const isMessage = frameTest('message');

export async function connectLoad(origin: string, { rooms, members, publishers }: Shape): Promise<Load> {
  const loops: (() => void)[] = [];
  let delivered = 0;
  let running = false;
  let underWay = 0;
  let wanted = 0;
  let finish: (() => void) | undefined;

  async function join(index: number): Promise<BenchSocket> {
    const room = `room${index % rooms}`;
    const joined = Promise.withResolvers<void>();
    const frame = JSON.stringify({ type: 'chat', payload: { room, content: CONTENT } });
    const publish = () => {
      underWay += 1;
      socket.send(frame);
    };
    const socket = await openSocket(`${origin}/ws`, tokenFor(index), (data) => {
      if (isMessage(data)) {
        delivered += 1;
        if (delivered >= wanted) running = false;
      } else if (isAck(data)) {
        underWay -= 1;
        if (running) publish();
        else if (underWay === 0) finish?.();
      } else if (isJoined(data)) {
        joined.resolve();
      }
    });
    socket.send(JSON.stringify({ type: 'join_room', payload: { room } }));
    await joined.promise;
    if (index < rooms * publishers) loops.push(publish);
    return socket;
  }

  const sockets = await openAll(rooms * members, join);

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
