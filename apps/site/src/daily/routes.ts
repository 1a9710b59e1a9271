import type { PaperFilter, PaperOrder, Period, PeriodKind } from "@concord/feed";
import { StoreError } from "@concord/feed";
import type { PaperCard, PresetName } from "@concord/papers";
import { Hono } from "hono";
import { html } from "hono/html";
import { HTTPException } from "hono/http-exception";
import { sizesThatNeedFiles } from "../catalogue.ts";
import { catalogueSections, type PaperView, runSections } from "../pages/paper.ts";
import { commentSection } from "../people/comment-section.ts";
import { collectionsWith } from "../people/paper-act-routes.ts";
import { bookmarkForm, collectMenu } from "../people/paper-acts.ts";
import { runRefusal } from "../people/run-rights.ts";
import { SimilarSections } from "../search/similar-section.ts";
import type { SiteContext, SiteEnv } from "../site-env.ts";
import { MAX_SEEDS, type Render, type SiteParts } from "../site-parts.ts";
import { feedAddress } from "../subscribe/feed-routes.ts";
import { voteForm } from "./card.ts";
import { periodText } from "./dates.ts";
import { listPage } from "./list-page.ts";
import { paperCardSvg, paperMarkdown } from "./other-forms.ts";
import { paperPage } from "./paper-page.ts";
import {
  askedPaper,
  findPaper,
  isNarrowed,
  type ListPlace,
  listAddress,
  listQuery,
  paperFilter,
  paperPath,
  paperRoutes,
} from "./query.ts";
import { rankingPage } from "./ranking-page.ts";
import { shownPapers } from "./shown.ts";
import { subscribeStrip } from "./subscribe-strip.ts";
import { Summaries } from "./summary.ts";
import { plainTex } from "./tex.ts";

const PAGE = 24;
const PAST_RUNS_SHOWN = 8;

function parseQuery(context: SiteContext) {
  const parsed = listQuery.safeParse(context.req.query());
  if (!parsed.success) {
    const field = parsed.error.issues[0]?.path.join(".");
    throw new HTTPException(400, {
      message: `The address has a filter '${field}' with a value that does not exist. Choose from the lists.`,
    });
  }
  return parsed.data;
}

