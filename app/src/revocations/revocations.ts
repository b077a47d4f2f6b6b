/**
 * Tokens that are refused before they expire. Every instance knows all of them, so that a handshake asks nobody. Whoever
 * revokes tells the other instances; one that missed it finds out within a second (see redis-revocations.ts).
 */

/** One token. Times in ms since the epoch. */
export interface RevokedToken {
  tokenId: string;
  expiresAt: number;
}
/** Every token of a user that was issued until a moment. */
export interface RevokedUser {
  userId: string;
  issuedUntil: number;
  expiresAt: number;
}
export type Revocation = RevokedToken | RevokedUser;

/** The part of an identity that revocations look at. */
export interface Revocable {
  userId: string;
  tokenId: string;
  /** Milliseconds since the epoch; 0 for a token that does not say. */
  issuedAt: number;
}

/** Of an instance. Each lasts as long as the tokens that it refuses could. */
export const MAX_REVOCATIONS = 100_000;

export interface Revocations {
  isRevoked(identity: Revocable): boolean;
  /**
   * Refuses from now on, over the whole cluster and across restarts.
   * @throws {BrokerUnavailable} when Redis did not take it
   * @throws {TooManyRevocations}
   */
  revoke(revocation: Revocation): Promise<void>;
  /** Learns of a revocation from another instance. */
  learn(revocation: Revocation): void;
  /** Resolves when what is revoked is known. */
  start(): Promise<void>;
  close(): void;
}

export class TooManyRevocations extends Error {
  override readonly name = 'TooManyRevocations';
}

/** The revocations that this instance knows. */
export interface RevocationList extends Pick<Revocations, 'isRevoked'> {
  /** @returns whether it refuses more than was refused before */
  learn(revocation: Revocation): boolean;
  readonly all: readonly Revocation[];
}

export function createRevocationList(): RevocationList {
  const tokens = new Map<string, RevokedToken>();
  const users = new Map<string, RevokedUser>();

  function sweep(): void {
    const now = Date.now();
    for (const map of [tokens, users]) for (const [key, { expiresAt }] of map) if (expiresAt <= now) map.delete(key);
  }

  return {
    get all() {
      sweep();
      return [...tokens.values(), ...users.values()];
    },
    isRevoked({ userId, tokenId, issuedAt }) {
      return tokens.has(tokenId) || issuedAt <= (users.get(userId)?.issuedUntil ?? Number.NEGATIVE_INFINITY);
    },
    learn(revocation) {
      if (tokens.size + users.size >= MAX_REVOCATIONS) sweep();
      if (revocation.expiresAt <= Date.now()) return false;
      if ('tokenId' in revocation) {
        if ((tokens.get(revocation.tokenId)?.expiresAt ?? 0) >= revocation.expiresAt) return false;
        tokens.set(revocation.tokenId, revocation);
      } else {
        if ((users.get(revocation.userId)?.issuedUntil ?? 0) >= revocation.issuedUntil) return false;
        users.set(revocation.userId, revocation);
      }
      return true;
    },
  };
}
