/**
 * The public keys of an identity provider (JWKS, RFC 7517). They are fetched when the app starts, every five minutes, and when
 * a token names a key that is not known, at most every ten seconds. While the URL is away, the known keys stay: the
 * libraries drop theirs when they expire, which would log everyone out together with the provider.
 */
import { createPublicKey, type KeyObject, type webcrypto } from 'node:crypto';
import { z } from 'zod';
import type { Logger } from '../observability/logger.ts';
import { readBody } from './read-body.ts';
import { algorithmOf, type VerificationKey } from './verification-key.ts';

const REFRESH_MS = 5 * 60_000;
/** Between two fetches for keys that are not known: anyone can name one. */
const FLOOR_MS = 10_000;
const DEADLINE_MS = 3000;
const MAX_BYTES = 262_144;
const MAX_KEYS = 100;

const keySet = z.object({
  keys: z.array(z.looseObject({ kid: z.string().optional(), use: z.string().optional() })).max(MAX_KEYS),
});

export interface Jwks {
  readonly keys: readonly VerificationKey[];
  /** Fetches the keys again, unless that was done a moment ago; resolves when it is done, and never rejects. */
  refresh(): Promise<void> | undefined;
  /** Fetches the keys for the first time. */
  start(): Promise<void>;
  close(): void;
}

export function createJwks(options: { url: string; logger: Logger; floorMs?: number }): Jwks {
  const { url, logger, floorMs = FLOOR_MS } = options;
  let keys: readonly VerificationKey[] = [];
  let fetching: Promise<void> | undefined;
  let fetchedAt = Number.NEGATIVE_INFINITY;
  let failing = false;

  async function load(): Promise<void> {
    fetchedAt = performance.now();
    try {
      keys = await fetchKeys(url);
      failing = false;
      logger.info({ event: 'jwks_loaded', keys: keys.length }, 'loaded the keys of the identity provider');
    } catch (error) {
      // One line for an outage, not one for each attempt.
      if (!failing) {
        logger.warn(
          { event: 'jwks_failed', reason: String(error), keys: keys.length },
          'cannot load the keys of the identity provider; keeping the known ones',
        );
      }
      failing = true;
    } finally {
      fetching = undefined;
    }
  }

  const fetchNow = () => {
    fetching ??= load();
    return fetching;
  };
  // With jitter, so that the instances do not ask at once.
  const timer = setInterval(() => void fetchNow(), REFRESH_MS * (0.8 + 0.4 * Math.random())).unref();

  return {
    get keys() {
      return keys;
    },
    refresh() {
      if (fetching !== undefined) return fetching;
      return performance.now() - fetchedAt < floorMs ? undefined : fetchNow();
    },
    start: fetchNow,
    close: () => clearInterval(timer),
  };
}

async function fetchKeys(url: string): Promise<VerificationKey[]> {
  const response = await fetch(url, {
    headers: { Accept: 'application/json' },
    redirect: 'error',
    signal: AbortSignal.timeout(DEADLINE_MS),
  });
  if (!response.ok) throw new Error(`the answer was ${response.status}`);
  const set = keySet.parse(JSON.parse(await readBody(response, MAX_BYTES)));
  const signing = set.keys.filter(({ use = 'sig' }) => use === 'sig');
  // A set may have keys of kinds that this app does not verify with.
  return signing.flatMap(({ kid, ...jwk }) => {
    const key = importKey(jwk);
    const algorithm = key && algorithmOf(key);
    return key && algorithm ? [{ key, algorithm, kid }] : [];
  });
}

function importKey(jwk: object): KeyObject | undefined {
  try {
    return createPublicKey({ key: jwk as webcrypto.JsonWebKey, format: 'jwk' });
  } catch {
    return undefined;
  }
}
