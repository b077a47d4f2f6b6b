/** Puts the connection into a room: from a position on, with what it missed, or from now. */
import { z } from 'zod';
import { defineHandler } from './handler.ts';

export const joinRoom = defineHandler({
  type: 'join_room',
  payload: z.object({
    room: z.string(),
    position: z.object({ epoch: z.string().min(1).max(64), offset: z.int().min(0) }).optional(),
  }),
  async handle({ rooms, connection, id }, { room, position }) {
    // Answered before the first message of the room, not after the last that was missed.
    const refusal = await rooms.join(connection, room, position, (joined) => {
      connection.send('joined_room', { room, ...joined }, id);
    });
    return refusal && { ...refusal, field: 'room' };
  },
});
