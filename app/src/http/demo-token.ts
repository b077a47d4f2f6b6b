/** Issues a token for any name. For trying out the kit, and only with DEMO=true. */
import express, { type RequestHandler, Router } from 'express';
import { z } from 'zod';
import { type Auth, visibleName } from '../connection/auth.ts';

const TTL_MS = 60 * 60 * 1000;

const body = z.object({ name: z.string().trim().pipe(visibleName(32)) });

export function demoToken(auth: Auth): RequestHandler {
  return Router().post('/demo/token', express.json({ limit: '1kb' }), (request, response) => {
    const parsed = body.safeParse(request.body);
    if (!parsed.success) {
      const message = parsed.error.issues[0]?.message ?? 'bad name';
      response.status(400).json({ error: { code: 'INVALID_NAME', message, field: 'name' } });
      return;
    }
    const { name } = parsed.data;
    const userId = `demo:${name.toLowerCase()}`;
    const token = auth.sign({ userId, username: name }, TTL_MS);
    response.set('Cache-Control', 'no-store').json({ token, userId, username: name, expiresAt: Date.now() + TTL_MS });
  });
}
