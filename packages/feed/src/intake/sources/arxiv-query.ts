import { isLocalId } from "../../record.ts";
import type { Json, UtcDay } from "../../store/ports.ts";
import { parseArxivId } from "../formats/arxiv-text.ts";
import { type AtomFeed, parseAtom } from "../formats/atom.ts";
import { FormatError, type Item, rejected } from "../formats/item.ts";
import { isObject } from "../formats/json.ts";
import { checkedCategories } from "./arxiv-rss.ts";
import { fetchDocument } from "./document.ts";
import {
  addDays,
  type IngestSource,
  lazily,
  type ReadContext,
  SourceError,
  type SourceReader,
} from "./source.ts";

const ENDPOINT = "https://export.arxiv.org/api/query";
const PAGE = 200;
const IDS_PER_REQUEST = 100;
/** Answers become errors somewhere beyond this offset; ranges with more papers are halved. */
const MAX_OFFSET = 10_000;
/** How often a page is asked for that should not be empty. */
const EMPTY_ATTEMPTS = 3;

async function query(context: ReadContext, parameters: Readonly<Record<string, string>>): Promise<AtomFeed> {
  const url = `${ENDPOINT}?${new URLSearchParams(parameters)}`;
  const fetched = await fetchDocument(
    context,
    url,
    { accept: ["application/atom+xml", "application/xml", "text/xml"], statuses: [400] },
    (text) => parseAtom(text),
  );
  if (fetched === null) throw new FormatError("status 304 without having been asked for", url);
  const [error] = fetched.value.errors;
  if (error !== undefined) throw new SourceError(`arXiv says: ${error}`);
  return fetched.value;
}

interface Window {
  readonly from: UtcDay;
  readonly to: UtcDay;
}

/** What of a range of days is still to be read: the first window from `start` on, the others as a whole. */
interface Progress {
  readonly windows: readonly Window[];
  readonly start: number;
}

/** Papers by day of submission, in pages of 200. */
export function arxivQuery(source: Extract<IngestSource, { kind: "arxiv-query" }>): SourceReader {
  const { from, to } = source;
  const categories = checkedCategories(source.categories);
  if (to < from) throw new SourceError(`Expected a range of days, got ${from} to ${to}.`);
  const inCategories = `(${categories.map((name) => `cat:${name}${name.includes(".") ? "" : ".*"}`).join(" OR ")})`;
  return {
    key: `arxiv-query:${categories.join("+")}:${from}:${to}`,
    async *read(state, context) {
      let { windows, start } = progressOf(state.cursor) ?? { windows: [{ from, to }], start: 0 };
      for (let [window] = windows; window !== undefined; [window] = windows) {
        const feed = await pageOf(context, `${inCategories} AND ${submitted(window)}`, start);
        const total = feed.totalResults ?? feed.entries;
        if (total > MAX_OFFSET && window.from < window.to) {
          windows = [...halves(window), ...windows.slice(1)];
          start = 0;
          continue;
        }
        if (windows.length === 1) context.expect(total - start);
        start += feed.entries;
        if (feed.entries === 0 || start >= Math.min(total, MAX_OFFSET)) {
          if (total > MAX_OFFSET) {
            context.note(
              `${window.from} has ${total} papers, of which arXiv gives ${MAX_OFFSET}; ask for fewer categories`,
            );
          }
          windows = windows.slice(1);
          start = 0;
        }
        const cursor =
          windows.length === 0 ? null : ({ windows, start } satisfies Progress as unknown as Json);
        yield { items: lazily(feed.items), after: { cursor } };
      }
    },
  };
}

async function pageOf(context: ReadContext, search: string, start: number): Promise<AtomFeed> {
  for (let attempt = 1; ; attempt++) {
    const feed = await query(context, {
      search_query: search,
      start: String(start),
      max_results: String(PAGE),
      sortBy: "submittedDate",
      sortOrder: "ascending",
    });
    if (feed.entries > 0 || start >= (feed.totalResults ?? 0)) return feed;
    if (attempt === EMPTY_ATTEMPTS) {
      throw new FormatError(
        `arXiv answered ${attempt} times without entries, at ${start} of ${feed.totalResults}`,
      );
    }
  }
}

function submitted({ from, to }: Window): string {
  return `submittedDate:[${from.replaceAll("-", "")}0000 TO ${to.replaceAll("-", "")}2359]`;
}

function halves({ from, to }: Window): [Window, Window] {
  const days = Math.round((Date.parse(to) - Date.parse(from)) / 86_400_000);
  const middle = addDays(from, Math.floor(days / 2));
  return [
    { from, to: middle },
    { from: addDays(middle, 1), to },
  ];
}

function progressOf(cursor: Json): Progress | null {
  if (!isObject(cursor) || !Array.isArray(cursor.windows) || typeof cursor.start !== "number") return null;
  const windows = cursor.windows
    .filter(isObject)
    .map(({ from, to }) => ({ from: String(from), to: String(to) }));
  return { windows, start: cursor.start };
}

/** Named papers, 100 a request. */
export function arxivIds(source: Extract<IngestSource, { kind: "arxiv-ids" }>): SourceReader {
  const ids = source.ids.map((text) => {
    const parsed = parseArxivId(text);
    if (parsed === null)
      throw new SourceError(`Expected an arXiv identifier such as 2504.12717, got ${JSON.stringify(text)}.`);
    return parsed.id;
  });
  return {
    key: "arxiv-ids",
    async *read(_state, context) {
      const wanted = [...new Set(ids)];
      context.expect(wanted.length);
      for (let at = 0; at < wanted.length; at += IDS_PER_REQUEST) {
        yield { items: lazily(await itemsOfIds(context, wanted.slice(at, at + IDS_PER_REQUEST))), after: {} };
      }
    },
  };
}

/** The papers of the store that lack something that arXiv knows, asked for by their ids. */
export function arxivFill(source: Extract<IngestSource, { kind: "arxiv-fill" }>): SourceReader {
  const limit = source.limit ?? 2000;
  return {
    key: "arxiv-fill",
    async *read(state, context) {
      // What comes in is a change itself, and is not looked at again.
      const last = await context.papers.revision();
      let after = typeof state.cursor === "number" ? state.cursor : 0;
      let asked = 0;
      let ids: string[] = [];
      while (after < last && asked < limit) {
        const changes = (await context.papers.changes({ after, limit: 500 })).filter(
          ({ revision }) => revision <= last,
        );
        if (changes.length === 0) break;
        for (const paper of changes) {
          after = paper.revision;
          const complete =
            paper.published !== null && paper.authors.length > 0 && paper.categories.length > 0;
          if (complete || isLocalId(paper.id)) continue;
          ids.push(paper.id);
          if (ids.length < IDS_PER_REQUEST) continue;
          yield { items: lazily(await itemsOfIds(context, ids)), after: { cursor: after } };
          asked += ids.length;
          ids = [];
          if (asked >= limit) return;
        }
      }
      const items = ids.length === 0 ? [] : await itemsOfIds(context, ids);
      yield { items: lazily(items), after: { cursor: after } };
    },
  };
}

async function itemsOfIds(context: ReadContext, ids: readonly string[]): Promise<Item[]> {
  const feed = await query(context, { id_list: ids.join(","), max_results: String(ids.length) });
  const items = [...feed.items];
  const came = new Set(items.map((item) => (item.kind === "paper" ? item.record.id : item.id)));
  const missing = ids.filter((id) => !came.has(id));
  return [...items, ...missing.map((id) => rejected(id, id, "id: arXiv knows no such paper", id))];
}
