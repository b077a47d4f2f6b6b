/** A closed loop of clients: each publisher sends its next message when its last is acknowledged. */
import { type BenchSocket, openAll, openMember } from './client.ts';
import { type Dialect, kitDialect } from './dialect.ts';
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
export async function connectLoad(
  origin: string,
  { rooms, members, publishers }: Shape,
  dialect: Dialect = kitDialect,
): Promise<Load> {
  const loops: (() => void)[] = [];
  let delivered = 0;
  let running = false;
  let underWay = 0;
  let wanted = 0;
  let finish: (() => void) | undefined;

  async function join(index: number): Promise<BenchSocket> {
    const room = `room${index % rooms}`;
    const frame = dialect.chat(room, CONTENT);
    const publish = () => {
      underWay += 1;
      socket.send(frame);
    };
    const socket = await openMember(origin, dialect, tokenFor(index), room, (data) => {
      if (dialect.isMessage(data)) {
        delivered += 1;
        if (delivered >= wanted) running = false;
      } else if (dialect.isAck(data)) {
        underWay -= 1;
        if (running) publish();
        else if (underWay === 0) finish?.();
      }
    });
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
