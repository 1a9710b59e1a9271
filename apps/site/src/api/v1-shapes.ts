import type { SearchAnswer, StoredPaper } from "@concord/feed";
import { z } from "@hono/zod-openapi";

const day = z.iso.date();

/** A paper as the API gives it: texts as the source wrote them, TeX included. */
export const apiPaper = z
  .object({
    id: z.string().openapi({ example: "2504.12717", description: "arXiv id without version, or `local:…`." }),
    slug: z.string().nullable(),
    title: z.string(),
    abstract: z.string(),
    authors: z.array(z.object({ name: z.string(), affiliation: z.string().optional() })),
    authorCount: z.int().nullable(),
    day: day.nullable().openapi({ description: "UTC day under which lists show it." }),
    published: day.nullable(),
    updated: day.nullable(),
    version: z.int().nullable(),
    categories: z.array(z.string()),
    primaryCategory: z.string().nullable(),
    topics: z.array(z.string()),
    comment: z.string().nullable(),
    journalRef: z.string().nullable(),
    doi: z.string().nullable(),
    licence: z.string().nullable(),
    links: z.object({
      abstract: z.url().optional(),
      pdf: z.url().optional(),
      code: z.url().optional(),
      project: z.url().optional(),
    }),
    withdrawn: z.boolean(),
    runnable: z.boolean(),
    upvotes: z.int(),
    comments: z.int(),
    trend: z.number().nullable(),
    url: z.url(),
  })
  .openapi("Paper");

export const apiPage = z
  .object({
    papers: z.array(apiPaper),
    next: z.string().nullable().openapi({ description: "`cursor` of the next page; null on the last." }),
  })
  .openapi("PaperPage");

export const apiSearch = z
  .object({
    papers: z.array(apiPaper.extend({ byWords: z.boolean(), byMeaning: z.boolean() })),
    next: z.string().nullable(),
    found: z.int(),
    mode: z.enum(["hybrid", "words", "meaning"]),
    ms: z.number(),
  })
  .openapi("SearchPage");

export const apiPeriod = z
  .object({
    kind: z.enum(["day", "week", "month"]),
    key: z.string().openapi({ example: "2026-W47" }),
    from: day,
    to: day,
    papers: z.int(),
    previous: z.string().nullable(),
    next: z.string().nullable(),
  })
  .openapi("Period");

export const apiError = z.object({ error: z.string() }).openapi("Error");

const text = (name: string) =>
  z
    .string()
    .max(200)
    .optional()
    .openapi({ param: { name, in: "query" } });
const flag = z
  .enum(["true", "false"])
  .optional()
  .transform((value) => (value === undefined ? undefined : value === "true"));

export const filterParameters = z.object({
  from: day.optional(),
  to: day.optional(),
  category: text("category"),
  topic: text("topic"),
  author: text("author"),
  hasCode: flag,
  runnable: flag,
});

export const pageParameters = z.object({
  cursor: z.string().max(400).optional(),
  limit: z.coerce.number().int().min(1).max(100).default(24),
});

/** @param base  address of the site, without a slash at the end */
export function toApiPaper(paper: StoredPaper, base: string): z.infer<typeof apiPaper> {
  const { id, slug, title, abstract, authors, authorCount, day, published, updated, version } = paper;
  const { categories, primaryCategory, topics, comment, journalRef, doi, licence, links } = paper;
  const { withdrawn, runnable, upvotes, comments, trend } = paper;
  return {
    ...{ id, slug: slug ?? null, title, abstract, authors, authorCount, day, published, updated, version },
    ...{ categories, primaryCategory, topics, comment, journalRef, doi, licence, links },
    ...{ withdrawn, runnable, upvotes, comments, trend },
    url: `${base}/papers/${slug ?? id}`,
  };
}

/** @param base  address of the site, without a slash at the end */
export function toApiSearch(answer: SearchAnswer, base: string): z.infer<typeof apiSearch> {
  const { hits, next, found, mode, ms } = answer;
  return {
    papers: hits.map(({ paper, byWords, byMeaning }) => ({ ...toApiPaper(paper, base), byWords, byMeaning })),
    ...{ next, found, mode, ms },
  };
}
