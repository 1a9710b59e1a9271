import { createHash, timingSafeEqual } from "node:crypto";
import type { Store } from "@concord/feed";
import type { MiddlewareHandler } from "hono";
import { HTTPException } from "hono/http-exception";
import { routePath } from "hono/route";
import { collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { SiteContext, SiteEnv } from "../site-env.ts";

/** Upper bounds in seconds, around the bars of the site: 15 ms for a page, 60 ms for a search. */
const SECONDS = [0.002, 0.005, 0.01, 0.015, 0.03, 0.06, 0.1, 0.25, 1, 5];

/** What the site counts about itself, in the format of Prometheus. */
export class Metrics {
  readonly registry = new Registry();
  readonly #requests = new Histogram({
    name: "concord_request_seconds",
    help: "Time to answer a request",
    labelNames: ["method", "route", "status"],
    buckets: SECONDS,
    registers: [this.registry],
  });
  readonly #searches = new Histogram({
    name: "concord_search_seconds",
    help: "Time to rank a search",
    labelNames: ["mode"],
    buckets: SECONDS,
    registers: [this.registry],
  });

  constructor(store: Store) {
    collectDefaultMetrics({ register: this.registry });
    new Gauge({
      name: "concord_papers",
      help: "Papers in the store",
      registers: [this.registry],
      async collect() {
        this.set((await store.health()).papers);
      },
    });
    new Gauge({
      name: "concord_readers",
      help: "Readers of the digest by state",
      labelNames: ["state"],
      registers: [this.registry],
      async collect() {
        for (const [state, count] of Object.entries(await store.subscriptions.counts())) {
          this.set({ state }, count);
        }
      },
    });
  }

  /** Notes how long a search took. */
  searched(mode: string, seconds: number): void {
    this.#searches.observe({ mode }, seconds);
  }

  readonly middleware: MiddlewareHandler<SiteEnv> = async (context, next) => {
    const start = performance.now();
    await next();
    this.#requests.observe(
      { method: context.req.method, route: routePath(context, -1), status: context.res.status },
      (performance.now() - start) / 1000,
    );
  };
}

const digest = (text: string) => createHash("sha256").update(text).digest();

/** Whether the request may read the metrics: it comes from this machine, or carries the token. */
export function mayReadMetrics(context: SiteContext, token: string | undefined): boolean {
  const given = /^Bearer (.+)$/.exec(context.req.header("authorization") ?? "")?.[1];
  if (token && given) return timingSafeEqual(digest(given), digest(token));
  const { client, passedOn } = context.var;
  return !passedOn && (client === "127.0.0.1" || client === "::1");
}

/** @throws HTTPException 403 */
export async function metricsPage(metrics: Metrics, context: SiteContext, token: string | undefined) {
  if (!mayReadMetrics(context, token)) {
    throw new HTTPException(403, { message: "Metrics are for this machine, or for whoever has the token." });
  }
  return context.body(await metrics.registry.metrics(), 200, {
    "Content-Type": metrics.registry.contentType,
  });
}
