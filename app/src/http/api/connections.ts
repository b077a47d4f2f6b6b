/** The operations on connections, on whichever instance they are. */
import { z } from 'zod';
import { closeCodes } from '../../close-codes.ts';
import type { Fleet } from '../../fleet.ts';
import { TooManyRevocations } from '../../revocations/revocations.ts';
import { type AnyOperation, defineOperation } from './operation.ts';
import { Problem } from './problem.ts';
import * as schemas from './schemas.ts';

const ofUser = z.strictObject({ userId: schemas.userId });
const inRoom = z.strictObject({ userId: schemas.userId, room: schemas.room });
const kicked = closeCodes.KICKED.code;

const connection = z
  .object({
    clientId: z.string(),
    userId: z.string(),
    username: z.string(),
    instanceId: z.string(),
    rooms: z.array(z.string()),
    expiresAt: z.number().meta({ description: 'When its token expires, in milliseconds since the Unix epoch' }),
  })
  .meta({ id: 'Connection' });

const status = z
  .object({
    instanceId: z.string(),
    state: z.enum(['ready', 'unavailable', 'draining']),
    uptimeSeconds: z.number(),
    connections: z.int(),
    leaving: z.int(),
    rooms: z.int(),
    messagesPerSecond: z.number(),
    deliveriesPerSecond: z.number(),
    rssBytes: z.int(),
    version: z.string(),
  })
  .meta({ id: 'Instance' });

export function createConnectionOperations({ fleet }: { fleet: Fleet }): AnyOperation[] {
  return [
    defineOperation({
      id: 'connections',
      method: 'get',
      path: '/v1/users/{userId}/connections',
      scope: 'presence',
      summary: 'The connections of a user',
      params: ofUser,
      answer: z.object({ connections: z.array(connection) }),
      handle: async ({ params }) => ({ connections: await fleet.connectionsOf(params.userId) }),
    }),
    defineOperation({
      id: 'disconnect',
      method: 'post',
      path: '/v1/disconnect',
      scope: 'manage',
      summary: 'Close the connections of a user, or one connection',
      body: z.union(
        [z.strictObject({ userId: schemas.userId }), z.strictObject({ clientId: schemas.clientId })].map((target) =>
          target.extend({
            code: z
              .int()
              .min(4000)
              .max(4999)
              .optional()
              .meta({
                description: `Close code; clients come back after 4000 to 4499, and stay away after 4500 to 4999. ${kicked} if not given`,
              }),
          }),
        ) as unknown as [z.ZodType<{ userId: string; code?: number }>, z.ZodType<{ clientId: string; code?: number }>],
        'expected {userId} or {clientId}, and optionally code from 4000 to 4999',
      ),
      answer: z.object({ disconnected: z.int().meta({ description: 'How many connections were closed' }) }),
      handle: async ({ body: { code = kicked, ...target } }) => ({
        disconnected: await fleet.disconnect(target, code),
      }),
    }),
    defineOperation({
      id: 'revoke',
      method: 'post',
      path: '/v1/revoke',
      scope: 'manage',
      summary:
        'Refuse the tokens that a user has now, the token of a connection, or the token with a jti, until they expire',
      body: z.union(
        [
          z.strictObject({ userId: schemas.userId }),
          z.strictObject({ clientId: schemas.clientId }),
          z.strictObject({ jti: z.string().min(1).max(128) }),
        ],
        'expected {userId}, {clientId} or {jti}',
      ),
      answer: z.object({ disconnected: z.int().meta({ description: 'How many connections were closed' }) }),
      async handle({ body }) {
        try {
          const disconnected = await fleet.revoke(body);
          if (disconnected === undefined) throw new Problem(404, 'NOT_FOUND', 'there is no such connection');
          return { disconnected };
        } catch (error) {
          if (!(error instanceof TooManyRevocations)) throw error;
          throw new Problem(503, 'UNAVAILABLE', 'too many tokens are revoked', { retryAfter: 60 });
        }
      },
    }),
    defineOperation({
      id: 'subscribe',
      method: 'post',
      path: '/v1/users/{userId}/rooms/{room}',
      scope: 'manage',
      summary: 'Let the connections that a user has now join a room, as far as their tokens allow it',
      params: inRoom,
      answer: z.object({
        joined: z.int().meta({ description: 'Connections that are in the room now' }),
        refused: z.int().meta({ description: 'Connections whose token or limits do not allow it' }),
      }),
      handle: ({ params: { userId, room } }) => fleet.join(userId, room),
    }),
    defineOperation({
      id: 'unsubscribe',
      method: 'delete',
      path: '/v1/users/{userId}/rooms/{room}',
      scope: 'manage',
      summary: 'Let the connections of a user leave a room',
      params: inRoom,
      answer: z.object({ left: z.int() }),
      handle: async ({ params: { userId, room } }) => ({ left: await fleet.leave(userId, room) }),
    }),
    defineOperation({
      id: 'stats',
      method: 'get',
      path: '/v1/stats',
      scope: 'manage',
      summary: 'What every instance says about itself, and the sum of their connections',
      answer: z.object({ connections: z.int(), instances: z.array(status) }),
      async handle() {
        const instances = await fleet.status();
        return { connections: instances.reduce((sum, { connections }) => sum + connections, 0), instances };
      },
    }),
  ];
}
