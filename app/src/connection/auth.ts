/** Tokens: JSON Web Tokens (RFC 7519), HS256 and nothing else. */
import jwt from 'jsonwebtoken';
import { z } from 'zod';

const ALGORITHM = 'HS256';

const claims = z.object({
  sub: z.string().min(1).max(128),
  name: z.string().min(1).max(64).optional(),
  rooms: z.array(z.string()).max(1000).optional(),
  exp: z.number(),
});

/** Who a token speaks for. */
export interface Identity {
  userId: string;
  username: string;
  /** The only rooms that may be joined; undefined: any. */
  rooms: readonly string[] | undefined;
  /** Milliseconds since the epoch. */
  expiresAt: number;
}

export const tokenProblems = ['TOKEN_MISSING', 'TOKEN_MALFORMED', 'TOKEN_INVALID', 'TOKEN_EXPIRED'] as const;
export type TokenProblem = (typeof tokenProblems)[number];

export type Verdict = { identity: Identity } | { problem: TokenProblem; message: string };

export interface Auth {
  verify(token: string | undefined): Verdict;
  /** A token for `userId` that ends `ttl` ms from now. */
  sign(user: { userId: string; username: string; rooms?: readonly string[] | undefined }, ttl: number): string;
}

export function createAuth(options: {
  secret: string;
  issuer: string;
  audience: string;
  /** A token was refused. */
  handleProblem?(problem: TokenProblem): void;
}): Auth {
  const issuer = options.issuer || undefined;
  const audience = options.audience || undefined;

  function verify(token: string | undefined): Verdict {
    if (!token) return { problem: 'TOKEN_MISSING', message: 'a token is needed' };
    let decoded: unknown;
    try {
      decoded = jwt.verify(token, options.secret, {
        algorithms: [ALGORITHM],
        ...(issuer && { issuer }),
        ...(audience && { audience }),
      });
    } catch (error) {
      if (error instanceof jwt.TokenExpiredError) return { problem: 'TOKEN_EXPIRED', message: 'the token has expired' };
      const text = error instanceof Error ? error.message : '';
      if (text === 'jwt malformed' || text === 'invalid token' || error instanceof SyntaxError) {
        return { problem: 'TOKEN_MALFORMED', message: 'the token is not a JSON Web Token' };
      }
      return { problem: 'TOKEN_INVALID', message: 'the token’s signature or claims are not accepted' };
    }
    const parsed = claims.safeParse(decoded);
    if (!parsed.success) {
      const names = [...new Set(parsed.error.issues.map((issue) => issue.path.join('.') || 'claims'))].join(', ');
      return { problem: 'TOKEN_MALFORMED', message: `the token lacks or misstates: ${names}` };
    }
    const { sub, name, rooms, exp } = parsed.data;
    return { identity: { userId: sub, username: name ?? sub, rooms, expiresAt: exp * 1000 } };
  }

  return {
    verify(token) {
      const verdict = verify(token);
      if ('problem' in verdict) options.handleProblem?.(verdict.problem);
      return verdict;
    },
    sign: ({ userId, username, rooms }, ttl) =>
      jwt.sign({ name: username, ...(rooms && { rooms }) }, options.secret, {
        algorithm: ALGORITHM,
        subject: userId,
        expiresIn: Math.max(1, Math.round(ttl / 1000)),
        ...(issuer && { issuer }),
        ...(audience && { audience }),
      }),
  };
}
