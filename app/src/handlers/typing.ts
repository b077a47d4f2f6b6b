/** Tells the others in the room; not kept, and not answered when all is well. */
import { z } from 'zod';
import { defineHandler } from './handler.ts';

export const typing = defineHandler({
  type: 'typing',
  payload: z.object({ room: z.string(), isTyping: z.boolean() }),
  handle: ({ rooms, connection }, { room, isTyping }) => rooms.typing(connection, room, isTyping),
});
