/**
 * One member's account of one room: what it got from each publisher, whose messages are numbered 1, 2, 3... without end.
 */

/** How long a missing message may still come before it counts as lost, in ms. */
const PATIENCE_MS = 15_000;

const NONE: readonly number[] = [];

export type Verdict = 'new' | 'doubled' | 'disordered';

interface Account {
  /** The highest number that came. */
  high: number;
  /** Numbers below it that did not, and when that was noticed. */
  missing: Map<number, number>;
  /** When its last message came, and when that had been sent. */
  receivedAt: number;
  sentAt: number;
}

export interface Ledger {
  /** Enters a message. `gap`, from the second on: how much longer it took than the publisher's pace, and since when. */
  take(
    publisher: string,
    number: number,
    sentAt: number,
    now: number,
  ): { verdict: Verdict; gap?: { ms: number; since: number } };
  /** For each number that has been missing for too long, and was not at the last call: since when. */
  overdue(now: number): readonly number[];
  /** Publishers that were heard at all. */
  readonly heard: number;
  /** Whether `publishers` have each been heard up to `count`, with nothing missing. */
  complete(publishers: number, count: number): boolean;
  /** For each number that is missing of that and was not overdue before: since when; 0 where its publisher was never heard. */
  missing(publishers: number, count: number): readonly number[];
}

export function createLedger(): Ledger {
  const accounts = new Map<string, Account>();
  let highs = 0;
  let open = 0;
  let overdue = 0;

  return {
    take(publisher, number, sentAt, now) {
      let account = accounts.get(publisher);
      if (!account) {
        account = { high: 0, missing: new Map(), receivedAt: 0, sentAt: 0 };
        accounts.set(publisher, account);
      }
      if (number <= account.high) {
        if (!account.missing.delete(number)) return { verdict: 'doubled' };
        open -= 1;
        return { verdict: 'disordered' };
      }
      for (let skipped = account.high + 1; skipped < number; skipped += 1) account.missing.set(skipped, now);
      open += number - account.high - 1;
      highs += number - account.high;
      const ms = Math.max(0, now - account.receivedAt - (sentAt - account.sentAt));
      const gap = account.high > 0 ? { ms, since: account.receivedAt } : undefined;
      account.high = number;
      account.receivedAt = now;
      account.sentAt = sentAt;
      return { verdict: 'new', ...(gap && { gap }) };
    },
    overdue(now) {
      if (open === 0) return NONE;
      const found: number[] = [];
      for (const { missing } of accounts.values()) {
        for (const [number, since] of missing) {
          if (now - since < PATIENCE_MS) continue;
          missing.set(number, Number.POSITIVE_INFINITY); // counted; it may still come, and is disordered then
          found.push(since);
        }
      }
      overdue += found.length;
      return found;
    },
    get heard() {
      return accounts.size;
    },
    complete: (publishers, count) => open === 0 && overdue === 0 && highs === publishers * count,
    missing(publishers, count) {
      const found = [...accounts.values()].flatMap(({ high, missing, receivedAt }) => [
        ...[...missing.values()].filter((since) => since !== Number.POSITIVE_INFINITY),
        ...Array<number>(Math.max(0, count - high)).fill(receivedAt),
      ]);
      return [...found, ...Array<number>(Math.max(0, publishers - accounts.size) * count).fill(0)];
    },
  };
}
