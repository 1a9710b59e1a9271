import type { PaperRecord } from "../../record.ts";
import type { Millis, Page, PageRequest, UtcDay } from "./common.ts";

/** A record with what the store knows beside it. */
export interface StoredPaper extends PaperRecord {
  /** Day under which lists show it: `announced`, else `published`; null: undated, listed last. */
  readonly day: UtcDay | null;
  readonly upvotes: number;
  /** Visible comments. */
  readonly comments: number;
  readonly bookmarks: number;
  /** Trending key K = log2(v) + t/H (see `ranking/`); null for a paper without any event. */
  readonly trend: number | null;
  /** When the paper first came in. */
  readonly addedAt: Millis;
  /** Grows with every change of any paper's record; orders `changes`. */
  readonly revision: number;
  /** SHA-256 of title and abstract: says whether a vector still fits. */
  readonly textHash: string;
}

export type UpsertOutcome = "inserted" | "updated" | "unchanged";

export interface Upserted {
  /** The id under which the paper is now; differs from the record's where a local id was merged. */
  readonly id: string;
  readonly outcome: UpsertOutcome;
  /** The local id that became an alias of `id`. */
  readonly merged?: string;
}

/** What a list may be narrowed to; a criterion that is absent excludes nothing, all given ones must hold. */
export interface PaperFilter {
  /** First day, inclusive. */
  readonly from?: UtcDay | undefined;
  /** Last day, inclusive. */
  readonly to?: UtcDay | undefined;
  /** A category exactly ("cs.LG"), or an archive with all its categories ("cs"). */
  readonly category?: string | undefined;
  readonly topic?: string | undefined;
  /** A name as in the paper; case and accents do not matter. */
  readonly author?: string | undefined;
  readonly hasCode?: boolean | undefined;
  /** Only papers whose experiment runs here (true) or does not (false). */
  readonly runnable?: boolean | undefined;
  /** Only papers with a trending key (true) or without any event (false). */
  readonly hasEvents?: boolean | undefined;
}

/**
 * - `newest`: day (undated last), then id, both falling
 * - `trending`: trending key, then id, both falling; papers without events are not listed
 * - `top`: upvotes, trending key, id, all falling: the order of day pages
 */
export type PaperOrder = "newest" | "trending" | "top";

export type PeriodKind = "day" | "week" | "month";

/** A day, an ISO week (Monday to Sunday) or a month in which papers were listed. */
export interface Period {
  readonly kind: PeriodKind;
  /** "2026-11-20", "2026-W47" or "2026-11". */
  readonly key: string;
  readonly from: UtcDay;
  readonly to: UtcDay;
  readonly papers: number;
  /** Keys of the nearest periods that have papers; null at the ends. */
  readonly previous: string | null;
  readonly next: string | null;
}

/** A value with the number of papers that have it. */
export interface Facet {
  readonly value: string;
  readonly papers: number;
}

/** The papers. Every list has a total, stable order; ties are broken by id. */
export interface Papers {
  /**
   * Brings records in, merged with what is known (`mergeRecords`).
   *
   * Idempotent: the same records again are all `unchanged` and write nothing. A record whose normalised title is
   * that of a paper with a local id takes that paper over, with its votes, comments and everything else, and the
   * local id stays as an alias; a record with a local id joins the paper that has its title. Written in batches
   * of a few dozen, each atomic and in step with text search: after a crash, a whole number of batches is there.
   * Within one transaction, all or nothing.
   *
   * @returns one result per record, in their order
   * @throws StoreError `invalid` naming index and field when a record is malformed; nothing is written then
   */
  upsert(records: readonly PaperRecord[]): Promise<Upserted[]>;

  /** The paper of an id or of an alias; null when there is none. */
  get(id: string): Promise<StoredPaper | null>;

  /** Papers by the ids asked for (aliases allowed), in that order, at most 500; unknown ones are left out. */
  getMany(ids: readonly string[]): Promise<StoredPaper[]>;

  /** The paper of a catalogue folder. */
  bySlug(slug: string): Promise<StoredPaper | null>;

  /**
   * @param query.skip  papers left out at the beginning, after the cursor: 0 (default) to 20,000. For interfaces that
   *   count pages; what is left out is counted in an index and not read.
   */
  list(
    query: PageRequest & {
      readonly order?: PaperOrder;
      readonly filter?: PaperFilter;
      readonly skip?: number;
    },
  ): Promise<Page<StoredPaper>>;

  count(filter?: PaperFilter): Promise<number>;

  /**
   * The period that holds `at` (a day, or a key of that kind), or without papers there the last one before it
   * that has some, or else the first one after it. Without `at`, the newest.
   *
   * @returns null when no dated paper passes the filter
   * @throws StoreError `invalid` when `at` is neither a day nor a key of the kind
   */
  period(
    kind: PeriodKind,
    options?: { readonly at?: string | undefined; readonly filter?: Omit<PaperFilter, "from" | "to"> },
  ): Promise<Period | null>;

  /** Categories with their numbers of papers, most papers first, at most 500. */
  categories(): Promise<Facet[]>;

  /** Topics with their numbers of papers, most papers first, at most 500. */
  topics(): Promise<Facet[]>;

  /**
   * Papers in the order of their last change, oldest first. Reading on from the last revision seen misses no
   * change: for copies, encoders and caches. At most 1000 a call.
   */
  changes(options: { readonly after: number; readonly limit?: number }): Promise<StoredPaper[]>;

  /** The revision of the newest change; 0 for an empty store. */
  revision(): Promise<number>;

  /**
   * Marks these papers, and no others, as papers of the catalogue. Used by `syncCatalogue`. Idempotent, atomic.
   * @returns how many papers changed
   */
  markCatalogue(
    marks: readonly { readonly id: string; readonly slug: string; readonly runnable: boolean }[],
  ): Promise<number>;

  /** Takes a paper out with everything that hangs on it; false when it is not there. */
  remove(id: string): Promise<boolean>;
}
