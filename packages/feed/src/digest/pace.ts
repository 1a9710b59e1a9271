/** A token bucket for each domain of recipients: none gets more than so many messages a minute from us. */
export class DomainPace {
  readonly #perMinute: number;
  readonly #burst: number;
  readonly #buckets = new Map<string, { tokens: number; at: number }>();
  readonly #clock: () => number;

  /**
   * @param perMinute  messages a minute and domain; a burst of a sixth of it may go out at once
   * @param clock  milliseconds of a clock that never jumps
   */
  constructor(perMinute: number, clock: () => number = () => performance.now()) {
    this.#perMinute = perMinute;
    this.#burst = Math.max(1, Math.ceil(perMinute / 6));
    this.#clock = clock;
  }

  #bucket(domain: string): { tokens: number; at: number } {
    const now = this.#clock();
    const bucket = this.#buckets.get(domain) ?? { tokens: this.#burst, at: now };
    bucket.tokens = Math.min(this.#burst, bucket.tokens + ((now - bucket.at) * this.#perMinute) / 60_000);
    bucket.at = now;
    // A bucket that has filled up again says nothing: only the busy ones are kept when there are many.
    if (this.#buckets.size > 10_000)
      for (const [name, { at }] of this.#buckets) if (now - at > 60_000) this.#buckets.delete(name);
    this.#buckets.set(domain, bucket);
    return bucket;
  }

  /** Takes a token. @returns milliseconds until there is one; 0: taken */
  take(domain: string): number {
    const bucket = this.#bucket(domain);
    if (bucket.tokens >= 1) {
      bucket.tokens -= 1;
      return 0;
    }
    return Math.ceil(((1 - bucket.tokens) * 60_000) / this.#perMinute);
  }
}

/** The domain of an address, in lower case. */
export const domainOf = (email: string) => email.slice(email.lastIndexOf("@") + 1).toLowerCase();
