/**
 * Asks a back-end of your own who someone is and what they may do (`AUTH_URL`), instead of or besides tokens. Whatever it
 * does not answer in time is refused.
 */
import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { LRUCache } from 'lru-cache';
import { z } from 'zod';
import type { Logger } from '../observability/logger.ts';
import { type Authenticate, type Credentials, grants, type Identity, type Verdict, visibleName } from './auth.ts';
import { type AuthQuestion, AuthUnavailable } from './auth-questions.ts';
import { readBody } from './read-body.ts';

const MAX_BYTES = 65_536;
const MAX_CACHED = 10_000;
/** Questions under way at once; beyond it the answer is as if the back-end were away. */
const MAX_ASKING = 1000;
/** Of an answer that names no end. */
const DEFAULT_LIFETIME_MS = 3_600_000;
/** The users of the cluster's own tools, which sign with JWT_SECRET. */
const TOOL_PREFIX = 'wsfleet:';

const connectAnswer = z.object({
  userId: visibleName(128),
  username: visibleName(64).optional(),
  ...grants,
  expiresAt: z.number().optional(),
  id: z.string().min(1).max(128).optional(),
});

export interface AuthUrl {
  /** Asks who this is; a token of the cluster's own tools is verified instead. */
  identify: Authenticate;
  /** Asks whether a user may. @throws {AuthUnavailable} */
  allows(
    question: 'join' | 'publish',
    who: { user: Pick<Identity, 'userId' | 'username' | 'tokenId'>; clientId: string; room: string },
  ): Promise<boolean>;
}

export function createAuthUrl(options: {
  url: string;
  /** Of one question, in ms. */
  timeout: number;
  /** How long an answer is used again, in ms; 0: not at all. */
  cache: number;
  maxLifetime: number;
  verifyToken(token: string): Verdict | Promise<Verdict>;
  isRevoked(identity: Identity): boolean;
  handleProblem(problem: 'AUTH_REFUSED' | 'AUTH_UNAVAILABLE' | 'TOKEN_REVOKED'): void;
  logger: Logger;
}): AuthUrl {
  const { url, timeout, cache, logger } = options;
  const answers = new LRUCache<string, Promise<unknown>>({ max: MAX_CACHED, ttl: Math.max(1, cache) });
  let asking = 0;
  let failing = false;

  async function ask(question: AuthQuestion, headers: Record<string, string>, body: object): Promise<unknown> {
    if (asking >= MAX_ASKING) throw new AuthUnavailable(`${MAX_ASKING} questions are under way`);
    asking += 1;
    try {
      const response = await fetch(url, {
        method: 'POST',
        headers: { ...headers, 'Content-Type': 'application/json', Accept: 'application/json' },
        body: JSON.stringify({ question, ...body }),
        redirect: 'error',
        signal: AbortSignal.timeout(timeout),
      });
      const text = await readBody(response, MAX_BYTES);
      if (response.status === 401 || response.status === 403) return undefined;
      if (!response.ok) throw new Error(`the answer was ${response.status}`);
      if (failing) logger.info({ event: 'auth_url_recovered' }, 'AUTH_URL answers again');
      failing = false;
      return text === '' ? {} : JSON.parse(text);
    } catch (error) {
      // fetch says "fetch failed" and puts the reason into the cause.
      const reason = error instanceof Error ? String(error.cause ?? error.message) : String(error);
      if (!failing) logger.error({ event: 'auth_url_failed', reason }, 'AUTH_URL does not answer; refusing');
      failing = true;
      throw new AuthUnavailable(reason);
    } finally {
      asking -= 1;
    }
  }

  /** The yes of a moment ago, or a new answer. A no is asked again: someone may have logged in since. */
  function askCached(key: string, question: () => Promise<unknown>): Promise<unknown> {
    if (cache === 0) return question();
    const known = answers.get(key);
    if (known) return known;
    const answer = question();
    answers.set(key, answer);
    const forget = () => answers.delete(key);
    answer.then((value) => value ?? forget(), forget);
    return answer;
  }

  function refuse(problem: 'AUTH_REFUSED' | 'AUTH_UNAVAILABLE' | 'TOKEN_REVOKED', message: string): Verdict {
    options.handleProblem(problem);
    return { problem, message };
  }

  async function askConnect(credentials: Credentials, key: string): Promise<Identity | undefined> {
    const answer = await ask('connect', headersFor(credentials), {});
    if (answer === undefined) return undefined;
    const parsed = connectAnswer.safeParse(answer);
    if (!parsed.success) {
      const names = [...new Set(parsed.error.issues.map(({ path }) => path.join('.') || 'the answer'))].join(', ');
      logger.error(
        { event: 'auth_url_invalid', fields: names },
        'AUTH_URL answered with something that is no identity',
      );
      throw new AuthUnavailable(`missing or invalid: ${names}`);
    }
    const { userId, username = userId, rooms, rights, id, expiresAt = Date.now() + DEFAULT_LIFETIME_MS } = parsed.data;
    return {
      ...{ userId, username, rooms, rights },
      expiresAt: Math.min(expiresAt, Date.now() + options.maxLifetime),
      // As a token tells it: in seconds.
      issuedAt: Math.floor(Date.now() / 1000) * 1000,
      tokenId: id === undefined ? `hash:${key}` : `jti:${id}`,
    };
  }

  return {
    async identify(credentials) {
      const { token } = credentials;
      if (token !== undefined && readSubject(token)?.startsWith(TOOL_PREFIX)) return options.verifyToken(token);
      const key = keyOf(credentials);
      try {
        const identity = (await askCached(key, () => askConnect(credentials, key))) as Identity | undefined;
        if (!identity || identity.expiresAt <= Date.now()) return refuse('AUTH_REFUSED', 'AUTH_URL refuses');
        if (options.isRevoked(identity)) return refuse('TOKEN_REVOKED', 'the session has been revoked');
        // A copy: a connection takes over what a refresh brings, and the answer may be used again.
        return { identity: { ...identity } };
      } catch (error) {
        if (!(error instanceof AuthUnavailable)) throw error;
        return refuse('AUTH_UNAVAILABLE', 'AUTH_URL does not answer');
      }
    },

    async allows(question, { user, clientId, room }) {
      const { userId, username, tokenId } = user;
      if (userId.startsWith(TOOL_PREFIX)) return true;
      const answer = await askCached(JSON.stringify([question, userId, tokenId, room]), () =>
        ask(question, {}, { userId, username, clientId, room }),
      );
      return answer !== undefined;
    },
  };
}

/** What of a handshake the back-end sees, as if the client had asked it. */
function headersFor({ token, headers = {}, address }: Credentials): Record<string, string> {
  const authorization = token === undefined ? undefined : `Bearer ${token}`;
  const { cookie, origin, 'user-agent': userAgent } = headers;
  const all = { authorization, cookie, origin, 'user-agent': userAgent, 'x-forwarded-for': address };
  return Object.fromEntries(Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== undefined));
}

/** A hash, so that the cache holds no secrets. */
function keyOf({ token, headers = {} }: Credentials): string {
  const { cookie, origin }: IncomingHttpHeaders = headers;
  return createHash('sha256')
    .update(JSON.stringify([token, cookie, origin]))
    .digest('base64url');
}

/** The `sub` of a JSON Web Token that nothing vouches for yet. */
function readSubject(token: string): string | undefined {
  try {
    const { sub } = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
    return typeof sub === 'string' ? sub : undefined;
  } catch {
    return undefined;
  }
}
