/**
 * Tokens: JSON Web Tokens (RFC 7519), verified with secrets (HS256) and public keys (RS256, ES256, EdDSA) of the configuration
 * and of an identity provider. jsonwebtoken verifies them, and jose what it does not know: EdDSA.
 */
import { createSecretKey, hash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import jwt from 'jsonwebtoken';
import { z } from 'zod';
import { type Right, rights } from '../protocol.ts';
import type { Jwks } from './jwks.ts';
import type { VerificationKey } from './verification-key.ts';

const ALGORITHM = 'HS256';
/** Keys that fit a token which names none; more are not tried. */
const MOST_TRIED = 10;
/** Each is looked at for every message. */
const MAX_RIGHTS = 200;

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

/** What someone may do, see rooms/authorize.ts. */
export const grants = {
  rooms: z.array(z.string()).max(1000).optional(),
  rights: z
    .record(z.string().min(1).max(140), z.array(z.enum(rights)))
    .refine((record) => Object.keys(record).length <= MAX_RIGHTS, `at most ${MAX_RIGHTS} entries`)
    .optional(),
};

const claims = z.object({
  sub: visibleName(128),
  name: visibleName(64).optional(),
  ...grants,
  exp: z.number(),
  iat: z.number().optional(),
  jti: z.string().min(1).max(128).optional(),
});

/** Who a token speaks for. */
export interface Identity {
  userId: string;
  username: string;
  /** What the token allows, see rooms/authorize.ts; neither: everything. */
  rooms: readonly string[] | undefined;
  rights: Readonly<Record<string, readonly Right[]>> | undefined;
  /** Milliseconds since the epoch. */
  expiresAt: number;
  /** Milliseconds since the epoch; 0 for a token that does not say. */
  issuedAt: number;
  /** What the token is revoked by: `jti:ID`, or `hash:...` of a token without one. */
  tokenId: string;
}

export const tokenProblems = [
  'TOKEN_MISSING',
  'TOKEN_MALFORMED',
  'TOKEN_INVALID',
  'TOKEN_EXPIRED',
  'TOKEN_REVOKED',
  'AUTH_REFUSED',
  'AUTH_UNAVAILABLE',
] as const;
export type TokenProblem = (typeof tokenProblems)[number];

export type Verdict = { identity: Identity } | { problem: TokenProblem; message: string };

/** What someone who connects, or refreshes, proves who they are with. */
export interface Credentials {
  token: string | undefined;
  /** Of the handshake. */
  headers?: IncomingHttpHeaders;
  address?: string;
}

export type Authenticate = (credentials: Credentials) => Verdict | Promise<Verdict>;

export interface Auth {
  /** Later only for EdDSA, and when the token names a key that is not known yet. */
  verify(token: string | undefined): Verdict | Promise<Verdict>;
  /** A token for `userId` that ends `ttl` ms from now. */
  sign(user: { userId: string; username: string; rooms?: readonly string[] | undefined }, ttl: number): string;
}

export function createAuth(options: {
  /** Signs, and verifies. */
  secret: string;
  /** What else verifies. */
  keys?: readonly VerificationKey[];
  jwks?: Jwks | undefined;
  isRevoked?(identity: Identity): boolean;
  /** How far the clocks of others may be off, in ms. */
  clockTolerance?: number;
  issuer: string;
  audience: string;
  /** From now until a token expires, at most; in ms. */
  maxLifetime?: number;
  /** Called for each refused token. */
  handleProblem?(problem: TokenProblem): void;
}): Auth {
  const issuer = options.issuer || undefined;
  const audience = options.audience || undefined;
  const { maxLifetime = Number.POSITIVE_INFINITY, clockTolerance = 0, jwks } = options;
  // A string would be parsed as a public key first, for every token.
  const secret = createSecretKey(options.secret, 'utf8');
  const configured: readonly VerificationKey[] = [
    { key: secret, algorithm: ALGORITHM, kid: undefined },
    ...(options.keys ?? []),
  ];

  const allKeys = () => (jwks ? [...configured, ...jwks.keys] : configured);

  /** The keys that fit a token: the one that it names, otherwise those without a name. */
  function keysFor({ alg, kid }: Header): VerificationKey[] {
    const fitting = allKeys().filter(({ algorithm }) => algorithm === alg);
    const named = kid === undefined ? [] : fitting.filter((key) => key.kid === kid);
    if (named.length > 0) return named;
    return fitting.filter((key) => key.kid === undefined || kid === undefined).slice(0, MOST_TRIED);
  }

  function decode(token: string, keys: readonly VerificationKey[]): jwt.Jwt {
    let failure: unknown = new jwt.JsonWebTokenError('invalid signature');
    for (const { key, algorithm } of keys) {
      try {
        return jwt.verify(token, key, {
          // Without EdDSA, which decodeEdDsa does.
          algorithms: [algorithm as jwt.Algorithm],
          complete: true,
          clockTolerance: clockTolerance / 1000,
          ...(issuer && { issuer }),
          ...(audience && { audience }),
        });
      } catch (error) {
        failure = error;
        if (!(error instanceof jwt.JsonWebTokenError) || error.message !== 'invalid signature') break;
      }
    }
    throw failure;
  }

  /** @throws {Error} of jose */
  async function decodeEdDsa(token: string, keys: readonly VerificationKey[]): Promise<Decoded> {
    // Loaded on demand: most tokens are signed otherwise.
    const { jwtVerify, errors } = await import('jose');
    let failure: unknown = new errors.JWSSignatureVerificationFailed();
    for (const { key } of keys) {
      try {
        const { protectedHeader: decodedHeader, payload } = await jwtVerify(token, key, {
          algorithms: ['EdDSA'],
          clockTolerance: clockTolerance / 1000,
          ...(issuer && { issuer }),
          ...(audience && { audience }),
        });
        return { header: decodedHeader, payload };
      } catch (error) {
        failure = error;
        if (!(error instanceof errors.JWSSignatureVerificationFailed)) break;
      }
    }
    throw failure;
  }

  function verify(token: string | undefined, header: Header | undefined): Verdict | Promise<Verdict> {
    if (!token) return { problem: 'TOKEN_MISSING', message: 'a token is required' };
    if (header?.alg === 'EdDSA') {
      return decodeEdDsa(token, keysFor(header)).then((decoded) => identify(token, decoded), explain);
    }
    try {
      // jsonwebtoken says what is wrong with a token that has no header.
      return identify(token, decode(token, header ? keysFor(header) : configured.slice(0, 1)));
    } catch (error) {
      return explain(error);
    }
  }

  /** Who a verified token speaks for. */
  function identify(token: string, decoded: Decoded): Verdict {
    // RFC 7515, section 4.1.11: extensions that are not understood. jsonwebtoken understands none and ignores the header.
    if ('crit' in decoded.header) {
      return { problem: 'TOKEN_INVALID', message: 'the token requires an extension that is not supported (crit)' };
    }
    const parsed = claims.safeParse(decoded.payload);
    if (!parsed.success) {
      const names = [...new Set(parsed.error.issues.map((issue) => issue.path.join('.') || 'claims'))].join(', ');
      return { problem: 'TOKEN_MALFORMED', message: `missing or invalid claims: ${names}` };
    }
    const { sub, name, exp, iat = 0, jti } = parsed.data;
    if (exp * 1000 > Date.now() + maxLifetime + clockTolerance) {
      return { problem: 'TOKEN_INVALID', message: 'the token expires too far in the future (TOKEN_MAX_LIFETIME)' };
    }
    const identity: Identity = {
      userId: sub,
      username: name ?? sub,
      rooms: parsed.data.rooms,
      rights: parsed.data.rights,
      expiresAt: exp * 1000 + clockTolerance,
      issuedAt: iat * 1000,
      // Of what is signed: a signature can be written in several ways.
      tokenId:
        jti === undefined
          ? `hash:${hash('sha256', token.slice(0, token.lastIndexOf('.')), 'base64url')}`
          : `jti:${jti}`,
    };
    if (options.isRevoked?.(identity)) return { problem: 'TOKEN_REVOKED', message: 'the token has been revoked' };
    return { identity };
  }

  return {
    verify(token) {
      const report = (verdict: Verdict) => {
        if ('problem' in verdict) options.handleProblem?.(verdict.problem);
        return verdict;
      };
      const header = token ? readHeader(token) : undefined;
      const kid = header?.kid;
      const known = kid === undefined || allKeys().some((key) => key.kid === kid);
      const refreshed = known ? undefined : jwks?.refresh();
      if (!refreshed) {
        const verdict = verify(token, header);
        return verdict instanceof Promise ? verdict.then(report) : report(verdict);
      }
      return refreshed.then(async () => report(await verify(token, header)));
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

type Decoded = Pick<jwt.Jwt, 'payload'> & { header: object };

/** What is wrong with a token that did not verify. */
function explain(error: unknown): Verdict {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (error instanceof jwt.TokenExpiredError || code === 'ERR_JWT_EXPIRED') {
    return { problem: 'TOKEN_EXPIRED', message: 'the token has expired' };
  }
  const text = error instanceof Error ? error.message : '';
  const malformed = ['jwt malformed', 'invalid token'].includes(text) || error instanceof SyntaxError;
  if (malformed || code === 'ERR_JWS_INVALID' || code === 'ERR_JWT_INVALID') {
    return { problem: 'TOKEN_MALFORMED', message: 'the token is not a JSON Web Token' };
  }
  return { problem: 'TOKEN_INVALID', message: 'the token’s signature or claims are not accepted' };
}

interface Header {
  alg: string | undefined;
  kid: string | undefined;
}

/** A token's header, which nothing vouches for yet; undefined when it is none. */
function readHeader(token: string): Header | undefined {
  try {
    const { alg, kid } = JSON.parse(Buffer.from(token.slice(0, token.indexOf('.')), 'base64url').toString());
    return { alg: typeof alg === 'string' ? alg : undefined, kid: typeof kid === 'string' ? kid : undefined };
  } catch {
    return undefined;
  }
}
