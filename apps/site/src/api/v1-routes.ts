import { type PaperFilter, StoreError } from "@concord/feed";
import { limitRules, takeOrRefuse } from "@concord/feed/people";
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { HTTPException } from "hono/http-exception";
import { findPaper } from "../daily/query.ts";
import { whenceOf } from "../http/session.ts";
import type { SiteEnv, Viewer } from "../site-env.ts";
import type { SiteParts } from "../site-parts.ts";
import { jsonAnswer, refusals } from "./common.ts";
import type { KeyScope } from "./keys.ts";
import {
  apiPage,
  apiPaper,
  apiPeriod,
  apiSearch,
  filterParameters,
  pageParameters,
  toApiPaper,
  toApiSearch,
} from "./v1-shapes.ts";

const TAG = "Concord";
const idParameter = z.object({ id: z.string().max(100).openapi({ example: "2504.12717" }) });
const security = [{ key: [] }];

/** Whoever the key stands for. @throws HTTPException 401 without a key, 403 when it may not do this */
function keyHolder(context: Context<SiteEnv>, scope: KeyScope): Viewer {
  const { viewer, scopes } = context.var;
  if (viewer === null)
    throw new HTTPException(401, {
      message: "Send Authorization: Bearer KEY. Keys are made in the settings.",
    });
  if (!scopes.includes(scope))
    throw new HTTPException(403, { message: `This key has not the scope '${scope}'.` });
  return viewer;
}

