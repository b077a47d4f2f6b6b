/** Goes on with a new token of the same user; the connection keeps its rooms. */
import { z } from 'zod';
import { defineHandler } from './handler.ts';

export const refreshToken = defineHandler({
  type: 'refresh_token',
  payload: z.object({ token: z.string() }),
  handle({ connection, auth, tokenExpiry }, { token }) {
    const verdict = auth.verify(token);
    if ('problem' in verdict) return { refused: 'TOKEN_INVALID', message: verdict.message, field: 'token' };
    const { userId, username, rooms, expiresAt } = verdict.identity;
    if (userId !== connection.user.userId) {
      return { refused: 'TOKEN_INVALID', message: 'the token belongs to another user', field: 'token' };
    }
    Object.assign(connection.user, { username, rooms, expiresAt });
    tokenExpiry.watch(connection);
    return { type: 'authenticated', payload: { userId, username, expiresAt } };
  },
});
