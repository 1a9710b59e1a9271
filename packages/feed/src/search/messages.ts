import type { AuthorMatch, PaperFilter } from "../store/ports.ts";
import type { SearchMode, SearchState } from "./types.ts";

/** What the thread is told when it starts. */
export interface SearchSetup {
  readonly storePath: string;
  /** Folder with one subfolder a version of Concord's own encoder. */
  readonly modelsFolder: string;
  /** Folder of another encoder, and the version under which its vectors are stored. */
  readonly encoder: { readonly folder: string; readonly version: string } | null;
  /** Threads of the engine. */
  readonly threads: number;
}

export type SearchTask =
  | {
      readonly kind: "search";
      readonly query: string;
      readonly mode: SearchMode;
      readonly filter: PaperFilter;
      readonly authors: number;
    }
  | { readonly kind: "similar"; readonly id: string; readonly limit: number; readonly filter: PaperFilter }
  | {
      readonly kind: "recommend";
      readonly like: readonly string[];
      readonly unlike: readonly string[];
      readonly filter: PaperFilter;
      readonly limit: number;
    }
  | { readonly kind: "state" };

/** All that was ranked: pages are cut from it. */
export interface RankedList {
  readonly hits: readonly { readonly id: string; readonly byWords: boolean; readonly byMeaning: boolean }[];
  readonly words: readonly string[];
  readonly authors: readonly AuthorMatch[];
  readonly mode: SearchMode;
  /** Milliseconds of the parts: looking at the encoder's query, words, vectors. */
  readonly parts: Readonly<Record<"encode" | "words" | "meaning" | "authors", number>>;
}

export type SearchReply =
  | { readonly kind: "ranked"; readonly list: RankedList }
  | { readonly kind: "ids"; readonly ids: readonly string[] }
  | { readonly kind: "state"; readonly state: SearchState };

export type FromThread =
  /** The store is open: tasks may come. */
  | { readonly type: "ready" }
  | { readonly type: "reply"; readonly id: number; readonly reply: SearchReply }
  | {
      readonly type: "failure";
      readonly id: number;
      /** A StoreError's; null for others. */
      readonly code: string | null;
      readonly message: string;
    }
  | { readonly type: "note"; readonly level: "info" | "warn"; readonly text: string };

export interface ToThread {
  readonly id: number;
  readonly task: SearchTask;
}
