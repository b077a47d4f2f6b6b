/** What several operations of the server API have in common. */
import { z } from 'zod';
import { MAX_ID_LENGTH, ROOM_ALL, ROOM_PATTERN } from '../../protocol.ts';
import { problemCodes } from './problem.ts';

/** Entries of one request: messages of a batch, rooms of a broadcast. */
export const MAX_BATCH = 1000;

export const room = z
  .string()
  .regex(ROOM_PATTERN, 'expected 1 to 128 letters, digits and _ . : -')
  .meta({ id: 'Room', description: 'A room: 1 to 128 letters, digits and _ . : -', examples: ['lobby'] });
export const roomOrAll = z.union([room, z.literal(ROOM_ALL)], `expected a room or ${ROOM_ALL}`);
export const userId = z.string().min(1).max(128).meta({ description: 'The `sub` of the user’s token' });
export const clientId = z.string().min(1).max(128).meta({ description: 'The id of one connection' });
export const content = z
  .union([z.string().min(1), z.record(z.string(), z.unknown())], 'expected a text that is not empty, or an object')
  .meta({
    id: 'Content',
    description: 'Text, or an object, which members get as an object; at most MAX_CONTENT_LENGTH characters as JSON',
  });
export const id = z.string().min(1).max(MAX_ID_LENGTH).meta({
  description: 'Chosen by the caller. A message that is sent again with the same id is stored once',
});

export const position = z
  .object({ epoch: z.string(), offset: z.int() })
  .meta({ id: 'Position', description: 'A place in a room’s history' });
export const member = z.object({ userId: z.string(), username: z.string() }).meta({ id: 'Member' });
export const sender = z
  .object({ userId: z.string(), username: z.string(), clientId: z.string(), instanceId: z.string() })
  .meta({ id: 'Sender' });
export const problem = z
  .object({
    type: z.literal('about:blank'),
    title: z.string(),
    status: z.int(),
    code: z.enum(problemCodes),
    detail: z.string(),
    errors: z.array(z.object({ field: z.string(), message: z.string() })).optional(),
    scope: z.string().optional().meta({ description: 'The scope that the key lacks' }),
    uncertain: z.boolean().optional().meta({
      description: 'The outcome is unknown: what was asked may have been done. Repeat it with the same id',
    }),
  })
  .meta({ id: 'Problem', description: 'RFC 9457' });
