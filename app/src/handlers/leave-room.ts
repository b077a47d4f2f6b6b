import { z } from 'zod';
import { defineHandler } from './handler.ts';

export const leaveRoom = defineHandler({
  type: 'leave_room',
  payload: z.object({ room: z.string() }),
  async handle({ rooms, connection }, { room }) {
    return (await rooms.leave(connection, room)) ?? { type: 'left_room', payload: { room } };
  },
});
