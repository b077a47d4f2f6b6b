/** Tokens: JSON Web Tokens (RFC 7519), signed with HS256 and nothing else. */
import { createSecretKey } from 'node:crypto';
import jwt from 'jsonwebtoken';
import { z } from 'zod';

const ALGORITHM = 'HS256';

/**
 * Characters that make a name look like another one in every list: control and private characters, line separators,
 * lone surrogates, bidirectional controls, and invisible characters but for the joiners and variation selectors that
 * scripts and emoji need.
 */
const MISLEADING =
  /[\p{Cc}\p{Cs}\p{Co}\p{Zl}\p{Zp}\p{Bidi_Control}]|(?!\u200c|\u200d|[\ufe00-\ufe0f])\p{Default_Ignorable_Code_Point}/u;

/** A user id or a name, as others see it. */
export const visibleName = (maxLength: number) =>
  z
    .string()
    .min(1, 'must not be empty')
    .max(maxLength, `at most ${maxLength} characters`)
    .refine((text) => !MISLEADING.test(text), 'control, invisible and bidirectional characters are not allowed');

const claims = z.object({
  sub: visibleName(128),
  name: visibleName(64).optional(),
  rooms: z.array(z.string()).max(1000).optional(),
  exp: z.number(),
});

/** Who a token speaks for. */
export interface Identity {
  userId: string;
  username: string;
  /** What the token allows, see rooms/authorize.ts; undefined: everything. */
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
  /** From now until a token expires, at most; in ms. */
  maxLifetime?: number;
  /** Called for each refused token. */
  handleProblem?(problem: TokenProblem): void;
}): Auth {
  const issuer = options.issuer || undefined;
  const audience = options.audience || undefined;
  const { maxLifetime = Number.POSITIVE_INFINITY } = options;
  // A string would be parsed as a public key first, for every token.
  const secret = createSecretKey(options.secret, 'utf8');

  function verify(token: string | undefined): Verdict {
    if (!token) return { problem: 'TOKEN_MISSING', message: 'a token is required' };
    let decoded: jwt.Jwt;
    try {
      decoded = jwt.verify(token, secret, {
        algorithms: [ALGORITHM],
        complete: true,
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
    // RFC 7515, section 4.1.11: extensions that are not understood. jsonwebtoken understands none and ignores the header.
    if ('crit' in decoded.header) {
      return { problem: 'TOKEN_INVALID', message: 'the token requires an extension that is not supported (crit)' };
    }
    const parsed = claims.safeParse(decoded.payload);
    if (!parsed.success) {
      const names = [...new Set(parsed.error.issues.map((issue) => issue.path.join('.') || 'claims'))].join(', ');
      return { problem: 'TOKEN_MALFORMED', message: `missing or invalid claims: ${names}` };
    }
    const { sub, name, rooms, exp } = parsed.data;
    if (exp * 1000 > Date.now() + maxLifetime) {
      return { problem: 'TOKEN_INVALID', message: 'the token expires too far in the future (TOKEN_MAX_LIFETIME)' };
    }
    return { identity: { userId: sub, username: name ?? sub, rooms, expiresAt: exp * 1000 } };
  }

  return {
    verify(token) {
      const verdict = verify(token);
      if ('problem' in verdict) options.handleProblem?.(verdict.problem);
      return verdict;
    },
    sign: ({ userId, username, rooms }, ttl) =>
      jwt.sign({ name: username, ...(rooms && { rooms }) }, secret, {
        algorithm: ALGORITHM,
        subject: userId,
        expiresIn: Math.max(1, Math.round(ttl / 1000)),
        ...(issuer && { issuer }),
        ...(audience && { audience }),
      }),
  };
}
