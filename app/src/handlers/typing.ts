/** Shows the other members that the user is typing. Not stored; only a refusal is answered. */
import { z } from 'zod';
import { defineHandler } from './handler.ts';

export const typing = defineHandler({
  type: 'typing',
  payload: z.object({ room: z.string(), isTyping: z.boolean() }),
  handle: ({ rooms, connection }, { room, isTyping }) => rooms.typing(connection, room, isTyping),
});
