import { type SearchAnswer, StoreError } from "@concord/feed";
import { Hono } from "hono";
import { HTTPException } from "hono/http-exception";
import { shownPapers } from "../daily/shown.ts";
import { Summaries } from "../daily/summary.ts";
import type { SiteContext, SiteEnv } from "../site-env.ts";
import type { Render, SiteParts } from "../site-parts.ts";
import { feedAddress } from "../subscribe/feed-routes.ts";
import { markedText } from "./marks.ts";
import {
  isFiltered,
  type SearchQuery,
  searchAddress,
  searchFilter,
  searchQuery,
  tasteQuery,
} from "./query.ts";
import { recommendPage } from "./recommend-page.ts";
import { searchPage } from "./search-page.ts";

const PAGE = 24;
const RECOMMENDED = 24;
/** Bookmarks that say what a reader likes: the latest ones. */
const BOOKMARKS = 100;
const STATE_KEPT_MS = 5000;

/** What the search refuses, as an answer to a browser. */
function refused(error: unknown): never {
  if (error instanceof StoreError && error.code === "invalid")
    throw new HTTPException(400, { message: error.message });
  if (error instanceof StoreError && error.code === "busy")
    throw new HTTPException(503, { message: error.message });
  throw error;
}

/** The search, and papers like others. */
export function searchRoutes(parts: SiteParts, render: Render): Hono<SiteEnv> {
  const { store, search, metrics } = parts;
  const app = new Hono<SiteEnv>();
  const summaries = new Summaries(store);
  let state: { readonly meaning: Promise<boolean>; readonly until: number } | undefined;
  const byMeaning = (): Promise<boolean> => {
    if (!state || state.until < Date.now()) {
      const meaning = search.state().then(
        ({ encoder }) => encoder !== null,
        () => false,
      );
      state = { meaning, until: Date.now() + STATE_KEPT_MS };
    }
    return state.meaning;
  };

  function parseSearch(context: SiteContext): SearchQuery {
    const parsed = searchQuery.safeParse(context.req.query());
    if (parsed.success) return parsed.data;
    const field = parsed.error.issues[0]?.path.join(".");
    throw new HTTPException(400, {
      message:
        field === "q"
          ? "A search has at most 250 characters."
          : `The address has a filter '${field}' with a value that does not exist. Choose from the form.`,
    });
  }

  async function looked(query: SearchQuery): Promise<SearchAnswer> {
    const { q, mode = "hybrid", after } = query;
    const answer = await search
      .search({ query: q, mode, filter: searchFilter(query), cursor: after, limit: PAGE })
      .catch(refused);
    metrics.searched(answer.mode, answer.ms / 1000);
    return answer;
  }

  app.get("/search", async (context) => {
    const query = parseSearch(context);
    const filter = searchFilter(query);
    const answer = query.q === "" ? null : await looked(query);
    // Filters without words: a list, newest first.
    const listed =
      answer === null && isFiltered(query)
        ? await store.papers
            .list({ order: "newest", filter, cursor: query.after, limit: PAGE })
            .catch(refused)
        : null;
    const papers = answer ? answer.hits.map(({ paper }) => paper) : (listed?.items ?? []);
    const [shown, summary, found, total, meaning] = await Promise.all([
      shownPapers(parts, context.var.viewer, papers),
      summaries.summary(),
      answer ? answer.found : listed ? summaries.count(filter) : 0,
      summaries.count({}),
      byMeaning(),
    ]);
    const next = answer ? answer.next : (listed?.next ?? null);
    const body = searchPage(context, {
      query,
      mode: answer?.mode ?? null,
      papers: shown.map((one, i) => {
        const hit = answer?.hits[i];
        return hit
          ? {
              ...one,
              highlighted: {
                title: markedText(hit.title, { links: false }),
                abstract: markedText(hit.abstract),
              },
            }
          : one;
      }),
      found,
      next: next === null ? null : searchAddress(query, next),
      authors: answer?.authors ?? [],
      categories: summary.categories,
      topics: summary.topics,
      total,
      meaning,
      byWords: answer?.hits.some((hit) => hit.byWords) ?? false,
    });
    const title =
      query.q !== ""
        ? `${query.q} – search`
        : query.author !== undefined
          ? `Papers by ${query.author}`
          : "Search";
    const { q, category, topic, author, code, runs } = query;
    const feed =
      q === "" && !isFiltered(query)
        ? {}
        : {
            feed:
              feedAddress("/rss", { q: q === "" ? undefined : q, category, topic, author, code, runs }).split(
                "?",
              )[1] ?? "",
          };
    return context.html(
      render(context, {
        title,
        section: "search",
        description: "Search the papers by their words, by what they mean, and by name.",
        ...feed,
        body,
      }),
    );
  });

  app.get("/recommended", async (context) => {
    const parsed = tasteQuery.safeParse(context.req.query());
    if (!parsed.success)
      throw new HTTPException(400, { message: "The address names too many papers: choose at most 100." });
    const { viewer } = context.var;
    const given = parsed.data;
    const kept =
      given.like.length === 0 && viewer
        ? (await store.activity.bookmarks(viewer.id, { limit: BOOKMARKS })).items.map(({ paper }) => paper.id)
        : [];
    const like = given.like.length > 0 ? given.like : kept.filter((id) => !given.unlike.includes(id));
    const [liked, unliked] = await Promise.all([
      store.papers.getMany(like),
      store.papers.getMany(given.unlike),
    ]);
    const found =
      liked.length === 0
        ? []
        : await search
            .recommend({
              like: liked.map(({ id }) => id),
              unlike: unliked.map(({ id }) => id),
              limit: RECOMMENDED,
            })
            .catch(refused);
    const source = liked.length === 0 ? "none" : given.like.length > 0 ? "chosen" : "bookmarks";
    const body = recommendPage(context, {
      taste: { like: liked.map(({ id }) => id), unlike: given.unlike },
      source,
      liked,
      unliked,
      papers: await shownPapers(parts, viewer, found),
      signedIn: viewer !== null,
    });
    return context.html(
      render(context, {
        title: "More like these",
        section: "search",
        description: "Papers like those you choose, and not like others.",
        body,
      }),
    );
  });

  return app;
}
