/** Revocations of one instance alone. They end with it. */
import { createRevocationList, MAX_REVOCATIONS, type Revocations, TooManyRevocations } from './revocations.ts';

export function createMemoryRevocations(): Revocations {
  const list = createRevocationList();
  return {
    isRevoked: list.isRevoked,
    learn: (revocation) => void list.learn(revocation),
    async revoke(revocation) {
      if (list.all.length >= MAX_REVOCATIONS) throw new TooManyRevocations();
      list.learn(revocation);
    },
    start: async () => undefined,
    close: () => undefined,
  };
}
