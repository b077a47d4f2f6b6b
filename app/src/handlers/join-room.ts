/** Joins a room: from a position, with a replay of missed messages, or from now. */
import { z } from 'zod';
import { defineHandler } from './handler.ts';

export const joinRoom = defineHandler({
  type: 'join_room',
  payload: z.object({
    room: z.string(),
    position: z.object({ epoch: z.string().min(1).max(64), offset: z.int().min(0) }).optional(),
  }),
  async handle({ rooms, connection, id }, { room, position }) {
    // The answer comes before the replay, not after it.
    const refusal = await rooms.join(connection, room, position, (joined) => {
      connection.send('joined_room', { room, ...joined }, id);
    });
    return refusal && { ...refusal, field: 'room' };
  },
});
