/** Sends a message to one user or one connection, on any instance. */
import { z } from 'zod';
import { contentRefusal, defineHandler } from './handler.ts';

const name = z.string().min(1).max(128);

export const direct = defineHandler({
  type: 'direct',
  payload: z.object({
    to: z.union(
      [z.strictObject({ userId: name }), z.strictObject({ clientId: name })],
      'expected {userId} or {clientId}',
    ),
    content: z.string().min(1),
  }),
  async handle(context, { to, content }) {
    const tooLong = contentRefusal(context, content);
    if (tooLong) return tooLong;
    const ack = await context.publisher.direct(context.connection, { to, content, id: context.id });
    return 'refused' in ack ? ack : { type: 'ack', payload: ack };
  },
});
