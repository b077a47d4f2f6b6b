/** Tokens as the app takes them: JSON Web Tokens, HS256. Each virtual user signs its own. */
import { hmac } from 'k6/crypto';
import { b64encode } from 'k6/encoding';
import type { Options } from './options.ts';

/** @param ttl in seconds; below 0 for one that has expired */
export function signToken(options: Options, userId: string, ttl: number, secret = options.secret): string {
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    sub: userId,
    name: 'load',
    iat: now + Math.min(0, ttl),
    exp: now + ttl,
    ...(options.issuer && { iss: options.issuer }),
    ...(options.audience && { aud: options.audience }),
  };
  const signed = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode(claims)}`;
  return `${signed}.${hmac('sha256', secret, signed, 'base64rawurl')}`;
}

const encode = (part: object): string => b64encode(JSON.stringify(part), 'rawurl');
