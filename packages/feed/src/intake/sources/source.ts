import type { Readable } from "node:stream";
import type { SafeFetch } from "../../net/index.ts";
import type { Json, Papers, SourceState, UtcDay } from "../../store/ports.ts";
import type { FileFormat } from "../files/items.ts";
import type { Item } from "../formats/item.ts";

/** Where papers come from, and which of them. Days are YYYY-MM-DD in UTC, both ends included. */
export type IngestSource =
  /** Today's listing of these categories. */
  | {
      readonly kind: "arxiv-rss";
      readonly categories: readonly string[];
      readonly format?: "rss" | "atom" | undefined;
    }
  /** Papers submitted in these days. */
  | {
      readonly kind: "arxiv-query";
      readonly categories: readonly string[];
      readonly from: UtcDay;
      readonly to: UtcDay;
    }
  /** These papers. */
  | { readonly kind: "arxiv-ids"; readonly ids: readonly string[] }
  /** Papers of the store that lack what arXiv knows: day of submission, authors, categories. */
  | { readonly kind: "arxiv-fill"; readonly limit?: number | undefined }
  /** All changes of a set's metadata since `from`, by default since the last harvest. */
  | {
      readonly kind: "arxiv-oai";
      readonly set?: string | undefined;
      readonly from?: UtcDay | undefined;
      readonly to?: UtcDay | undefined;
      readonly prefix?: "arXiv" | "arXivRaw" | "oai_dc" | undefined;
    }
  /** Daily Papers of these days, by default since the last one read. */
  | { readonly kind: "hf-daily"; readonly from?: UtcDay | undefined; readonly to?: UtcDay | undefined }
  | {
      readonly kind: "file";
      readonly path: string;
      readonly format?: FileFormat | undefined;
      readonly day?: UtcDay | undefined;
    }
  | {
      readonly kind: "stream";
      readonly name: string;
      readonly stream: Readable;
      readonly format?: FileFormat | undefined;
      readonly day?: UtcDay | undefined;
    };

/** A part of a source that is read in one go. */
export interface SourcePage {
  /** Items still to be parsed. */
  readonly items: Iterable<() => Item> | AsyncIterable<() => Item>;
  /** What is saved in one step with the last of the items. */
  readonly after: Partial<Omit<SourceState, "source">>;
  /** The cursor after so many of the items, for pages that are long. */
  readonly cursorAfter?: (items: number) => Json;
}

export interface ReadContext {
  readonly fetch: SafeFetch;
  readonly papers: Pick<Papers, "changes" | "revision">;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly signal: AbortSignal | undefined;
  /** Tells the user something of the source as a whole. */
  readonly note: (text: string) => void;
  /** Tells how many items there are in all, once it is known. */
  readonly expect: (items: number) => void;
  /** Counts an answer of a server; `notModified` when it is the one of last time. */
  readonly counted: (notModified: boolean) => void;
}

/** Something that can be read from where it was left. */
export interface SourceReader {
  /** Under which the store keeps where the reading stands, e.g. `arxiv-rss:cs.CL+cs.LG`. */
  readonly key: string;
  read(state: SourceState, context: ReadContext): AsyncGenerator<SourcePage, void, undefined>;
}

/** A source cannot be read as asked; the message says what to change. */
export class SourceError extends Error {
  override readonly name = "SourceError";
}

/** The day of a time, in UTC. */
export function utcDay(time: number): UtcDay {
  return new Date(time).toISOString().slice(0, 10);
}

/** The day so many days later. */
export function addDays(day: UtcDay, days: number): UtcDay {
  return utcDay(Date.parse(`${day}T00:00:00Z`) + days * 86_400_000);
}

export function* lazily(items: Iterable<Item>): Generator<() => Item, void, undefined> {
  for (const item of items) yield () => item;
}
