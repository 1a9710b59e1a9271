import type { Millis } from "./common.ts";
import type { PaperFilter } from "./papers.ts";

export interface TextQueryOptions {
  /** 1 to 200, default 200: the fixed depth over which ranks are fused. Pages are cut from it afterwards. */
  readonly limit?: number;
  readonly filter?: PaperFilter;
  /** Whether the last word may be the beginning of a longer one (search while typing). Default false. */
  readonly prefix?: boolean;
  /** `auto` (default): all words, and where fewer than 20 papers have them, any of the words behind those. */
  readonly mode?: "auto" | "all" | "any";
}

export interface TextHit {
  readonly id: string;
  /** BM25 over title (4), authors (2) and abstract (1); larger is better. Comparable within one answer only. */
  readonly score: number;
  /** Whether the paper has all the words. */
  readonly all: boolean;
}

export interface TextHits {
  /** Papers with all words first, then the others; each by falling score, then falling id. */
  readonly hits: readonly TextHit[];
  /** The words that were looked for, as the index has them (lower case, no accents). */
  readonly words: readonly string[];
}

export interface AuthorMatch {
  /** The spelling that came first. */
  readonly name: string;
  readonly papers: number;
  /** Dice coefficient of the names' trigrams, 0 to 1. */
  readonly similarity: number;
}

/**
 * Keyword search. Kept in step with the papers by the same transactions: what `upsert` acknowledged is found.
 *
 * Queries are words, never a query language: every word is quoted. Case, accents and punctuation do not matter.
 * At most 25,000 candidates are ranked; where more papers match, those that came in last are. Any of the words: the
 * rarest bring in the candidates, until enough papers have them; the others count in the scores.
 */
export interface TextIndex {
  /** @throws StoreError `invalid` for more than 200 characters; a query without words finds nothing */
  search(query: string, options?: TextQueryOptions): Promise<TextHits>;

  /** Authors whose names resemble `name`, best first; forgives typing errors and missing accents. */
  authors(name: string, options?: { readonly limit?: number }): Promise<AuthorMatch[]>;
}

export type VectorFormat = "f16" | "f32";

/** A set of vectors made by one trained encoder. */
export interface VectorSet {
  /** Name of the encoder's version, e.g. "wcse-20261120-1". */
  readonly version: string;
  readonly dimensions: number;
  readonly format: VectorFormat;
  /** Exactly one set at most is active: the one that searches use. */
  readonly active: boolean;
  /** Vectors in it. */
  readonly papers: number;
  readonly createdAt: Millis;
  readonly activatedAt: Millis | null;
}

export interface PaperVector {
  readonly id: string;
  /** `textHash` of the paper whose text was encoded. */
  readonly textHash: string;
  readonly vector: Float32Array;
}

export interface VectorBatch {
  readonly ids: readonly string[];
  /** [ids.length, dimensions], row by row. */
  readonly vectors: Float32Array;
  /** Pass as `after` to read on later: what was put since then, and nothing else. */
  readonly position: number;
}

export interface VectorHit {
  readonly id: string;
  /** Inner product; cosine similarity where vectors have unit norm. */
  readonly score: number;
}

/**
 * Vectors of papers, by version of the encoder.
 *
 * A new version is built beside the active one (`create`, `put` until `missing` is empty) and swapped in by
 * `activate`, in one transaction: a reader sees the old set or the new one, never a mixture.
 */
export interface VectorIndex {
  /** All sets, newest first. */
  sets(): Promise<VectorSet[]>;

  /** The set that searches use; null before the first activation. */
  active(): Promise<VectorSet | null>;

  /**
   * Starts a set; the same call again is harmless.
   * @throws StoreError `conflict` when the version exists with other dimensions or another format
   */
  create(set: {
    readonly version: string;
    readonly dimensions: number;
    readonly format: VectorFormat;
  }): Promise<VectorSet>;

  /**
   * Stores vectors, replacing older ones of the same papers; vectors of papers that are gone or whose text has
   * changed meanwhile are left out. f16 keeps 11 significant bits. In batches, each atomic.
   *
   * @returns how many were stored
   * @throws StoreError `invalid` for another length than the set's, for NaN and infinities
   */
  put(version: string, vectors: readonly PaperVector[]): Promise<number>;

  /** Papers that have no vector in the set, or one of an older text, by id; at most 1000. */
  missing(
    version: string,
    options?: { readonly after?: string; readonly limit?: number },
  ): Promise<
    { readonly id: string; readonly textHash: string; readonly title: string; readonly abstract: string }[]
  >;

  /** The vectors that were put after a position (0: all), in the order of putting, in batches. */
  read(
    version: string,
    options?: { readonly after?: number; readonly batch?: number },
  ): AsyncIterable<VectorBatch>;

  /** Vectors of single papers, for "similar papers"; ids without one are left out. */
  get(version: string, ids: readonly string[]): Promise<Map<string, Float32Array>>;

  /**
   * The papers with the largest inner products, exactly in the embedded store (a scan: for small stores and for
   * tests; servers search in a worker with what `read` gives), by index in a server's.
   */
  nearest(
    version: string,
    query: Float32Array,
    options?: { readonly limit?: number; readonly filter?: PaperFilter },
  ): Promise<VectorHit[]>;

  /** Makes this set the one that searches use, and the one before it inactive: atomic. */
  activate(version: string): Promise<void>;

  /**
   * Takes a set out, in batches.
   * @throws StoreError `conflict` for the active one
   */
  drop(version: string): Promise<void>;
}
