import { createHash } from "node:crypto";
import { basename, resolve } from "node:path";
import { type StoredPaper, StoreError } from "../store/ports.ts";
import type { SqliteStore } from "../store/sqlite/store.ts";
import { markWords } from "./marking.ts";
import type { RankedList, SearchReply, SearchTask } from "./messages.ts";
import { SearchLine } from "./search-line.ts";
import type { Search, SearchRequest } from "./types.ts";

export const MAX_QUERY = 250;
const AUTHORS_SHOWN = 3;
const DEFAULT_LIMIT = 24;
const MAX_LIMIT = 100;
/** Papers of a taste, and papers that can be recommended or called similar at once. */
const MAX_TASTE = 200;
/** Rankings that are kept, so that a later page is cut from the list of the first. */
const KEPT = 200;
const KEPT_MS = 10 * 60_000;

export interface OpenSearchOptions {
  /** The store that is searched; the thread opens its file for itself. */
  readonly store: SqliteStore;
  /** Folder with one subfolder a version of Concord's own encoder. */
  readonly modelsFolder: string;
  /** Folder of another sentence encoder to be used instead. */
  readonly encoder?: string | undefined;
  /** Threads that one search computes with. Default 1: the server has other work. */
  readonly threads?: number;
  /** Default 5000. */
  readonly deadlineMs?: number;
  /** Searches that may wait at once. Default 64. */
  readonly mostWaiting?: number;
  readonly log?: (level: "info" | "warn", text: string) => void;
}

/** A search with what its owner may look at. */
export interface OpenedSearch extends Search {
  /** Times of the parts of the last search, in ms. */
  lastParts(): RankedList["parts"] | null;
  /** Ends the thread as a crash would: for tests of what happens then. */
  killThread(): void;
}

/** Version under which the vectors of an encoder that the owner points at are stored. */
export function outsideVersion(folder: string): string {
  const path = resolve(folder);
  const name = basename(path)
    .replace(/[^A-Za-z0-9._-]/g, "-")
    .slice(0, 60);
  return `outside-${name}-${createHash("sha256").update(path).digest("hex").slice(0, 8)}`;
}

interface Kept {
  readonly list: RankedList;
  readonly until: number;
}

/**
 * Search by words, by meaning and by both, with similar papers and recommendations. Ranking, encoding and vectors are in
 * a thread of their own; the caller's thread reads the rows of a page and marks words in them.
 *
 * Both ways are fused over a fixed depth (200 + 200), and pages are cut from that list, which is kept for
 * ten minutes: a later page never repeats the first. Where the thread dies, the search goes on in another by words until
 * its vectors are there.
 *
 * @throws StoreError `busy` from each call when too many wait or it took longer than `deadlineMs`
 */
export function openSearch(options: OpenSearchOptions): OpenedSearch {
  const { store, modelsFolder, encoder, threads = 1, deadlineMs = 5000, mostWaiting = 64 } = options;
  const line = new SearchLine(
    {
      storePath: store.path,
      modelsFolder: resolve(modelsFolder),
      encoder: encoder === undefined ? null : { folder: resolve(encoder), version: outsideVersion(encoder) },
      threads,
    },
    { mostWaiting, deadlineMs, note: (level, text) => options.log?.(level, text) },
  );
  const kept = new Map<string, Kept>();
  let parts: RankedList["parts"] | null = null;

  const ask = async <Kind extends SearchReply["kind"]>(task: SearchTask, kind: Kind) => {
    const reply = await line.ask(task);
    if (reply.kind !== kind) throw new Error(`search: expected ${kind}, got ${reply.kind}`);
    return reply as SearchReply & { kind: Kind };
  };

  async function ranked(
    task: SearchTask & { kind: "search" },
    key: string,
    fresh: boolean,
  ): Promise<RankedList> {
    const known = kept.get(key);
    if (!fresh && known && known.until > Date.now()) return known.list;
    const { list } = await ask(task, "ranked");
    parts = list.parts;
    kept.delete(key);
    kept.set(key, { list, until: Date.now() + KEPT_MS });
    for (const oldest of kept.keys()) {
      if (kept.size <= KEPT) break;
      kept.delete(oldest);
    }
    return list;
  }

  async function inOrder(ids: readonly string[]): Promise<readonly StoredPaper[]> {
    return store.papers.getMany(ids);
  }

  return {
    async search(request) {
      const start = performance.now();
      const { query, mode = "hybrid", filter = {}, limit = DEFAULT_LIMIT } = request;
      if (query.trim() === "" || query.length > MAX_QUERY)
        throw new StoreError("invalid", `A search has 1 to ${MAX_QUERY} characters.`);
      checkLimit(limit);
      const key = keyOf(request);
      const offset = offsetOf(request.cursor, key);
      const task = { kind: "search", query: query.trim(), mode, filter, authors: AUTHORS_SHOWN } as const;
      const list = await ranked(task, key, offset === 0);
      const page = list.hits.slice(offset, offset + limit);
      const papers = await inOrder(page.map(({ id }) => id));
      const hits = new Map(page.map((hit) => [hit.id, hit]));
      const end = offset + page.length;
      return {
        hits: papers.map((paper) => ({
          paper,
          title: markWords(paper.title, list.words),
          abstract: markWords(paper.abstract, list.words),
          byWords: hits.get(paper.id)?.byWords ?? false,
          byMeaning: hits.get(paper.id)?.byMeaning ?? false,
        })),
        next: end < list.hits.length ? `${key}.${end}` : null,
        found: list.hits.length,
        mode: list.mode,
        authors: offset === 0 ? list.authors : [],
        ms: performance.now() - start,
      };
    },
    async similar(id, limit = 10) {
      checkLimit(limit);
      const { ids } = await ask({ kind: "similar", id, limit, filter: {} }, "ids");
      return inOrder(ids);
    },
    async recommend({ like, unlike = [], filter = {}, limit = 20 }) {
      checkLimit(limit);
      if (like.length > MAX_TASTE || unlike.length > MAX_TASTE)
        throw new StoreError("invalid", `A taste is at most ${MAX_TASTE} papers liked and as many not.`);
      if (like.length === 0) return [];
      const { ids } = await ask({ kind: "recommend", like, unlike, filter, limit }, "ids");
      return inOrder(ids);
    },
    state: async () => (await ask({ kind: "state" }, "state")).state,
    lastParts: () => parts,
    killThread: () => line.kill(),
    close: () => line.close(),
  };
}

function checkLimit(limit: number): void {
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LIMIT)
    throw new StoreError("invalid", `limit: expected 1 to ${MAX_LIMIT}, got ${limit}.`);
}

/** What a search is, whatever its page. */
function keyOf({ query, mode = "hybrid", filter = {} }: SearchRequest): string {
  const criteria = Object.entries(filter)
    .filter(([, value]) => value !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const text = JSON.stringify([query.trim(), mode, criteria]);
  return createHash("sha256").update(text).digest("base64url").slice(0, 16);
}

function offsetOf(cursor: string | undefined, key: string): number {
  if (cursor === undefined) return 0;
  const [of, at] = [cursor.slice(0, key.length), cursor.slice(key.length)];
  const found = /^\.(\d{1,3})$/.exec(at);
  if (of !== key || !found) throw new StoreError("invalid", "This is no page of this search.");
  return Number(found[1]);
}
