/** The keys of the server API (`API_KEYS`): who asks, and what each key may do. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { ApiKey } from '../../config.ts';
import { type RateLimit, RateLimiter } from '../../connection/rate-limiter.ts';

export interface Caller {
  readonly name: string;
  readonly scopes: ReadonlySet<string>;
  readonly limiter: RateLimiter;
}

const digest = (text: string) => createHash('sha256').update(text).digest();

/** @returns a function that finds the caller of an Authorization header; all keys are compared, in constant time */
export function createKeys(
  keys: readonly ApiKey[],
  rateLimit: RateLimit,
): (authorization: string | undefined) => Caller | undefined {
  const known = keys.map(({ name, scopes, secret }) => ({
    digest: digest(secret),
    caller: { name, scopes: new Set(scopes), limiter: new RateLimiter(rateLimit) },
  }));
  return (authorization) => {
    const [, secret] = /^Bearer +(\S+)$/i.exec(authorization ?? '') ?? [];
    const given = digest(secret ?? '');
    let found: Caller | undefined;
    for (const { digest: expected, caller } of known) if (timingSafeEqual(expected, given)) found = caller;
    return found;
  };
}
