import type { Millis, Page, PageRequest } from "./common.ts";
import type { StoredPaper } from "./papers.ts";

/** What moves a paper in the trending order; weights and formula: `ranking/`. */
export type EventKind = "upvote" | "bookmark" | "comment" | "run";

/** What is known of the person behind an event, as far as it decides the event's weight. */
export interface Actor {
  readonly accountId: string;
  /**
   * Keyed hash of the address block (/24, /48) from which the request came; votes from one block for one paper
   * within an hour weigh once. Kept for two hours. Absent: never compared.
   */
  readonly block?: string | undefined;
}

/** Counts of the last 7 days: why a paper is where it is. */
export interface Why {
  readonly upvotes: number;
  readonly bookmarks: number;
  /** People who commented for the first time. */
  readonly commenters: number;
  /** People who ran the paper's method. */
  readonly runs: number;
}

export interface VoteResult {
  /** False when the vote was already so. */
  readonly changed: boolean;
  readonly upvotes: number;
}

export interface Collection {
  readonly id: string;
  readonly accountId: string;
  /** 1 to 100 characters, unique within the account. */
  readonly name: string;
  readonly public: boolean;
  readonly papers: number;
  readonly createdAt: Millis;
}

export interface DatedPaper {
  readonly paper: StoredPaper;
  readonly at: Millis;
}

/**
 * Votes, bookmarks, collections, and the decayed sums behind the trending order.
 *
 * Each call that counts (vote, bookmark, comment, run) changes the row, the paper's counter and its trending key in
 * one transaction, and is idempotent: the second vote of an account for a paper changes nothing.
 */
export interface Activity {
  /** @throws StoreError `not-found` for an unknown paper or account */
  vote(paperId: string, actor: Actor, up: boolean): Promise<VoteResult>;
  /** Which of these papers (at most 500) the account has voted for. */
  voted(accountId: string, paperIds: readonly string[]): Promise<Set<string>>;
  /** Newest vote first. */
  votes(accountId: string, page?: PageRequest): Promise<Page<DatedPaper>>;

  bookmark(paperId: string, actor: Actor, on: boolean): Promise<{ readonly changed: boolean }>;
  bookmarked(accountId: string, paperIds: readonly string[]): Promise<Set<string>>;
  /** Newest first. */
  bookmarks(accountId: string, page?: PageRequest): Promise<Page<DatedPaper>>;

  /** Notes that a person ran the paper's method to a verdict; counts once for a person and paper. */
  ran(paperId: string, actor: Actor): Promise<{ readonly changed: boolean }>;

  /** Counts of the last 7 days for at most 500 papers; every paper asked for is in the answer. */
  why(paperIds: readonly string[]): Promise<Map<string, Why>>;

  /** @throws StoreError `conflict` when the account has one of that name, `invalid` beyond 200 collections */
  createCollection(collection: Pick<Collection, "accountId" | "name" | "public">): Promise<Collection>;
  collection(id: string): Promise<Collection | null>;
  /** By name. */
  collections(accountId: string): Promise<Collection[]>;
  /** Ids of the account's collections that hold the paper. */
  collectionsHolding(accountId: string, paperId: string): Promise<Set<string>>;
  updateCollection(id: string, change: Partial<Pick<Collection, "name" | "public">>): Promise<Collection>;
  removeCollection(id: string): Promise<boolean>;
  /** Adds or removes a paper. @throws StoreError `not-found` */
  collect(collectionId: string, paperId: string, on: boolean): Promise<{ readonly changed: boolean }>;
  /** Newest addition first. */
  collected(collectionId: string, page?: PageRequest): Promise<Page<DatedPaper>>;
}
