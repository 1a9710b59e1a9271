import type { MarkedText, PaperFilter, Papers, StoredPaper } from "@concord/feed";
import { plainTex, readSpan } from "@concord/feed";
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { findPaper } from "../daily/query.ts";
import type { SiteEnv } from "../site-env.ts";
import type { SiteParts } from "../site-parts.ts";
import { jsonAnswer, refusals } from "./common.ts";
import { dailyDetail, dailyItem, dailySearchItem, toDailyItem, toDailyPaper } from "./daily-shapes.ts";
import { apiError } from "./v1-shapes.ts";

const TAG = "Daily Papers";
/** Farther down a list than this nobody reads by page numbers; cursors of /api/v1 go on. */
const MAX_OFFSET = 20_000;

const listQuery = z.object({
  date: z.string().optional().openapi({ example: "2026-11-20" }),
  week: z.string().optional().openapi({ example: "2026-W47" }),
  month: z.string().optional().openapi({ example: "2026-11" }),
  submitter: z.string().max(100).optional(),
  sort: z.enum(["publishedAt", "trending"]).default("publishedAt"),
  p: z.coerce.number().int().min(0).default(0).openapi({ description: "Page, from 0." }),
  limit: z.coerce.number().int().min(1).max(100).default(50),
});

interface Slice {
  readonly papers: readonly StoredPaper[];
  readonly more: boolean;
}

/**
 * The papers from `offset` on, in an order of which none is left out: behind those that trend come the others, newest
 * first.
 */
async function slice(
  papers: Papers,
  { sort, filter, offset, limit }: { sort: string; filter: PaperFilter; offset: number; limit: number },
): Promise<Slice> {
  if (sort !== "trending") {
    const page = await papers.list({ filter, skip: offset, limit });
    return { papers: page.items, more: page.next !== null };
  }
  const rising = await papers.list({ order: "trending", filter, skip: offset, limit });
  if (rising.next !== null) return { papers: rising.items, more: true };
  const inAll = await papers.count({ ...filter, hasEvents: true });
  const room = limit - rising.items.length;
  const rest = await papers.list({
    filter: { ...filter, hasEvents: false },
    skip: Math.max(0, offset - inAll),
    limit: Math.max(1, room),
  });
  return {
    papers: [...rising.items, ...rest.items.slice(0, room)],
    more: rest.next !== null || rest.items.length > room,
  };
}

/** `[from, to]` of a date, week or month; null when the text is none. */
function spanFilter(query: z.infer<typeof listQuery>): PaperFilter | null {
  for (const [kind, text] of [
    ["day", query.date],
    ["week", query.week],
    ["month", query.month],
  ] as const) {
    if (text === undefined) continue;
    const span = readSpan(kind, text);
    if (span === null || span.key !== text) return null;
    return { from: span.from, to: span.to };
  }
  return {};
}

