/** An application-level ping, for browsers, which cannot send WebSocket pings. */
import { z } from 'zod';
import { defineHandler } from './handler.ts';

export const ping = defineHandler({
  type: 'ping',
  payload: z.object({}),
  handle: () => ({ type: 'pong', payload: {} }),
});
