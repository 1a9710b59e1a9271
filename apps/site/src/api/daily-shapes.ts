import { createHash } from "node:crypto";
import { plainTex, type StoredPaper } from "@concord/feed";
import { z } from "@hono/zod-openapi";

/**
 * The shapes in which readers of Daily Papers know papers, so that programs written for that API can read this site.
 * What only Concord knows stands under `concord`.
 */

const id24 = z.string().regex(/^[0-9a-f]{24}$/);

export const dailyUser = z
  .object({
    _id: id24,
    avatarUrl: z.string(),
    fullname: z.string(),
    isPro: z.boolean(),
    name: z.string(),
    user: z.string(),
    type: z.enum(["user", "org"]),
  })
  .openapi("DailyUser");

const dailyAuthor = z.object({ _id: id24, name: z.string(), hidden: z.boolean() }).openapi("DailyAuthor");

const concordFacts = z
  .object({
    slug: z
      .string()
      .optional()
      .openapi({ description: "Folder in the catalogue, for papers that Concord implements." }),
    runnable: z.boolean().openapi({ description: "Whether the paper's claims can be tested on this host." }),
    day: z.iso.date().nullable().openapi({ description: "UTC day under which lists show the paper." }),
    trend: z.number().nullable().openapi({ description: "Trending key log2(v) + t/H; see /about/ranking." }),
    authorCount: z.int().nullable(),
    categories: z.array(z.string()),
    topics: z.array(z.string()),
    url: z.url(),
  })
  .openapi("ConcordFacts");

export const dailyPaper = z
  .object({
    id: z.string().openapi({ example: "2504.12717" }),
    authors: z.array(dailyAuthor),
    publishedAt: z.iso.datetime().openapi({ description: "Submission of the first version." }),
    submittedOnDailyAt: z.iso.datetime().openapi({ description: "When this site listed it." }),
    submittedOnDailyBy: dailyUser,
    title: z.string(),
    summary: z.string(),
    upvotes: z.int().min(0),
    discussionId: id24,
    ai_keywords: z.array(z.string()),
    githubRepo: z.url().optional(),
    projectPage: z.url().optional(),
    withdrawnAt: z.iso.datetime().optional(),
    concord: concordFacts,
  })
  .openapi("DailyPaper");

export const dailyItem = z
  .object({
    paper: dailyPaper,
    publishedAt: z.iso.datetime().openapi({ description: "The day on which it entered the feed." }),
    title: z.string(),
    summary: z.string(),
    thumbnail: z.url(),
    numComments: z.int().min(0),
    submittedBy: dailyUser,
    isAuthorParticipating: z.boolean(),
  })
  .openapi("DailyItem");

const highlight = z.object({ type: z.enum(["text", "highlight"]), text: z.string() });

export const dailySearchItem = dailyItem
  .omit({ submittedBy: true })
  .extend({
    upvoted: z.boolean(),
    highlightedTitle: z.array(highlight),
    highlightedSummary: z.array(highlight),
  })
  .openapi("DailySearchItem");

export const dailyDetail = dailyPaper
  .extend({
    comments: z.array(
      z.object({
        id: z.string(),
        author: z.object({ name: z.string() }).nullable(),
        createdAt: z.iso.datetime(),
        type: z.literal("comment"),
        data: z.object({
          edited: z.boolean(),
          hidden: z.boolean(),
          numEdits: z.int(),
          latest: z.object({ raw: z.string(), updatedAt: z.iso.datetime() }),
        }),
      }),
    ),
    linkedModels: z.array(z.unknown()),
    numTotalModels: z.int(),
    linkedDatasets: z.array(z.unknown()),
    numTotalDatasets: z.int(),
    linkedSpaces: z.array(z.unknown()),
  })
  .openapi("DailyPaperDetail");

/** An identifier of 24 hexadecimal digits, the same for the same thing. */
function objectId(...parts: readonly string[]): string {
  return createHash("sha256").update(parts.join("\0")).digest("hex").slice(0, 24);
}

const moment = (day: string) => `${day}T00:00:00.000Z`;

/** Papers come in by sources, not by people: the site itself stands where a submitter is expected. */
function siteUser(base: string): z.infer<typeof dailyUser> {
  return {
    _id: objectId("site", base),
    avatarUrl: `${base}/assets/icon`,
    fullname: "Concord",
    isPro: false,
    name: "concord",
    user: "concord",
    type: "org",
  };
}

/** @param base  address of the site, without a slash at the end */
export function toDailyPaper(paper: StoredPaper, base: string): z.infer<typeof dailyPaper> {
  const listed = moment(paper.day ?? new Date(paper.addedAt).toISOString().slice(0, 10));
  const repository = paper.links.code?.startsWith("https://github.com/") ? paper.links.code : undefined;
  return {
    id: paper.id,
    authors: paper.authors.map(({ name }, index) => ({
      _id: objectId("author", paper.id, String(index), name),
      name: plainTex(name),
      hidden: false,
    })),
    publishedAt: paper.published ? moment(paper.published) : listed,
    submittedOnDailyAt: listed,
    submittedOnDailyBy: siteUser(base),
    title: plainTex(paper.title),
    summary: plainTex(paper.abstract),
    upvotes: paper.upvotes,
    discussionId: objectId("discussion", paper.id),
    ai_keywords: paper.topics,
    ...(repository && { githubRepo: repository }),
    ...(paper.links.project && { projectPage: paper.links.project }),
    ...(paper.withdrawn && { withdrawnAt: paper.updated ? moment(paper.updated) : listed }),
    concord: {
      ...(paper.slug && { slug: paper.slug }),
      runnable: paper.runnable,
      day: paper.day,
      trend: paper.trend,
      authorCount: paper.authorCount,
      categories: paper.categories,
      topics: paper.topics,
      url: `${base}/papers/${paper.slug ?? paper.id}`,
    },
  };
}

/** @param base  address of the site, without a slash at the end */
export function toDailyItem(paper: StoredPaper, base: string): z.infer<typeof dailyItem> {
  const inner = toDailyPaper(paper, base);
  return {
    paper: inner,
    publishedAt: inner.submittedOnDailyAt,
    title: inner.title,
    summary: inner.summary,
    thumbnail: `${base}/papers/${paper.slug ?? paper.id}/card.svg`,
    numComments: paper.comments,
    submittedBy: siteUser(base),
    isAuthorParticipating: false,
  };
}
