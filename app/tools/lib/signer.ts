/**
 * Signs tokens for the tools. It does not use the app's code, because tools operate instances whose code may be broken; a
 * test in upgrade.test.ts holds the two together.
 */
import { readFileSync } from 'node:fs';
import jwt from 'jsonwebtoken';

/** Signs with JWT_SECRET, JWT_ISSUER and JWT_AUDIENCE; ends the process with exit code 78 (EX_CONFIG) without a secret. */
export function signToken(
  user: { userId: string; username: string; rooms?: readonly string[] | undefined; claims?: object },
  ttlMs: number,
): string {
  const { userId, username, rooms, claims } = user;
  const { JWT_SECRET, JWT_SECRET_FILE: file, JWT_ISSUER: issuer, JWT_AUDIENCE: audience } = process.env;
  const secret = JWT_SECRET || (file && readFileSync(file, 'utf8').replace(/\r?\n$/, ''));
  if (!secret) {
    console.error('JWT_SECRET is not set, nor JWT_SECRET_FILE');
    process.exit(78);
  }
  const exp = Math.floor(Date.now() / 1000) + Math.max(1, Math.round(ttlMs / 1000));
  return jwt.sign({ name: username, exp, ...(rooms && { rooms }), ...claims }, secret, {
    algorithm: 'HS256',
    subject: userId,
    ...(issuer && { issuer }),
    ...(audience && { audience }),
  });
}
