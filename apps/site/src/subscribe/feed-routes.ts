import { createHash } from "node:crypto";
import {
  atomFeed,
  jsonFeed,
  type Page,
  type PublishedList,
  rssFeed,
  type StoredPaper,
  StoreError,
} from "@concord/feed";
import { Hono } from "hono";
import { HTTPException } from "hono/http-exception";
import { z } from "zod";
import { periodText } from "../daily/dates.ts";
import {
  address,
  filterQuery,
  isNarrowed,
  type ListPlace,
  listAddress,
  paperFilter,
  paperPath,
} from "../daily/query.ts";
import type { SiteContext, SiteEnv } from "../site-env.ts";
import type { SiteParts } from "../site-parts.ts";

const ITEMS = 50;
const MAX_AGE_S = 900;

const formats = {
  "/rss": { type: "application/rss+xml; charset=utf-8", write: rssFeed },
  "/atom": { type: "application/atom+xml; charset=utf-8", write: atomFeed },
  "/feed.json": { type: "application/feed+json; charset=utf-8", write: jsonFeed },
} as const;

type FeedPath = keyof typeof formats;

const feedQuery = filterQuery.extend({
  list: z.enum(["latest", "trending", "day", "week", "month"]).default("latest"),
  at: z.string().max(10).optional(),
  q: z.string().trim().min(1).max(250).optional(),
  collection: z.string().max(64).optional(),
  after: z.string().max(400).optional(),
});
type FeedQuery = z.output<typeof feedQuery>;

/** The address of a list's feed. */
export function feedAddress(path: FeedPath, query: Partial<FeedQuery>): string {
  const { list, at, q, collection, category, topic, author, code, runs, after } = query;
  const named = list === "latest" ? undefined : list;
  return address(path, { list: named, at, q, collection, category, topic, author, code, runs, after });
}

interface FoundList {
  readonly title: string;
  readonly description: string;
  readonly page: string;
  readonly papers: Page<StoredPaper>;
}

/** What the query names: a collection, a search, or a list with its filters. */
async function findList({ store, search }: SiteParts, query: FeedQuery): Promise<FoundList> {
  const { list, at, q, collection: collectionId, after: cursor, ...filters } = query;
  if (collectionId !== undefined) {
    const collection = await store.activity.collection(collectionId);
    if (!collection?.public) throw new HTTPException(404, { message: "There is no such public collection." });
    const { items, next } = await store.activity.collected(collection.id, { cursor, limit: ITEMS });
    return {
      title: collection.name,
      description: `Papers of the collection ${collection.name}, newest addition first`,
      page: `/collections/${collection.id}`,
      papers: { items: items.map(({ paper }) => paper), next },
    };
  }
  const filter = paperFilter(filters);
  const narrowed = isNarrowed(filters) ? `, ${Object.values(filters).filter(Boolean).join(", ")}` : "";
  if (q !== undefined) {
    const { hits, next } = await search.search({ query: q, filter, cursor, limit: ITEMS });
    // A reader wants what came since; the best of all time would never change.
    const papers = hits.map(({ paper }) => paper).sort((a, b) => (b.day ?? "").localeCompare(a.day ?? ""));
    return {
      title: `Papers on “${q}”${narrowed}`,
      description: `Papers found by “${q}”, newest first`,
      page: address("/search", { q, ...filters }),
      papers: { items: papers, next },
    };
  }
  if (list === "latest" || list === "trending") {
    const order = list === "latest" ? "newest" : "trending";
    return {
      title: `${list === "latest" ? "Daily Papers" : "Trending papers"}${narrowed}`,
      description:
        list === "latest" ? "New papers, newest first" : "What readers vote for, keep, discuss and run",
      page: listAddress({ list }, filters),
      papers: await store.papers.list({ order, filter, cursor, limit: ITEMS }),
    };
  }
  const period = await store.papers.period(list, { at, filter });
  if (!period) throw new HTTPException(404, { message: "There are no papers yet." });
  const place: ListPlace = { list, at: period.key };
  return {
    title: `Papers of ${periodText(period)}${narrowed}`,
    description: "Most votes first",
    page: listAddress(place, filters),
    papers: await store.papers.list({
      ...{ order: "top", cursor, limit: ITEMS },
      filter: { ...filter, from: period.from, to: period.to },
    }),
  };
}

async function answerFeed(parts: SiteParts, path: FeedPath, context: SiteContext): Promise<Response> {
  const parsed = feedQuery.safeParse(context.req.query());
  if (!parsed.success) throw new HTTPException(400, { message: "The address of this feed is malformed." });
  const query = parsed.data;
  const found = await findList(parts, query).catch((error: unknown) => {
    if (error instanceof StoreError && error.code === "invalid") {
      throw new HTTPException(400, { message: error.message });
    }
    throw error;
  });
  const base = parts.publicUrl();
  const list: PublishedList = {
    title: found.title,
    description: found.description,
    page: base + found.page,
    self: base + feedAddress(path, query),
    next: found.papers.next && base + feedAddress(path, { ...query, after: found.papers.next }),
    icon: base + parts.assets.url("icon"),
    papers: found.papers.items,
    pageOf: (paper) => base + paperPath(paper),
  };
  const { type, write } = formats[path];
  const text = write(list);
  const etag = `"${createHash("sha256").update(text).digest("base64url").slice(0, 27)}"`;
  const headers = { "Content-Type": type, "Cache-Control": `max-age=${MAX_AGE_S}`, ETag: etag };
  const known = context.req.header("if-none-match")?.split(/\s*,\s*/) ?? [];
  if (known.some((tag) => tag.replace(/^W\//, "") === etag)) return context.body(null, 304, headers);
  return context.body(text, 200, headers);
}

/** RSS, Atom and JSON Feed of every list, search and public collection. */
export function feedRoutes(parts: SiteParts): Hono<SiteEnv> {
  const app = new Hono<SiteEnv>();
  for (const path of Object.keys(formats) as FeedPath[]) {
    app.get(path, (context) => answerFeed(parts, path, context));
  }
  return app;
}
