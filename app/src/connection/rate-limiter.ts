/**
 * A token bucket without timers: two numbers per connection. Libraries at hand keep a map and a timer
 * per key, which is what a connection already is.
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

  /** Takes one message out of the bucket: 0 when there was one, else the ms until there is. */
  take(now = performance.now()): number {
    const perMs = this.#limit.perMinute / 60_000;
    this.#tokens = Math.min(this.#limit.burst, this.#tokens + (now - this.#filledAt) * perMs);
    this.#filledAt = now;
    if (this.#tokens >= 1) {
      this.#tokens -= 1;
      return 0;
    }
    return Math.ceil((1 - this.#tokens) / perMs);
  }
}
