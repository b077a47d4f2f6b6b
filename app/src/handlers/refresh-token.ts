/** Goes on with a new token of the same user; the connection keeps the rooms that the new one allows. */
import { z } from 'zod';
import { defineHandler } from './handler.ts';

export const refreshToken = defineHandler({
  type: 'refresh_token',
  payload: z.object({ token: z.string() }),
  async handle({ connection, instance, auth, tokenExpiry }, { token }) {
    const verdict = auth.verify(token);
    if ('problem' in verdict) return { refused: 'TOKEN_INVALID', message: verdict.message, field: 'token' };
    const { userId, username, rooms, expiresAt } = verdict.identity;
    if (userId !== connection.user.userId) {
      return { refused: 'TOKEN_INVALID', message: 'the token belongs to another user', field: 'token' };
    }
    Object.assign(connection.user, { username, rooms, expiresAt });
    tokenExpiry.watch(connection);
    for (const room of connection.rooms) {
      if (!rooms || room.startsWith('@') || rooms.includes(room)) continue;
      await instance.leave(connection, room);
      connection.send('left_room', { room });
    }
    return { type: 'authenticated', payload: { userId, username, expiresAt } };
  },
});