/** The lists of papers: newest, day, week, month, trending; and how trending is made. */
export function dailyRoutes(parts: SiteParts, render: Render): Hono<SiteEnv> {
  const { store, catalogue, index, publicUrl } = parts;
  const app = new Hono<SiteEnv>();
  const summaries = new Summaries(store);
  const similar = new SimilarSections(parts.search);

  async function catalogueView(context: SiteContext, card: PaperCard): Promise<PaperView> {
    const experiment = await catalogue.experiment(card.slug);
    const needsFiles = experiment ? await sizesThatNeedFiles(experiment) : new Set<PresetName>();
    const runs = (await index.list()).filter(({ paper }) => paper === card.slug).slice(0, PAST_RUNS_SHOWN);
    const refusal = runRefusal(parts.settings, context.var);
    return { card, experiment, runs, maxSeeds: MAX_SEEDS, needsFiles, refusal };
  }

  async function showList(
    context: SiteContext,
    place: ListPlace,
    options: {
      readonly order: PaperOrder;
      readonly period?: Period | null;
      readonly asked?: string | null;
      readonly title: string;
      readonly description: string;
    },
  ): Promise<Response> {
    const { after, ...query } = parseQuery(context);
    const { period = null } = options;
    const filter: PaperFilter = {
      ...paperFilter(query),
      ...(period && { from: period.from, to: period.to }),
    };
    const page = await store.papers
      .list({ order: options.order, filter, cursor: after, limit: PAGE })
      .catch((error: unknown) => {
        if (error instanceof StoreError && error.code === "invalid") {
          throw new HTTPException(400, { message: "This page of the list does not exist any more." });
        }
        throw error;
      });
    const [summary, total, papers] = await Promise.all([
      summaries.summary(),
      period ? period.papers : summaries.count(filter),
      shownPapers(parts, context.var.viewer, page.items, { why: place.list === "trending" }),
    ]);
    const body = listPage(
      context,
      {
        place,
        query,
        papers,
        total,
        next: page.next && listAddress(place, query, page.next),
        later: after !== undefined,
        period,
        asked: options.asked ?? null,
        ...summary,
      },
      after === undefined && place.list === "latest" && !isNarrowed(query) ? subscribeStrip() : html``,
    );
    return context.html(
      render(context, {
        title: options.title,
        section: place.list === "trending" ? "trending" : "papers",
        description: options.description,
        feed: feedAddress("/rss", { ...place, ...query }).split("?")[1] ?? "",
        body,
      }),
    );
  }

  app.get("/", (context) =>
    showList(
      context,
      { list: "latest" },
      {
        order: "newest",
        title: "Daily Papers",
        description: "New papers day by day, searched by meaning, and many to run in place.",
      },
    ),
  );

  app.get("/trending", (context) =>
    showList(
      context,
      { list: "trending" },
      {
        order: "trending",
        title: "Trending papers",
        description:
          "What readers vote for, keep, discuss and run, fading by half every two and a half days.",
      },
    ),
  );

  app.get("/:kind{day|week|month}/:at", async (context) => {
    const kind = context.req.param("kind") as PeriodKind;
    const at = context.req.param("at");
    const { after: _, ...query } = parseQuery(context);
    const period = await store.papers
      .period(kind, { at, filter: paperFilter(query) })
      .catch((error: unknown) => {
        if (error instanceof StoreError && error.code === "invalid") {
          throw new HTTPException(404, { message: `'${at}' is no ${kind}.` });
        }
        throw error;
      });
    // Each period has one address, so that links, caches and votes of a day stay together.
    if (
      period &&
      period.key !== at &&
      /^\d{4}-\d\d-\d\d$/.test(at) &&
      kind !== "day" &&
      at >= period.from &&
      at <= period.to
    ) {
      return context.redirect(listAddress({ list: kind, at: period.key }, query), 302);
    }
    return showList(
      context,
      { list: kind, at: period?.key ?? at },
      {
        order: "top",
        period,
        asked: period && period.key !== at ? at : null,
        title: period ? `Papers of ${periodText(period)}` : "Papers",
        description: period
          ? `Papers listed ${kind === "day" ? "on" : "in"} ${periodText(period)}, most votes first.`
          : "",
      },
    );
  });

  const existing = async (asked: string) => {
    const paper = await findPaper(store.papers, asked);
    if (!paper) throw new HTTPException(404, { message: "There is no such paper here." });
    return paper;
  };

  app.on("GET", paperRoutes("/card.svg"), async (context) => {
    const paper = await existing(askedPaper(context));
    return context.body(String(await paperCardSvg(paper)), 200, {
      "Content-Type": "image/svg+xml",
      "Cache-Control": "public, max-age=86400",
    });
  });

  app.on("GET", paperRoutes(), async (context, next) => {
    const asked = askedPaper(context);
    const asMarkdown = asked.endsWith(".md") || context.req.header("accept")?.startsWith("text/markdown");
    if (!asMarkdown) return next();
    const paper = await existing(asked.replace(/\.md$/, ""));
    const text = paperMarkdown(paper, publicUrl() + paperPath(paper));
    return context.body(text, 200, { "Content-Type": "text/markdown; charset=utf-8" });
  });

  app.on("GET", paperRoutes(), async (context) => {
    const asked = askedPaper(context);
    const paper = await existing(asked);
    const path = paperPath(paper);
    if (path !== `/papers/${asked}`) return context.redirect(path, 301);
    const [shown] = await shownPapers(parts, context.var.viewer, [paper]);
    const card = paper.slug === undefined ? null : catalogue.card(paper.slug);
    const view = card && (await catalogueView(context, card));
    const collections = await collectionsWith(store, context.var.account, paper);
    const body = paperPage({
      // Until the abstract comes in, the record has our summary, which the catalogue's part shows.
      paper: card && paper.abstract === card.summary ? { ...paper, abstract: "" } : paper,
      venue: card?.venue,
      actions: html`${voteForm(context, shown!)}${bookmarkForm(context, shown!)}${collectMenu(context, paper, collections)}`,
      catalogue: view ? catalogueSections(view) : html``,
      runs: view ? runSections(context, view) : html``,
      similar: await similar.of(paper),
      comments: await commentSection(context, store, paper),
    });
    const title = plainTex(paper.title);
    const description = card?.useFor ?? plainTex(paper.abstract).slice(0, 200);
    return context.html(render(context, { title, section: "papers", description, body }));
  });

  app.get("/about/ranking", (context) =>
    context.html(render(context, { title: "How trending works", section: "about", body: rankingPage() })),
  );

  return app;
}
