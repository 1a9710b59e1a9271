import { parseAtom } from "../formats/atom.ts";
import { FormatError } from "../formats/item.ts";
import { parseRss, rootName } from "../formats/rss.ts";
import { fetchDocument } from "./document.ts";
import { type IngestSource, lazily, SourceError, type SourceReader } from "./source.ts";

const BASE = "https://rss.arxiv.org";
/** Where arXiv cuts a listing off. */
const MAX_ENTRIES = 2000;
const CATEGORY = /^[a-z][a-z-]*(?:\.[A-Za-z-]{2,20})?$/;
const MAX_CATEGORIES = 50;

/** @throws SourceError */
export function checkedCategories(categories: readonly string[]): string[] {
  const sorted = [...new Set(categories)].sort();
  const wrong = sorted.find((category) => !CATEGORY.test(category));
  if (wrong !== undefined) {
    throw new SourceError(`Expected arXiv categories such as cs.CV or math, got ${JSON.stringify(wrong)}.`);
  }
  if (sorted.length === 0 || sorted.length > MAX_CATEGORIES) {
    throw new SourceError(`Expected 1 to ${MAX_CATEGORIES} categories, got ${sorted.length}.`);
  }
  return sorted;
}

/** The listing of the day, asked for only when it is not the one of last time. */
export function arxivRss(source: Extract<IngestSource, { kind: "arxiv-rss" }>): SourceReader {
  const categories = checkedCategories(source.categories);
  const format = source.format ?? "rss";
  return {
    key: `arxiv-rss:${categories.join("+")}`,
    async *read(state, context) {
      const fetched = await fetchDocument(
        context,
        `${BASE}/${format}/${categories.join("+")}`,
        {
          accept: ["application/rss+xml", "application/atom+xml", "application/xml", "text/xml"],
          validators: { etag: state.etag ?? undefined, lastModified: state.lastModified ?? undefined },
        },
        (text) => {
          const root = rootName(text);
          if (root === "rss") return parseRss(text);
          if (root === "feed") return parseAtom(text);
          throw new FormatError(`expected RSS or Atom, got <${root ?? "no element"}>`);
        },
      );
      if (fetched === null) return;
      const { value, response } = fetched;
      context.expect(value.entries);
      if (value.entries === 0)
        context.note("nothing was announced today (no listings on Saturdays, Sundays and holidays)");
      if (value.entries >= MAX_ENTRIES) {
        context.note(`the listing is cut off at ${MAX_ENTRIES} papers; read its categories one by one`);
      }
      const { etag = null, lastModified = null } = response.validators;
      yield { items: lazily(value.items), after: { etag, lastModified } };
    },
  };
}
