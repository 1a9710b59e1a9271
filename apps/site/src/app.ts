import { randomUUID } from "node:crypto";
import { filterRecords, groupByDay, MAX_QUERY_LENGTH, StoreError, searchRecords } from "@concord/feed";
import { PasswordsBusyError, PeopleError } from "@concord/feed/people";
import { BrokenRunError, RunBusyError, RunRequestError, UnknownRunError } from "@concord/papers";
import { Hono } from "hono";
import { compress } from "hono/compress";
import { HTTPException } from "hono/http-exception";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { z } from "zod";
import { apiRoutes } from "./api/routes.ts";
import { dailyRoutes } from "./daily/routes.ts";
import { acceptedEncoding } from "./http/assets.ts";
import { findClient } from "./http/client-address.ts";
import { formTokens } from "./http/csrf.ts";
import { hostCheck, requestLimits, sameOriginOnly, securityHeaders } from "./http/security.ts";
import { findViewer } from "./http/session.ts";
import { pageCaching } from "./ops/caching.ts";
import { requestLog } from "./ops/log.ts";
import { metricsPage } from "./ops/metrics.ts";
import { robotsText } from "./ops/robots.ts";
import { cataloguePage } from "./pages/catalogue.ts";
import { layout } from "./pages/layout.ts";
import { aboutPage, messagePage } from "./pages/plain.ts";
import { peopleRoutes } from "./people/routes.ts";
import { runRoutes } from "./run-routes.ts";
import { searchRoutes } from "./search/routes.ts";
import type { SiteEnv } from "./site-env.ts";
import type { Render, SiteParts } from "./site-parts.ts";
import { feedRoutes } from "./subscribe/feed-routes.ts";
import { subscribeRoutes } from "./subscribe/routes.ts";

const catalogueQuery = z.object({
  q: z.string().trim().max(MAX_QUERY_LENGTH).default(""),
  topic: z.string().max(64).default(""),
  runs: z.literal("1").optional(),
});

/** The words and the status with which a failure is answered; details of unexpected ones stay in the server's log. */
function describeFailure(error: Error): {
  readonly status: ContentfulStatusCode;
  readonly title: string;
  readonly message: string;
} {
  if (error instanceof HTTPException) {
    const title = error.status === 404 ? "Not found" : "Not possible";
    return { status: error.status as ContentfulStatusCode, title, message: error.message };
  }
  if (error instanceof PeopleError) {
    const status = error.kind === "fault" ? 400 : error.kind === "limited" ? 429 : 403;
    return { status, title: "Not possible", message: error.message };
  }
  if (error instanceof PasswordsBusyError)
    return { status: 503, title: "One moment", message: error.message };
  if (error instanceof StoreError && error.code === "busy") {
    return { status: 503, title: "One moment", message: "The server is busy. Try again in a moment." };
  }
  if (error instanceof UnknownRunError) {
    return { status: 404, title: "Not found", message: "There is no such run. It may have been deleted." };
  }
  if (error instanceof RunBusyError) return { status: 409, title: "Not possible", message: error.message };
  if (error instanceof RunRequestError) return { status: 400, title: "Not possible", message: error.message };
  const broken = error instanceof BrokenRunError;
  return {
    status: 500,
    title: "Something went wrong",
    message: broken
      ? "The record of this run cannot be read. The server's log says why."
      : "The server could not answer. Its log says why.",
  };
}

