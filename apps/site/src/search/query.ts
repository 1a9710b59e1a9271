import { isDay, type PaperFilter, type SearchMode } from "@concord/feed";
import { z } from "zod";
import { address, type FilterQuery, filterQuery, paperFilter } from "../daily/query.ts";

const optional = <Schema extends z.ZodType>(schema: Schema) =>
  z.preprocess((value) => (value === "" ? undefined : value), schema.optional());
const day = z.string().refine(isDay, "expected a day YYYY-MM-DD");

/** What the address of a search says. */
export const searchQuery = filterQuery.extend({
  q: z.string().trim().max(250).default(""),
  mode: optional(z.enum(["words", "meaning", "hybrid"])),
  from: optional(day),
  to: optional(day),
  after: optional(z.string().max(400)),
});
export type SearchQuery = z.output<typeof searchQuery>;

/** Ids in an address, separated by commas. */
const ids = z
  .string()
  .max(8000)
  .default("")
  .transform((text) =>
    [...new Set(text.split(",").filter((id) => /^[\w.:/-]{1,80}$/.test(id)))].slice(0, 100),
  );

export const tasteQuery = z.object({ like: ids, unlike: ids });
export type TasteQuery = z.output<typeof tasteQuery>;

export function searchFilter(
  query: FilterQuery & { readonly from?: string | undefined; readonly to?: string | undefined },
): PaperFilter {
  return { ...paperFilter(query), from: query.from, to: query.to };
}

/** Whether anything but the words narrows the search. */
export function isFiltered({ category, topic, author, code, runs, from, to }: SearchQuery): boolean {
  return [category, topic, author, code, runs, from, to].some((value) => value !== undefined);
}

/** The address of a search or of a later page of it. */
export function searchAddress(query: Partial<SearchQuery>, after?: string): string {
  const { q, mode, category, topic, author, code, runs, from, to } = query;
  const named: SearchMode | undefined = mode === "hybrid" ? undefined : mode;
  return address("/search", { q, mode: named, category, topic, author, code, runs, from, to, after });
}

export function tasteAddress({ like, unlike }: TasteQuery): string {
  return address("/recommended", { like: like.join(","), unlike: unlike.join(",") });
}
