/** The keys that tokens are verified with. Each has one algorithm, so that a token cannot choose how it is verified. */
import { createPublicKey, type KeyObject } from 'node:crypto';

export type Algorithm = 'HS256' | 'RS256' | 'ES256' | 'EdDSA';

export interface VerificationKey {
  key: KeyObject;
  algorithm: Algorithm;
  /** A token that names a key is verified with that one alone. */
  kid: string | undefined;
}

/** RFC 7518, section 3.3: at least 2048 bits. */
const MIN_RSA_BITS = 2048;

/** @returns undefined for a key that this app does not verify with */
export function algorithmOf(key: KeyObject): Algorithm | undefined {
  if (key.type === 'secret') return 'HS256';
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  if (type === 'rsa' && (details?.modulusLength ?? 0) >= MIN_RSA_BITS) return 'RS256';
  if (type === 'ec' && details?.namedCurve === 'prime256v1') return 'ES256';
  if (type === 'ed25519') return 'EdDSA';
  return undefined;
}

const PEM = /-----BEGIN (PUBLIC KEY|CERTIFICATE)-----[\s\S]+?-----END \1-----/g;

/**
 * The public keys of a text with one PEM block after the other; `\n` may stand for a line break.
 * @throws {Error} when a block is no key that this app verifies with
 */
export function parsePublicKeys(text: string): VerificationKey[] {
  const blocks = text.replaceAll('\\n', '\n').match(PEM) ?? [];
  if (blocks.length === 0 && text.trim() !== '') throw new Error('expected public keys or certificates as PEM');
  return blocks.map((block) => {
    const key = createPublicKey(block);
    const algorithm = algorithmOf(key);
    if (!algorithm)
      throw new Error(
        'expected RSA keys of at least 2048 bits (RS256), EC keys on P-256 (ES256) or Ed25519 keys (EdDSA)',
      );
    return { key, algorithm, kid: undefined };
  });
}
