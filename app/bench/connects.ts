/** How many clients connect and join a room in a second, on a server that has just started. */
import { type BenchSocket, openMember } from './client.ts';
import { separateCores } from './cores.ts';
import { tokenFor } from './server.ts';
import { type Measure, type Row, sideBySide, timed } from './side-by-side.ts';

const SHAPES = [
  { clients: 10_000, rooms: 1000 },
  { clients: 1000, rooms: 1 },
  { clients: 1000, rooms: 10 },
];
/** Clients that connect at the same time. */
const IN_FLIGHT = 200;

export function measureConnects({ clients, rooms }: (typeof SHAPES)[number]): Measure {
  const tokens = Array.from({ length: clients }, (_, index) => tokenFor(index));
  return async ({ origin }, { dialect }) => {
    const sockets: BenchSocket[] = [];
    let next = 0;
    async function connectInTurn(): Promise<void> {
      for (let index = next++; index < clients; index = next++) {
        const room = `room${index % rooms}`;
        sockets.push(await openMember(origin, dialect, tokens[index] ?? '', room, () => undefined));
      }
    }
    try {
      return await timed(async () => {
        await Promise.all(Array.from({ length: IN_FLIGHT }, connectInTurn));
        return clients;
      });
    } finally {
      for (const socket of sockets) socket.terminate();
    }
  };
}

export async function connects(): Promise<Row[]> {
  separateCores();
  const rows: Row[] = [];
  for (const shape of SHAPES) {
    const { clients, rooms } = shape;
    const title = `connect and join: ${clients} clients, ${rooms} ${rooms === 1 ? 'room' : 'rooms'}`;
    rows.push(await sideBySide(title, measureConnects(shape)));
  }
  return rows;
}
