import { createHash } from "node:crypto";
import { basename, resolve } from "node:path";
import { type AuthorMatch, type PaperFilter, type StoredPaper, StoreError } from "../store/ports.ts";
import type { SqliteStore } from "../store/sqlite/store.ts";
import { MAX_WORDS_QUERY } from "../store/sqlite/text.ts";
import { queryWords } from "../store/sqlite/text-query.ts";
import { FUSION_DEPTH, type FusedHit, fuseRanks, fuseScores } from "./fusion.ts";
import { markedWords, markWords } from "./marking.ts";
import type { MeaningCalls, SearchSetup, WordCalls } from "./messages.ts";
import { SearchLine, type SearchLineOptions } from "./search-line.ts";
import type { Search, SearchMode, SearchRequest } from "./types.ts";

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
  /** Times of the parts of the last search, in ms; words and authors go on beside encoding and meaning. */
  lastParts(): Parts | null;
  /** Ends a thread as a crash would: for tests of what happens then. */
  killThread(by: "words" | "meaning"): void;
}

/** Version under which the vectors of an encoder that the owner points at are stored. */
export function outsideVersion(folder: string): string {
  const path = resolve(folder);
  const name = basename(path)
    .replace(/[^A-Za-z0-9._-]/g, "-")
    .slice(0, 60);
  return `outside-${name}-${createHash("sha256").update(path).digest("hex").slice(0, 8)}`;
}

type Parts = Readonly<Partial<Record<"encode" | "words" | "meaning" | "authors", number>>>;

/** All that was ranked: pages are cut from it. */
interface RankedList {
  readonly hits: readonly FusedHit[];
  readonly authors: readonly AuthorMatch[];
  readonly mode: SearchMode;
}

interface Kept {
  readonly list: RankedList;
  readonly until: number;
}

/**
 * Search by words, by meaning and by both, with similar papers and recommendations. Words are ranked in one thread,
 * meaning in another, which starts when the store has vectors; the caller's thread fuses the two lists, reads the rows of
 * a page and marks words in them.
 *
 * Both ways are fused over a fixed depth (200 + 200), and pages are cut from that list, which is kept for
 * ten minutes: a later page never repeats the first. Where the thread of meaning dies or is not ready, the search goes on
 * by words until its vectors are there.
 *
 * @throws StoreError `busy` from each call when too many wait or it took longer than `deadlineMs`
 */
export function openSearch(options: OpenSearchOptions): OpenedSearch {
  const { store, modelsFolder, encoder, threads = 1, deadlineMs = 5000, mostWaiting = 64 } = options;
  const note: SearchLineOptions["note"] = (level, text) => options.log?.(level, text);
  const setup: SearchSetup = {
    storePath: store.path,
    modelsFolder: resolve(modelsFolder),
    encoder: encoder === undefined ? null : { folder: resolve(encoder), version: outsideVersion(encoder) },
    threads,
  };
  let closed = false;
  let meaning: SearchLine<MeaningCalls> | null = null;
  const startMeaning = () => {
    if (closed) return;
    meaning ??= new SearchLine(setup, {
      module: "./meaning-thread",
      by: "meaning",
      mostWaiting,
      deadlineMs,
      note,
    });
  };
  const words = new SearchLine<WordCalls>(setup, {
    module: "./word-thread",
    by: "words",
    mostWaiting,
    deadlineMs,
    note,
    onVectors: startMeaning,
  });
  const kept = new Map<string, Kept>();
  let parts: Parts | null = null;

  /** Null where nothing can be said by meaning: no vectors yet, or the thread is gone or too slow. */
  async function byMeaning<K extends keyof MeaningCalls>(
    kind: K,
    ask: MeaningCalls[K]["ask"],
  ): Promise<MeaningCalls[K]["reply"]> {
    try {
      return (await meaning?.ask(kind, ask)) ?? null;
    } catch (error) {
      if (error instanceof StoreError && error.code !== "busy") throw error;
      if (!(error instanceof StoreError)) note("warn", `no search by meaning: ${(error as Error).message}`);
      return null;
    }
  }

  async function rank(query: string, mode: SearchMode, filter: PaperFilter): Promise<RankedList> {
    const ask = { query, filter, authors: AUTHORS_SHOWN };
    if (mode === "meaning") {
      const near = await byMeaning("search", ask);
      if (near !== null) {
        parts = near.parts;
        return { hits: fuseScores([], near.hits), authors: near.authors, mode };
      }
    }
    // Ranking by words takes longest at worst, so authors are looked for in the other thread where there is one.
    const both = mode === "hybrid" && meaning !== null;
    const [found, near] = await Promise.all([
      words.ask("search", { ...ask, rank: true, authors: both ? 0 : AUTHORS_SHOWN }),
      both ? byMeaning("search", ask) : null,
    ]);
    parts = { ...found.parts, ...near?.parts };
    const hits = fuseScores(found.hits, near?.hits ?? []);
    if (near !== null) return { hits, authors: near.authors, mode };
    const { authors } = both ? await words.ask("search", { ...ask, rank: false }) : found;
    return { hits, authors, mode: "words" };
  }

  async function ranked(key: string, fresh: boolean, work: () => Promise<RankedList>): Promise<RankedList> {
    const known = kept.get(key);
    if (!fresh && known && known.until > Date.now()) return known.list;
    const list = await work();
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
      const list = await ranked(key, offset === 0, () => rank(query.trim(), mode, filter));
      const wanted = markedWords(queryWords(query.trim().slice(0, MAX_WORDS_QUERY)));
      const page = list.hits.slice(offset, offset + limit);
      const papers = await inOrder(page.map(({ id }) => id));
      const hits = new Map(page.map((hit) => [hit.id, hit]));
      const end = offset + page.length;
      return {
        hits: papers.map((paper) => ({
          paper,
          title: markWords(paper.title, wanted),
          abstract: markWords(paper.abstract, wanted),
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
      const near = await byMeaning("similar", { id, limit, filter: {} });
      return inOrder(near ?? (await words.ask("alike", { like: [id], unlike: [], filter: {}, limit })));
    },
    async recommend({ like, unlike = [], filter = {}, limit = 20 }) {
      checkLimit(limit);
      if (like.length > MAX_TASTE || unlike.length > MAX_TASTE)
        throw new StoreError("invalid", `A taste is at most ${MAX_TASTE} papers liked and as many not.`);
      if (like.length === 0) return [];
      const taste = { like, unlike, filter };
      const [alike, near] = await Promise.all([
        words.ask("alike", { ...taste, limit: FUSION_DEPTH }),
        byMeaning("recommend", taste),
      ]);
      const ids =
        near === null ? alike : fuseRanks(alike, near, { words: 0.5, meaning: 1 }).map(({ id }) => id);
      return inOrder(ids.slice(0, limit));
    },
    async state() {
      const { papers, vectors } = await words.ask("state", {});
      if (vectors !== null) startMeaning();
      const near = await byMeaning("state", {});
      if (near === null) return { encoder: null, encoded: 0, waiting: papers };
      const encoded = Math.min(near.encoded, papers);
      return { encoder: near.encoder, encoded, waiting: papers - encoded };
    },
    lastParts: () => parts,
    killThread: (by) => (by === "words" ? words : meaning)?.kill(),
    async close() {
      closed = true;
      await Promise.all([words.close(), meaning?.close()]);
    },
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