/** All routes of the site. */
export function createApp(parts: SiteParts): Hono<SiteEnv> {
  const { assets, catalogue, settings, store, people, log, metrics } = parts;
  const render: Render = (context, page) => layout(assets, context, page);
  const app = new Hono<SiteEnv>();

  app.use(async (context, next) => {
    context.set("requestId", randomUUID().slice(0, 8));
    context.set("viewer", null);
    context.set("scopes", []);
    context.set("failed", false);
    context.set("account", null);
    context.set("session", null);
    context.set("csrf", () => "");
    await next();
  });
  app.use(
    findClient(settings.server.trustedProxies, (proxy) =>
      log.warn({ proxy }, "requests come through a proxy that server.trustedProxies does not name"),
    ),
  );
  app.use(requestLog(log));
  app.use(metrics.middleware);
  app.use(securityHeaders);
  app.use(hostCheck(settings.server.host, settings.server.allowHosts));
  app.use(sameOriginOnly);
  app.use(compress());
  app.use(requestLimits);
  app.use(pageCaching);
  app.use(findViewer(people.sessions));
  app.use(formTokens(people));

  app.get("/healthz", async (context) => {
    const { ok, problem } = await store.health().catch((err: unknown) => {
      log.error({ err }, "the store cannot be looked at");
      return { ok: false, problem: "The store cannot be used. The server's log says why." };
    });
    return ok ? context.json({ status: "ok" }) : context.json({ status: "failing", problem }, 503);
  });
  app.get("/robots.txt", (context) => context.text(robotsText));
  app.get("/metrics", (context) => metricsPage(metrics, context, settings.metrics.token));

  app.get("/assets/:file", (context) => {
    const asset = assets.file(context.req.param("file"));
    if (!asset) throw new HTTPException(404, { message: "There is no such file." });
    const encoding = acceptedEncoding(context.req.header("accept-encoding"));
    return context.body(encoding === null ? asset.body : asset.encoded[encoding], 200, {
      "Content-Type": asset.contentType,
      "Cache-Control": "public, max-age=31536000, immutable",
      Vary: "Accept-Encoding",
      ...(encoding !== null && { "Content-Encoding": encoding }),
    });
  });

  const venues = new Map(
    catalogue.records.flatMap(({ slug }) => {
      const venue = slug && catalogue.card(slug)?.venue;
      return slug && venue ? [[slug, venue] as const] : [];
    }),
  );

  app.get("/catalogue", (context) => {
    const parsed = catalogueQuery.safeParse(context.req.query());
    if (!parsed.success) {
      throw new HTTPException(400, {
        message: `A search has at most ${MAX_QUERY_LENGTH} characters; a topic is one of the list.`,
      });
    }
    const { q, topic, runs } = parsed.data;
    const matching = filterRecords(searchRecords(catalogue.records, q), { topic: topic || undefined });
    const found = runs ? matching.filter(({ runnable }) => runnable) : matching;
    const body = cataloguePage({
      query: { q, topic, runs: runs !== undefined },
      topics: catalogue.topics,
      days: groupByDay(found),
      found: found.length,
      total: catalogue.records.length,
      venues,
    });
    const description =
      "Papers on making embeddings agree, each with what it printed, and many to run in place.";
    return context.html(render(context, { title: "Catalogue", section: "catalogue", description, body }));
  });

  app.get("/about", (context) =>
    context.html(render(context, { title: "About", section: "about", body: aboutPage() })),
  );

  app.route("/", apiRoutes(parts, render));
  app.route("/", peopleRoutes(parts, render));
  app.route("/", dailyRoutes(parts, render));
  app.route("/", searchRoutes(parts, render));
  app.route("/", feedRoutes(parts));
  app.route("/", subscribeRoutes(parts, render));
  app.route("/", runRoutes(parts, render));

  app.notFound(() => {
    throw new HTTPException(404, { message: "There is no such page." });
  });
  app.onError((error, context) => {
    // An answer that a route chose itself, such as the way to the sign-in page.
    if (error instanceof HTTPException && error.res) return error.res;
    const { status, title, message } = describeFailure(error);
    context.set("failed", true);
    if (error instanceof PeopleError && error.retryAt !== null) {
      const seconds = Math.max(1, Math.ceil((error.retryAt - people.clock()) / 1000));
      context.header("Retry-After", String(seconds));
    }
    if (status >= 500) log.error({ err: error, request: context.var.requestId }, "a request failed");
    // Programs read JSON, also of what is refused before the API has its turn.
    if (context.req.path.startsWith("/api/")) return context.json({ error: message }, status);
    return context.html(
      render(context, { title, section: "none", body: messagePage(title, message) }),
      status,
    );
  });
  return app;
}
