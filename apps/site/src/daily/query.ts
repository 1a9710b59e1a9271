import type { PaperFilter, Papers, PeriodKind, StoredPaper } from "@concord/feed";
import { z } from "zod";

/** What a list is narrowed to, as addresses say it. */
export interface FilterQuery {
  readonly category?: string | undefined;
  readonly topic?: string | undefined;
  readonly author?: string | undefined;
  readonly code?: "1" | undefined;
  readonly runs?: "1" | undefined;
}

/** An empty field of a form is as good as none. */
const optional = <Schema extends z.ZodType>(schema: Schema) =>
  z.preprocess((value) => (value === "" ? undefined : value), schema.optional());

export const filterQuery = z.object({
  category: optional(z.string().regex(/^[a-z-]{2,20}(?:\.[A-Za-z-]{2,20})?$/)),
  topic: optional(z.string().regex(/^[a-z0-9-]{1,64}$/)),
  author: optional(z.string().trim().min(1).max(200)),
  code: optional(z.literal("1")),
  runs: optional(z.literal("1")),
});

export const listQuery = filterQuery.extend({
  after: optional(z.string().max(400)),
});

export function paperFilter(query: FilterQuery): PaperFilter {
  return {
    category: query.category,
    topic: query.topic,
    author: query.author,
    ...(query.code && { hasCode: true }),
    ...(query.runs && { runnable: true }),
  };
}

export function isNarrowed(query: FilterQuery): boolean {
  return Object.values(query).some((value) => value !== undefined);
}

/** Which list: the newest papers day after day, one period, or the trending ones. */
export type ListPlace =
  | { readonly list: "latest" | "trending" }
  | { readonly list: PeriodKind; readonly at: string };

/** `path?name=value`, without what is undefined. */
export function address(path: string, query: Readonly<Record<string, string | undefined>> = {}): string {
  const given = Object.entries(query).filter((entry): entry is [string, string] => Boolean(entry[1]));
  return given.length === 0 ? path : `${path}?${new URLSearchParams(given)}`;
}

export function placePath(place: ListPlace): string {
  if (place.list === "latest") return "/";
  return "at" in place ? `/${place.list}/${place.at}` : `/${place.list}`;
}

/** The address of a list or of a later page of it; the filters stay in an order of their own. */
export function listAddress(place: ListPlace, query: FilterQuery = {}, after?: string): string {
  const { category, topic, author, code, runs } = query;
  return address(placePath(place), { category, topic, author, code, runs, after });
}

/** The page of a paper: by its folder in the catalogue, else by its id. */
export function paperPath(paper: { readonly id: string; readonly slug?: string | undefined }): string {
  return `/papers/${paper.slug ?? paper.id}`;
}

/** Old arXiv ids have a slash (math/0611800), which a route takes for a border. */
const OLD_ID = "/papers/:archive/:number{[0-9]+(?:v[0-9]+)?}";

/** The routes of a paper's page, or of what hangs on it: `paperRoutes("/vote")`. */
export function paperRoutes(suffix = ""): string[] {
  return [`/papers/:id${suffix}`, `${OLD_ID}${suffix}`];
}

/** What the route of a paper was asked for: a slug, or an id with or without its version. */
export function askedPaper(context: { readonly req: { param(name: string): string | undefined } }): string {
  const { req } = context;
  return req.param("id") ?? `${req.param("archive")}/${req.param("number")}`;
}

/** The paper of a slug or an id. */
export async function findPaper(papers: Papers, asked: string): Promise<StoredPaper | null> {
  return (await papers.bySlug(asked)) ?? (await papers.get(asked.replace(/v\d+$/, "")));
}
