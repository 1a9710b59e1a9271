import type { Json, Millis, Page, PageRequest } from "./common.ts";
import type { Cadence } from "./subscriptions.ts";

/** A digest, built once; its content never changes afterwards. */
export interface Issue {
  readonly id: string;
  /** e.g. "daily", "weekly". */
  readonly kind: string;
  /** e.g. "2026-11-20"; unique with `kind`. */
  readonly period: string;
  readonly builtAt: Millis;
  /** What the messages are made of. */
  readonly content: Json;
  /** SHA-256 of `content`. */
  readonly contentHash: string;
  /** `filling` until all readers have their row; nothing is leased before `open` nor while `paused`. */
  readonly state: "filling" | "open" | "paused";
}

/**
 * `queued -> sending -> sent | failed | skipped`, back to `queued` for a later attempt; `unknown`: the lease ran out
 * while sending, so the message may or may not have been accepted.
 */
export type DeliveryState = "queued" | "sending" | "sent" | "failed" | "skipped" | "unknown";

export interface Delivery {
  readonly id: string;
  readonly issueId: string;
  readonly readerId: string;
  readonly state: DeliveryState;
  readonly attempts: number;
  /** Given with the first lease and the same for every attempt. */
  readonly messageId: string;
  /** Last answer of the mail server. */
  readonly lastCode: string | null;
  readonly runAt: Millis;
  readonly sentAt: Millis | null;
}

/** A row that one worker holds until `leaseUntil`; `lease` proves it. */
export interface LeasedDelivery extends Delivery {
  readonly email: string;
  readonly lease: string;
  readonly leaseUntil: Millis;
}

/**
 * Mail that is sent once. One row for each issue and reader (unique), so that a crash at any point neither loses
 * nor repeats one: rows are leased in a committed transaction BEFORE the mail server is spoken to, and settled after
 * its answer.
 */
export interface Outbox {
  /** Freezes an issue; the same kind and period again gives the first one, with its content. Idempotent. */
  createIssue(issue: { readonly kind: string; readonly period: string; readonly content: Json }): Promise<{
    readonly issue: Issue;
    readonly created: boolean;
  }>;
  issue(id: string): Promise<Issue | null>;
  /** Newest first. */
  issues(page?: PageRequest & { readonly kind?: string }): Promise<Page<Issue>>;

  /**
   * Gives every reader of the cadence who was confirmed when the issue was built a row, and opens the issue. Works in
   * batches; after a crash the same call goes on where it stopped, and a reader who confirmed meanwhile is not added.
   *
   * @param options.select  whether a reader is to get this issue (default: all)
   * @returns how many rows the issue has
   */
  fill(
    issueId: string,
    options: {
      readonly cadence: Cadence;
      readonly host: string;
      readonly select?: (readerId: string) => boolean;
    },
  ): Promise<number>;

  pause(issueId: string, paused: boolean): Promise<void>;

  /**
   * Takes up to `limit` rows that are due, oldest first. Committed on return; two workers never hold the same row. Rows
   * of readers who are no longer confirmed become `skipped` on the way.
   */
  lease(options: { readonly limit: number; readonly leaseMs: number }): Promise<LeasedDelivery[]>;

  /** Accepted by the server. False when the lease is lost; the row is then another's. */
  sent(delivery: Pick<LeasedDelivery, "id" | "lease">, code: string): Promise<boolean>;
  /** Refused: `retryAt` for another attempt, null for good. False when the lease is lost. */
  failed(
    delivery: Pick<LeasedDelivery, "id" | "lease">,
    answer: { readonly code: string; readonly retryAt: Millis | null },
  ): Promise<boolean>;

  /** Was not tried at all (no connection, the server stops): the row waits again, and the attempt does not count. */
  released(delivery: Pick<LeasedDelivery, "id" | "lease">): Promise<boolean>;
  /** There is nothing to send to this reader after all. False when the lease is lost. */
  skipped(delivery: Pick<LeasedDelivery, "id" | "lease">, reason: string): Promise<boolean>;

  /**
   * Rows whose lease ran out become `unknown`; with `resend`, those with at most `attempts` attempts (default 1) are
   * queued again, under the same Message-ID. @returns how many rows changed
   */
  expire(policy: "resend" | "hold", options?: { readonly attempts?: number }): Promise<number>;

  progress(issueId: string): Promise<Readonly<Record<DeliveryState, number>>>;
  /** A reader's own history, newest first. */
  ofReader(readerId: string, page?: PageRequest): Promise<Page<Delivery>>;
}
