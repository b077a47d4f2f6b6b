/** Tells the others in the room; not kept, and not answered when all is well. */
import { z } from 'zod';
import { defineHandler } from './handler.ts';

export const typing = defineHandler({
  type: 'typing',
  payload: z.object({ room: z.string(), isTyping: z.boolean() }),
  handle: ({ instance, connection }, { room, isTyping }) => instance.typing(connection, room, isTyping),
});
