import type { MiddlewareHandler } from "hono";
import { networkOf } from "../http/client-block.ts";
import type { SiteEnv } from "../site-env.ts";

const WINDOW_S = 300;
/** Clients beyond this are counted together: the memory of the counter stays bounded. */
const MAX_CLIENTS = 50_000;

/**
 * Fixed windows of five minutes in memory, with the headers that clients of Daily Papers know:
 * `RateLimit: "api";r=LEFT;t=SECONDS` and `RateLimit-Policy: "fixed window";"api";q=QUOTA;w=300`.
 */
export class RateWindows {
  readonly #name: string;
  readonly #quota: number;
  readonly #now: () => number;
  #window = -1;
  #used = new Map<string, number>();

  constructor(name: string, quota: number, now: () => number = Date.now) {
    this.#name = name;
    this.#quota = quota;
    this.#now = now;
  }

  /** Counts a request of `key`. @returns how many are left, -1 when this one is too many, and seconds to the next window */
  take(key: string, quota = this.#quota): { readonly left: number; readonly seconds: number } {
    const seconds = this.#now() / 1000;
    const window = Math.floor(seconds / WINDOW_S);
    if (window !== this.#window) {
      this.#window = window;
      this.#used = new Map();
    }
    const counted = this.#used.has(key) || this.#used.size < MAX_CLIENTS ? key : "others";
    const used = (this.#used.get(counted) ?? 0) + 1;
    this.#used.set(counted, used);
    return { left: Math.max(quota - used, -1), seconds: Math.ceil((window + 1) * WINDOW_S - seconds) };
  }

  /** @param quotaOf  the quota of a request and whom it is counted for */
  middleware(
    whose: (network: string, viewer: string | null) => { readonly key: string; readonly quota: number },
  ): MiddlewareHandler<SiteEnv> {
    return async (context, next) => {
      const { key, quota } = whose(
        // One subscriber has 2^64 addresses of IPv6.
        networkOf(context.var.client, "subscriber"),
        context.var.viewer?.id ?? null,
      );
      const { left, seconds } = this.take(key, quota);
      context.header("RateLimit", `"${this.#name}";r=${Math.max(left, 0)};t=${seconds}`);
      context.header("RateLimit-Policy", `"fixed window";"${this.#name}";q=${quota};w=${WINDOW_S}`);
      if (left < 0) {
        context.header("Retry-After", String(seconds));
        return context.json({ error: `Too many requests: at most ${quota} in five minutes.` }, 429);
      }
      return next();
    };
  }
}
