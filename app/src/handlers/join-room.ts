import { z } from 'zod';
import { defineHandler } from './handler.ts';

export const joinRoom = defineHandler({
  type: 'join_room',
  payload: z.object({ room: z.string() }),
  async handle({ instance, connection }, { room }) {
    const joined = await instance.join(connection, room);
    if ('refused' in joined) return { ...joined, field: 'room' };
    return { type: 'joined_room', payload: { room, memberCount: joined.memberCount, position: null } };
  },
});