/** The calls of the Daily Papers API that readers and scripts use, answered with its field names. */
export function dailyApi(app: OpenAPIHono<SiteEnv>, { store, search, publicUrl }: SiteParts): void {
  async function detailOf(asked: string) {
    const paper = await findPaper(store.papers, asked);
    if (!paper) return null;
    const { items } = await store.comments.ofPaper(paper.id, { limit: 200 });
    const shown = items.filter(({ state }) => state === "visible");
    const authors = new Map(
      (await store.people.getMany(shown.flatMap(({ accountId }) => accountId ?? []))).map((account) => [
        account.id,
        account.name,
      ]),
    );
    const time = (at: number) => new Date(at).toISOString();
    const comments = shown.map((comment) => ({
      id: comment.id,
      author: comment.accountId === null ? null : { name: authors.get(comment.accountId) ?? "" },
      createdAt: time(comment.createdAt),
      type: "comment" as const,
      data: {
        edited: comment.editedAt !== null,
        hidden: false,
        numEdits: comment.edits,
        latest: { raw: comment.text, updatedAt: time(comment.editedAt ?? comment.createdAt) },
      },
    }));
    const none = {
      linkedModels: [],
      numTotalModels: 0,
      linkedDatasets: [],
      numTotalDatasets: 0,
      linkedSpaces: [],
    };
    return { ...toDailyPaper(paper, publicUrl()), comments, ...none };
  }

  app.openapi(
    createRoute({
      method: "get",
      path: "/api/daily_papers",
      tags: [TAG],
      summary: "Papers by day, week or month, newest or trending first",
      request: { query: listQuery },
      responses: { 200: jsonAnswer("Papers", z.array(dailyItem)), ...refusals(400, 429) },
    }),
    async (context) => {
      const query = context.req.valid("query");
      const filter = spanFilter(query);
      if (filter === null)
        return context.json({ error: "Expected date=YYYY-MM-DD, week=YYYY-Www or month=YYYY-MM." }, 400);
      const offset = query.p * query.limit;
      const foreign = query.submitter !== undefined && query.submitter !== "concord";
      if (offset > MAX_OFFSET || foreign) return context.json([], 200);
      const { sort, limit } = query;
      const { papers, more } = await slice(store.papers, { sort, filter, offset, limit });
      if (more) {
        const next = new URL(context.req.url);
        next.searchParams.set("p", String(query.p + 1));
        context.header("Link", `<${publicUrl()}${next.pathname}${next.search}>; rel="next"`);
      }
      return context.json(
        papers.map((paper) => toDailyItem(paper, publicUrl())),
        200,
      );
    },
  );

  app.openapi(
    createRoute({
      method: "get",
      path: "/api/papers/search",
      tags: [TAG],
      summary: "Search by words and meaning",
      request: {
        query: z.object({
          q: z.string().trim().min(1).max(250),
          limit: z.coerce.number().int().min(1).max(120).default(20),
        }),
      },
      responses: { 200: jsonAnswer("Papers, best first", z.array(dailySearchItem)), ...refusals(400, 429) },
    }),
    async (context) => {
      const { q, limit } = context.req.valid("query");
      const { hits } = await search.search({ query: q, limit: Math.min(limit, 100) });
      // A text of one stretch may have commands; one with hits has none.
      const marked = (texts: readonly MarkedText[]) =>
        texts.map(({ text, hit }) => ({
          type: hit ? ("highlight" as const) : ("text" as const),
          text: texts.length === 1 ? plainTex(text) : text,
        }));
      const items = hits.map(({ paper, title, abstract }) => {
        const { submittedBy: _, ...item } = toDailyItem(paper, publicUrl());
        return {
          ...item,
          upvoted: false,
          highlightedTitle: marked(title),
          highlightedSummary: marked(abstract),
        };
      });
      return context.json(items, 200);
    },
  );

  app.openapi(
    createRoute({
      method: "get",
      path: "/api/papers/{id}",
      tags: [TAG],
      summary: "One paper with its comments",
      request: { params: z.object({ id: z.string().max(100).openapi({ example: "2504.12717" }) }) },
      responses: { 200: jsonAnswer("The paper", dailyDetail), ...refusals(404, 429) },
    }),
    async (context) => {
      const detail = await detailOf(context.req.valid("param").id);
      return detail ? context.json(detail, 200) : context.json({ error: "Paper not found" }, 404);
    },
  );
  // Ids from before 2007 have a slash, and programs put ids into addresses as lists give them.
  app.get("/api/papers/:archive/:number{[0-9]{7}(?:v[0-9]+)?}", async (context) => {
    const { archive, number } = context.req.param();
    const detail = await detailOf(`${archive}/${number}`);
    return detail ? context.json(detail, 200) : context.json({ error: "Paper not found" }, 404);
  });

  app.openapi(
    createRoute({
      method: "get",
      path: "/api/papers",
      tags: [TAG],
      summary: "All papers, newest first",
      request: {
        query: z.object({
          cursor: z.string().max(400).optional(),
          limit: z.coerce.number().int().min(1).max(100).default(50),
        }),
      },
      responses: { 200: jsonAnswer("Papers", z.array(dailyItem)), ...refusals(400, 429) },
    }),
    async (context) => {
      const { cursor, limit } = context.req.valid("query");
      const { items, next } = await store.papers.list({ order: "newest", cursor, limit });
      if (next !== null) {
        const address = `${publicUrl()}/api/papers?limit=${limit}&cursor=${encodeURIComponent(next)}`;
        context.header("Link", `<${address}>; rel="next"`);
      }
      return context.json(
        items.map((paper) => toDailyItem(paper, publicUrl())),
        200,
      );
    },
  );

  app.openapi(
    createRoute({
      method: "get",
      path: "/api/arxiv/{id}/repos",
      tags: [TAG],
      summary: "Models, data sets and demos of a paper: this host knows none",
      request: { params: z.object({ id: z.string().max(100) }) },
      responses: {
        200: jsonAnswer(
          "Always empty",
          z.object({
            models: z.array(z.unknown()),
            datasets: z.array(z.unknown()),
            spaces: z.array(z.unknown()),
          }),
        ),
        404: jsonAnswer("No such paper", apiError),
      },
    }),
    async (context) => {
      const paper = await findPaper(store.papers, context.req.valid("param").id);
      if (!paper) return context.json({ error: "Paper not found" }, 404);
      return context.json({ models: [], datasets: [], spaces: [] }, 200);
    },
  );
}
