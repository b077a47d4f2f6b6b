/** Continues with a new token of the same user; the connection leaves the rooms that the new token does not allow. */
import { z } from 'zod';
import { defineHandler } from './handler.ts';

export const refreshToken = defineHandler({
  type: 'refresh_token',
  payload: z.object({ token: z.string() }),
  async handle({ connection, rooms, authenticate, tokenExpiry }, { token }) {
    const verdict = await authenticate({ token });
    if ('problem' in verdict && verdict.problem === 'AUTH_UNAVAILABLE') {
      return { refused: 'UNAVAILABLE', message: verdict.message, retryAfter: 1000 };
    }
    if ('problem' in verdict) return { refused: 'TOKEN_INVALID', message: verdict.message, field: 'token' };
    const { userId, username, expiresAt } = verdict.identity;
    if (userId !== connection.user.userId) {
      return { refused: 'TOKEN_INVALID', message: 'the token belongs to another user', field: 'token' };
    }
    const left = await rooms.updateUser(connection, verdict.identity);
    tokenExpiry.watch(connection);
    for (const room of left) connection.send('left_room', { room });
    return { type: 'authenticated', payload: { userId, username, expiresAt } };
  },
});
