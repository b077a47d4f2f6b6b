/**
 * Signs tokens for the tools. It does not use the app's code, because tools operate instances whose code may be broken; a
 * test in upgrade.test.ts holds the two together.
 */
import jwt from 'jsonwebtoken';

/** Signs with JWT_SECRET, JWT_ISSUER and JWT_AUDIENCE; ends the process with exit code 78 (EX_CONFIG) without a secret. */
export function signToken(
  user: { userId: string; username: string; rooms?: readonly string[] | undefined; claims?: object },
  ttlMs: number,
): string {
  const { userId, username, rooms, claims } = user;
  const { JWT_SECRET: secret, JWT_ISSUER: issuer, JWT_AUDIENCE: audience } = process.env;
  if (!secret) {
    console.error('JWT_SECRET is not set');
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
