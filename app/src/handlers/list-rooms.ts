/** Lists the rooms that this connection is in. */
import { z } from 'zod';
import { defineHandler } from './handler.ts';

export const listRooms = defineHandler({
  type: 'list_rooms',
  payload: z.object({}),
  handle: ({ connection }) => ({ type: 'rooms', payload: { rooms: [...connection.rooms] } }),
});
