/** The operations that read rooms: members, count (scope `presence`) and history (scope `history`). */
import { z } from 'zod';
import type { Broker } from '../../broker/broker.ts';
import { type Position, parseOpenMessage } from '../../protocol.ts';
import type { PresenceEvents } from '../../rooms/presence-events.ts';
import { type AnyOperation, defineOperation } from './operation.ts';
import * as schemas from './schemas.ts';

const MAX_PAGE = 1000;
const DEFAULT_PAGE = 100;
const BEFORE_FIRST: Position = { epoch: '0', offset: 0 };

const inRoom = z.strictObject({ room: schemas.room });
const count = z.int().meta({ description: 'Users in the room; a user with several connections counts once' });

const after = z
  .string()
  .regex(/^[\w.-]{1,64}:\d{1,15}$/, 'expected EPOCH:OFFSET, as in `next`')
  .transform((text) => ({ epoch: text.slice(0, text.lastIndexOf(':')), offset: Number(text.split(':').at(-1)) }));
const limit = z
  .string()
  .regex(/^[1-9]\d{0,3}$/, `expected a number from 1 to ${MAX_PAGE}`)
  .transform(Number)
  .refine((value) => value <= MAX_PAGE, `expected a number from 1 to ${MAX_PAGE}`);

export function createRoomOperations(options: {
  broker: Pick<Broker, 'resume'>;
  presenceEvents: Pick<PresenceEvents, 'list'>;
}): AnyOperation[] {
  const { broker, presenceEvents } = options;
  return [
    defineOperation({
      id: 'members',
      method: 'get',
      path: '/v1/rooms/{room}/members',
      scope: 'presence',
      summary: 'The members of a room, at most 1,000 of them, and how many there are',
      params: inRoom,
      answer: z.object({ room: z.string(), members: z.array(schemas.member), memberCount: count }),
      async handle({ params }) {
        const { room, members = [], memberCount } = await presenceEvents.list(params.room);
        return { room, members, memberCount };
      },
    }),
    defineOperation({
      id: 'count',
      method: 'get',
      path: '/v1/rooms/{room}/count',
      scope: 'presence',
      summary: 'How many users are in a room',
      params: inRoom,
      answer: z.object({ room: z.string(), memberCount: count }),
      async handle({ params }) {
        const { room, memberCount } = await presenceEvents.list(params.room, 0);
        return { room, memberCount };
      },
    }),
    defineOperation({
      id: 'history',
      method: 'get',
      path: '/v1/rooms/{room}/history',
      scope: 'history',
      summary: 'The messages that a room keeps, from the oldest or after a position',
      params: z.strictObject({ room: schemas.roomOrAll }),
      query: z.strictObject({
        after: after
          .optional()
          .meta({ description: 'EPOCH:OFFSET: only messages after it', examples: ['k3Jd9aQz.1:42'] }),
        limit: limit.optional().meta({ description: `Most messages, 1 to ${MAX_PAGE}; ${DEFAULT_PAGE} if not given` }),
      }),
      answer: z.object({
        messages: z.array(
          z.object({
            position: schemas.position,
            timestamp: z.int().meta({ description: 'Milliseconds since the Unix epoch' }),
            from: schemas.sender,
            content: schemas.content,
          }),
        ),
        recovery: z.enum(['recovered', 'rewound', 'gap']).meta({
          description: 'Whether the history continues from `after`; otherwise messages between are gone',
        }),
        next: z.string().meta({ description: '`after` for the next request' }),
        more: z.boolean().meta({ description: 'There are more messages now' }),
      }),
      async handle({ params: { room }, query }) {
        const page = await broker.resume(room, query.after ?? BEFORE_FIRST, query.limit ?? DEFAULT_PAGE);
        const { epoch } = page.head;
        const messages = page.entries.map(({ offset, body }) => {
          const frame = parseOpenMessage(body.toString(), { epoch, offset });
          const { from, content } = frame.payload;
          return { position: { epoch, offset }, timestamp: frame.timestamp, from, content };
        });
        const last = messages.at(-1)?.position.offset ?? page.from.offset;
        // From the oldest, nothing was asked for that could be missing.
        const recovery = query.after ? page.recovery : 'recovered';
        return { messages, recovery, next: `${epoch}:${last}`, more: last < page.head.offset };
      },
    }),
  ];
}
