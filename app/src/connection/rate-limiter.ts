/**
 * A token bucket without timers: two numbers per connection. The libraries keep a map entry and a timer per key, but a
 * connection already is the key.
 */
export interface RateLimit {
  perMinute: number;
  burst: number;
}

export class RateLimiter {
  readonly #limit: RateLimit;
  #tokens: number;
  #filledAt: number;

  constructor(limit: RateLimit, now = performance.now()) {
    this.#limit = limit;
    this.#tokens = limit.burst;
    this.#filledAt = now;
  }

  /** Takes one token. @returns 0, or the ms until the next token when the bucket is empty */
  take(now = performance.now()): number {
    const wait = this.wait(now);
    if (wait === 0) this.#tokens -= 1;
    return wait;
  }

  /** @returns what `take` would, and takes nothing */
  wait(now = performance.now()): number {
    const perMs = this.#limit.perMinute / 60_000;
    this.#tokens = Math.min(this.#limit.burst, this.#tokens + (now - this.#filledAt) * perMs);
    this.#filledAt = now;
    return this.#tokens >= 1 ? 0 : Math.ceil((1 - this.#tokens) / perMs);
  }
}
