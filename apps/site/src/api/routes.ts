import { PeopleError } from "@concord/feed/people";
import { OpenAPIHono } from "@hono/zod-openapi";
import type { Hono } from "hono";
import { HTTPException } from "hono/http-exception";
import { statusOf } from "../people/forms.ts";
import type { SiteEnv } from "../site-env.ts";
import type { Render, SiteParts } from "../site-parts.ts";
import { dailyApi } from "./daily-routes.ts";
import { type ApiDescription, apiDocsPage } from "./docs-page.ts";
import { keyAuthentication } from "./keys.ts";
import { RateWindows } from "./rate-windows.ts";
import { subscriptionApi } from "./subscription-routes.ts";
import { refusalOf, v1Api } from "./v1-routes.ts";

const ANONYMOUS_QUOTA = 500;
const ACCOUNT_QUOTA = 2500;
const SEARCH_QUOTA = 100;

const documentOf = (url: string) => ({
  openapi: "3.1.0" as const,
  info: {
    title: "Concord",
    version: "1",
    description:
      "Daily Papers of this host. The calls under “Daily Papers” answer with the field names of that API, so programs written for it can read this host; those under “Concord” give everything else. Anonymous clients may make 500 requests in five minutes, keys 2,500; searches have a quota of their own of 100.",
  },
  servers: [{ url }],
});

/** The API: its calls, their description, and a page that explains them. */
export function apiRoutes(parts: SiteParts, render: Render): Hono<SiteEnv> {
  const { store, people, publicUrl, log } = parts;
  const app = new OpenAPIHono<SiteEnv>({
    defaultHook: (result, context) => {
      if (result.success) return undefined;
      const [issue] = result.error.issues;
      return context.json({ error: `${issue?.path.join(".") || "request"}: ${issue?.message}` }, 400);
    },
  });
  const whose = (quota: number) => (network: string, viewer: string | null) =>
    viewer === null
      ? { key: network, quota }
      : { key: viewer, quota: (quota * ACCOUNT_QUOTA) / ANONYMOUS_QUOTA };
  app.use("/api/*", keyAuthentication(store));
  app.use("/api/*", new RateWindows("api", ANONYMOUS_QUOTA).middleware(whose(ANONYMOUS_QUOTA)));
  const searches = new RateWindows("search", SEARCH_QUOTA).middleware(whose(SEARCH_QUOTA));
  for (const path of ["/api/papers/search", "/api/v1/search", "/api/v1/recommendations"])
    app.use(path, searches);
  // Anybody's page may read what anybody may read; nothing here looks at cookies.
  app.use("/api/*", async (context, next) => {
    await next();
    context.header("Access-Control-Allow-Origin", "*");
  });

  dailyApi(app, parts);
  v1Api(app, parts);
  subscriptionApi(app, parts);

  app.openAPIRegistry.registerComponent("securitySchemes", "key", {
    type: "http",
    scheme: "bearer",
    description: "A key of your account, made in its settings.",
  });
  const description = () => app.getOpenAPI31Document(documentOf(publicUrl()));
  app.get("/.well-known/openapi.json", (context) => context.json(description()));
  app.get("/api", (context) =>
    context.html(
      render(context, {
        title: "API",
        section: "about",
        body: apiDocsPage(description() as object as ApiDescription, publicUrl()),
      }),
    ),
  );
  app.all("/api/*", () => {
    throw new HTTPException(404, {
      message: "There is no such call. GET /.well-known/openapi.json lists them.",
    });
  });
  app.onError((error, context) => {
    if (error instanceof PeopleError) {
      if (error.retryAt !== null)
        context.header(
          "Retry-After",
          String(Math.max(1, Math.ceil((error.retryAt - people.clock()) / 1000))),
        );
      return context.json({ error: error.message }, statusOf(error));
    }
    const refusal =
      error instanceof HTTPException ? { status: error.status, message: error.message } : refusalOf(error);
    if (refusal) return context.json({ error: refusal.message }, refusal.status);
    log.error({ err: error, request: context.var.requestId }, "a request failed");
    return context.json({ error: "The server could not answer." }, 500);
  });
  return app;
}
