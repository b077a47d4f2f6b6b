/** How many messages one server delivers in a second: each publisher sends its next when its last is acknowledged. */
import { separateCores } from './cores.ts';
import { connectLoad, type Shape } from './load.ts';
import { type Measure, type Row, sideBySide, timed } from './side-by-side.ts';

const SHAPES = [
  { rooms: 1000, members: 2, publishers: 1, deliveries: 100_000 },
  { rooms: 10, members: 100, publishers: 4, deliveries: 500_000 },
  { rooms: 1, members: 1000, publishers: 4, deliveries: 500_000 },
  { rooms: 10, members: 100, publishers: 16, deliveries: 1_000_000 },
];

export function measureDeliveries({ deliveries: count, ...shape }: Shape & { deliveries: number }): Measure {
  return async ({ origin }, { dialect }) => {
    const load = await connectLoad(origin, shape, dialect);
    try {
      // Until the code is compiled.
      await load.run(count / 4);
      return await timed(() => load.run(count));
    } finally {
      load.close();
    }
  };
}

export async function deliveries(): Promise<Row[]> {
  separateCores();
  const rows: Row[] = [];
  for (const shape of SHAPES) {
    const title = `deliveries: ${shape.rooms} ${shape.rooms === 1 ? 'room' : 'rooms'} of ${shape.members}, ${shape.publishers} publishing in each`;
    rows.push(await sideBySide(title, measureDeliveries(shape)));
  }
  return rows;
}