/** Concord's own calls. */
export function v1Api(app: OpenAPIHono<SiteEnv>, { store, people, search, publicUrl }: SiteParts): void {
  const paperOf = async (id: string) => {
    const paper = await findPaper(store.papers, id);
    if (!paper) throw new HTTPException(404, { message: "There is no such paper." });
    return paper;
  };

  app.openapi(
    createRoute({
      method: "get",
      path: "/api/v1/papers",
      tags: [TAG],
      summary: "Lists of papers: newest, trending, or most votes first",
      request: {
        query: filterParameters
          .extend(pageParameters.shape)
          .extend({ order: z.enum(["newest", "trending", "top"]).default("newest") }),
      },
      responses: { 200: jsonAnswer("A page of the list", apiPage), ...refusals(400, 429) },
    }),
    async (context) => {
      const { order, cursor, limit, ...filter } = context.req.valid("query");
      const { items, next } = await store.papers.list({ order, cursor, limit, filter });
      return context.json({ papers: items.map((paper) => toApiPaper(paper, publicUrl())), next }, 200);
    },
  );

  app.openapi(
    createRoute({
      method: "get",
      path: "/api/v1/papers/{id}",
      tags: [TAG],
      summary: "One paper, by arXiv id or catalogue folder",
      request: { params: idParameter },
      responses: { 200: jsonAnswer("The paper", apiPaper), ...refusals(404, 429) },
    }),
    async (context) =>
      context.json(toApiPaper(await paperOf(context.req.valid("param").id), publicUrl()), 200),
  );

  app.openapi(
    createRoute({
      method: "get",
      path: "/api/v1/papers/{id}/similar",
      tags: [TAG],
      summary: "The papers nearest in meaning",
      request: {
        params: idParameter,
        query: z.object({ limit: z.coerce.number().int().min(1).max(50).default(10) }),
      },
      responses: { 200: jsonAnswer("Papers, nearest first", z.array(apiPaper)), ...refusals(404, 429) },
    }),
    async (context) => {
      const { id } = await paperOf(context.req.valid("param").id);
      const papers = await search.similar(id, context.req.valid("query").limit);
      return context.json(
        papers.map((paper) => toApiPaper(paper, publicUrl())),
        200,
      );
    },
  );

  app.openapi(
    createRoute({
      method: "get",
      path: "/api/v1/search",
      tags: [TAG],
      summary: "Search by words, by meaning, or by both",
      request: {
        query: filterParameters.extend(pageParameters.shape).extend({
          q: z.string().trim().min(1).max(250),
          mode: z.enum(["hybrid", "words", "meaning"]).optional(),
        }),
      },
      responses: { 200: jsonAnswer("A page of results, best first", apiSearch), ...refusals(400, 429) },
    }),
    async (context) => {
      const { q, mode, cursor, limit, ...filter } = context.req.valid("query");
      const answer = await search.search({ query: q, mode, cursor, limit, filter: filter as PaperFilter });
      return context.json(toApiSearch(answer, publicUrl()), 200);
    },
  );

  app.openapi(
    createRoute({
      method: "post",
      path: "/api/v1/recommendations",
      tags: [TAG],
      summary: "Papers like these and not like those; changes nothing",
      request: {
        body: {
          required: true,
          content: {
            "application/json": {
              schema: z.object({
                like: z.array(z.string().max(100)).min(1).max(200),
                unlike: z.array(z.string().max(100)).max(200).default([]),
                limit: z.int().min(1).max(100).default(20),
              }),
            },
          },
        },
      },
      responses: { 200: jsonAnswer("Papers, best first", z.array(apiPaper)), ...refusals(400, 429) },
    }),
    async (context) => {
      const papers = await search.recommend(context.req.valid("json"));
      return context.json(
        papers.map((paper) => toApiPaper(paper, publicUrl())),
        200,
      );
    },
  );

  app.openapi(
    createRoute({
      method: "get",
      path: "/api/v1/periods/{kind}/{at}",
      tags: [TAG],
      summary: "The day, week or month with papers at or before a day, and its neighbours",
      request: { params: z.object({ kind: z.enum(["day", "week", "month"]), at: z.string().max(10) }) },
      responses: { 200: jsonAnswer("The period", apiPeriod), ...refusals(400, 404, 429) },
    }),
    async (context) => {
      const { kind, at } = context.req.valid("param");
      const period = await store.papers.period(kind, { at });
      if (!period) throw new HTTPException(404, { message: "There are no papers yet." });
      return context.json(period, 200);
    },
  );

  for (const name of ["vote", "bookmark"] as const) {
    for (const [method, on] of [
      ["put", true],
      ["delete", false],
    ] as const) {
      app.openapi(
        createRoute({
          method,
          path: `/api/v1/papers/{id}/${name}`,
          tags: [TAG],
          summary: `${on ? "Set" : "Take back"} your ${name}; a second time changes nothing`,
          security,
          request: { params: idParameter },
          responses: {
            200: jsonAnswer("How it is now", z.object({ changed: z.boolean(), [name]: z.boolean() })),
            ...refusals(401, 403, 404, 429),
          },
        }),
        async (context) => {
          const viewer = keyHolder(context, "write");
          const { id } = await paperOf(context.req.valid("param").id);
          // The rules of the pages: a key is no way around them.
          await takeOrRefuse(store.limits, limitRules.vote(viewer.id), people.clock());
          const actor = { accountId: viewer.id, block: whenceOf(context, people.secret).block };
          const { changed } = await store.activity[name](id, actor, on);
          return context.json({ changed, [name]: on }, 200);
        },
      );
    }
  }

  app.openapi(
    createRoute({
      method: "get",
      path: "/api/v1/me",
      tags: [TAG],
      summary: "Whose key this is",
      security,
      responses: {
        200: jsonAnswer(
          "The account",
          z.object({ name: z.string(), role: z.string(), scopes: z.array(z.string()) }),
        ),
        ...refusals(401, 403, 429),
      },
    }),
    (context) => {
      const { name, role } = keyHolder(context, "read");
      return context.json({ name, role, scopes: [...context.var.scopes] }, 200);
    },
  );
}

/** The status of what the store refuses, or null for what it does not refuse but fails at. */
export function refusalOf(
  error: Error,
): { readonly status: 400 | 404 | 409 | 503; readonly message: string } | null {
  if (!(error instanceof StoreError)) return null;
  const status = ({ invalid: 400, "not-found": 404, conflict: 409, busy: 503 } as const)[
    error.code as "invalid"
  ];
  return status === undefined ? null : { status, message: error.message };
}
