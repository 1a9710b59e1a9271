import type { AuthorMatch, PaperFilter, StoredPaper } from "../store/ports.ts";

/** By words, by meaning, or by both ranks fused. */
export type SearchMode = "hybrid" | "words" | "meaning";

export interface SearchRequest {
  /** 1 to 250 characters. */
  readonly query: string;
  /** Default `hybrid`; without an encoder it is `words`. */
  readonly mode?: SearchMode | undefined;
  readonly filter?: PaperFilter | undefined;
  /** `next` of the page before. */
  readonly cursor?: string | undefined;
  /** 1 to 100, default 24. */
  readonly limit?: number | undefined;
}

/** A stretch of a text; `hit` where it is one of the words that were looked for. */
export interface MarkedText {
  readonly text: string;
  readonly hit: boolean;
}

export interface SearchHit {
  readonly paper: StoredPaper;
  /** Title and abstract, in order, whole. Texts with formulas are not marked: one stretch without a hit. */
  readonly title: readonly MarkedText[];
  readonly abstract: readonly MarkedText[];
  /** Whether it was found by its words, and by its meaning. */
  readonly byWords: boolean;
  readonly byMeaning: boolean;
}

export interface SearchAnswer {
  readonly hits: readonly SearchHit[];
  readonly next: string | null;
  /** Papers that were ranked: pages are cut from these. */
  readonly found: number;
  /** How it was searched. */
  readonly mode: SearchMode;
  /** Authors whose names resemble the query, best first; empty where none does. */
  readonly authors: readonly AuthorMatch[];
  readonly ms: number;
}

export interface SearchState {
  /** Version of the encoder in use; null: search by words alone. */
  readonly encoder: string | null;
  /** Papers that can be found by meaning, and papers whose vectors are not there yet. */
  readonly encoded: number;
  readonly waiting: number;
}

/** Search and what else is ranked by vectors. Nothing of it runs on the caller's thread but the reading of rows. */
export interface Search {
  /** @throws StoreError `invalid` for an empty or too long query and for a cursor of another search */
  search(request: SearchRequest): Promise<SearchAnswer>;
  /** The papers nearest in meaning (words, where there is no encoder), without the paper itself. Unknown id: []. */
  similar(paperId: string, limit?: number): Promise<readonly StoredPaper[]>;
  /** Papers like these and not like those, without any of them; at most 200 of each. */
  recommend(taste: {
    readonly like: readonly string[];
    readonly unlike?: readonly string[];
    readonly filter?: PaperFilter;
    readonly limit?: number;
  }): Promise<readonly StoredPaper[]>;
  state(): Promise<SearchState>;
  close(): Promise<void>;
}
