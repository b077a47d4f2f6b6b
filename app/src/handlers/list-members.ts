/** Lists the members of a room across the cluster. */
import { z } from 'zod';
import { defineHandler } from './handler.ts';

export const listMembers = defineHandler({
  type: 'list_members',
  payload: z.object({ room: z.string() }),
  async handle({ rooms, connection }, { room }) {
    const members = await rooms.members(connection, room);
    return 'refused' in members ? members : { type: 'members', payload: members };
  },
});
