import type { Json, Millis, Page, PageRequest, SecretHash } from "./common.ts";

/** `pending -> confirmed -> paused | unsubscribed | suppressed`; only `confirmed` readers get mail. */
export type ReaderState = "pending" | "confirmed" | "paused" | "unsubscribed" | "suppressed";

export type Cadence = "daily" | "weekly";

/** How a reader consented: kept as proof. */
export interface Consent {
  readonly at: Millis;
  /** Version of the form or of the API that was used. */
  readonly form: string;
  /** Keyed hash of the address; null: not recorded. */
  readonly addressHash: string | null;
}

/** Somebody who gets the digest; needs no account. */
export interface Reader {
  readonly id: string;
  /** Unique without regard to case. */
  readonly email: string;
  readonly state: ReaderState;
  readonly cadence: Cadence;
  /** Only papers with one of these topics, categories ("cs.CV") or archives ("cs"); empty: all. */
  readonly topics: readonly string[];
  /** Only papers found by one of these; empty: all. */
  readonly savedSearches: readonly string[];
  readonly createdAt: Millis;
  readonly confirmedAt: Millis | null;
  readonly consent: Consent;
}

/**
 * Tokens are told apart by purpose. The store keeps their hashes alone: what every mail must carry (manage,
 * unsubscribe) is derived by the sender from a secret of its own, so that it can be made again.
 */
export type ReaderToken = "confirm" | "manage" | "unsubscribe";

export interface SavedSearch {
  readonly id: string;
  /** null: belongs to a reader without account. */
  readonly accountId: string | null;
  readonly name: string;
  /** Words, may be "". */
  readonly query: string;
  /** A `PaperFilter` and whatever the search page adds. */
  readonly filter: Json;
  readonly createdAt: Millis;
}

export interface Bounce {
  readonly at: Millis;
  readonly kind: "soft" | "hard" | "complaint";
  /** e.g. "550 5.1.1", at most 500 characters. */
  readonly code: string;
}

/** Readers of the digest and saved searches. */
export interface Subscriptions {
  /**
   * Notes the wish to get mail. A new address becomes `pending`; a pending, unsubscribed or paused one gets the new
   * wishes and tokens and stays in its state until it confirms; a confirmed or suppressed one is left as it is. The
   * answer is for the mailer alone: what the visitor is told must not depend on it.
   */
  subscribe(wish: {
    readonly email: string;
    readonly cadence: Cadence;
    readonly topics?: readonly string[];
    readonly savedSearches?: readonly string[];
    readonly consent: Omit<Consent, "at">;
    readonly tokens: Readonly<Record<ReaderToken, SecretHash>>;
  }): Promise<{ readonly reader: Reader; readonly outcome: "created" | "renewed" | "unchanged" }>;

  get(id: string): Promise<Reader | null>;
  byEmail(email: string): Promise<Reader | null>;
  byToken(purpose: ReaderToken, tokenHash: SecretHash): Promise<Reader | null>;
  setTokens(id: string, tokens: Partial<Readonly<Record<ReaderToken, SecretHash>>>): Promise<void>;

  /** Confirms by token, once or again: idempotent. null for an unknown token; suppressed readers stay so. */
  confirm(tokenHash: SecretHash): Promise<Reader | null>;
  /** Unsubscribes by token and takes back what is queued for the reader: atomic and idempotent. */
  unsubscribe(tokenHash: SecretHash): Promise<Reader | null>;
  /** @throws StoreError `not-found`; `conflict` for a state that cannot be reached from the present one */
  update(
    id: string,
    change: Partial<Pick<Reader, "cadence" | "topics" | "savedSearches">> & {
      readonly state?: "confirmed" | "paused" | "unsubscribed" | "suppressed";
    },
  ): Promise<Reader>;
  /** Erases the reader with everything about them. */
  remove(id: string): Promise<boolean>;

  /**
   * Notes a bounce and acts: hard and complaint suppress at once, three soft ones within 14 days pause.
   * @returns the reader afterwards; null for an unknown one
   */
  bounced(readerId: string, bounce: Omit<Bounce, "at">): Promise<Reader | null>;
  bounces(readerId: string): Promise<Bounce[]>;

  /** In the order of their ids. */
  readers(
    page?: PageRequest & { readonly state?: ReaderState; readonly cadence?: Cadence },
  ): Promise<Page<Reader>>;
  counts(): Promise<Readonly<Record<ReaderState, number>>>;

  /** @throws StoreError `invalid` beyond 200 searches of an account */
  saveSearch(search: Pick<SavedSearch, "accountId" | "name" | "query" | "filter">): Promise<SavedSearch>;
  savedSearch(id: string): Promise<SavedSearch | null>;
  /** Newest first. */
  savedSearches(accountId: string): Promise<SavedSearch[]>;
  removeSavedSearch(id: string): Promise<boolean>;
}
