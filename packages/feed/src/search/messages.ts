import type { AuthorMatch, PaperFilter } from "../store/ports.ts";
import type { ScoredId } from "./fusion.ts";

/** What the threads are told when they start. */
export interface SearchSetup {
  readonly storePath: string;
  /** Folder with one subfolder a version of Concord's own encoder. */
  readonly modelsFolder: string;
  /** Folder of another encoder, and the version under which its vectors are stored. */
  readonly encoder: { readonly folder: string; readonly version: string } | null;
  /** Threads of the engine. */
  readonly threads: number;
}

/** What a thread can be asked, by name: what it is told, and what it answers. */
export type Calls = Readonly<Record<string, { readonly ask: object; readonly reply: unknown }>>;

interface Taste {
  readonly like: readonly string[];
  readonly unlike: readonly string[];
  readonly filter: PaperFilter;
}

/** The thread that ranks by words. */
export type WordCalls = {
  readonly search: {
    readonly ask: {
      readonly query: string;
      readonly filter: PaperFilter;
      /** False: only authors are looked for. */
      readonly rank: boolean;
      /** How many authors at most; 0: none are looked for. */
      readonly authors: number;
    };
    readonly reply: {
      readonly hits: readonly ScoredId[];
      readonly authors: readonly AuthorMatch[];
      /** Milliseconds. */
      readonly parts: { readonly words: number; readonly authors: number };
    };
  };
  /** Papers that share the words which tell liked papers from the rest. */
  readonly alike: { readonly ask: Taste & { readonly limit: number }; readonly reply: readonly string[] };
  readonly state: {
    readonly ask: object;
    readonly reply: { readonly papers: number; readonly vectors: string | null };
  };
};

/** The thread that ranks by meaning. Null: it has no encoder in use, or no vector of these papers. */
export type MeaningCalls = {
  readonly search: {
    readonly ask: { readonly query: string; readonly filter: PaperFilter; readonly authors: number };
    readonly reply: {
      readonly hits: readonly ScoredId[];
      readonly authors: readonly AuthorMatch[];
      readonly parts: { readonly encode: number; readonly meaning: number; readonly authors: number };
    } | null;
  };
  readonly similar: {
    readonly ask: { readonly id: string; readonly filter: PaperFilter; readonly limit: number };
    readonly reply: readonly string[] | null;
  };
  readonly recommend: { readonly ask: Taste; readonly reply: readonly string[] | null };
  readonly state: {
    readonly ask: object;
    readonly reply: { readonly encoder: string; readonly encoded: number } | null;
  };
};

export type FromThread =
  /** The store is open: tasks may come. */
  | { readonly type: "ready" }
  | { readonly type: "reply"; readonly id: number; readonly reply: unknown }
  | {
      readonly type: "failure";
      readonly id: number;
      /** A StoreError's; null for others. */
      readonly code: string | null;
      readonly message: string;
    }
  | { readonly type: "note"; readonly level: "info" | "warn"; readonly text: string }
  /** The version of the vectors that the store has in use, when it changes. */
  | { readonly type: "vectors"; readonly version: string };

export interface ToThread {
  readonly id: number;
  readonly kind: string;
  readonly ask: object;
}
