/** Tokens as the app signs them, with the tests' own secret. */
import { createAuth } from '../../src/connection/auth.ts';

export const SECRET = 'a-secret-of-the-tests-0123456789abcdef';

const auth = createAuth({ secret: SECRET, issuer: '', audience: '' });

/** A token for `name`, whose user id is `u-NAME`; `ttl` in ms. */
export function tokenFor(name: string, { ttl = 3_600_000, rooms }: { ttl?: number; rooms?: string[] } = {}): string {
  return auth.sign({ userId: `u-${name}`, username: name, ...(rooms && { rooms }) }, ttl);
}
