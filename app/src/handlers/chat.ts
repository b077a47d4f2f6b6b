/** Sends a message to a room, or to everyone if no room is given; with `echo: false` not to the connection itself. */
import { z } from 'zod';
import { contentRefusal, defineHandler } from './handler.ts';

export const chat = defineHandler({
  type: 'chat',
  aliases: ['room_message'],
  payload: z.object({ room: z.string().optional(), content: z.string().min(1), echo: z.boolean().optional() }),
  async handle(context, { room, content, echo }) {
    const tooLong = contentRefusal(context, content);
    if (tooLong) return tooLong;
    const ack = await context.publisher.publish(context.connection, { room, content, echo, id: context.id });
    return 'refused' in ack ? ack : { type: 'ack', payload: ack };
  },
});
